"""`ecgedge index build` and `ecgedge verify` as a person or a script meets them."""

import json
import shutil
from pathlib import Path

import pytest
from central_builders import write_bundle, write_corpus
from click.testing import CliRunner, Result

from ecgedge.casebase.release import Store
from ecgedge.cli import index, verify


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> tuple[Path, Result]:
    """(folder with corpus, bundle and store, what the build printed)"""
    folder = tmp_path_factory.mktemp("built")
    write_corpus(folder / "corpus")
    write_bundle(folder / "bundle")
    return folder, build(folder, folder / "store", "--date", "2026-11-22", "--json")


@pytest.fixture
def store(built, tmp_path) -> Path:
    """A copy that a test may damage."""
    return shutil.copytree(built[0] / "store", tmp_path / "store")


def build(folder: Path, out: Path, *options: str) -> Result:
    arguments = [str(folder / "corpus"), "--encoder", str(folder / "bundle"), "-o", str(out)]
    return CliRunner().invoke(index.command, ["build", *arguments, "--workers", "1", *options])


def check(store: Path, *options: str) -> Result:
    return CliRunner().invoke(verify.command, ["--store", str(store), *options])


def test_the_result_of_a_build_is_one_json_object_and_progress_goes_to_stderr(built):
    folder, result = built
    assert result.exit_code == 0, result.output
    payload = json.loads(result.stdout)
    assert (payload["ok"], payload["command"], payload["cases"]) == (True, "index build", 36)
    assert payload["skipped"] == []
    assert payload["release"] == Store(folder / "store").current_id()
    assert "encoding recordings" in result.stderr


def test_the_same_date_gives_the_same_release_and_text_names_it(built, tmp_path):
    folder, first = built
    again = build(folder, tmp_path / "again", "--date", "2026-11-22")
    assert json.loads(first.stdout)["release"] in again.stdout
    assert "36 cases" in again.stdout


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (("--date", "22.11.2026"), 2, "YYYY-MM-DD"),
        (("--folds", "one"), 2, "folds 'one'"),
        (("--folds", "1-9"), 2, "both in the case base and for validation"),
        (("--folds", "42"), 3, "holds no recording"),
        (("--withdraw", "/nowhere/list.txt"), 3, "cannot be read"),
        (("--encoder", "/nowhere"), 7, "/nowhere"),
        (("--text", "/nowhere"), 7, "/nowhere"),
    ],
)
def test_a_bad_request_is_one_sentence_with_its_code_and_writes_no_release(
    built, tmp_path, options, code, message
):
    result = build(built[0], tmp_path / "out", *options)
    assert result.exit_code == code, result.output
    assert message in result.stderr
    assert "Traceback" not in result.output
    assert not Store(tmp_path / "out").release_ids()
    as_json = json.loads(build(built[0], tmp_path / "out", *options, "--json").stdout)
    assert (as_json["ok"], as_json["error"]["exit_code"]) == (False, code)


def test_a_whole_release_verifies_with_all_its_probes(built):
    result = check(built[0] / "store", "--json")
    assert result.exit_code == 0, result.output
    payload = json.loads(result.stdout)
    names = [one["name"] for one in payload["checks"]]
    assert all(one["ok"] for one in payload["checks"])
    assert names[:4] == ["encoder model", "encoder sidecar", "vectors 1", "cases 1"]
    assert [name for name in names if name.startswith("probe")] == [
        f"probe {i}" for i in range(1, 6)
    ]
    assert "is whole" in check(built[0] / "store").stdout


@pytest.mark.parametrize("part", ["model", "spec", "vectors", "cases"])
def test_one_wrong_byte_in_any_file_fails_with_exit_7_and_one_sentence(store, part):
    manifest = Store(store).manifest()
    name = getattr(manifest.encoder if part in ("model", "spec") else manifest.segments[0], part)
    path = store / "blobs" / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x10
    path.write_bytes(data)
    result = check(store)
    assert result.exit_code == 7
    assert "FAIL" in result.stdout
    assert result.stderr.count("\n") == 1
    assert name in result.stderr
    payload = json.loads(check(store, "--json").stdout)
    assert (payload["ok"], payload["error"]["type"]) == (False, "DamagedError")
    assert sum(not one["ok"] for one in payload["checks"]) == 1
    assert not any(one["name"].startswith("probe") for one in payload["checks"])


def test_a_damaged_manifest_fails_with_exit_7(store):
    path = store / "releases" / f"{Store(store).current_id()}.json"
    path.write_text(path.read_text().replace('"ptb-xl"', '"ptb-yl"', 1))
    result = check(store)
    assert result.exit_code == 7
    assert "was changed" in result.stderr


def test_probes_written_for_other_answers_fail_with_exit_7(store):
    from dataclasses import replace

    from ecgedge.casebase.manifest import Probe

    opened = Store(store)
    manifest = opened.manifest()
    first = manifest.probes[0]
    wrong = Probe(first.heart, tuple((one, cosine - 0.1) for one, cosine in first.expect))
    opened.activate(opened.add_release(replace(manifest, probes=(wrong, *manifest.probes[1:]))))
    result = check(store)
    assert result.exit_code == 7
    assert "probe 1 is answered otherwise" in result.stderr
    assert check(store, "--release", manifest.id).exit_code == 0


