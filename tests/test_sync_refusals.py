"""A sync that must not go through: what is refused, and what goes on answering."""

from __future__ import annotations

import fcntl
import os
from dataclasses import replace
from datetime import timedelta

import pytest
from sync_builders import Cart

from ecgedge.errors import (
    BusyError,
    DamagedError,
    EcgedgeError,
    MismatchError,
    NetworkError,
    TrustError,
)
from ecgedge.sync import fetch, places
from ecgedge.sync.last import read_last
from ecgedge.sync.layout import TARGETS, blob_target, manifest_target
from ecgedge.sync.lock import locked


def test_a_release_that_does_not_answer_its_probes_is_not_switched_to(synced: Cart) -> None:
    first, second = synced.store.current_id(), synced.offer("second")
    synced.failure = DamagedError("probe 1 is answered otherwise here")
    for _ in range(2):
        with pytest.raises(DamagedError, match="probe 1"):
            synced.sync()
    assert len(synced.fetched()) == len(set(synced.made.manifest(second).blobs())) - 2, "once"
    assert synced.whole() == first
    last = read_last(places.status(synced.store.root))
    assert last is not None
    assert (last.outcome, last.release, last.code) == ("failed", second, 7)
    assert "probe 1" in last.error
    assert last.confirmed == synced.now, "the sync before went well"
    synced.failure = None
    assert synced.sync().release == second


def test_a_failed_release_goes_when_another_is_offered(synced: Cart) -> None:
    first, second = synced.store.current_id(), synced.offer("second")
    synced.failure = DamagedError("no")
    with pytest.raises(DamagedError):
        synced.sync()
    synced.failure = None
    third = synced.offer("third")
    synced.centre.withdraw(second)
    synced.sync()
    assert synced.store.release_ids() == sorted([first, third])


def test_a_release_of_a_newer_format_asks_for_an_update_before_anything_is_fetched(
    synced: Cart,
) -> None:
    first = synced.store.current_id()
    synced.centre.publish(
        b'{"format": "ecgedge-release/2"}', [b"blob"], channels={"stable": (9, 100)}
    )
    with pytest.raises(MismatchError, match="update ecgedge"):
        synced.sync()
    assert not synced.fetched()
    assert synced.whole() == first


def test_a_manifest_whose_files_were_not_signed_is_refused(synced: Cart) -> None:
    first, second = synced.store.current_id(), synced.offer("second")
    model = synced.made.manifest(second).segments[0].vectors
    del synced.centre.targets.targets[blob_target(model)]
    synced.centre.sign_all()
    with pytest.raises(TrustError, match="did not sign"):
        synced.sync()
    assert not synced.fetched()
    assert synced.whole() == first


def test_a_manifest_under_anothers_name_is_refused(synced: Cart) -> None:
    other = synced.made.add_release(replace(synced.store.manifest(), notes=("other",)))
    data = synced.made.manifest(other).to_json().encode()
    synced.centre.publish(data, release="0123456789abcdef", channels={"stable": (9, 100)})
    with pytest.raises(TrustError, match=f"signed release {other} under the name 0123456789abcdef"):
        synced.sync()


def test_signed_rubbish_in_the_place_of_a_manifest_is_refused(synced: Cart) -> None:
    synced.centre.publish(b"\xff no manifest", channels={"stable": (9, 100)})
    with pytest.raises(TrustError, match="signed a manifest that is none"):
        synced.sync()


@pytest.mark.parametrize("what", ["manifest", "blob"])
@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda data: data[:-1] + bytes([data[-1] ^ 1]), TrustError),
        (lambda data: data + b"more", TrustError),
        (lambda data: data[:-5], NetworkError),
        (lambda data: None, NetworkError),
    ],
    ids=["changed", "longer", "shorter", "missing"],
)
def test_a_file_that_is_not_the_signed_one_is_refused(
    synced: Cart, what: str, change: object, error: type[EcgedgeError]
) -> None:
    first, second = synced.store.current_id(), synced.offer("second")
    name = synced.made.manifest(second).segments[0].cases
    path = f"{TARGETS}/{manifest_target(second) if what == 'manifest' else blob_target(name)}"
    synced.source.replaced[path] = change(synced.centre.files[path])  # type: ignore[operator]
    with pytest.raises(error):
        synced.sync()
    assert synced.whole() == first
    assert not (synced.store.blobs / name).exists()
    assert synced.ended() == "failed"
    synced.source.replaced.clear()
    assert synced.sync().release == second


def test_a_link_that_breaks_is_gone_on_with_by_the_next_sync(
    new_cart: Cart, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = new_cart.offer("first")
    name = new_cart.made.manifest(release).segments[0].cases
    length = (new_cart.made.blobs / name).stat().st_size
    new_cart.source.broken[f"{TARGETS}/{blob_target(name)}"] = length // 2
    new_cart.source.chunk_bytes = 1000
    monkeypatch.setattr(fetch, "_PROGRESS_BYTES", length)
    with pytest.raises(NetworkError):
        new_cart.sync()
    with pytest.raises(DamagedError if new_cart.store.release_ids() else EcgedgeError):
        new_cart.store.current_id()
    new_cart.source.broken.clear()
    new_cart.source.asked.clear()
    before = new_cart.source.sent_bytes
    done = new_cart.sync()
    assert new_cart.fetched()[0] == name, "what was begun is ended first"
    assert new_cart.source.sent_bytes - before < done.fetch_bytes
    assert new_cart.whole() == release
    assert not list(places.parts(new_cart.store.root).iterdir())


def test_metadata_that_cannot_be_believed_leaves_what_answers(synced: Cart) -> None:
    first = synced.store.current_id()
    synced.now += timedelta(days=8)
    with pytest.raises(TrustError, match="expired"):
        synced.sync()
    assert synced.whole() == first
    last = read_last(places.status(synced.store.root))
    assert last is not None
    assert (last.code, last.confirmed) == (6, synced.now - timedelta(days=8))


def test_a_source_that_cannot_be_reached_leaves_what_answers(synced: Cart) -> None:
    first = synced.store.current_id()
    synced.source.reachable = False
    with pytest.raises(NetworkError):
        synced.sync()
    assert synced.whole() == first
    assert synced.ended() == "failed"


def test_a_second_sync_is_told_at_once_that_another_runs(synced: Cart) -> None:
    synced.offer("second")
    told = []

    def another() -> None:
        with pytest.raises(BusyError, match="another ecgedge sync or rollback works on") as caught:
            synced.sync()
        told.append(caught.value.exit_code)

    synced.during = another
    done = synced.sync()
    assert told == [5]
    assert synced.whole() == done.release
    assert synced.ended() == "installed", "the one that was refused says nothing"


def test_the_lock_is_gone_with_a_process_that_died(synced: Cart) -> None:
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        with locked(synced.store.root):
            os.write(write_end, b"held")
            os._exit(9)
    os.read(read_end, 4)
    os.waitpid(child, 0)
    with locked(synced.store.root):
        handle = os.open(places.lock(synced.store.root), os.O_RDONLY)
        with pytest.raises(OSError, match="unavailable"):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(handle)
