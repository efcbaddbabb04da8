"""What answering costs on this board, measured in processes of their own: `ecgedge bench`.

Every encoder runs in a new process, so that one that crashes or is missing costs a row and
not the measurement, and so that cold starts and peak memory are its own.
"""
