"""Prompts as vectors, and what a recording's embedding scores against them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ecgedge.encoders.text import TextEncoder
from ecgedge.errors import InputError
from ecgedge.prompts import Prompts
from ecgedge.recording import FloatArray

#: How much more the likeliest member of a group counts: exp(10 x cosine).
_SHARPNESS = 10.0


@dataclass(frozen=True)
class PromptVectors:
    """Embedded prompts.

    prompts: those that could be embedded.
    vectors: float32 (p, dim), unit norm, the mean direction of each prompt's wordings.
    unseen: prompt -> words of it that the text tower never saw; only those with any.
    """

    prompts: Prompts
    vectors: FloatArray
    unseen: Mapping[str, tuple[str, ...]]

    def scores(self, embeddings: FloatArray) -> FloatArray:
        """float32 (n, names): cosines with the prompts, then for each group a soft maximum
        over its members, log(mean(exp(10 cosine))) / 10, which is on the cosines' scale.

        embeddings: float (n, dim), unit norm. The columns are `prompts.names`.
        """
        cosines = np.asarray(embeddings @ self.vectors.T, dtype=np.float32)
        place = {name: column for column, name in enumerate(self.prompts.sentences)}
        columns = [cosines]
        for members in self.prompts.groups.values():
            held = np.exp(_SHARPNESS * cosines[:, [place[name] for name in members]])
            columns.append(np.log(held.mean(axis=1, keepdims=True)) / _SHARPNESS)
        return np.concatenate(columns, axis=1, dtype=np.float32)


def embed_prompts(prompts: Prompts, text: TextEncoder, *, drop: bool = False) -> PromptVectors:
    """Embed every prompt; a sentence of words never seen is left out of its prompt's mean.

    drop: leave out prompts of which no word was ever seen, and groups of such prompts alone.
    Raises InputError for such a prompt otherwise, and where none is left.
    """
    unseen = {name: _unseen(wordings, text) for name, wordings in prompts.sentences.items()}
    known = {
        name: [one for one in wordings if text.knows(one)]
        for name, wordings in prompts.sentences.items()
    }
    mute = [name for name, wordings in known.items() if not wordings]
    if mute and (not drop or len(mute) == len(known)):
        raise InputError(
            f"{prompts.source}: the text tower has never seen a word of prompt {mute[0]!r} "
            f"({', '.join(unseen[mute[0]])}): word it as German or English ECG reports do"
        )
    kept = prompts.without(frozenset(mute))
    means = np.stack([text.encode_query(known[name]).mean(axis=0) for name in kept.sentences])
    lengths = np.linalg.norm(means, axis=1, keepdims=True)
    told = {name: words for name, words in unseen.items() if words}
    return PromptVectors(kept, np.asarray(means / np.maximum(lengths, 1e-12)), told)


def _unseen(wordings: Sequence[str], text: TextEncoder) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word for one in wordings for word in text.unseen(one)))
