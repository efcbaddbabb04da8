"""Point 4: prompts scored over a split."""

import dataclasses

import numpy as np
import pytest
from central_builders import write_corpus
from small_release import build_release, linear_text

from ecgedge.corpora.ptbxl import load_corpus
from ecgedge.encoders.text import TextEncoder, learnt_grams
from ecgedge.evaluation.figures import patient_weights
from ecgedge.evaluation.metrics import roc_auc
from ecgedge.evaluation.zeroshot import figures
from ecgedge.prompts import shipped_prompts
from ecgedge.prompts.scoring import embed_prompts
from ecgedge.textsearch import TextSearch

NAMES = ["zeroshot_super", "zeroshot_sub", "zeroshot_form", "zeroshot_rhythm"]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return load_corpus(write_corpus(tmp_path_factory.mktemp("corpus"), 24))


@pytest.fixture(scope="module")
def text(tmp_path_factory) -> TextEncoder:
    found = TextSearch.open(build_release(tmp_path_factory.mktemp("release"), words=True).root).text
    assert found is not None
    return found


def weights(corpus):
    return patient_weights([corpus.group(record) for record in corpus.records], draws=50)


def test_recordings_that_lie_at_their_prompts_score_one(corpus, text):
    vectors = embed_prompts(shipped_prompts(), text)
    place = {name: row for row, name in enumerate(vectors.prompts.sentences)}
    own = [max(r.statements, key=lambda code: r.statements[code]) for r in corpus.records]
    embeddings = vectors.vectors[[place[code] for code in own]]
    found = figures(corpus, corpus.records, embeddings, text, weights(corpus))
    assert list(found) == NAMES
    assert found["zeroshot_super"].value == 1
    assert found["zeroshot_super"].facts == {"classes": 3, "in_domain": True}
    assert (found["zeroshot_super"].n, found["zeroshot_super"].chance) == (24, 0.5)


def test_a_figure_is_the_mean_auc_of_its_classes_with_an_interval_around_it(corpus, text):
    rng = np.random.default_rng(0)
    embeddings = rng.normal(size=(24, text.spec.embedding_dim)).astype(np.float32)
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    found = figures(corpus, corpus.records, embeddings, text, weights(corpus), in_domain=False)[
        "zeroshot_rhythm"
    ]
    vectors = embed_prompts(shipped_prompts(), text)
    scores = vectors.scores(embeddings)[:, vectors.prompts.names.index("AFIB")]
    held = ["AFIB" in record.statements for record in corpus.records]
    assert found.value == pytest.approx(roc_auc(held, scores))  # all are in SR: no class to score
    low, high = found.interval
    assert low <= found.value <= high
    assert found.facts == {"classes": 1, "in_domain": False}


def test_without_a_text_tower_every_figure_is_missing_and_says_why(corpus):
    found = figures(corpus, corpus.records, np.ones((24, 4)), None, weights(corpus))
    assert {name: figure.why for name, figure in found.items()} == dict.fromkeys(
        NAMES, "the release has no text tower"
    )
    assert found["zeroshot_form"].n == 24


def test_a_class_whose_prompt_no_word_is_known_of_is_left_out(corpus, text):
    _, spec = linear_text([])
    few = TextEncoder(
        dataclasses.replace(spec, learnt=learnt_grams(["normal ECG"] * 2)), text._session
    )
    found = figures(corpus, corpus.records, few.encode(["x"] * 24), few, weights(corpus))
    assert found["zeroshot_super"].facts["classes"] < 3
    assert found["zeroshot_rhythm"].value is None
