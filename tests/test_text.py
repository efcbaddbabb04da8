"""Report text: the same words are the same ids and the same vector, everywhere."""

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecgedge.encoders.text import (
    MAX_GRAMS,
    TOKENIZER,
    TextSpec,
    gram_ids,
    learnt_grams,
    load_text,
    normalise,
    pad_ids,
    spellings,
)
from ecgedge.errors import DamagedError, MismatchError

SPEC = TextSpec("onnx", "0" * 64, TOKENIZER, 64, 16)


def crc32(data):
    """CRC-32 (ISO 3309), bit by bit: the oracle of the hash."""
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = (value >> 1) ^ (0xEDB88320 if value & 1 else 0)
    return value ^ 0xFFFFFFFF


@given(st.text())
def test_normalising_twice_is_normalising_once(report):
    once = normalise(report)
    assert normalise(once) == once


@given(st.lists(st.sampled_from(["st", "hebung", "v2", "nicht", "änderung"]), max_size=6))
def test_case_spaces_and_punctuation_do_not_make_another_text(words):
    plain = " ".join(words)
    assert normalise(",  ".join(words).upper() + ".") == normalise(plain) == plain


def test_letters_of_every_language_stay_and_signs_go():
    assert normalise("Überleitung: 1°-AV-Block; st_hebung") == "überleitung 1 av block st hebung"
    assert normalise("... -- ;") == ""


@given(st.text(max_size=300), st.integers(2, 20000))
def test_ids_are_never_padding_and_never_past_the_table(report, buckets):
    ids = gram_ids(report, buckets)
    assert all(0 < each < buckets for each in ids)
    words = len(normalise(report).split())
    assert len(ids) == min(MAX_GRAMS, max(0, 2 * words - 1))


def test_the_ids_are_words_then_neighbouring_pairs_hashed_by_crc32():
    grams = ["kein", "st", "anhaltspunkt", "kein st", "st anhaltspunkt"]
    expected = [crc32(gram.encode()) % 16383 + 1 for gram in grams]
    assert gram_ids("Kein ST-Anhaltspunkt", 16384) == expected
    assert gram_ids("sinusrhythmus normales ekg", 16384) == [16322, 14396, 10343, 11355, 14993]


def test_negation_gives_other_grams_than_its_absence():
    assert set(gram_ids("no st elevation", 16384)) - set(gram_ids("st elevation no", 16384))


def test_shorter_reports_are_padded_with_zeros():
    padded = pad_ids(["st", "a b", ""], 100)
    assert padded.dtype == np.int64
    assert padded.tolist() == [
        [*gram_ids("st", 100), 0, 0],
        gram_ids("a b", 100),
        [0, 0, 0],
    ]


@pytest.mark.parametrize(("reports", "shape"), [([], (0, 1)), ([""], (1, 1)), (["", ""], (2, 1))])
def test_no_reports_and_empty_reports_still_have_one_column(reports, shape):
    padded = pad_ids(reports, 100)
    assert padded.shape == shape
    assert not padded.any()


def test_a_very_long_report_is_cut():
    assert pad_ids(["wort " * 5000], 100).shape == (1, MAX_GRAMS)


def test_a_sidecar_reads_back_as_it_was_written():
    assert TextSpec.from_json(SPEC.to_json()) == SPEC


@pytest.mark.parametrize(
    "changes",
    [{"buckets": "64"}, {"buckets": 64.0}, {"buckets": True}, {"buckets": 0}, {"buckets": 1},
     {"buckets": 2**40}, {"embedding_dim": -1}, {"embedding_dim": None}, {"sha256": "0" * 63},
     {"sha256": "G" * 64}, {"sha256": 7}, {"tokenizer": 1}, {"format": "tflite"},
     {"format": None}, {"more": 1}],
)  # fmt: skip
def test_a_sidecar_with_a_wrong_field_is_damaged(changes):
    with pytest.raises(DamagedError) as error:
        TextSpec.from_json(json.dumps(dataclasses.asdict(SPEC) | changes))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "7", "null", "{}", "[" * 100000])
def test_a_sidecar_that_is_no_sidecar_is_damaged(text):
    with pytest.raises(DamagedError):
        TextSpec.from_json(text)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A small text tower as export writes it: model and sidecar."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxscript")
    from ecgedge.training.model import TextTower
    from export.bundle import text_model

    torch.manual_seed(0)
    model, spec = text_model(TextTower(buckets=64, width=8, dim=16).eval())
    folder = tmp_path_factory.mktemp("text")
    (folder / "text.onnx").write_bytes(model)
    (folder / "text.json").write_text(spec.to_json())
    return folder / "text.onnx", folder / "text.json"


def changed(exported, folder, **changes):
    """The exported pair with another sidecar."""
    model, spec = exported
    path = folder / "text.json"
    path.write_text(json.dumps(json.loads(spec.read_text()) | changes))
    return model, path


def test_vectors_have_length_one_and_the_same_text_the_same_vector(exported):
    encoder = load_text(*exported)
    texts = ["Sinusrhythmus, normales EKG.", "vorhofflimmern", "sinusrhythmus normales ekg", ""]
    vectors = encoder.encode(texts)
    assert vectors.shape == (4, 16)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(vectors[0], vectors[2])
    assert np.abs(vectors[0] - vectors[1]).max() > 1e-3


