"""Prompts against a recording, on a small release: `Classifier` and `ecgedge classify`."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from small_release import build_release, heart, write_csv

from ecgedge.answer import NOTICE
from ecgedge.cli import cli
from ecgedge.engine import Engine
from ecgedge.errors import InputError, QualityRefused, ReleaseError
from ecgedge.prompts import parse_prompts, shipped_prompts
from ecgedge.prompts.scoring import embed_prompts
from ecgedge.signal.synthetic import synthesize
from ecgedge.textsearch import TextSearch
from ecgedge.zeroshot import Classifier

OWN = """
voltage = ["thick"]
[prompts]
AFIB = ["atrial fibrillation", "Vorhofflimmern"]
block = "left bundle branch block"
thick = "left ventricular hypertrophy"
[groups]
either = ["AFIB", "block"]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("zeroshot")
    build_release(root / "store", words=True)
    build_release(root / "wordless")
    write_csv(root / "good.csv", heart("test/normal"))
    write_csv(root / "short.csv", synthesize(duration_s=2))
    (root / "own.toml").write_text(OWN, encoding="utf-8")
    return root


def _classify(folder: Path, *arguments: str, unit: str = "mV", store: str = "store") -> Result:
    words = ["classify", "--store", str(folder / store), "--rate-hz", "500", "--unit", unit]
    return CliRunner().invoke(cli, [*words, *arguments])


def _own(folder: Path, *arguments: str, **options: str) -> Result:
    good, prompts = str(folder / "good.csv"), str(folder / "own.toml")
    return _classify(folder, good, "--prompts", prompts, *arguments, **options)


def test_a_score_is_the_cosine_with_the_mean_of_its_wordings_and_z_is_against_the_cases(folder):
    classifier = Classifier.open(parse_prompts(OWN, "own"), folder / "store")
    told = {one.name: one for one in classifier.classify(heart("test/wide")).scores}
    text, engine = TextSearch.open(folder / "store").text, Engine.open(folder / "store")
    mean = text.encode(["atrial fibrillation", "Vorhofflimmern"]).mean(axis=0)
    mean /= np.linalg.norm(mean)
    assert told["AFIB"].cosine == pytest.approx(engine.embed(heart("test/wide")) @ mean, abs=1e-4)
    rows = engine.casebase.parts()[0][0].vectors.rows[:5].astype(float)  # the last is withdrawn
    cases = rows @ mean / np.linalg.norm(rows, axis=1)
    z = (told["AFIB"].cosine - cases.mean()) / cases.std()
    assert told["AFIB"].z == pytest.approx(z, abs=0.01)
    assert told["AFIB"].above == pytest.approx((cases < told["AFIB"].cosine).mean())
    members = np.array([told["AFIB"].cosine, told["block"].cosine])
    soft = np.log(np.exp(10 * members).mean()) / 10
    assert told["either"].cosine == pytest.approx(soft, abs=1e-4)


def test_text_and_json_tell_scores_by_z_and_that_they_are_no_probabilities(folder):
    result = _own(folder, "-k", "2")
    assert (result.exit_code, result.stderr) == (0, "")
    for part in ("no probabilities", "not probabilities", "and 2 further ones", NOTICE):
        assert part in result.stdout
    told = json.loads(_own(folder, "--json").stdout)
    assert (told["command"], told["ok"], told["cases"]) == ("classify", True, 5)
    assert {score["name"] for score in told["scores"]} == {"AFIB", "block", "thick", "either"}
    assert [s["z"] for s in told["scores"]] == sorted(
        (s["z"] for s in told["scores"]), reverse=True
    )
    assert told["scores"][0].keys() >= {"name", "wording", "cosine", "z", "above", "unseen"}
    assert told["notice"] == NOTICE


def test_the_shipped_prompts_score_every_statement_and_class(folder):
    told = json.loads(_classify(folder, str(folder / "good.csv"), "--json").stdout)
    assert {score["name"] for score in told["scores"]} == set(shipped_prompts().names)
    worded = _classify(folder, str(folder / "good.csv"))
    assert "the prompts shipped with ecgedge" in worded.stdout
    assert "never seen in training" not in worded.stdout


