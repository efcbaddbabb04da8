"""Prompt files: what is understood, and one clear sentence for what is not."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecgedge.corpora.ptbxl import load_corpus
from ecgedge.encoders.text import normalise
from ecgedge.errors import InputError
from ecgedge.prompts import load_prompts, parse_prompts, shipped_prompts
from ecgedge.statements import needs_voltage, statements

GOOD = '[prompts]\nAFIB = ["atrial fibrillation", "Vorhofflimmern"]\nLVH = "thick"\n'
NAMES = st.text("ABCdef/_ü(1) ", min_size=1, max_size=8).filter(str.strip)
SENTENCES = st.lists(st.text("abc ü\"\\'\n", min_size=1).map(lambda t: t + "x"), min_size=1)


def quoted(text: str) -> str:
    """A TOML basic string."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


@given(st.dictionaries(NAMES, SENTENCES, min_size=1, max_size=5))
def test_every_sentence_of_a_well_formed_file_comes_back_in_order(prompts):
    lines = [f"{quoted(name)} = [{', '.join(map(quoted, told))}]" for name, told in prompts.items()]
    read = parse_prompts("\n".join(["[prompts]", *lines]), "file")
    assert {name: list(told) for name, told in read.sentences.items()} == prompts
    assert read.names == tuple(prompts)


@given(st.text())
def test_any_text_is_read_or_refused_as_input(text):
    with contextlib.suppress(InputError):
        assert parse_prompts(text, "file").sentences


def test_groups_and_voltage_name_prompts_of_the_file():
    read = parse_prompts(f'voltage = ["LVH"]\n{GOOD}[groups]\nany = ["AFIB", "LVH"]\n', "file")
    assert read.groups == {"any": ("AFIB", "LVH")}
    assert read.voltage == {"LVH"}
    assert read.names == ("AFIB", "LVH", "any")
    assert read.sentences["LVH"] == ("thick",)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "holds no prompts: write [prompts]"),
        ("[prompts]\n", "holds no prompts"),
        ("# nothing\n", "holds no prompts"),
        (
            '[promts]\nAFIB = ["x"]\n',
            "has 'promts' where only prompts, groups, voltage go: did",
        ),
        ('AFIB = ["x"]\n', "has 'AFIB' where only"),
        ("[prompts]\nAFIB = atrial fibrillation\n", "is not valid TOML"),
        ('[prompts]\nAFIB = ["x"\n', "is not valid TOML"),
        ('[prompts]\nAFIB = "x"\nAFIB = "y"\n', "is not valid TOML"),
        ("prompts = 7\n", "prompts is not a table"),
        ("[prompts]\nAFIB = 7\n", "prompt 'AFIB' is neither a sentence nor a list"),
        ("[prompts]\nAFIB = [7]\n", "prompt 'AFIB' is neither a sentence nor a list"),
        ("[prompts]\nAFIB = {}\n", "prompt 'AFIB' is neither a sentence nor a list"),
        ("[prompts]\nAFIB = []\n", "prompt 'AFIB' has no sentence"),
        ('[prompts]\nAFIB = ["x", " ,; "]\n', "prompt 'AFIB' has a sentence without a word"),
        ('[prompts]\n"" = ["x"]\n', "prompt '' has no name"),
        (f'{GOOD}[groups]\nany = ["AFB"]\n', "names 'AFB', which is no prompt here: did you mean"),
        (f"{GOOD}[groups]\nany = []\n", "group 'any' names no prompt"),
        (f'{GOOD}[groups]\nAFIB = ["LVH"]\n', "'AFIB' is both a prompt and a group"),
        (f'voltage = "LVH"\n{GOOD}', "'voltage' is not a list of names"),
        (f'voltage = ["XYZ"]\n{GOOD}', "names 'XYZ', which is no prompt here"),
    ],
)
def test_what_is_wrong_is_told_in_one_sentence(text, told):
    with pytest.raises(InputError) as caught:
        parse_prompts(text, "my.toml")
    assert told in str(caught.value)
    assert str(caught.value).startswith("my.toml")
    assert "\n" not in str(caught.value)


def test_a_file_that_is_missing_huge_or_no_text_is_refused(tmp_path: Path):
    cases = {"none.toml": None, "bytes.toml": b"\xff\xfe\x00", "huge.toml": b"#" * (1 << 20) + b"#"}
    for name, data in cases.items():
        if data is not None:
            (tmp_path / name).write_bytes(data)
        with pytest.raises(InputError, match=name):
            load_prompts(tmp_path / name)
    with pytest.raises(InputError, match="cannot be read"):
        load_prompts(tmp_path)
    (tmp_path / "good.toml").write_text(GOOD, encoding="utf-8")
    assert load_prompts(tmp_path / "good.toml").sentences["AFIB"][1] == "Vorhofflimmern"


def test_prompts_less_some_lose_the_groups_that_are_left_empty():
    text = f'voltage = ["LVH"]\n{GOOD}[groups]\none = ["LVH"]\nboth = ["AFIB", "LVH"]\n'
    rest = parse_prompts(text, "file").without({"LVH"})
    assert (dict(rest.groups), rest.names, rest.voltage) == (
        {"both": ("AFIB",)}, ("AFIB", "both"), frozenset(),
    )  # fmt: skip


def test_a_prompt_is_shipped_for_every_statement_in_both_languages():
    shipped = shipped_prompts()
    assert set(shipped.sentences) == set(statements())
    for code, sentences in shipped.sentences.items():
        assert len(sentences) >= 3, code
        assert len(set(sentences)) == len(sentences), code
    assert {code for code in statements() if needs_voltage(code)} <= shipped.voltage


def test_the_shipped_groups_are_the_classes_of_the_corpus(shared_data: Path):
    table = load_corpus(shared_data / "ptbxl").table
    expected = {
        f"{task}:{name}": {code for code in statements() if name in table.labels({code}, task)}
        for task in ("super", "sub")
        for name in table.classes(task)
    }
    assert {name: set(codes) for name, codes in shipped_prompts().groups.items()} == expected


def test_no_shipped_sentence_of_more_than_a_term_is_a_report_of_the_corpus(shared_data: Path):
    reports = {normalise(record.report) for record in load_corpus(shared_data / "ptbxl").records}
    ours = [normalise(one) for told in shipped_prompts().sentences.values() for one in told]
    assert [one for one in ours if one in reports and len(one.split()) > 3] == []
