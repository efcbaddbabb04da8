"""What the centre does: build a case base and a release from a corpus."""
