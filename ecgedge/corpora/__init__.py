"""Corpora of past ECGs on disk, for training, evaluation and the centre."""
