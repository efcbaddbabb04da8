"""The wire between front-end microcontroller and runtime."""
