"""The lightweight torch module (extra `train`); nothing on the cart imports it."""
