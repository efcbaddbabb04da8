"""Keys: who may sign, who has to, and what a private key's file gives away."""

import shutil
import stat
from datetime import timedelta
from pathlib import Path

import pytest
from publishing_builders import DAY, NOW, PASSPHRASE, make_centre, no_passphrase
from tuf.api.metadata import Metadata
from tuf.ngclient._internal.trusted_metadata_set import TrustedMetadataSet
from tuf.ngclient.config import EnvelopeType

from ecgedge.central.ceremony import (
    Rotation,
    describe,
    make_alone,
    make_keys,
    renew_root,
    rotate_role,
    sign_pending,
)
from ecgedge.central.keys import KeyRing, Passphrases, make_key
from ecgedge.central.root import Validity, read_history
from ecgedge.errors import DamagedError, UsageError

VALIDITY = Validity(NOW)


def _keys(folder: Path, passphrase=no_passphrase, *, root=(1, 1), targets=(1, 1)):
    return make_keys(
        folder,
        counts={"root": root[0], "targets": targets[0]},
        thresholds={"root": root[1], "targets": targets[1]},
        validity=VALIDITY,
        passphrase=passphrase,
    )


def _rotate(folder: Path, role: str, ring: KeyRing | None = None, **more):
    facts = {"drop": (), "keep_old": False, "add": None, "public": (), "threshold": None}
    rotation = Rotation(role, **{**facts, "into": folder, **more})
    return rotate_role(
        folder,
        ring or KeyRing([folder]),
        rotation,
        validity=Validity(NOW + DAY),
        passphrase=no_passphrase,
    )


def _ids(folder: Path, role: str) -> list[str]:
    return list(read_history(folder).newest.signed.roles[role].keyids)


def _follows(folder: Path) -> int:
    """The root version that python-tuf's client reaches from the first root."""
    trusted = TrustedMetadataSet((folder / "1.root.json").read_bytes(), EnvelopeType.METADATA)
    version = 2
    while (path := folder / f"{version}.root.json").exists():
        trusted.update_root(path.read_bytes())
        version += 1
    return trusted.root.version


def _move(source: Path, target: Path, key_id: str) -> None:
    """A private key to a medium of its own."""
    target.mkdir(parents=True, exist_ok=True)
    [path] = source.glob(f"*-{key_id[:16]}.pem")
    shutil.move(path, target / path.name)


def test_private_keys_are_open_to_their_owner_alone_and_encrypted(tmp_path):
    outcome = _keys(tmp_path, lambda role, what: PASSPHRASE if role == "root" else None)
    for path in outcome.made:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert (b"ENCRYPTED" in path.read_bytes()) == path.name.startswith("root-")


def test_a_wrong_passphrase_is_told_with_the_file_and_the_right_one_signs(tmp_path):
    _keys(tmp_path, lambda role, what: PASSPHRASE)
    with pytest.raises(UsageError, match=r"the passphrase of .*root-.*\.pem is wrong"):
        renew_root(tmp_path, KeyRing([tmp_path], Passphrases(["not the one"])), VALIDITY)
    with pytest.raises(UsageError, match="--passphrase-file"):
        renew_root(tmp_path, KeyRing([tmp_path]), VALIDITY)
    ring = KeyRing([tmp_path], Passphrases(["not the one", PASSPHRASE]))
    assert renew_root(tmp_path, ring, VALIDITY).version == 2


def test_whoever_is_asked_may_err_twice_and_is_asked_once_for_keys_of_one_passphrase(tmp_path):
    _keys(tmp_path, lambda role, what: PASSPHRASE, root=(2, 2))
    answers = iter(["", "wrong", PASSPHRASE])
    ring = KeyRing([tmp_path], Passphrases(ask=lambda path: next(answers)))
    assert renew_root(tmp_path, ring, VALIDITY).complete
    with pytest.raises(StopIteration):
        next(answers)


def test_a_short_passphrase_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(UsageError, match="at least 12 characters"):
        make_key("root", tmp_path, "short")
    assert list(tmp_path.iterdir()) == []


def test_a_key_without_passphrase_that_others_may_read_is_refused(tmp_path):
    made = _keys(tmp_path).made
    made[0].chmod(0o644)
    with pytest.raises(UsageError, match=f"chmod 600 {made[0]}"):
        renew_root(tmp_path, KeyRing([tmp_path]), VALIDITY)


@pytest.mark.parametrize("content", [b"", b"no pem", b"-----BEGIN PRIVATE KEY-----\nAAAA\n"])
def test_a_file_that_is_no_key_is_refused(tmp_path, content):
    made = _keys(tmp_path).made
    made[0].write_bytes(content)
    with pytest.raises(UsageError, match="is not a private key in PEM"):
        renew_root(tmp_path, KeyRing([tmp_path]), VALIDITY)


