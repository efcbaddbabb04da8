"""A publisher that is stopped at any operation: carts see a whole state, and it goes on."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fsspec.implementations.memory import MemoryFileSystem
from publishing_builders import DAY, Centre, add_release, make_centre

from ecgedge import disk
from ecgedge.central.destination_bucket import BucketDestination
from ecgedge.errors import NetworkError, UsageError

DISK = ("create", "write", "fsync", "close", "rename", "unlink", "make_folder", "fsync_folder")
BUCKET = ("pipe_file", "put_file", "cat_file", "find", "info", "rm_file")


class Killed(BaseException):
    """What no `except Exception` catches, as no program catches SIGKILL."""


class Countdown:
    """Lets some calls through, then raises before or after the next one takes effect."""

    def __init__(self, stop_at: int, failure: BaseException, after: bool) -> None:
        self.calls, self.stop_at, self.failure, self.after = 0, stop_at, failure, after
        self._inside = False  # of a call that makes others, only the outermost counts

    def __call__(self, call: Callable[..., object]) -> Callable[..., object]:
        def counted(*args: object, **kwargs: object) -> object:
            if self._inside:
                return call(*args, **kwargs)
            self.calls += 1
            stopped = self.calls == self.stop_at
            if self.calls > self.stop_at:  # a dead process cleans nothing up
                raise self.failure
            if stopped and not self.after:
                raise self.failure
            self._inside = True
            try:
                result = call(*args, **kwargs)
            finally:
                self._inside = False
            if stopped:
                raise self.failure
            return result

        return counted


@contextmanager
def stopping(place: str, countdown: Countdown) -> Iterator[None]:
    """While it lasts every call that changes or reads the place is counted."""
    holder = disk if place == "folder" else MemoryFileSystem
    with pytest.MonkeyPatch.context() as patch:
        for name in DISK if place == "folder" else BUCKET:
            patch.setattr(holder, name, countdown(getattr(holder, name)))
        yield


def _two_states(tmp_path: Path, place: str) -> tuple[Centre, str, str]:
    """A centre with one release on offer, after a new root, and a second release to publish."""
    address = None if place == "folder" else f"memory://{uuid.uuid4().hex}/repository"
    centre = make_centre(tmp_path, address)
    first = add_release(centre.store, "1")
    centre.publish(first)
    centre.rotate("root", drop=(), keep_old=True)
    return centre, first, add_release(centre.store, "2", segments=2)


def _points(tmp_path: Path, place: str) -> int:
    centre, _, second = _two_states(tmp_path, place)
    countdown = Countdown(10**9, Killed(), after=False)
    with stopping(place, countdown):
        centre.publish(second, prune=True, keep=1)
    return countdown.calls


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("place", ["folder", "memory"])
def test_killed_at_every_operation_carts_see_a_whole_state_and_the_next_run_completes(
    tmp_path, place, after
):
    points = _points(tmp_path / "count", place)
    assert points >= 15
    seen = set()
    for point in range(1, points + 1):
        centre, first, second = _two_states(tmp_path / str(point), place)
        with stopping(place, Countdown(point, Killed(), after)), pytest.raises(Killed):
            centre.publish(second, prune=True, keep=1)
        seen.add(tuple(centre.releases()))
        assert centre.releases() in ([first], [second])
        centre.now += DAY
        centre.publish(second, prune=True, keep=1)
        assert centre.releases() == [second]
        kept = {path for path in centre.destination.sizes("metadata") if "root" not in path}
        assert len(kept) == 3, "metadata of the stopped run was not pruned"
    assert len(seen) == 2  # some stopped before the switch, some after it
    print(f"{points} places to stop a publish to {place}, {'after' if after else 'before'} each")


@pytest.mark.parametrize("place", ["folder", "memory"])
def test_a_first_publish_that_was_killed_anywhere_completes(tmp_path, place):
    def fresh(name: str) -> tuple[Centre, str]:
        address = None if place == "folder" else f"memory://{uuid.uuid4().hex}/repository"
        centre = make_centre(tmp_path / name, address)
        return centre, add_release(centre.store, "1")

    centre, release = fresh("count")
    countdown = Countdown(10**9, Killed(), after=False)
    with stopping(place, countdown):
        centre.publish(release)
    for point in range(1, countdown.calls + 1):
        centre, release = fresh(str(point))
        with stopping(place, Countdown(point, Killed(), False)), pytest.raises(Killed):
            centre.publish(release)
        centre.publish(release)
        assert centre.releases() == [release]


def test_a_bucket_that_fails_at_any_operation_is_told_as_trouble_of_the_network(tmp_path):
    for point in range(1, _points(tmp_path / "count", "memory") + 1):
        centre, first, second = _two_states(tmp_path / str(point), "memory")
        countdown = Countdown(point, ConnectionResetError("reset by peer"), after=False)
        with stopping("memory", countdown), pytest.raises(NetworkError, match="reset by peer"):
            centre.publish(second, prune=True, keep=1)
        assert centre.releases() in ([first], [second])


def test_an_object_that_arrives_short_is_never_offered(tmp_path, monkeypatch):
    centre, first, second = _two_states(tmp_path, "memory")

    def short(self: MemoryFileSystem, local: str, path: str, **kwargs: object) -> None:
        self.pipe_file(path, Path(local).read_bytes()[:-1])

    with monkeypatch.context() as patch:
        patch.setattr(MemoryFileSystem, "put_file", short)
        with pytest.raises(NetworkError, match="bytes there"):
            centre.publish(second)
    assert centre.releases() == [first]
    centre.publish(second)
    assert centre.releases() == sorted([first, second])


def test_what_fsspec_reaches_beyond_memory_takes_part_as_a_bucket(tmp_path):
    """The generic way of an fsspec file system, here its own local one."""
    import fsspec

    centre = make_centre(tmp_path)
    (tmp_path / "there").mkdir()
    root = str(tmp_path / "there" / "repository")
    fs = fsspec.filesystem("file", auto_mkdir=True)
    centre.destination = BucketDestination(fs, root, root)
    release = add_release(centre.store, "1")
    centre.publish(release)
    centre.change()
    assert centre.releases() == [release]


def test_a_full_bucket_is_told(tmp_path, monkeypatch):
    centre, first, second = _two_states(tmp_path, "memory")

    def full(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(MemoryFileSystem, "put_file", full)
        with pytest.raises(UsageError, match="is full: make room"):
            centre.publish(second)
    assert centre.releases() == [first]
