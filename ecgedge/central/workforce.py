"""Work in pieces: in this process, in several of this machine, or on a Ray cluster.

The three do the same pieces with the same code and hand each result back with its number, so
that who did what never shows in what is built.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, nullcontext
from multiprocessing import get_context, parent_process
from typing import Any, Protocol, TypeVar

from ecgedge.errors import EcgedgeError, UsageError

P_contra = TypeVar("P_contra", contravariant=True)
R_co = TypeVar("R_co", covariant=True)
P = TypeVar("P")
R = TypeVar("R")

ENGINES = ("local", "ray")
DIED = (
    "a worker process died, perhaps for lack of memory: run the same command again "
    "(it goes on where it stopped), with fewer --workers"
)


class Job(Protocol[P_contra, R_co]):
    """What is to be done with every piece. Jobs, pieces and results must be picklable."""

    def begin(self) -> Callable[[P_contra], R_co]:
        """Called once in each process that works, to load what all pieces need."""
        ...


class Workforce(Protocol):
    """Whoever does the work."""

    def run(self, job: Job[P, R], pieces: Mapping[int, P]) -> Iterator[tuple[int, R]]:
        """(number, result) of each piece as it is finished, in any order.

        Raises what the job raises, EcgedgeError when a worker dies.
        """
        ...


class LocalWorkforce:
    """This process alone, or so many of this machine."""

    def __init__(self, workers: int = 1) -> None:
        self._workers = workers

    def run(self, job: Job[P, R], pieces: Mapping[int, P]) -> Iterator[tuple[int, R]]:
        if not pieces:
            return
        if self._workers <= 1 or len(pieces) == 1:
            work = job.begin()
            for number, piece in pieces.items():
                yield number, work(piece)
            return
        # Spawned, not forked: onnxruntime's threads do not survive a fork.
        pool = ProcessPoolExecutor(
            min(self._workers, len(pieces)),
            mp_context=get_context("spawn"),
            initializer=_start_worker,
            initargs=(job,),
        )
        try:
            running = {pool.submit(_work_on, piece): number for number, piece in pieces.items()}
            for done in as_completed(running):
                yield running[done], done.result()
        except BrokenProcessPool:
            raise EcgedgeError(DIED) from None
        finally:
            pool.shutdown(cancel_futures=True)


def hire(
    engine: str, workers: int | None = None, address: str | None = None
) -> AbstractContextManager[Workforce]:
    """The workforce of `--engine`, let go at the end of a with statement.

    workers: all cores when None. address: of a running Ray cluster; None starts one on this
    machine. Raises UsageError for what does not fit together, and what starting Ray raises.
    """
    if engine == "ray":
        from ecgedge.central.ray_workforce import RayWorkforce

        return RayWorkforce(workers, address)
    if engine != "local":
        raise UsageError(f"there is no engine {engine!r}: choose {' or '.join(ENGINES)}")
    if address is not None:
        raise UsageError("--ray-address is for --engine ray")
    return nullcontext(LocalWorkforce(workers or os.cpu_count() or 1))


_begun: Callable[[Any], Any] | Exception | None = None


def _start_worker(job: Job[Any, Any]) -> None:
    global _begun
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    try:
        _begun = job.begin()
    except Exception as error:  # raised here it would be told as a pool that broke
        _begun = error


def _leave_with_parent() -> None:
    """A pool's process waits for work for ever when its parent was killed."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _work_on(piece: Any) -> Any:
    if isinstance(_begun, Exception):
        raise _begun
    assert _begun is not None
    return _begun(piece)
