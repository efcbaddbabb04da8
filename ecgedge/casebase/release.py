"""The release store: hash-named files, manifests, and a pointer to the current one.

    store/blobs/<sha256>        models, sidecars, vectors, case records
    store/releases/<id>.json    manifests
    store/current               the id of the release that answers (`casebase.pointer`)

Nothing is ever changed in place. A crash at any moment leaves the release that
was current before, whole, or the new one, whole.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from ecgedge import disk
from ecgedge.atomic import make_folder, refused, sha256_of, verified, write_atomic, write_pieces
from ecgedge.casebase.alternatives import EncoderRef
from ecgedge.casebase.manifest import Calibration, Manifest, Probe, TextRef
from ecgedge.casebase.pointer import ID, Pointer, parse, to_text
from ecgedge.casebase.search import CaseBase
from ecgedge.casebase.segment import Segment
from ecgedge.errors import DamagedError, ReleaseError, UsageError

_PIECE_BYTES = 1 << 20
#: A blob, or what a write that was cut short left of one (`atomic.replacing`).
_BLOB = re.compile(r"[0-9a-f]{64}|\.[0-9a-f]{64}\.\d+\.tmp")
_POINTER = re.compile(r"\.current\.\d+\.tmp")
_MANIFEST = re.compile(r"[0-9a-f]{16}\.json|\.[0-9a-f]{16}\.json\.\d+\.tmp")


class Store:
    """A folder of releases. Opening one reads nothing and creates nothing."""

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root)

    @property
    def blobs(self) -> Path:
        return self.root / "blobs"

    def current_id(self) -> str:
        """The active release. Raises as `pointer`."""
        return self.pointer().active

    def pointer(self) -> Pointer:
        """The active release and those around it. Raises ReleaseError when there is none,
        DamagedError when what is there names none.
        """
        path = self.root / "current"
        mending = "run `ecgedge sync` or reinstall"
        try:
            return parse(path.read_text(encoding="ascii"))
        except FileNotFoundError:
            raise ReleaseError(
                f"{self.root} holds no release: name another folder with --store, make one "
                "with `ecgedge index build` or fetch one with `ecgedge sync`"
            ) from None
        except (OSError, UnicodeDecodeError):
            raise DamagedError(f"{path} cannot be read: {mending}") from None
        except ValueError:
            raise DamagedError(f"{path} does not name a release: {mending}") from None

    def release_ids(self) -> list[str]:
        """Every release kept here, active or not."""
        return sorted(path.stem for path in (self.root / "releases").glob("*.json"))

    def manifest(self, release: str | None = None) -> Manifest:
        """The manifest of a release, by default the active one.

        Raises ReleaseError for one that is not here, DamagedError for changed bytes,
        MismatchError for one made by a newer ecgedge.
        """
        active = release is None
        release = release or self.current_id()
        path = self._manifest_path(release)
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            if active:
                raise DamagedError(f"{path} is missing: run `ecgedge sync` or reinstall") from None
            known = ", ".join(self.release_ids()) or "none"
            raise ReleaseError(f"{self.root} has no release {release}, only {known}") from None
        except (OSError, UnicodeDecodeError):
            raise DamagedError(f"{path} cannot be read: run `ecgedge sync` or reinstall") from None
        try:
            manifest = Manifest.from_json(text)
        except DamagedError as error:
            raise DamagedError(f"{path}: {error}: run `ecgedge sync` or reinstall") from None
        if manifest.id != release:
            raise DamagedError(f"{path} holds release {manifest.id} under another's name")
        return manifest

    def blob(self, sha256: str) -> Path:
        """The path of a file whose bytes were just verified. Raises DamagedError."""
        return verified(self.blobs / sha256)

    def casebase(self, manifest: Manifest) -> CaseBase:
        """Every segment of a release, verified and opened, withdrawn cases masked."""
        return CaseBase(self.segments(manifest), self.hidden(manifest))

    def hidden(self, manifest: Manifest) -> frozenset[str]:
        """The cases that must not be shown: those that the release withdrew and, where it answers
        after a rollback, those that the release held back had withdrawn since.
        """
        hidden = frozenset(manifest.withdrawn)
        with suppress(ReleaseError):  # no pointer, or the manifest held back is gone
            pointer = self.pointer()
            if pointer.held is not None and pointer.active == manifest.id:
                hidden |= frozenset(self.manifest(pointer.held).withdrawn)
        return hidden

    def segments(self, manifest: Manifest) -> list[Segment]:
        """Raises DamagedError, or MismatchError for a segment of another encoder."""
        return [Segment.open(self.blobs, ref, manifest.encoder.id) for ref in manifest.segments]

    def put_blob(self, content: Path | bytes) -> str:
        """Keep a file or bytes under their SHA-256 and return it; a repeat changes nothing."""
        if isinstance(content, bytes):
            return self._put_bytes(content)
        try:
            name = sha256_of(content)
            target = self.blobs / name
            if not _intact(target):
                make_folder(self.blobs)
                with content.open("rb") as file:
                    write_pieces(target, iter(lambda: file.read(_PIECE_BYTES), b""))
            # The source may have changed under the copy: only verified bytes count.
            verified(target)
        except OSError as error:
            raise UsageError(f"{content} cannot be stored in {self.root}: {error}") from None
        return name

    def _put_bytes(self, content: bytes) -> str:
        name = hashlib.sha256(content).hexdigest()
        if not _intact(self.blobs / name):
            make_folder(self.blobs)
            write_atomic(self.blobs / name, content)
        return name

    def add_release(self, manifest: Manifest) -> str:
        """Keep a manifest, not yet active. Raises DamagedError when a file it needs is missing."""
        for name in manifest.blobs():
            if not (self.blobs / name).is_file():
                raise DamagedError(
                    f"{self.blobs / name} is missing, release {manifest.id} needs it"
                )
        path = self._manifest_path(manifest.id)
        make_folder(path.parent)
        write_atomic(path, manifest.to_json().encode())
        return manifest.id

    def activate(self, release: str) -> None:
        """Make a release the current one, in one atomic step; it must read back whole.

        The one that was current is remembered as `previous`.
        """
        self.manifest(release)
        try:
            pointer = self.pointer().followed_by(release)
        except ReleaseError:  # none yet, or damaged: nothing to go back to
            pointer = Pointer(release)
        self.point(pointer)

    def point(self, pointer: Pointer) -> None:
        """Switch to `pointer.active`, which must read back whole, in one atomic step."""
        self.manifest(pointer.active)
        self.seal()
        write_atomic(self.root / "current", to_text(pointer).encode())

    def collect(self, keep: Collection[str], blobs: Collection[str] = ()) -> int:
        """Remove every release but these, and the blobs none of them needs; bytes freed.

        blobs: SHA-256 names of further ones to keep. What a write that was cut short left goes
        too, so nobody may be writing meanwhile.
        Manifests go first: a cut in between leaves blobs too many, never too few.
        Raises as `manifest` for a release to keep, before anything is removed.
        """
        needed = {name for release in keep for name in self.manifest(release).blobs()} | {*blobs}
        kept = {f"{release}.json" for release in keep}
        freed = _sweep(self.root / "releases", _MANIFEST, kept)
        freed += _sweep(self.blobs, _BLOB, needed)
        return freed + _sweep(self.root, _POINTER, ())

    def seal(self) -> None:
        """Return when the names of all files in the store lie on the medium, else UsageError.

        A file may have been put here by a process that ended before it could see to that; what
        is about to become current must not go away with the power.
        """
        for above in self.root.absolute().parents:
            with suppress(OSError):  # not ours to read, or of a system that needs no such thing
                disk.fsync_folder(above)
        for folder in (self.root, self.blobs, self.root / "releases"):
            try:
                disk.fsync_folder(folder)
            except FileNotFoundError:
                continue  # no names in it
            except OSError as error:
                raise refused(folder, error) from None

    def _manifest_path(self, release: str) -> Path:
        if not ID.fullmatch(release):
            raise UsageError(f"{release!r} is not a release id (16 hex digits)")
        return self.root / "releases" / f"{release}.json"


def open_store(root: Path | str | None) -> Store:
    """The store in this folder, by default the built-in one."""
    return builtin_store() if root is None else Store(root)


def builtin_store() -> Store:
    """The release inside the installed package."""
    return Store(Path(__file__).resolve().parent.parent / "builtin")


def _intact(path: Path) -> bool:
    return path.is_file() and sha256_of(path) == path.name


def _sweep(folder: Path, ours: re.Pattern[str], keep: Collection[str]) -> int:
    """Remove our files from a folder but those to keep; how many bytes they had."""
    freed = 0
    try:
        found = sorted(folder.iterdir()) if folder.is_dir() else []
        unwanted = [one for one in found if one.name not in keep and ours.fullmatch(one.name)]
        for path in unwanted:
            freed += path.stat().st_size
            disk.unlink(path)
        if unwanted:
            disk.fsync_folder(folder)
    except OSError as error:
        raise refused(folder, error) from None
    return freed


__all__ = [
    "Calibration",
    "EncoderRef",
    "Manifest",
    "Pointer",
    "Probe",
    "Store",
    "TextRef",
    "builtin_store",
]
