"""Names inside a repository, agreed between the centre that publishes and the carts.

    metadata/timestamp.json, N.snapshot.json, N.targets.json, N.root.json    TUF, signed
    targets/blobs/<sha256>                                                   as in a store
    targets/releases/<id>.json                                               manifests

A blob's name is its SHA-256 already, so it is not prefixed with it once more (TUF's
`prefix_targets_with_hash` is off).
"""

from __future__ import annotations

METADATA = "metadata"
TARGETS = "targets"
#: Where they begin among the targets.
BLOBS, RELEASES = "blobs/", "releases/"

#: Beside what TUF prescribes a timestamp says when it was signed (UTC, as its `expires`).
SIGNED_AT = "x-ecgedge-signed-at"
#: In the `custom` of a release's target: {channel: {"order": int, "percent": number}}.
CHANNELS_FIELD = "channels"


def blob_target(sha256: str) -> str:
    """The TUF target path of a blob."""
    return BLOBS + sha256


def manifest_target(release: str) -> str:
    """The TUF target path of a release's manifest."""
    return f"{RELEASES}{release}.json"


def release_of(target: str) -> str | None:
    """The release whose manifest this target is, or None."""
    if target.startswith(RELEASES) and target.endswith(".json"):
        return target[len(RELEASES) : -len(".json")]
    return None
