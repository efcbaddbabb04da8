"""Search in words on a small but complete release: `TextSearch` and `ecgedge search`."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st
from small_release import HEARTS, build_release

from ecgedge.answer import NOTICE
from ecgedge.cli import cli
from ecgedge.cli.lines import WIDTH
from ecgedge.encoders.text import normalise
from ecgedge.errors import DamagedError, UsageError
from ecgedge.textsearch import TextSearch, clauses

FIELDS = {
    "schema", "command", "ok", "text", "unseen", "meaning", "keywords", "no_meaning", "no_index",
    "release", "notes", "notice",
}  # fmt: skip


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_release(tmp_path_factory.mktemp("words"), words=True).root


@pytest.fixture(scope="module")
def wordless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release as they were made before: no text tower, no tables of texts and words."""
    return build_release(tmp_path_factory.mktemp("wordless")).root


def _search(store: Path, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["search", "--store", str(store), *arguments])


@pytest.mark.parametrize("text", ["atrial fibrillation", "Vorhofflimmern"])
def test_a_statement_is_found_by_meaning_and_by_keywords_in_both_languages(store, text):
    answer = TextSearch.open(store).search(text, 2)
    assert answer.meaning[0].case_id == answer.keywords[0].case_id == "test/fibrillating"
    assert answer.keywords[0].words == tuple(normalise(text).split())
    assert [match.rank for match in answer.meaning] == [1, 2]
    assert (answer.unseen, answer.no_meaning, answer.no_index) == ((), "", "")


def test_text_shows_both_lists_ranks_words_and_the_notice(store):
    result = _search(store, "sinus rhythm, Linksschenkelblock quux", "-k", "2")
    assert (result.exit_code, result.stderr) == (0, "")
    parts = [
        "never seen in training: quux", "Nearest in meaning",
        "test/wide  [sinus, rhythm, linksschenkelblock]",
        "Holding the words, by full-text index", "Release", NOTICE,
    ]  # fmt: skip
    places = [result.stdout.index(part) for part in parts]
    assert places == sorted(places)
    assert max(map(len, result.stdout.splitlines())) <= WIDTH


def test_json_has_the_envelope_and_both_lists(store):
    told = json.loads(_search(store, "left", "bundle branch block", "--json").stdout)
    assert set(told) == FIELDS
    assert (told["command"], told["ok"], told["text"]) == (
        "search",
        True,
        "left bundle branch block",
    )
    assert told["keywords"][0]["case_id"] == "test/wide"
    assert set(told["meaning"][0]) == {
        "rank", "score", "case_id", "statements", "words", "report", "age", "sex", "source",
    }  # fmt: skip
    assert len(told["meaning"]) == len(HEARTS) - 1


@pytest.mark.parametrize("text", ["sinus rhythm", "Sinusrhythmus", "normal"])
def test_a_withdrawn_case_is_never_shown(store, wordless, text):
    for one in (store, wordless):
        answer = TextSearch.open(one).search(text, 100)
        shown = {match.case_id for match in (*answer.meaning, *answer.keywords)}
        assert "test/normal" in shown
        assert "test/withdrawn" not in shown


@pytest.mark.parametrize("text", ["", "   ", ",;: -- °", "mit", "and, und"])
def test_a_text_without_a_word_is_a_usage_error(store, text):
    result = _search(store, text)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "holds no word" in result.stderr
    assert result.stderr.count("\n") == 1
    assert json.loads(_search(store, text, "--json").stdout)["error"]["exit_code"] == 2


def test_words_never_seen_are_named_and_the_rest_is_searched(store):
    answer = TextSearch.open(store).search("frobnicated atrial fibrillation of xyzzy", 1)
    assert answer.unseen == ("frobnicated", "xyzzy")
    assert answer.meaning[0].case_id == "test/fibrillating"


def test_a_text_of_unseen_words_alone_says_so_and_falls_back_to_keywords(store):
    with pytest.raises(UsageError, match=r"never seen a word of this: ωμέγα, xyzzy.*nor does any"):
        TextSearch.open(store).search("ωμέγα xyzzy")
    prefix = _search(store, "fibril")  # no word of training, but the beginning of one
    assert prefix.exit_code == 0
    assert "not said: the text tower has never seen a word of this: fibril" in prefix.stdout
    assert "test/fibrillating  [fibril]" in prefix.stdout


def test_a_known_conjunction_gives_a_clause_of_unseen_words_no_meaning(store):
    answer = TextSearch.open(store).search("mit fibril")
    assert (answer.meaning, answer.keywords[0].case_id) == ((), "test/fibrillating")
    assert "fibril" in answer.no_meaning


def test_a_release_without_text_tower_or_index_says_so_and_compares_words(wordless):
    answer = TextSearch.open(wordless).search("atrial fibrillation", 3)
    assert answer.meaning == ()
    assert answer.no_meaning == "this release holds no text tower"
    assert answer.no_index == "this release holds no keyword index"
    assert answer.keywords[0].case_id == "test/fibrillating"
    assert answer.keywords[0].score == 2
    result = _search(wordless, "atrial fibrillation")
    assert "not said: this release holds no text tower" in result.stdout
    assert "Holding the words, by plain comparison" in result.stdout
    with pytest.raises(UsageError, match="no text tower; nor does any case"):
        TextSearch.open(wordless).search("xyzzy")


def test_a_report_cannot_be_found_by_words_that_only_a_sentence_is_made_of(store):
    answer = TextSearch.open(store).search("mit und the Linksschenkelblock")
    assert [match.case_id for match in answer.keywords] == ["test/wide"]


@pytest.mark.parametrize("arguments", [[], ["-k", "0", "x"], ["-k", "many", "x"]])
def test_wrong_options_are_usage_errors(store, arguments):
    assert _search(store, *arguments).exit_code == 2


def test_a_damaged_text_tower_is_refused_with_code_7(tmp_path):
    store = build_release(tmp_path, words=True)
    model = store.blobs / store.manifest().text.model
    data = bytearray(model.read_bytes())
    data[-1] ^= 1
    model.chmod(0o644)
    model.write_bytes(bytes(data))
    with pytest.raises(DamagedError):
        TextSearch.open(tmp_path)
    result = _search(tmp_path, "x")
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (7, "", 1)


def test_the_built_in_release_answers_in_words():
    result = CliRunner().invoke(cli, ["search", "Vorhofflimmern", "-k", "3", "--json"])
    told = json.loads(result.stdout)
    assert result.exit_code == 0
    assert len(told["meaning"]) == len(told["keywords"]) == 3
    assert all("AFIB" in match["statements"] for match in told["keywords"])
    assert all(match["report"] is None for match in told["meaning"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("old anterior infarct, atrial fibrillation", 2),
        ("Vorhofflimmern und Linkshypertrophie mit Linksschenkelblock", 3),
        ("T waves inverted in I, aVL, V5 and V6", 1),
        ("AV-Block 1. Grades", 1),
        ("Sinusrhythmus. Normales EKG.", 2),
        ("V1, V2", 1),
        (",;", 0),
    ],
)
def test_a_text_is_cut_between_findings_but_not_inside_lists_of_leads(text, expected):
    assert len(clauses(text)) == expected


@given(st.text("ab V1,;.I\n12und mit", max_size=60))
def test_cutting_a_text_loses_no_word_but_the_conjunctions(text):
    kept = [word for one in clauses(text) for word in normalise(one).split()]
    between = {"and", "und", "with", "mit"}
    expected = [word for word in normalise(text).split() if word not in between]
    assert [word for word in kept if word not in between] == expected
