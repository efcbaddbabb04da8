"""Checking an installed release: every hash, every part, every probe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from ecgedge.casebase.alternatives import EncoderRef
from ecgedge.casebase.manifest import Manifest
from ecgedge.casebase.release import Store
from ecgedge.central.probes import difference
from ecgedge.errors import DamagedError, EcgedgeError, MismatchError, ReleaseError

if TYPE_CHECKING:
    from ecgedge.engine import Engine


@dataclass(frozen=True)
class Check:
    """One thing looked at. detail: what was found, or what is wrong."""

    name: str
    ok: bool
    detail: str


@dataclass(frozen=True)
class Verification:
    """The checks in the order made; `failure` is the first error, or None."""

    release: str
    checks: tuple[Check, ...]
    failure: EcgedgeError | None


def verify_release(store: Store, release: str | None = None) -> Verification:
    """Check a release, by default the active one. What depends on a failed check is not run.

    Raises ReleaseError when there is no such release or its manifest is damaged.
    """
    manifest = store.manifest(release)
    checks: list[Check] = []
    failures: list[EcgedgeError] = []

    def attempt(name: str, look: Callable[[], str]) -> None:
        try:
            checks.append(Check(name, True, look()))
        except EcgedgeError as error:
            checks.append(Check(name, False, str(error)))
            failures.append(error)

    for name, blob in _files(manifest):
        attempt(name, partial(_look_at_file, store, blob))
    missing: set[str] = set()
    if not failures:
        attempt("encoder", lambda: _look_at_encoder(store, manifest, manifest.encoder))
        for number, one in enumerate(manifest.encoders[1:], start=1):
            look = partial(_look_at_alternative, store, manifest, one, missing)
            attempt(f"alternative {number}", look)
        if manifest.text:
            attempt("text tower", lambda: _look_at_text(store, manifest))
        attempt("case base", lambda: f"{len(store.casebase(manifest)):,} cases")
    for place, one in enumerate(manifest.encoders):
        if not failures and one.id not in missing:
            _run_probes(store, manifest, one.id, f" by {place}" if place else "", attempt)
    return Verification(manifest.id, tuple(checks), failures[0] if failures else None)


def check_release(store: Store, release: str) -> None:
    """Raise the first thing that is wrong with a release: a file, a part, or an answer."""
    failure = verify_release(store, release).failure
    if failure is not None:
        raise failure


def _look_at_file(store: Store, name: str) -> str:
    return f"{store.blob(name).stat().st_size:,} bytes, hash right"


def _files(manifest: Manifest) -> list[tuple[str, str]]:
    """(what it is, SHA-256) of every file of a release."""
    files = [("encoder model", manifest.encoder.model), ("encoder sidecar", manifest.encoder.spec)]
    if manifest.text:
        files += [("text model", manifest.text.model), ("text sidecar", manifest.text.spec)]
    if manifest.novelty is not None:
        files.append(("novelty model", manifest.novelty))
    for number, one in enumerate(manifest.encoders[1:], start=1):
        files += [(f"model {number}", one.model), (f"sidecar {number}", one.spec)]
    for number, segment in enumerate(manifest.segments, start=1):
        files += [(f"vectors {number}", segment.vectors), (f"cases {number}", segment.cases)]
    return files


def _look_at_alternative(
    store: Store, manifest: Manifest, ref: EncoderRef, missing: set[str]
) -> str:
    """As `_look_at_encoder`; one whose engine is not installed is only named, in `missing` too."""
    try:
        return _look_at_encoder(store, manifest, ref)
    except (DamagedError, MismatchError):
        raise
    except ReleaseError as error:
        missing.add(ref.id)
        return f"{ref.id} was not run: {error}"


def _look_at_encoder(store: Store, manifest: Manifest, names: EncoderRef) -> str:
    from ecgedge.encoders import load_encoder

    spec = load_encoder(store.blob(names.model), store.blob(names.spec)).spec
    stated = (names.id, manifest.conditioning, manifest.imaging)
    if (spec.id, spec.conditioning, spec.imaging) != stated:
        raise MismatchError(
            f"the release names encoder {', '.join(stated)}, its sidecar says "
            f"{spec.id}, {spec.conditioning}, {spec.imaging}"
        )
    return spec.id


def _look_at_text(store: Store, manifest: Manifest) -> str:
    from ecgedge.encoders.text import load_text

    assert manifest.text is not None
    load_text(store.blob(manifest.text.model), store.blob(manifest.text.spec))
    return "loads"


def _run_probes(
    store: Store,
    manifest: Manifest,
    encoder: str,
    suffix: str,
    attempt: Callable[[str, Callable[[], str]], None],
) -> None:
    from ecgedge.engine import Engine

    engine: Engine | None = None

    def ask(number: int) -> str:
        nonlocal engine
        engine = engine or Engine.open(store.root, release=manifest.id, encoder=encoder)
        return _ask(engine, manifest, number, store.hidden(manifest))

    for number in range(len(manifest.probes)):
        attempt(f"probe {number + 1}{suffix}", partial(ask, number))


def _ask(engine: Engine, manifest: Manifest, number: int, hidden: frozenset[str]) -> str:
    from ecgedge.signal.synthetic import Heart, synthesize

    probe = manifest.probes[number]
    try:
        recording = synthesize(Heart(**probe.heart))
    except TypeError:
        raise MismatchError(f"probe {number + 1} asks for what this ecgedge cannot draw") from None
    answer = engine.query(recording, k=max(1, len(probe.expect)), force=True)
    found = [(match.case_id, match.similarity) for match in answer.matches]
    # After a rollback some of the cases that were written down may be withdrawn.
    expected = [one for one in probe.expect if one[0] not in hidden]
    compared = found if len(expected) == len(probe.expect) else found[: len(expected)]
    problem = difference(expected, compared)
    if problem:
        raise DamagedError(
            f"probe {number + 1} is answered otherwise here than where release {manifest.id} "
            f"was made: {problem}"
        )
    return f"nearest {found[0][0]}, {found[0][1]:.3f}" if found else "no case, as expected"
