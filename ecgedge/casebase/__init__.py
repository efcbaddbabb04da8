"""Past cases on disk: segments, search over them, releases."""
