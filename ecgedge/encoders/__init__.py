"""ECG image -> unit vector, behind one protocol."""
