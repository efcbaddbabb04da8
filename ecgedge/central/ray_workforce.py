"""Work in pieces on a Ray cluster: one that runs already, or one of this machine's own cores.

Ray is imported when a workforce is made, never before. Nodes must have the same ecgedge, and
see the corpus, the encoder's folder and the store under the same paths.
"""

from __future__ import annotations

import os
import platform
import re
import socket
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any, TypeVar

from ecgedge.central.workforce import DIED, Job
from ecgedge.errors import EcgedgeError, NetworkError, UsageError

P = TypeVar("P")
R = TypeVar("R")

#: Room for pieces and results on their way, where we start Ray ourselves.
OBJECT_STORE_BYTES = 512 << 20
#: What decides the bytes that are built; every node must have the same.
_PACKAGES = ("ecgedge", "numpy", "onnxruntime", "usearch")

_PATIENCE_S = 10.0
_ABSENT = re.compile(r"No module named '([^']+)'")


class RayWorkforce:
    """Actors that each do one piece after another, on one core."""

    def __init__(
        self,
        workers: int | None = None,
        address: str | None = None,
        *,
        object_store_bytes: int = OBJECT_STORE_BYTES,
    ) -> None:
        """workers: all of the cluster's cores when None.

        Raises ImportError without ray, NetworkError for a cluster that does not answer.
        """
        if address:
            _reach(address)
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        # Any: with ray installed or without, the same types.
        ray: Any = import_module("ray")
        self._ray = ray
        quiet = {"log_to_driver": False, "logging_level": "ERROR", "configure_logging": False}
        ours = {
            "address": "local",
            "num_cpus": workers or os.cpu_count() or 1,
            "include_dashboard": False,
            "object_store_memory": object_store_bytes,
        }
        try:
            ray.init(**quiet, **({"address": address} if address else ours))
        except (ConnectionError, RuntimeError, TimeoutError, ValueError) as error:
            told = str(error).strip().partition("\n")[0]
            where = f"the Ray cluster at {address}" if address else "Ray on this machine"
            raise NetworkError(f"{where} cannot be used: {told}") from None
        cores = int(ray.cluster_resources().get("CPU", 0))
        if cores < 1:
            self._ray.shutdown()
            raise NetworkError("the Ray cluster has no core to work with: add a node")
        self._workers = min(workers or cores, cores)

    def __enter__(self) -> RayWorkforce:
        return self

    def __exit__(self, *_: object) -> None:
        """Let the cluster go; one that was started here ends."""
        self._ray.shutdown()

    def run(self, job: Job[P, R], pieces: Mapping[int, P]) -> Iterator[tuple[int, R]]:
        """As `workforce.Workforce.run`; UsageError for a node with other packages."""
        actor = self._ray.remote(num_cpus=1)(_Worker)
        idle = [actor.remote(job, versions()) for _ in range(min(self._workers, len(pieces)))]
        waiting = iter(pieces.items())
        running: dict[Any, tuple[Any, int]] = {}
        try:
            while True:
                # One piece a worker on its way: what waits here costs no memory there.
                for worker, (number, piece) in zip(list(idle), waiting, strict=False):
                    idle.remove(worker)
                    running[worker.work.remote(piece)] = (worker, number)
                if not running:
                    return
                done, _ = self._ray.wait(list(running))
                for reference in done:
                    worker, number = running.pop(reference)
                    yield number, self._get(reference)
                    idle.append(worker)
        finally:
            for worker in [*idle, *(worker for worker, _ in running.values())]:
                self._ray.kill(worker)

    def _get(self, reference: Any) -> Any:
        """A result, or the worker's own error without Ray's traceback around it."""
        known = self._ray.exceptions
        try:
            return self._ray.get(reference)
        except known.RayTaskError as error:
            if isinstance(error.cause, EcgedgeError):
                raise error.cause from None
            raise EcgedgeError(f"a worker failed: {error.cause!r}") from None
        except known.RayError as error:
            if absent := _ABSENT.search(str(error)):
                raise UsageError(
                    f"a node has no module {absent[1]}: install the same ecgedge on every node"
                ) from None
            raise EcgedgeError(DIED) from None


def _reach(address: str) -> None:
    """Raises NetworkError where nothing listens: Ray itself would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        return  # "auto" and the like are Ray's own to understand
    try:
        socket.create_connection((host, int(port)), timeout=_PATIENCE_S).close()
    except OSError as error:
        raise NetworkError(
            f"the Ray cluster at {address} cannot be reached: {error.strerror or error}"
        ) from None


class _Worker:
    """What runs on a node."""

    def __init__(self, job: Job[Any, Any], wanted: Mapping[str, str]) -> None:
        self._job, self._wanted = job, wanted
        self._work: Callable[[Any], Any] | None = None

    def work(self, piece: Any) -> Any:
        if self._work is None:  # not in __init__, whose errors Ray tells as a worker's death
            self._check()
            self._work = self._job.begin()
        return self._work(piece)

    def _check(self) -> None:
        mine = versions()
        for name, wanted in self._wanted.items():
            if mine[name] != wanted:
                raise UsageError(
                    f"node {platform.node()} has {name} {mine[name]}, this machine {wanted}: "
                    "install the same on every node"
                )


def versions() -> dict[str, str]:
    """The packages that decide what is built, and the processor's kind."""
    found = {"processor": platform.machine()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "of a checkout"
    return found
