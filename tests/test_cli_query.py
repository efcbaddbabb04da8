"""`ecgedge query` on a small but complete release."""

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from small_release import HEARTS, build_release, heart, write_csv

from ecgedge.answer import NOTICE, Answer, LeadQuality, Match, Novelty, Quality
from ecgedge.cli import cli
from ecgedge.cli.render import WIDTH, render
from ecgedge.engine import Engine
from ecgedge.recording import LEADS
from ecgedge.signal.corrupt import swap_limb
from ecgedge.signal.faults import calibrate
from ecgedge.signal.synthetic import Heart, synthesize

ROOT = Path(__file__).resolve().parent.parent
IN_MV = ["--rate-hz", "500", "--unit", "mV"]
FIELDS = {
    "schema", "command", "ok", "source", "unit", "window_s", "quality", "supports", "withheld",
    "matches", "novelty", "measurements", "release", "model", "timings_ms", "notes", "notice",
    "served",
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """store/, and recordings: good.csv, wide.csv, short.csv; broken.csv, notes.txt."""
    root = tmp_path_factory.mktemp("query")
    build_release(root / "store")
    recordings = root / "recordings"
    recordings.mkdir()
    write_csv(recordings / "good.csv", heart("test/normal"))
    write_csv(recordings / "wide.csv", heart("test/wide"))
    write_csv(root / "short.csv", synthesize(duration_s=2))
    (root / "broken.csv").write_text(",".join(LEADS) + "\n1,2\n")
    (root / "empty").mkdir()
    return root


def _query(folder: Path, *arguments: str | Path, stdin: bytes | None = None) -> Result:
    words = ["query", "--store", str(folder / "store"), *IN_MV, *map(str, arguments)]
    return CliRunner().invoke(cli, words, input=stdin)


def _lines(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_text_says_quality_supports_matches_novelty_release_and_notice(folder: Path) -> None:
    result = _query(folder, folder / "recordings" / "good.csv", "-k", "3")
    assert (result.exit_code, result.stderr) == (0, "")
    parts = [
        "Quality    good enough", "Novelty", "familiar", "What the nearest cases agree on",
        "sinus rhythm", "Most similar past cases", "test/normal",
        '"sinus rhythm, normal ecg"', "Measured", "heart rate", "bpm", "QRS axis", "deg",
        "Release", "leads-1-fp32-", "Time, ms", "encode", NOTICE,
    ]  # fmt: skip
    places = [result.stdout.index(part) for part in parts]
    assert places == sorted(places)
    assert "\x1b" not in result.stdout


def test_json_has_the_envelope_and_the_stable_names(folder: Path) -> None:
    result = _query(folder, folder / "recordings" / "wide.csv", "-k", "2", "--json")
    (told,) = _lines(result)
    assert result.exit_code == 0
    assert set(told) == FIELDS
    assert (told["schema"], told["command"], told["ok"]) == ("ecgedge/1", "query", True)
    assert told["notice"] == NOTICE
    assert [match["rank"] for match in told["matches"]] == [1, 2]
    assert told["matches"][0]["case_id"] == "test/wide"
    assert set(told["supports"][0]) == {
        "code", "name", "strength", "cases", "caution", "probability", "carried", "asked",
    }  # fmt: skip
    assert set(told["novelty"]) == {
        "score", "nearest_similarity", "verdict", "why", "excess", "parts",
    }  # fmt: skip
    assert next(iter(told["timings_ms"])) == "read"
    stages = sum(value for name, value in told["timings_ms"].items() if name != "total")
    assert stages == pytest.approx(told["timings_ms"]["total"], abs=0.02)


def test_a_refused_recording_gives_its_reasons_and_code_4_unless_forced(folder: Path) -> None:
    short = folder / "short.csv"
    worded = _query(folder, short)
    assert (worded.exit_code, worded.stdout) == (4, "")
    assert "too short: 2.0 s" in worded.stderr
    (told,) = _lines(_query(folder, short, "--json"))
    assert told["error"]["exit_code"] == 4
    assert told["quality"]["verdict"] == "refuse"
    assert told["quality"]["reasons"] == ["too short: 2.0 s, 5 s needed"]
    assert told["source"] == str(short)
    forced = _query(folder, short, "--force")
    assert forced.exit_code == 0
    assert "NOT GOOD ENOUGH: too short" in forced.stdout
    assert "by force" in forced.stdout


def test_several_inputs_are_answered_one_a_line_and_a_bad_one_stops_nothing(
    folder: Path,
) -> None:
    good = folder / "recordings" / "good.csv"
    result = _query(folder, folder / "missing", good, folder / "short.csv", good, "--json")
    told = _lines(result)
    assert [line["ok"] for line in told] == [False, True, False, True]
    assert [line["source"] for line in told] == [
        str(folder / "missing"), str(good), str(folder / "short.csv"), str(good),
    ]  # fmt: skip
    assert result.exit_code == 3
    assert _query(folder, folder / "short.csv", folder / "missing", "--json").exit_code == 4
    worded = _query(folder, good, folder / "broken.csv", good)
    assert worded.exit_code == 3
    assert worded.stdout.count(NOTICE) == 2
    assert worded.stderr.count("\n") == 1


def test_a_folder_stands_for_every_recording_in_it(folder: Path) -> None:
    told = _lines(_query(folder, folder / "recordings", "--json"))
    assert [Path(line["source"]).name for line in told] == ["good.csv", "wide.csv"]
    empty = _query(folder, folder / "empty")
    assert empty.exit_code == 3
    assert "holds no recording" in empty.stderr


def test_a_dash_reads_standard_input(folder: Path) -> None:
    data = (folder / "recordings" / "wide.csv").read_bytes()
    (told,) = _lines(_query(folder, "-", "--json", stdin=data))
    assert told["source"] == "-"
    assert told["matches"][0]["case_id"] == "test/wide"
    nothing = _query(folder, "-", "--json", stdin=b"")
    assert nothing.exit_code == 3
    assert json.loads(nothing.stdout)["ok"] is False


def test_a_recording_without_known_amplitude_withholds_voltage_findings(folder: Path) -> None:
    path = write_csv(folder / "thick.csv", heart("test/thick"))
    words = ["query", "--store", str(folder / "store"), "--rate-hz", "500", "--unit", "NU"]
    result = CliRunner().invoke(cli, [*words, str(path)])
    assert "NU, amplitude unknown" in result.stdout
    assert "withheld: left ventricular hypertrophy" in result.stdout
    assert "withheld" not in _query(folder, path).stdout


@pytest.mark.parametrize(
    "arguments", [["-k", "0", "x"], [], ["--unit", "inch", "x"], ["--rate-hz", "fast", "x"]]
)
def test_wrong_options_are_usage_errors(folder: Path, arguments: list[str]) -> None:
    assert _query(folder, *arguments).exit_code == 2
    result = _query(folder, *arguments, "--json")
    assert json.loads(result.stdout)["error"]["exit_code"] == 2


def test_a_store_without_a_release_ends_the_command_once_with_code_7(folder: Path) -> None:
    good = str(folder / "recordings" / "good.csv")
    words = ["query", "--store", str(folder / "empty"), *IN_MV, good, good, "--json"]
    result = CliRunner().invoke(cli, words)
    assert result.exit_code == 7
    assert len(_lines(result)) == 1


def test_a_damaged_model_byte_is_refused_with_code_7(tmp_path: Path, folder: Path) -> None:
    store = build_release(tmp_path / "store")
    model = store.blobs / store.manifest().encoder.model
    data = bytearray(model.read_bytes())
    data[len(data) // 2] ^= 1
    model.chmod(0o644)
    model.write_bytes(bytes(data))
    words = ["query", "--store", str(store.root), *IN_MV]
    result = CliRunner().invoke(cli, [*words, str(folder / "recordings" / "good.csv")])
    assert (result.exit_code, result.stdout) == (7, "")
    assert result.stderr.count("\n") == 1


def test_a_real_process_answers_and_writes_nothing_anywhere(folder: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    command = [sys.executable, "-m", "ecgedge", "query", "recordings", "--json", *IN_MV]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "ECGEDGE_STORE": str(folder / "store")}
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment, cwd=folder, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 2
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_a_wfdb_record_of_another_device_is_answered(folder: Path, shared_data: Path) -> None:
    words = ["query", "--store", str(folder / "store"), "--json"]
    result = CliRunner().invoke(cli, [*words, str(shared_data / "mixed-mv" / "LUDB_1.hea")])
    assert result.exit_code == 0
    assert json.loads(result.stdout)["unit"] == "mV"


def _answer(folder: Path) -> Answer:
    return Engine.open(folder / "store").query(heart("test/normal"))


def test_reports_and_names_cannot_steer_a_terminal_nor_break_the_layout(folder: Path) -> None:
    report = "\x1b[2J\x1b]0;owned\x07 " + "very long " * 60 + "\nnext line"
    match = Match(1, 0.5, "a\x1bb", ("NORM",), report, None, None, "c\u202ed")
    text = render(replace(_answer(folder), source="x\x1b[31m.csv", matches=(match,)))
    assert all(mark == "\n" or mark.isprintable() for mark in text)
    assert max(map(len, text.splitlines())) <= WIDTH
    assert "next line" in text


def test_an_answer_without_matches_reasons_or_novelty_is_still_a_text(folder: Path) -> None:
    per_lead = tuple(LeadQuality(lead, "ok") for lead in LEADS)
    bare = replace(
        _answer(folder), matches=(), supports=(), novelty=None, quality=Quality("ok", (), per_lead)
    )
    text = render(bare)
    assert "the case base is empty" in text
    assert "nothing worth showing" in text


def test_a_support_shows_its_probability_or_its_evidence_and_a_bar_of_it(folder: Path) -> None:
    answer = _answer(folder)
    likely = replace(answer.supports[0], probability=0.834)
    certain = replace(answer.supports[1], probability=0.9999)
    rare = replace(answer.supports[0], code="WPW", probability=None, carried=2, asked=10)
    text = render(replace(answer, supports=(likely, certain, rare)))
    lines = {code: line for line in text.splitlines() if (code := _code_of(line))}
    assert "p = 0.83" in lines[likely.code]
    assert lines[likely.code].count("#") == 8
    assert "p = 0.99" in lines[certain.code]
    assert "2 of 10 cases" in lines["WPW"]
    assert lines["WPW"].count("#") == 2


def _code_of(line: str) -> str:
    found = re.match(r"  \[[#-]{10}\] (?:p = \S+|\d+ of \d+ cases) +(\S+) ", line)
    return found[1] if found else ""


def test_a_recording_unlike_the_case_base_is_told_loudly_before_anything_else(
    folder: Path,
) -> None:
    strange = Novelty(0.999, 0.5, "unlike anything here", "its leads relate as if swapped")
    lines = render(replace(_answer(folder), novelty=strange)).splitlines()
    assert lines[2].startswith("Novelty    UNLIKE ANYTHING HERE: its leads relate as if swapped")


def test_a_recording_more_novel_than_allowed_is_refused_with_exit_4(folder: Path) -> None:
    path = write_csv(folder / "unseen.csv", synthesize(Heart(rate_bpm=44, qrs_width=1.7)))
    allowed = _query(folder, path, "--json")
    refused = _query(folder, path, "--max-novelty", "0", "--json")
    forced = _query(folder, path, "--max-novelty", "0", "--force", "--json")
    assert (allowed.exit_code, refused.exit_code, forced.exit_code) == (0, 4, 0)
    assert _lines(allowed)[0]["novelty"]["score"] > 0
    assert "of at most 0" in _lines(refused)[0]["error"]["message"]
    assert _query(folder, path, "--max-novelty", "1.5").exit_code == 2


def test_a_draft_is_worded_from_the_voting_cases_with_their_ids(folder: Path) -> None:
    wide = folder / "recordings" / "wide.csv"
    (told,) = _lines(_query(folder, wide, "--draft", "--json"))
    assert set(told) == FIELDS | {"draft"}
    stated = [one for one in told["draft"]["sentences"] if one["codes"]]
    assert stated[0]["section"] == "rhythm"
    assert stated[0]["codes"] == ["SR"]
    held = {name: set(codes) for name, (_, codes, _) in HEARTS.items()}
    for one in stated:
        assert all(held[case] & set(one["codes"]) for case in one["cases"])
        assert len(one["cases"]) == one["count"] <= one["asked"] == 4  # so many vote here
    text = _query(folder, wide, "--draft").stdout
    assert "Draft report, to be corrected by its reader" in text
    assert all(one["text"] in " ".join(text.split()) for one in stated)


def test_a_draft_of_a_refused_recording_is_refused(folder: Path) -> None:
    result = _query(folder, folder / "short.csv", "--draft")
    assert (result.exit_code, result.stdout) == (4, "")
    forced = _lines(_query(folder, folder / "short.csv", "--draft", "--force", "--json"))[0]
    caveats = [one["text"] for one in forced["draft"]["sentences"] if one["section"] == "caveat"]
    assert "The recording is not good enough: too short: 2.0 s, 5 s needed." in caveats


def test_an_explanation_is_told_and_drawn(folder: Path, tmp_path: Path) -> None:
    wide, png = folder / "recordings" / "wide.csv", tmp_path / "why.png"
    words = ["--explain", str(png), "--explain-rank", "2", "-k", "3"]
    (told,) = _lines(_query(folder, wide, *words, "--json"))
    assert set(told) == FIELDS | {"explanation"}
    why = told["explanation"]
    assert set(why) == {
        "rank", "case_id", "similarity", "shared", "origin", "method", "why", "picture",
        "regions", "leads", "seconds", "case_regions", "case_leads", "case_seconds",
    }  # fmt: skip
    assert why["case_id"] == told["matches"][1]["case_id"]
    assert set(why["regions"][0]) == {"lead", "start_s", "end_s", "drop"}
    assert list(why["leads"]) == list(LEADS)
    assert (why["picture"], why["case_regions"]) == (str(png), None)
    assert "carries no signals" in why["why"]
    assert png.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    stages = sum(value for name, value in told["timings_ms"].items() if name != "total")
    assert stages == pytest.approx(told["timings_ms"]["total"], abs=0.02)
    before = png.read_bytes()
    worded = _query(folder, wide, *words)
    assert f"Why case {why['case_id']} (match 2" in worded.stdout
    assert "occluding" in worded.stderr
    assert png.read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["good.csv", "--explain", "why.jpg"], "must end in .png"),
        (["good.csv", "--explain", "nowhere/why.png"], "does not exist"),
        (["good.csv", "wide.csv", "--explain", "why.png"], "one recording"),
        ([".", "--explain", "why.png"], "one recording"),
        (["good.csv", "--explain", "why.png", "--explain-rank", "6"], "beyond the 5 cases"),
        (["good.csv", "--explain-rank", "2"], "--explain-rank needs --explain"),
        (["good.csv", "--corpus", "."], "--corpus needs --explain"),
    ],
)
def test_what_cannot_be_explained_is_a_usage_error_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], told: str
) -> None:
    """Neither the recordings nor the store exist: nothing was opened before the mistake."""
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(cli, ["query", "--store", "no store", *IN_MV, *arguments])
    assert (result.exit_code, result.stdout) == (2, "")
    assert told in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_rank_without_a_match_is_a_usage_error(folder: Path, tmp_path: Path) -> None:
    words = ["--explain", str(tmp_path / "why.png"), "--explain-rank", "9", "-k", "9"]
    result = _query(folder, folder / "recordings" / "good.csv", *words)
    assert result.exit_code == 2
    assert "no match 9 to explain, the answer has 5" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_corpus_that_is_none_is_an_input_error(folder: Path, tmp_path: Path) -> None:
    words = ["--explain", str(tmp_path / "why.png"), "--corpus", str(tmp_path)]
    result = _query(folder, folder / "recordings" / "good.csv", *words)
    assert result.exit_code == 3
    assert "not in PTB-XL's layout" in result.stderr


