"""BLEU, ROUGE-L and METEOR against nltk and rouge-score, and by hand where those differ."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecgedge.evaluation.textmetrics import bleu, bleu_counts, meteor, rouge_l, words

VOCABULARY = ["sinus", "rhythm", "normal", "ekg", "st", "senkung", "v5", "linkstyp", "kein", "mit"]
SENTENCES = st.lists(st.sampled_from(VOCABULARY), min_size=1, max_size=14)
#: nltk counts a sentence shorter than n as having one n-gram; sacrebleu and mteval do not.
LONG = st.lists(st.sampled_from(VOCABULARY), min_size=4, max_size=14)


@given(st.lists(st.tuples(LONG, LONG), min_size=1, max_size=8))
@pytest.mark.filterwarnings("ignore:[\\s\\S]*The hypothesis contains 0 counts")
def test_corpus_bleu_equals_nltk(pairs):
    translate = pytest.importorskip("nltk.translate.bleu_score")
    counts = np.sum([bleu_counts(candidate, reference) for candidate, reference in pairs], axis=0)
    references = [[reference] for _, reference in pairs]
    candidates = [candidate for candidate, _ in pairs]
    for order in (1, 4):
        expected = translate.corpus_bleu(references, candidates, (1 / order,) * order)
        matched = counts[:order].all()  # nltk puts a tiny number where an order has no match
        assert bleu(counts, order) == pytest.approx(expected if matched else 0.0, abs=1e-9)


def test_a_text_shorter_than_four_words_adds_no_four_grams():
    counts = bleu_counts(["normales", "ekg"], ["normales", "ekg"])
    assert counts.tolist() == [2, 1, 0, 0, 2, 1, 0, 0, 2, 2]
    assert (bleu(counts, 1), bleu(counts, 4)) == (1.0, 0.0)


def test_a_candidate_that_is_too_short_is_punished_by_its_length():
    counts = bleu_counts(["sinus", "rhythm"], ["sinus", "rhythm", "normal", "ekg"])
    assert bleu(counts, 1) == pytest.approx(math.exp(1 - 4 / 2))


def test_bleu_scores_many_corpora_at_once():
    pairs = [(["a", "b", "c", "d", "e"], ["a", "b", "c", "d"]), (["a"], ["b", "a"])]
    each = np.array([bleu_counts(*pair) for pair in pairs])
    draws = np.array([[1.0, 1.0], [2.0, 0.0], [0.0, 0.0]])
    got = bleu(draws @ each, 4)
    assert got == pytest.approx([float(bleu(draw @ each, 4)) for draw in draws])
    assert got[2] == 0.0


@given(SENTENCES, SENTENCES)
def test_rouge_l_equals_the_rouge_score_package(candidate, reference):
    package = pytest.importorskip("rouge_score.rouge_scorer")

    class Spaces:
        def tokenize(self, text):
            return text.split()

    scorer = package.RougeScorer(["rougeL"], tokenizer=Spaces())
    expected = scorer.score(" ".join(reference), " ".join(candidate))["rougeL"].fmeasure
    assert rouge_l(candidate, reference) == pytest.approx(expected)


@given(SENTENCES, SENTENCES)
def test_meteor_equals_nltk_without_stems_and_synonyms(candidate, reference):
    translate = pytest.importorskip("nltk.translate.meteor_score")

    class Unchanged:
        def stem(self, word):
            return word

    class Empty:
        def synsets(self, word):
            return []

    expected = translate.single_meteor_score(
        reference, candidate, stemmer=Unchanged(), wordnet=Empty()
    )
    assert meteor(candidate, reference) == pytest.approx(expected)


@given(SENTENCES)
def test_equal_texts_score_one_and_foreign_ones_zero(text):
    assert rouge_l(text, text) == 1.0
    assert meteor(text, text) == pytest.approx(1 - 0.5 / len(text) ** 3)
    assert rouge_l(text, ["x"]) == meteor(text, ["x"]) == 0.0


def test_nothing_said_scores_zero_everywhere():
    assert rouge_l([], ["a"]) == meteor([], ["a"]) == rouge_l(["a"], []) == 0.0
    assert bleu(bleu_counts([], ["a"]), 1) == 0.0


def test_words_keep_umlauts_and_drop_punctuation_and_case():
    assert words("Überdrehter Linkstyp; T-Welle flach.") == [
        "überdrehter",
        "linkstyp",
        "t",
        "welle",
        "flach",
    ]
