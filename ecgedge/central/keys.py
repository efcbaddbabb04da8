"""Private keys of a repository's roles: ed25519, one file each, open to their owner alone.

A file is PKCS#8 PEM named `<role>-<first 16 digits of the key id>.pem`, so that keys are found
without a passphrase. With one it is encrypted as PKCS#8 prescribes (PBES2: AES-256-CBC, PBKDF2),
which `openssl pkey` reads too. PBKDF2 makes guessing little slower: the passphrase has to be long.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ecgedge import disk
from ecgedge.errors import UsageError

if TYPE_CHECKING:
    from securesystemslib.signer import CryptoSigner, Key

ROOT, TARGETS, SNAPSHOT, TIMESTAMP = "root", "targets", "snapshot", "timestamp"
ROLES = (ROOT, TARGETS, SNAPSHOT, TIMESTAMP)
#: Roles whose keys lie on the machine that refreshes the timestamp every day.
ONLINE = (SNAPSHOT, TIMESTAMP)
MIN_PASSPHRASE = 12
_TRIES = 3


@dataclass
class Passphrases:
    """Those known so far, and how to ask for another.

    ask: given the key's file, a passphrase; None where nobody can be asked.
    """

    known: list[str] = field(default_factory=list)
    ask: Callable[[Path], str] | None = None


def make_key(role: str, folder: Path, passphrase: str | None) -> CryptoSigner:
    """A new key, its private part durable in `folder` with mode 0600.

    Raises UsageError for a passphrase under 12 characters or a folder that cannot be written.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from securesystemslib.signer import CryptoSigner

    signer = CryptoSigner(Ed25519PrivateKey.generate())
    _write_private(key_file(folder, role, signer.public_key.keyid), _pem(signer, passphrase))
    return signer


def key_file(folder: Path, role: str, key_id: str) -> Path:
    """Where the private part of a key lies in a folder."""
    return folder / f"{role}-{key_id[:16]}.pem"


@dataclass
class KeyRing:
    """Private keys in some folders (USB sticks, say); each is unlocked once."""

    folders: Sequence[Path]
    passphrases: Passphrases = field(default_factory=Passphrases)
    _open: dict[str, CryptoSigner] = field(default_factory=dict)

    def find(self, key_id: str) -> Path | None:
        """The file of a key's private part, None where it is in none of the folders."""
        for folder in self.folders:
            for role in ROLES:
                path = key_file(folder, role, key_id)
                if path.is_file():
                    return path
        return None

    def signers(self, keys: Iterable[Key], at_most: int | None = None) -> list[CryptoSigner]:
        """Signers for those of the keys that are found, unlocked; no more than asked for.

        Raises UsageError for a wrong passphrase, a file that is no such key, or a key without
        passphrase that others may read.
        """
        found: list[CryptoSigner] = []
        for key in keys:
            if at_most is not None and len(found) >= at_most:
                break
            path = self.find(key.keyid)
            if path is not None:
                found.append(self._unlocked(key, path))
        return found

    def _unlocked(self, key: Key, path: Path) -> CryptoSigner:
        if key.keyid not in self._open:
            self._open[key.keyid] = _load(path, key, self.passphrases)
        return self._open[key.keyid]


def _pem(signer: CryptoSigner, passphrase: str | None) -> bytes:
    from cryptography.hazmat.primitives.serialization import (
        BestAvailableEncryption,
        Encoding,
        PrivateFormat,
        load_pem_private_key,
    )

    if passphrase is None:
        return signer.private_bytes
    if len(passphrase) < MIN_PASSPHRASE:
        raise UsageError(
            f"a passphrase needs at least {MIN_PASSPHRASE} characters: take five or six words"
        )
    key = load_pem_private_key(signer.private_bytes, None)
    lock = BestAvailableEncryption(passphrase.encode())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock)


def _write_private(path: Path, data: bytes) -> None:
    """As write_atomic, but never readable by others, not even for a moment."""
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        disk.make_folder(path.parent)
        disk.unlink(temporary)  # which may be open to others; a stick's FAT knows no chmod
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            disk.write(handle, data)
            disk.fsync(handle)
        finally:
            disk.close(handle)
        disk.rename(temporary, path)
        disk.fsync_folder(path.parent)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise UsageError(f"{path} cannot be written: {error.strerror or error}") from None


def _load(path: Path, key: Key, passphrases: Passphrases) -> CryptoSigner:
    from securesystemslib.signer import CryptoSigner, SSlibKey

    try:
        data = path.read_bytes()
        mode = path.stat().st_mode
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}") from None
    locked = b"ENCRYPTED" in data
    if not locked and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise UsageError(f"{path} has no passphrase and others may read it: chmod 600 {path}")
    private = _unlock(path, data, passphrases) if locked else _parse(path, data, None)
    assert isinstance(key, SSlibKey)
    try:
        return CryptoSigner(private, key)  # type: ignore[arg-type]  # checks that they belong
    except Exception:
        raise UsageError(f"{path} is not the key its name says: find the right file") from None


def _unlock(path: Path, data: bytes, passphrases: Passphrases) -> object:
    for text in passphrases.known:
        private = _parse(path, data, text)
        if private is not None:
            return private
    for _ in range(_TRIES if passphrases.ask else 0):
        assert passphrases.ask is not None
        text = passphrases.ask(path)
        private = _parse(path, data, text)
        if private is not None:
            passphrases.known.append(text)
            return private
    if not passphrases.known and not passphrases.ask:
        raise UsageError(f"{path} needs its passphrase: name a file with --passphrase-file")
    raise UsageError(f"the passphrase of {path} is wrong: run it again with the right one")


def _parse(path: Path, data: bytes, passphrase: str | None) -> object | None:
    """The private key, None where the passphrase is not the right one."""
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        return load_pem_private_key(data, passphrase.encode() if passphrase else None)
    except Exception:  # OpenSSL tells a wrong passphrase in many ways
        if passphrase is None:
            raise UsageError(f"{path} is not a private key in PEM: restore it") from None
        return None
