"""The wire between a front-end microcontroller and the runtime.

    bytes ── decoder ──> Frame | Gap | Damaged ── leads ──> 12 leads in mV ── ecgedge.streaming

`README.md` beside this file is the wire format in one page, `include/ecgedge_frame.h` its
encoder for a microcontroller, `vectors/` what both sides are tested with.
"""
