"""Where the result may be written."""

from __future__ import annotations

import os
from pathlib import Path

from ecgedge.errors import UsageError


def check_writable(path: Path) -> None:
    """Raise UsageError, before the work is done, unless path can be created or replaced."""
    if path.is_dir():
        raise UsageError(f"{path} is a folder, not a file to write to")
    if not path.parent.is_dir():
        raise UsageError(f"the folder {path.parent} does not exist")
    if not os.access(path.parent, os.W_OK):
        raise UsageError(f"the folder {path.parent} cannot be written to")
