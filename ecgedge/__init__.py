"""ecgedge: find the most similar past ECGs, on the cart, offline."""

__version__ = "0.1.0"
