"""Past cases on disk: segments, search over them, releases.

Every file here is immutable and named by its SHA-256. It is read only after its
bytes were checked against that name: one flipped bit in a vector file crashes
the process or changes an answer without a word.
"""
