"""The parts of a release that an engine is put together from, loaded from its store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ecgedge.errors import DamagedError, MismatchError, ReleaseError, UsageError

if TYPE_CHECKING:
    from ecgedge.casebase.manifest import Manifest
    from ecgedge.casebase.release import Store
    from ecgedge.encoders import Encoder
    from ecgedge.novelty import NoveltyModel


def encoding_threads(threads: int) -> int:
    """How many of the cores that a query may use encode: of 2 and more, one measures beside.

    Raises UsageError for fewer than one.
    """
    if threads < 1:
        raise UsageError(f"a query cannot be answered on {threads} threads")
    return max(1, threads - 1)


def chosen_encoder(
    store: Store, manifest: Manifest, named: str | None, preferred: str | None, threads: int
) -> tuple[Encoder, list[str]]:
    """The encoder that shall ask, and what the reader must know about the choice.

    named, preferred: as `Engine.open` takes its encoder and preferred. Raises as that.
    """
    from ecgedge.encoders import load_encoder

    def load(encoder_id: str | None) -> Encoder:
        ref = manifest.encoder_named(encoder_id)
        return load_encoder(store.blob(ref.model), store.blob(ref.spec), threads=threads)

    if named is not None or preferred is None:
        return load(named), []
    try:
        return load(preferred), []
    except (UsageError, ReleaseError) as error:
        if isinstance(error, DamagedError | MismatchError):
            raise  # what is installed is not whole: no reason to go on quietly
        return load(None), [f"the configured encoder was not used: {error}"]


def novelty_model(store: Store, manifest: Manifest) -> NoveltyModel | None:
    """The release's novelty model, where it has one. Raises as `NoveltyModel.from_json`."""
    from ecgedge.novelty import NoveltyModel

    if manifest.novelty is None:
        return None
    return NoveltyModel.from_json(store.blob(manifest.novelty).read_text(encoding="utf-8"))