def test_a_key_under_anothers_name_is_refused(tmp_path):
    made = _keys(tmp_path, root=(2, 1)).made
    made[0].write_bytes(made[1].read_bytes())
    with pytest.raises(UsageError, match="is not the key its name says"):
        renew_root(tmp_path, KeyRing([tmp_path]), VALIDITY)


def test_a_folder_with_a_root_is_not_overwritten(tmp_path):
    _keys(tmp_path)
    before = sorted((path.name, path.read_bytes()) for path in tmp_path.iterdir())
    with pytest.raises(UsageError, match="holds a root already"):
        _keys(tmp_path)
    assert sorted((path.name, path.read_bytes()) for path in tmp_path.iterdir()) == before


def test_thresholds_that_cannot_be_met_are_refused_before_a_key_is_made(tmp_path):
    with pytest.raises(UsageError, match="3 signatures of 2 root keys"):
        _keys(tmp_path / "keys", root=(2, 3))
    assert not (tmp_path / "keys").exists()
    _keys(tmp_path, targets=(2, 2))
    before = sorted(tmp_path.iterdir())
    with pytest.raises(UsageError, match="targets would have 1 keys, so 2"):
        _rotate(tmp_path, "targets", drop=(_ids(tmp_path, "targets")[0],), add=0)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("role", ["root", "targets", "snapshot", "timestamp"])
def test_every_role_rotates_and_python_tufs_client_follows(tmp_path, role):
    _keys(tmp_path)
    [old] = _ids(tmp_path, role)
    outcome = _rotate(tmp_path, role)
    assert outcome.complete
    [new] = _ids(tmp_path, role)
    assert old != new
    assert old not in read_history(tmp_path).newest.signed.keys
    _rotate(tmp_path, role)
    assert _follows(tmp_path) == 3
    assert (tmp_path / "root.json").read_bytes() == (tmp_path / "3.root.json").read_bytes()


def test_of_several_keys_the_one_to_drop_must_be_named(tmp_path):
    _keys(tmp_path, root=(3, 2))
    with pytest.raises(UsageError, match="say which to --drop, or --keep-old"):
        _rotate(tmp_path, "root")
    with pytest.raises(UsageError, match="has no one key ffff"):
        _rotate(tmp_path, "root", drop=("ffff",))
    lost = _ids(tmp_path, "root")[0]
    _rotate(tmp_path, "root", drop=(lost[:8],))
    assert len(_ids(tmp_path, "root")) == 3
    assert lost not in _ids(tmp_path, "root")
    _rotate(tmp_path, "targets", keep_old=True, threshold=2)
    assert len(_ids(tmp_path, "targets")) == 2
    assert _follows(tmp_path) == 3


def test_a_lost_root_key_is_replaced_by_those_that_are_left(tmp_path):
    _keys(tmp_path, root=(3, 2))
    lost = _ids(tmp_path, "root")[1]
    next(tmp_path.glob(f"root-{lost[:16]}.pem")).unlink()
    assert _rotate(tmp_path, "root", drop=(lost,)).complete
    assert _follows(tmp_path) == 2


def test_holders_who_sit_apart_sign_one_after_the_other(tmp_path):
    """A pending root goes from hand to hand until both thresholds are met."""
    centre = tmp_path / "centre"
    _keys(centre, root=(3, 2))
    holders = [tmp_path / name for name in "abc"]
    for holder, key_id in zip(holders, _ids(centre, "root"), strict=True):
        _move(centre, holder, key_id)
    outcome = _rotate(centre, "targets", KeyRing([centre, holders[0]]))
    assert not outcome.complete
    assert "1 more of version 1's root keys" in outcome.missing
    assert "waits" not in (centre / "root.json").read_text()
    assert read_history(centre).version == 1
    with pytest.raises(UsageError, match="waits for signatures"):
        _rotate(centre, "snapshot", KeyRing([centre, holders[0]]))
    assert not sign_pending(centre, KeyRing([holders[0]]), []).complete  # the same once more
    outcome = sign_pending(centre, KeyRing([holders[2]]), [])
    assert outcome.complete
    assert not (centre / "pending.root.json").exists()
    assert _follows(centre) == 2
    with pytest.raises(UsageError, match="nothing waits"):
        sign_pending(centre, KeyRing([holders[2]]), [])


