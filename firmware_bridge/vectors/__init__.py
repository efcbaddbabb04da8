"""Test vectors of the wire format, for any encoder or decoder in any language.

Each `.json` file is a list of `{"name", "fields", "hex"}`: what a frame says and the octets it
must be, zero delimiter included (`cobs.json`: without, as nothing but the stuffing is told
there). `python -m firmware_bridge.vectors` writes them anew; a test holds them to `wire.py`
and to `include/ecgedge_frame.h`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from firmware_bridge.vectors.configurations import configuration_vectors
from firmware_bridge.vectors.data import data_vectors
from firmware_bridge.vectors.stuffing import cobs_vectors

#: A vector as its file holds it.
Vector = dict[str, Any]
FOLDER = Path(__file__).resolve().parent
KINDS = ("cobs", "configuration", "data")


def generate() -> dict[str, list[Vector]]:
    """What each file must hold, by its kind: the same at every call."""
    return {
        "cobs": cobs_vectors(),
        "configuration": configuration_vectors(),
        "data": data_vectors(),
    }


def text(vectors: list[Vector]) -> str:
    """A file's content: JSON, one vector a line."""
    return "[\n" + ",\n".join(json.dumps(vector) for vector in vectors) + "\n]\n"


def load(kind: str) -> list[Vector]:
    """The vectors of one kind, from their file."""
    vectors: list[Vector] = json.loads((FOLDER / f"{kind}.json").read_text(encoding="utf-8"))
    return vectors


def write(folder: Path = FOLDER) -> list[Path]:
    """Write all files; returns their paths."""
    paths = []
    for kind, vectors in generate().items():
        path = folder / f"{kind}.json"
        path.write_text(text(vectors), encoding="utf-8")
        paths.append(path)
    return paths
