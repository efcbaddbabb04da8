"""A path or bytes -> Recording, detected by content."""
