"""Live streams: events of a decoder -> windows of ten seconds -> answers."""