def test_a_vector_does_not_depend_on_the_texts_beside_it(exported):
    encoder = load_text(*exported)
    texts = ["kein st", "linkstyp linksschenkelblock sonst unauffällig", "ekg"]
    alone = np.concatenate([encoder.encode([text]) for text in texts])
    np.testing.assert_allclose(encoder.encode(texts), alone, atol=1e-6)


def test_no_texts_give_no_vectors(exported):
    assert load_text(*exported).encode([]).shape == (0, 16)


def test_another_file_than_the_sidecar_names_is_damaged(exported, tmp_path):
    damaged = tmp_path / "text.onnx"
    damaged.write_bytes(exported[0].read_bytes()[:-1] + b"\x00")
    with pytest.raises(DamagedError, match="not the text model its sidecar names"):
        load_text(damaged, exported[1])


def test_a_missing_model_or_sidecar_is_damaged(exported, tmp_path):
    for pair in [(tmp_path / "none", exported[1]), (exported[0], tmp_path / "none")]:
        with pytest.raises(DamagedError, match="cannot be read"):
            load_text(*pair)


def test_a_sidecar_that_is_no_text_is_damaged(exported, tmp_path):
    (tmp_path / "text.json").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(DamagedError, match="cannot be read"):
        load_text(exported[0], tmp_path / "text.json")


def test_another_tokenizer_is_a_mismatch(exported, tmp_path):
    with pytest.raises(MismatchError, match="grams-2, not grams-1"):
        load_text(*changed(exported, tmp_path, tokenizer="grams-2"))


def test_another_dimension_than_the_models_is_a_mismatch(exported, tmp_path):
    with pytest.raises(MismatchError, match="17 numbers"):
        load_text(*changed(exported, tmp_path, embedding_dim=17))


def test_an_image_model_is_no_text_model(tmp_path):
    import hashlib

    from evaluation_builders import projection_model

    data = projection_model(0)
    (tmp_path / "text.onnx").write_bytes(data)
    spec = dataclasses.replace(SPEC, sha256=hashlib.sha256(data).hexdigest(), embedding_dim=24)
    (tmp_path / "text.json").write_text(spec.to_json())
    with pytest.raises(MismatchError, match="does not turn ids into"):
        load_text(tmp_path / "text.onnx", tmp_path / "text.json")


def test_a_sidecar_with_more_buckets_than_the_model_fails_with_one_sentence(exported, tmp_path):
    encoder = load_text(*changed(exported, tmp_path, buckets=100000))
    with pytest.raises(DamagedError) as error:
        encoder.encode(["sinusrhythmus normales ekg linkstyp"])
    assert "\n" not in str(error.value)


WORD = st.text("abcäöüßxyz", min_size=1, max_size=6)


def learnt_spec(reports):
    return dataclasses.replace(SPEC, learnt=learnt_grams(reports))


@given(st.lists(st.lists(WORD, max_size=5).map(" ".join), max_size=6), st.permutations(range(6)))
def test_the_learnt_grams_are_those_of_two_reports_whatever_their_order(reports, order):
    shuffled = [reports[place] for place in order if place < len(reports)]
    assert learnt_grams(reports) == learnt_grams(shuffled)
    words = {word for report in reports for word in report.split()}
    twice = {w for w in words if sum(w in report.split() for report in reports) >= 2}
    hashes = learnt_spec(reports).learnt_hashes
    assert {word for word in words if crc32(word.encode()) in hashes} == twice


def test_a_sidecar_with_learnt_words_reads_back_and_one_without_keeps_its_old_form():
    spec = learnt_spec(["st hebung", "st hebung"])
    assert TextSpec.from_json(spec.to_json()) == spec
    assert len(spec.learnt_hashes) == 3
    assert "learnt" not in json.loads(SPEC.to_json())


@pytest.mark.parametrize("learnt", ["abc", "ä", "AAAA", 7, None])
def test_a_broken_list_of_learnt_words_is_damage_not_an_empty_list(learnt):
    with pytest.raises(DamagedError, match="learnt words"):
        _ = TextSpec.from_json(
            json.dumps(dataclasses.asdict(SPEC) | {"learnt": learnt})
        ).learnt_hashes


def test_unseen_words_are_named_once_in_either_spelling_and_only_where_the_tower_says(exported):
    encoder = load_text(*exported)
    assert encoder.unseen("völlig unbekannt") == ()
    encoder.spec = dataclasses.replace(
        encoder.spec, learnt=learnt_grams(["ueberdrehter typ", "ueberdrehter typ, größe", "größe"])
    )
    assert encoder.unseen("Überdrehter Typ, groesse") == ()
    assert encoder.unseen("foo typ FOO bar") == ("foo", "bar")


def test_words_and_pairs_never_seen_do_not_move_a_query(exported):
    encoder = load_text(*exported)
    encoder.spec = dataclasses.replace(encoder.spec, learnt=learnt_grams(["st hebung"] * 2))
    queries = encoder.encode_query(["ST-Hebung", "st hebung quux", "quux, st hebung"])
    np.testing.assert_allclose(queries[1:], queries[[0, 0]], atol=1e-6)
    assert np.abs(queries[0] - encoder.encode(["st hebung quux"])[0]).max() > 1e-4


@given(WORD)
def test_a_word_is_its_own_first_spelling(word):
    assert spellings(word)[0] == word
    assert len(set(spellings(word))) == len(spellings(word)) <= 3
