"""A centre whose releases really answer, published into a folder, and the command line."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sim_repository import SimRepository
from small_release import HEARTS, build_release, heart

from ecgedge.casebase.release import Store
from ecgedge.casebase.segment import CaseRecord
from ecgedge.casebase.writing import write_segment
from ecgedge.cli import cli
from ecgedge.encoders import load_encoder
from ecgedge.sight import embed_recording

ROOT = Path(__file__).resolve().parent.parent


@dataclass
class Centre:
    """folder: the repository as a web server or a stick would hold it. made: all releases.

    Every case of a release carries the release's name, and no two releases share a segment.
    """

    folder: Path
    made: Store
    repository: SimRepository = field(default_factory=lambda: SimRepository(datetime.now(UTC)))
    order: int = 0

    @classmethod
    def at(cls, folder: Path) -> Centre:
        return cls(folder / "repository", build_release(folder / "made"))

    @property
    def root_file(self) -> Path:
        """What is installed with a cart."""
        path = self.folder.with_name("root.json")
        path.write_bytes(self.repository.root_file)
        return path

    def offer(self, name: str, channel: str = "stable", percent: int = 100) -> str:
        """Make a release whose cases are called `name/...`, publish it as the latest; its id."""
        manifest = self.made.manifest()
        encoder = load_encoder(
            self.made.blob(manifest.encoder.model), self.made.blob(manifest.encoder.spec)
        )
        names = [one for one in HEARTS if one not in manifest.withdrawn]
        cases = [
            CaseRecord(f"{name}/{one}", HEARTS[one][1], None, 50, "F", "made up", one)
            for one in names
        ]
        rows = np.stack([embed_recording(heart(one), encoder) for one in names])
        noise = np.random.default_rng(sum(name.encode())).normal(size=rows.shape)
        rows = rows + (1e-2 * noise).astype(np.float32)  # no file like another release's
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        ref = write_segment(self.made.blobs, rows, cases, encoder_id=encoder.spec.id)
        made = replace(manifest, segments=(ref,), withdrawn=(), notes=(f"this is {name}",))
        release = self.made.add_release(made)
        self.order += 1
        self.repository.publish_store(self.made, release, {channel: (self.order, percent)})
        self.write()
        return release

    def write(self) -> None:
        """The repository's files as they stand, in the place of those before."""
        shutil.rmtree(self.folder, ignore_errors=True)
        for name, data in self.repository.files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    returncode: int
    stdout: str
    stderr: str


def ecgedge(*words: object, **environment: str) -> Done:
    """The command line in this process, from its words to its exit code."""
    out, err = io.StringIO(), io.StringIO()
    code: object = None
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        for name, value in environment.items():
            patch.setenv(name, value)
        try:
            cli.main([str(word) for word in words])
        except SystemExit as done:
            code = done.code
    assert isinstance(code, int)
    return Done(code, out.getvalue(), err.getvalue())


def process(*words: object) -> Done:
    """The same in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "ecgedge", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    return Done(done.returncode, done.stdout, done.stderr)


def sync_words(centre: Centre, store: Path) -> Sequence[object]:
    """The words of a sync of this store with this centre."""
    return ["sync", "--store", store, "--from", centre.folder, "--root", centre.root_file]


def told(done: Done) -> dict[str, Any]:
    """The one JSON object that a command printed."""
    assert done.stdout.count("\n") == 1, (done.stdout, done.stderr)
    found: dict[str, Any] = json.loads(done.stdout)
    return found
