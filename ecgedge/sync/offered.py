"""Which release a sync should bring here, and the manifest of it that the centre signed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from ecgedge.casebase.manifest import Manifest
from ecgedge.casebase.pointer import Pointer
from ecgedge.casebase.release import Store
from ecgedge.errors import DamagedError, NetworkError, NothingNew, TrustError
from ecgedge.sync.fetch import fetch_bytes
from ecgedge.sync.layout import TARGETS, manifest_target
from ecgedge.sync.offers import Offer, choose
from ecgedge.sync.transport import Source
from ecgedge.sync.trusted import Target, Trusted


def wanted(offers: Sequence[Offer], pointer: Pointer | None, channel: str, cart: str) -> str:
    """The release that should answer here.

    pointer: what answers now, None where nothing does; it stays where the centre offers this
    cart nothing, or only the release that was rolled back from. Raises NothingNew where nothing
    is offered and nothing answers.
    """
    offer = choose(offers, channel, cart)
    if pointer is not None and (offer is None or offer.release == pointer.held):
        return pointer.active
    if offer is None:
        raise NothingNew(f"the centre offers this cart no release in channel {channel} yet")
    return offer.release


def signed_manifest(source: Source, trusted: Trusted, release: str, store: Store) -> Manifest:
    """The manifest of a release as the centre signed it, fetched unless it lies here.

    Raises TrustError where it is not what was signed, MismatchError for one that needs a newer
    ecgedge, NetworkError where a later try may help.
    """
    target = trusted.targets.get(manifest_target(release))
    if target is None:
        raise TrustError(f"the centre offers release {release} without a manifest")
    data = _here(store, target, release) or _fetched(source, target)
    try:
        manifest = Manifest.from_json(data.decode("utf-8"))
    except (DamagedError, UnicodeDecodeError) as error:
        raise TrustError(f"{source.name} signed a manifest that is none: {error}") from None
    if manifest.id != release:
        raise TrustError(f"{source.name} signed release {manifest.id} under the name {release}")
    return manifest


def _here(store: Store, target: Target, release: str) -> bytes | None:
    try:
        data = (store.root / "releases" / f"{release}.json").read_bytes()
    except OSError:
        return None
    return data if hashlib.sha256(data).hexdigest() == target.sha256 else None


def _fetched(source: Source, target: Target) -> bytes:
    data = fetch_bytes(source, f"{TARGETS}/{target.path}", target.length)
    if len(data) < target.length:
        raise NetworkError(f"{source.name} broke off within a manifest: run it again")
    if hashlib.sha256(data).hexdigest() != target.sha256:
        raise TrustError(
            f"{source.name} sent a manifest that is not the one the centre signed: nothing of it "
            "was installed, tell those who run it"
        )
    return data
