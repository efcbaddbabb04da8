"""Cuts the power at every point of what was recorded, and kills the process at every point."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from power import Recorder, cuts, different, digest, lay_out, recording
from power_model import Disk, Tree

_MEMORY = Path("/dev/shm")


@dataclass
class Tally:
    """cut_points: prefixes of what was done. states: disks that they leave, the same disk after
    two cuts counted twice. distinct: of these, different from each other; each was tried.
    """

    cut_points: int = 0
    states: int = 0
    distinct: int = 0

    def __str__(self) -> str:
        return f"{self.cut_points} cut points, {self.states} disks, {self.distinct} distinct"


@contextmanager
def laid_out(tree: Tree) -> Iterator[Path]:
    """A folder that holds this, in memory where there is such a place."""
    fast = _MEMORY if os.access(_MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=fast, prefix="ecgedge-power-") as above:
        yield lay_out(tree, Path(above) / "machine")


def cut_everywhere(recorder: Recorder, check: Callable[[Path, int], None]) -> Tally:
    """Lay out every disk that a cut can leave and check it; each distinct one once.

    check: gets the folder and the number of operations that had begun. It may change the folder.
    """
    tally, tried = Tally(), set[bytes]()
    for done, trees in cuts(recorder.before, recorder.ops):
        tally.cut_points += 1
        tally.states += len(trees)
        for tree in trees:
            if (key := digest(tree)) not in tried:
                tried.add(key)
                with laid_out(tree) as root:
                    check(root, done)
    tally.distinct = len(tried)
    return tally


def kill_everywhere(
    recorder: Recorder, go_on: Callable[[Path], object], check: Callable[[Path, bool], None]
) -> Tally:
    """End the process after every operation, start anew with the power on, and cut it at every
    operation of the second process.

    What the first one wrote and did not sync is not durable for the second either, though that
    one finds it. check: gets each disk that a cut can leave, and whether the second had ended.
    """
    tally, tried = Tally(), set[tuple[bytes, bool]]()
    for killed in range(len(recorder.ops) + 1):
        model = Disk(recorder.before)
        for op in recorder.ops[:killed]:
            model.do(op)
        if len(different(model.after_cut())) == 1:
            continue  # all of it is durable: to be killed here is to be cut here
        with laid_out(model.tree()) as root, recording(root, ignored=recorder.ignored) as second:
            go_on(root)
        for done, op in enumerate(second.ops, start=1):
            model.do(op)
            tally.cut_points += 1
            ended = done == len(second.ops)
            for tree in different(model.after_cut()):
                tally.states += 1
                if (key := (digest(tree), ended)) not in tried:
                    tried.add(key)
                    with laid_out(tree) as root:
                        check(root, ended)
    tally.distinct = len(tried)
    return tally
