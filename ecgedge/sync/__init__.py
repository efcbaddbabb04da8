"""Keeps a cart current: trust (TUF metadata), fetch (resumable), install (one atomic switch).

The decisions are pure (`offers`, `clock`, `plan`); sockets and files sit in a thin shell
(`http`, `folder`, `fetch`, `state`). Nothing here is imported by `ecgedge query`.
"""