def test_a_stream_may_be_as_large_as_a_file() -> None:
    """Said twice, so that a served query need not load the readers."""
    from ecgedge.cli import query
    from ecgedge.formats import MAX_BYTES

    assert query._STREAM_BYTES == MAX_BYTES


def test_a_warning_and_a_cut_pulse_are_said_and_survive_the_way_from_a_server(folder: Path) -> None:
    engine = Engine.open(folder / "store")
    odd = calibrate(swap_limb(synthesize(), "LA/RA"), 4.7)
    answer = engine.query(odd)
    assert [one.kind for one in answer.quality.warnings] == ["limb-reversal"]
    assert "calibration pulse at 4.6-5.0 s cut" in answer.notes
    told = Answer.from_dict(json.loads(json.dumps(answer.to_dict())))
    assert told.quality == answer.quality
    text = render(told)
    assert "WARNING    LA and RA look exchanged: lead I is upside down against V5 and V6" in text
    assert text.index("Quality ") < text.index("WARNING") < text.index("Novelty")
    warned = text[text.index("WARNING") : text.index("Novelty")].splitlines()
    assert len(warned) > 1
    assert max(map(len, warned)) <= WIDTH


def test_an_answer_of_an_older_server_without_warnings_is_still_read(folder: Path) -> None:
    told = _answer(folder).to_dict()
    older = {key: told["quality"][key] for key in ("verdict", "reasons", "per_lead")}
    read = Answer.from_dict(told | {"quality": older})
    assert read.quality.warnings == read.quality.cut_s == ()
