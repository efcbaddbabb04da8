"""Encoder bundle -> int8 encoder bundle, with a parity report. Workstation only."""
