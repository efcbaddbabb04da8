"""`ecgedge query` on a small but complete release."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from small_release import build_release, heart, write_csv

from ecgedge.answer import NOTICE, Answer, LeadQuality, Match, Quality
from ecgedge.cli import cli
from ecgedge.cli.render import WIDTH, render
from ecgedge.engine import Engine
from ecgedge.recording import LEADS
from ecgedge.signal.synthetic import synthesize

ROOT = Path(__file__).resolve().parent.parent
IN_MV = ["--rate-hz", "500", "--unit", "mV"]
FIELDS = {
    "schema", "command", "ok", "source", "unit", "window_s", "quality", "supports", "withheld",
    "matches", "novelty", "measurements", "release", "model", "timings_ms", "notes", "notice",
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
        "Quality    good enough", "What the nearest cases agree on", "sinus rhythm",
        "Most similar past cases", "test/normal (made up)", '"sinus rhythm, normal ecg"',
        "Measured", "heart rate", "bpm", "QRS axis", "deg",
        "Novelty", "familiar", "Release", "leads-1-fp32-", "Time, ms", "encode", NOTICE,
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
    assert set(told["supports"][0]) == {"code", "name", "strength", "cases", "caution"}
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


def test_every_shown_support_has_a_bar_of_its_strength(folder: Path) -> None:
    answer = _answer(folder)
    text = render(answer)
    for support in answer.supports:
        line = next(line for line in text.splitlines() if f"  {support.code} " in line)
        assert line.count("#") == round(10 * support.strength)
        assert f"{support.strength:.2f}" in line
