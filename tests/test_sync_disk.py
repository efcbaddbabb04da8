"""A sync on a disk that has no room or refuses."""

from __future__ import annotations

import errno
import os
import shutil
from collections import namedtuple
from contextlib import suppress

import pytest
from sync_builders import Cart

from ecgedge import disk
from ecgedge.errors import (
    NetworkError,
    NothingNew,
    UsageError,
)
from ecgedge.sync import places


def test_the_room_is_looked_at_before_anything_is_fetched(
    synced: Cart, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = synced.store.current_id()
    synced.offer("second")
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(1 << 30, 1 << 30, 12_345_678))
    with pytest.raises(UsageError, match=r"needs 17 MB, 12 MB are free on .*: free 5 MB and run"):
        synced.sync()
    assert not synced.fetched()
    assert synced.whole() == first
    monkeypatch.undo()
    assert synced.sync().kind == "installed"


@pytest.mark.parametrize("call", ["create", "write", "fsync", "rename", "fsync_folder", "reopen"])
def test_a_disk_that_refuses_at_any_moment_is_told_and_leaves_what_answers(
    synced: Cart, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """Each call of this kind fails once, the first in the first run, the second in the second."""
    first, second = synced.store.current_id(), synced.offer("second")
    real, runs = getattr(disk, call), 0
    while True:
        left = runs

        def refusing(*arguments: object) -> object:
            nonlocal left
            left -= 1
            if left == -1:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return real(*arguments)

        monkeypatch.setattr(disk, call, refusing)
        told = refusal(synced)
        assert told is None or ("\n" not in told and "No space left on device" in told)
        monkeypatch.setattr(disk, call, real)
        assert synced.whole() in (first, second)
        if left >= 0:
            break
        runs += 1
    assert runs > 0
    with suppress(NothingNew):
        synced.sync()
    assert synced.whole() == second


def refusal(cart: Cart) -> str | None:
    """What a sync says of a disk that refuses, None where it goes well or finds nothing new."""
    try:
        cart.sync()
    except NothingNew:
        return None
    except UsageError as error:
        return str(error)
    return None


def test_a_record_that_cannot_be_written_does_not_hide_the_real_failure(
    synced: Cart, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced.source.reachable = False

    def full(*_: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(disk, "create", full)
    with pytest.raises((NetworkError, UsageError)) as caught:
        synced.sync()
    assert str(places.status(synced.store.root)) not in str(caught.value)
