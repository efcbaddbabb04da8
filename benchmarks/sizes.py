"""What installed packages weigh, from the lists of files that pip leaves with each of them."""

from __future__ import annotations

import csv
from pathlib import Path


def installed_mb(site: Path) -> dict[str, float]:
    """Distribution -> MB (10^6 bytes) of its files in this site-packages folder, largest first.

    Without bytecode: Python writes that, for what is really imported, when it may.
    """
    found = {
        record.parent.name.partition("-")[0]: _bytes(site, record) / 1e6
        for record in site.glob("*.dist-info/RECORD")
    }
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def bytecode_mb(site: Path) -> float:
    """MB of all bytecode below a folder."""
    return sum(path.stat().st_size for path in site.rglob("*.pyc")) / 1e6


def _bytes(site: Path, record: Path) -> int:
    with record.open(newline="", encoding="utf-8") as file:
        listed = [site / row[0] for row in csv.reader(file) if not row[0].endswith(".pyc")]
    return sum(path.stat().st_size for path in listed if path.is_file())
