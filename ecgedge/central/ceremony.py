"""Key ceremonies: what `ecgedge keys` does, without the terminal.

A private key is durable before any root names it. A root that lacks signatures is kept as pending,
with those it has; it counts, and becomes root.json, once both thresholds are met.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ecgedge.atomic import write_atomic
from ecgedge.central.keys import ROLES, KeyRing, key_file, make_key
from ecgedge.central.root import (
    PENDING,
    Validity,
    first_root,
    merge_signatures,
    missing,
    parse_root,
    read_history,
    save_root,
    sign_root,
    successor,
)
from ecgedge.errors import UsageError

if TYPE_CHECKING:
    from securesystemslib.signer import CryptoSigner, Key
    from tuf.api.metadata import Metadata, Root

#: Given a role and what to call the key, its passphrase; None for a key without one.
Chooser = Callable[[str, str], str | None]


@dataclass(frozen=True)
class Outcome:
    """path: of the root, or of the pending one where it is not complete. made: new private keys.
    missing: whose signatures are, in words.
    """

    version: int
    complete: bool
    path: Path
    made: tuple[Path, ...] = ()
    signed: tuple[str, ...] = ()
    missing: str | None = None


@dataclass(frozen=True)
class Rotation:
    """drop: beginnings of key ids. add: how many new keys to make, None: as many as are dropped
    and not replaced by `public`. public: files of keys made elsewhere. into: for new private keys.
    """

    role: str
    drop: tuple[str, ...]
    keep_old: bool
    add: int | None
    public: tuple[Path, ...]
    threshold: int | None
    into: Path


@dataclass(frozen=True)
class RoleFacts:
    """keys: id -> where its private part was found, or None."""

    role: str
    threshold: int
    keys: Mapping[str, Path | None]


@dataclass(frozen=True)
class Described:
    """A folder of keys, for people. pending: what a waiting root lacks, None where none waits."""

    version: int
    expires: datetime.datetime
    days_left: int
    roles: tuple[RoleFacts, ...]
    pending: str | None


def make_keys(
    folder: Path,
    *,
    counts: Mapping[str, int],
    thresholds: Mapping[str, int],
    validity: Validity,
    passphrase: Chooser,
) -> Outcome:
    """Keys for every role and the first root, signed by all of its root keys.

    Raises UsageError for a folder that has a root already, or thresholds that cannot be met.
    """
    if any(folder.glob("*root.json")):
        raise UsageError(f"{folder} holds a root already: take another folder, or `keys rotate`")
    for role in ROLES:
        if thresholds.get(role, 1) > counts.get(role, 1):
            raise UsageError(
                f"{thresholds[role]} signatures of {counts.get(role, 1)} {role} keys cannot be "
                "had: make more keys or lower the threshold"
            )
    chosen = [
        (role, passphrase(role, f"{role} key {number} of {counts.get(role, 1)}"))
        for role in ROLES
        for number in range(1, counts.get(role, 1) + 1)
    ]
    signers: dict[str, list[CryptoSigner]] = {role: [] for role in ROLES}
    for role, text in chosen:  # every passphrase was asked for before the first file is written
        signers[role].append(make_key(role, folder, text))
    keys = {role: [one.public_key for one in signers[role]] for role in ROLES}
    root = first_root(keys, thresholds, validity)
    for signer in signers["root"]:
        root.sign(signer, append=True)
    root.signatures = dict(sorted(root.signatures.items()))
    made = [key_file(folder, role, key.keyid) for role in ROLES for key in keys[role]]
    return Outcome(1, True, save_root(folder, root), tuple(made), tuple(root.signatures))


def make_alone(role: str, folder: Path, passphrase: Chooser) -> tuple[Path, Path]:
    """One key that no root names yet: its private file and the public one to be sent away."""
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        PublicFormat,
        load_pem_private_key,
    )

    signer = make_key(role, folder, passphrase(role, f"the {role} key"))
    private = key_file(folder, role, signer.public_key.keyid)
    public = private.with_suffix(".pub")
    loaded = load_pem_private_key(signer.private_bytes, None).public_key()
    write_atomic(public, loaded.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return private, public


def rotate_role(
    folder: Path,
    ring: KeyRing,
    rotation: Rotation,
    *,
    validity: Validity,
    passphrase: Chooser,
) -> Outcome:
    """The next root, with a role's keys changed, signed by whatever root keys are found.

    Raises UsageError where a root is pending already, or for keys the role does not have.
    """
    current = _no_pending(folder)
    role = rotation.role
    drop = _dropped(current.signed, rotation)
    public = [_read_public(path) for path in rotation.public]
    add = rotation.add
    if add is None:
        add = max(0, max(len(drop), 1) - len(public))

    def following(keys: Sequence[Key]) -> Metadata[Root]:
        return successor(
            current, validity, role=role, add=keys, drop=drop, threshold=rotation.threshold
        )

    following([*public, *_placeholders(add)])  # what cannot be is refused before a key is made
    texts = [passphrase(role, f"new {role} key {number}") for number in range(1, add + 1)]
    signers = [make_key(role, rotation.into, text) for text in texts]
    keys: list[Key] = [*public, *(one.public_key for one in signers)]
    root = following(keys)
    for signer in signers if role == "root" else ():
        root.sign(signer, append=True)
    made = tuple(key_file(rotation.into, role, one.public_key.keyid) for one in signers)
    return _finish(folder, root, current.signed, ring, made)


def renew_root(folder: Path, ring: KeyRing, validity: Validity) -> Outcome:
    """The next root, with the same keys and a new expiry."""
    current = _no_pending(folder)
    return _finish(folder, successor(current, validity), current.signed, ring, ())


def sign_pending(folder: Path, ring: KeyRing, merge: Sequence[Path]) -> Outcome:
    """The pending root with the signatures that the ring's keys and other copies of it can add.

    Raises UsageError where none is pending or a copy is of another root.
    """
    history = read_history(folder)
    root = _pending(folder)
    if root is None:
        raise UsageError(f"{folder} has no {PENDING}: nothing waits for a signature")
    previous = history.newest.signed
    if root.signed.version != history.version + 1:
        raise UsageError(
            f"{folder / PENDING} is version {root.signed.version}, the newest root "
            f"{history.version}: remove it and rotate again"
        )
    for path in merge:
        merge_signatures(root, previous, parse_root(_bytes(path), str(path)))
    return _finish(folder, root, previous, ring, ())


def describe(folder: Path, ring: KeyRing, now: datetime.datetime) -> Described:
    """Roles, keys and expiry of the newest root. Raises as `read_history`."""
    history = read_history(folder)
    root = history.newest.signed
    roles = tuple(
        RoleFacts(
            role,
            root.roles[role].threshold,
            {one: ring.find(one) for one in root.roles[role].keyids},
        )
        for role in ROLES
    )
    waiting = _pending(folder)
    told = _lacking(waiting, root) if waiting is not None else None
    return Described(history.version, root.expires, (root.expires - now).days, roles, told)


def _finish(
    folder: Path, root: Metadata[Root], previous: Root, ring: KeyRing, made: tuple[Path, ...]
) -> Outcome:
    """Sign, and keep the root as complete or as pending."""
    sign_root(root, previous, ring)
    signed = tuple(root.signatures)
    told = _lacking(root, previous)
    if told is None:
        path = save_root(folder, root)
        return Outcome(root.signed.version, True, path, made, signed)
    path = folder / PENDING
    write_atomic(path, root.to_bytes())
    return Outcome(root.signed.version, False, path, made, signed, told)


def _lacking(root: Metadata[Root], previous: Root) -> str | None:
    """Which signatures a root lacks, in words; None where it is complete."""
    told = []
    for version, result in missing(root, previous).items():
        keys = ", ".join(one[:16] for one in result.unsigned)
        told.append(f"{result.missing} more of version {version}'s root keys ({keys})")
    return f"missing: {'; '.join(told)}: run `ecgedge keys sign` where they are" if told else None


def _no_pending(folder: Path) -> Metadata[Root]:
    """The newest root, where no other waits to follow it."""
    history = read_history(folder)
    if (folder / PENDING).exists():
        raise UsageError(
            f"{folder / PENDING} waits for signatures: finish it with `ecgedge keys sign`, or "
            "remove it"
        )
    return history.newest


def _pending(folder: Path) -> Metadata[Root] | None:
    path = folder / PENDING
    return parse_root(path.read_bytes(), str(path)) if path.exists() else None


def _dropped(root: Root, rotation: Rotation) -> tuple[str, ...]:
    ids = root.roles[rotation.role].keyids
    if rotation.drop or rotation.keep_old:
        return rotation.drop
    if len(ids) > 1:
        shown = ", ".join(one[:16] for one in ids)
        raise UsageError(
            f"{rotation.role} has the keys {shown}: say which to --drop, or --keep-old"
        )
    return tuple(ids)


def _placeholders(count: int) -> list[Key]:
    """Keys that stand for those not made yet."""
    from securesystemslib.signer import CryptoSigner

    return [CryptoSigner.generate_ed25519().public_key for _ in range(count)]


def _read_public(path: Path) -> Key:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key
    from securesystemslib.signer import SSlibKey

    try:
        key = load_pem_public_key(_bytes(path))
    except ValueError:
        raise UsageError(f"{path} is no public key: send the .pub file of `keys make`") from None
    if not isinstance(key, Ed25519PublicKey):
        raise UsageError(f"{path} is not an ed25519 key: make one with `ecgedge keys make`")
    return SSlibKey.from_crypto(key)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}") from None
