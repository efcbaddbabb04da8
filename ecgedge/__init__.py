"""ecgedge: find the most similar past ECGs, on the cart, offline.

    import ecgedge
    answer = ecgedge.Engine.open().query(ecgedge.read("recording.hea"))

The names below are imported on first use, so that `import ecgedge` costs nothing.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

# onnxruntime 1.31 for Linux writes a device id, an event database and a session file into the
# user's folders when it is imported, and uploads events to its maker. A cart does neither. It
# reads this variable once, while it loads, and nothing of ours imports it before this line.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__version__ = "0.1.0"
__all__ = ["Answer", "Engine", "Recording", "__version__", "read"]

if TYPE_CHECKING:
    from ecgedge.answer import Answer
    from ecgedge.engine import Engine
    from ecgedge.formats import read
    from ecgedge.recording import Recording

_HOME = {
    "Answer": "ecgedge.answer",
    "Engine": "ecgedge.engine",
    "Recording": "ecgedge.recording",
    "read": "ecgedge.formats",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'ecgedge' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOME[name]), name)