def test_copies_that_holders_signed_at_the_same_time_are_merged(tmp_path):
    centre, away = tmp_path / "centre", tmp_path / "away"
    _keys(centre, root=(3, 3))
    ids = _ids(centre, "root")
    holders = [tmp_path / name for name in "abc"]
    for holder, key_id in zip(holders, ids, strict=True):
        _move(centre, holder, key_id)
    renew_root(centre, KeyRing([holders[0]]), Validity(NOW + DAY))
    shutil.copytree(centre, away)
    sign_pending(away, KeyRing([holders[1]]), [])
    assert not sign_pending(centre, KeyRing([holders[2]]), []).complete
    assert sign_pending(centre, KeyRing([]), [away / "pending.root.json"]).complete
    other = tmp_path / "other"
    _keys(other, root=(2, 2))
    renew_root(centre, KeyRing(holders[:1]), Validity(NOW + 2 * DAY))
    with pytest.raises(UsageError, match="another root than the pending one"):
        sign_pending(centre, KeyRing([]), [other / "root.json"])


def test_a_signature_that_does_not_verify_is_not_merged(tmp_path):
    centre, copy = tmp_path / "centre", tmp_path / "copy.json"
    _keys(centre, root=(2, 2))
    ids = _ids(centre, "root")
    _move(centre, tmp_path / "away", ids[1])
    renew_root(centre, KeyRing([centre]), Validity(NOW + DAY))
    forged = Metadata.from_file(str(centre / "pending.root.json"))
    forged.signatures[ids[1]] = type(forged.signatures[ids[0]])(ids[1], "00" * 64)
    forged.to_file(str(copy))
    assert not sign_pending(centre, KeyRing([]), [copy]).complete


def test_a_key_made_elsewhere_joins_by_its_public_part(tmp_path):
    centre, holder = tmp_path / "centre", tmp_path / "holder"
    _keys(centre)
    private, public = make_alone("root", holder, no_passphrase)
    assert b"PRIVATE" not in public.read_bytes()
    outcome = _rotate(centre, "root", keep_old=True, public=(public,), threshold=2)
    assert outcome.made == ()
    assert not outcome.complete  # the newcomer has to sign as well
    assert sign_pending(centre, KeyRing([holder]), []).complete
    assert _follows(centre) == 2
    with pytest.raises(UsageError, match="is no public key"):
        _rotate(centre, "root", keep_old=True, public=(private,))


def test_the_list_tells_where_private_keys_lie_and_how_long_the_root_holds(tmp_path):
    centre, stick = tmp_path / "centre", tmp_path / "stick"
    _keys(centre, root=(2, 1))
    first, second = _ids(centre, "root")
    _move(centre, stick, first)
    told = describe(centre, KeyRing([centre, stick]), NOW + timedelta(days=30))
    assert (told.version, told.days_left, told.pending) == (1, 700, None)
    keys = {one.role: one.keys for one in told.roles}
    assert keys["root"][first].parent == stick
    assert keys["root"][second].parent == centre
    gone = describe(centre, KeyRing([centre]), NOW)
    assert {one.role: one.keys for one in gone.roles}["root"][first] is None


def test_a_broken_chain_of_roots_is_refused(tmp_path):
    _keys(tmp_path)
    _rotate(tmp_path, "root")
    data = (tmp_path / "2.root.json").read_bytes()
    (tmp_path / "2.root.json").write_bytes(data.replace(b'"version":2', b'"version":3'))
    with pytest.raises(DamagedError, match="restore it from a copy"):
        read_history(tmp_path)
    (tmp_path / "2.root.json").write_bytes(b"{}")
    with pytest.raises(DamagedError, match="is not TUF metadata"):
        read_history(tmp_path)
    with pytest.raises(UsageError, match="ecgedge keys new"):
        read_history(tmp_path / "nowhere")


def test_a_root_of_other_keys_cannot_follow_ours(tmp_path):
    _keys(tmp_path / "ours")
    (tmp_path / "theirs").mkdir()
    stranger = make_centre(tmp_path / "theirs")
    stranger.rotate("root")
    shutil.copy(stranger.keys / "2.root.json", tmp_path / "ours" / "2.root.json")
    with pytest.raises(DamagedError, match="not signed as version 2"):
        read_history(tmp_path / "ours")


def test_a_threshold_of_targets_needs_all_its_holders(tmp_path):
    centre = make_centre(tmp_path, targets=2, targets_threshold=2)
    from publishing_builders import add_release

    release = add_release(centre.store, "1")
    _move(centre.keys, tmp_path / "stick", _ids(centre.keys, "targets")[0])
    with pytest.raises(UsageError, match="targets needs 2 signatures, and 1 of its private keys"):
        centre.publish(release)
    from ecgedge.central.publish import Change

    publisher = centre.publisher(centre.keys, tmp_path / "stick")
    publisher.publish(Change(store=centre.store, release=release))
    assert centre.releases() == [release]