def test_prompts_that_rest_on_voltage_are_withheld_where_the_amplitude_is_unknown(folder):
    told = json.loads(_own(folder, "--json", unit="NU").stdout)
    assert told["withheld"] == ["thick"]
    assert "thick" not in {score["name"] for score in told["scores"]}
    assert "withheld: thick" in _own(folder, unit="NU").stdout


def test_a_recording_of_no_quality_is_refused_with_code_4_unless_forced(folder):
    result = _classify(folder, str(folder / "short.csv"))
    assert (result.exit_code, result.stdout) == (4, "")
    assert "too short: 2.0 s" in result.stderr
    forced = _classify(folder, str(folder / "short.csv"), "--force")
    assert forced.exit_code == 0
    assert "scored by force" in forced.stdout
    classifier = Classifier.open(parse_prompts(OWN, "own"), folder / "store")
    with pytest.raises(QualityRefused):
        classifier.classify(synthesize(duration_s=2))


@pytest.mark.parametrize(
    ("prompts", "told"),
    [
        ("", "holds no prompts"),
        ('[promts]\nAFIB = "x"\n', "did you mean 'prompts'?"),
        ("[prompts]\nAFIB = 7\n", "neither a sentence"),
        ('[prompts]\nAFIB = ["!"]\n', "a sentence without a word"),
        ('[prompts]\nAFIB = "ξένος xyzzy"\n', "never seen a word of prompt 'AFIB' (ξένος, xyzzy)"),
    ],
)
def test_a_bad_prompt_file_is_one_sentence_and_code_3(folder, tmp_path, prompts, told):
    path = tmp_path / "bad.toml"
    path.write_text(prompts, encoding="utf-8")
    arguments = [str(folder / "good.csv"), "--prompts", str(path)]
    result = _classify(folder, *arguments)
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (3, "", 1)
    assert told in result.stderr
    assert json.loads(_classify(folder, *arguments, "--json").stdout)["error"]["exit_code"] == 3


def test_some_unseen_words_are_named_and_leave_the_score_alone(folder, tmp_path):
    (tmp_path / "p.toml").write_text('[prompts]\nAFIB = "atrial fibrillation xyzzy"\n')
    arguments = [str(folder / "good.csv"), "--prompts", str(tmp_path / "p.toml")]
    assert "never seen in training: xyzzy" in _classify(folder, *arguments).stdout
    (score,) = json.loads(_classify(folder, *arguments, "--json").stdout)["scores"]
    (tmp_path / "p.toml").write_text('[prompts]\nAFIB = "atrial fibrillation"\n')
    (plain,) = json.loads(_classify(folder, *arguments, "--json").stdout)["scores"]
    assert score["unseen"] == ["xyzzy"]
    assert score["cosine"] == plain["cosine"]


def test_a_release_without_text_tower_cannot_score_a_sentence(folder):
    result = _own(folder, store="wordless")
    assert (result.exit_code, result.stdout) == (7, "")
    assert "no text tower" in result.stderr
    with pytest.raises(ReleaseError):
        Classifier.open(shipped_prompts(), folder / "wordless")


def test_a_missing_recording_and_wrong_options_have_their_codes(folder):
    assert _classify(folder, str(folder / "nowhere.csv")).exit_code == 3
    assert _classify(folder).exit_code == 2
    assert _classify(folder, "x", "-k", "0").exit_code == 2
    missing = _classify(folder, str(folder / "good.csv"), "--prompts", str(folder / "none.toml"))
    assert missing.exit_code == 3


def test_a_shipped_prompt_of_unseen_words_is_left_out_and_a_users_own_is_refused(folder):
    text = TextSearch.open(folder / "store").text
    strange = '[prompts]\nAFIB = "atrial fibrillation"\nodd = "xyzzy"\n[groups]\ng = ["odd"]\n'
    prompts = parse_prompts(strange, "file")
    assert embed_prompts(prompts, text, drop=True).prompts.names == ("AFIB",)
    with pytest.raises(InputError, match="prompt 'odd'"):
        embed_prompts(prompts, text)
    mute = replace(prompts, sentences={"odd": ("xyzzy",)}, groups={})
    with pytest.raises(InputError, match="prompt 'odd'"):
        embed_prompts(mute, text, drop=True)