def test_an_encoder_that_is_not_the_segments_own_fails_with_exit_7(store, tmp_path):
    from dataclasses import replace

    from ecgedge.casebase.release import EncoderRef
    from ecgedge.encoders import load_bundle

    other = write_bundle(tmp_path / "other", seed=1)
    opened = Store(store)
    names = opened.put_blob(other / "model.onnx"), opened.put_blob(other / "model.json")
    reference = EncoderRef(load_bundle(other).spec.id, *names)
    opened.activate(opened.add_release(replace(opened.manifest(), encoder=reference)))
    result = check(store)
    assert result.exit_code == 7
    assert "was built with encoder" in result.stderr


def test_a_folder_without_a_release_fails_with_exit_7_and_the_remedy(tmp_path):
    result = check(tmp_path)
    assert result.exit_code == 7
    assert "ecgedge index build" in result.stderr


@pytest.fixture
def grown(built, tmp_path) -> Path:
    """The corpus with more patients."""
    return write_corpus(tmp_path / "grown", 60)


def run(*words: object) -> Result:
    return CliRunner().invoke(index.command, [str(word) for word in words])


def add(corpus: Path, store: Path, *options: str) -> Result:
    return run("build", corpus, "-o", store, "--add", "--workers", "1", *options)


def test_added_cases_need_no_encoder_named_and_the_result_says_what_carts_fetch(grown, store):
    before = Store(store).current_id()
    result = add(grown, store, "--json")
    assert result.exit_code == 0, result.output
    payload = json.loads(result.stdout)
    assert (payload["command"], payload["replaces"]) == ("index build", before)
    assert (payload["added"], payload["present"], payload["segments"]) == (18, 36, 2)
    new = Store(store).manifest().segments[-1]
    sizes = [(store / "blobs" / name).stat().st_size for name in (new.vectors, new.cases)]
    assert payload["fetched_bytes"] == sum(sizes)
    assert check(store).exit_code == 0
    again = add(grown, store)
    assert (again.exit_code, again.stderr.count("\n")) == (8, 1)
    assert "has no new case" in again.stderr


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (("--valid-folds", "9"), 2, "leave --valid-folds out"),
        (("--alternative", "x"), 2, "leave --alternative out"),
        (("--folds", "9"), 2, "tuned release"),
        (("--date", "2020-01-01"), 2, "cannot be of 2020-01-01"),
        (("--ray-address", "10.0.0.5:6379"), 2, "is for --engine ray"),
        (("--encoder", "/nowhere"), 7, "/nowhere"),
        (("-o", "/nowhere"), 7, "holds no release"),
    ],
)
def test_a_bad_addition_is_one_sentence_with_its_code_and_the_release_stays(
    grown, store, options, code, message
):
    before = Store(store).current_id()
    result = add(grown, store, *options)
    assert (result.exit_code, "Traceback" in result.output) == (code, False)
    assert message in result.stderr
    assert Store(store).current_id() == before


def test_a_new_release_needs_an_encoder_and_takes_no_merge(built, tmp_path):
    corpus = built[0] / "corpus"
    result = run("build", corpus, "-o", tmp_path / "out")
    assert (result.exit_code, "--encoder is missing" in result.stderr) == (2, True)
    result = build(built[0], tmp_path / "out", "--merge", "all")
    assert (result.exit_code, "--merge is for --add" in result.stderr) == (2, True)


def test_a_case_is_withdrawn_by_its_number_and_gone_from_the_files_after_a_merge(store, tmp_path):
    listing = tmp_path / "list.txt"
    listing.write_text("4  # asked in May\nptb-xl/999\n")
    result = run("withdraw", store, "3", "--file", listing, "--json")
    assert result.exit_code == 0, result.output
    payload = json.loads(result.stdout)
    assert (payload["withdrawn"], payload["withdrawn_unknown"]) == (
        ["ptb-xl/3", "ptb-xl/4"],
        ["ptb-xl/999"],
    )
    assert run("withdraw", store, "3").exit_code == 8
    assert run("merge", store).exit_code == 8
    merged = json.loads(run("merge", store, "--all", "--json").stdout)
    assert (merged["command"], merged["dropped"], merged["segments"]) == ("index merge", 2, 1)
    assert run("merge", store, "--all").exit_code == 8
    assert check(store).exit_code == 0


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("withdraw",), 2, "no case is named"),
        (("withdraw", "999"), 2, "nothing was withdrawn"),
        (("withdraw", "--file", "/nowhere"), 3, "cannot be read"),
        (("withdraw", "3", "--date", "1.1.2027"), 2, "YYYY-MM-DD"),
        (("merge", "--date", "2020-01-01"), 2, "cannot be of"),
    ],
)
def test_a_withdrawal_or_merge_that_cannot_be_is_one_sentence_with_its_code(
    store, words, code, message
):
    before = Store(store).current_id()
    result = run(words[0], store, *words[1:])
    assert (result.exit_code, result.stderr.count("\n")) == (code, 1), result.output
    assert message in result.stderr
    assert Store(store).current_id() == before
