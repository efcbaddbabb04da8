"""`ecgedge evaluate` end to end: real folders, real stores, the command as typed."""

import json
import re

import evaluation_builders as build
import numpy as np
import pytest
from click.testing import CliRunner

from ecgedge.cli.evaluate import command
from ecgedge.corpora.ptbxl import load_corpus
from ecgedge.evaluation import metrics, robust
from ecgedge.evaluation.protocol import evaluate
from ecgedge.evaluation.subject import open_subject
from ecgedge.recording import LEADS

FIGURE_NAMES = re.compile(
    r"(report|ecg)_r(1|5|10)(_1269|_dup)?"
    r"|case_(p5|ndcg10)_(diagnostic|form|rhythm)"
    r"|auc_(super|sub|form|rhythm|[A-Z][A-Z_]*(_sub|_form|_rhythm)?)"
    r"|hard_(f1|hamming|balanced)|random_encoder_auc_super|parity_(cosine_p1|top10)"
    r"|zeroshot_(super|sub|form|rhythm|mean)|bleu1|bleu4|rouge_l|meteor|ece[a-z0-9_]*|novelty_auroc|aurc_[a-z0-9]+"
    r"|robust_[a-zA-Z0-9_]+"
)
#: "Names in --json" of the protocol, and one auc_<CODE> a class.
PROMISED = {
    *(f"{w}_r{k}{s}" for w in ("report", "ecg") for k in (1, 5, 10) for s in ("", "_1269", "_dup")),
    *(f"case_{f}_{k}" for f in ("p5", "ndcg10") for k in ("diagnostic", "form", "rhythm")),
    *(f"{f}_{task}" for f in ("auc", "zeroshot") for task in ("super", "sub", "form", "rhythm")),
    *("auc_NORM", "auc_AFIB", "hard_f1", "hard_hamming", "hard_balanced"),
    *("bleu1", "bleu4", "rouge_l", "meteor", "ece", "novelty_auroc"),
    *(f"robust_lead_off{lead}" for lead in ("", "_worst", *(f"_{name}" for name in LEADS))),
    *("robust_limb_only", "robust_print_3x4", "robust_print_3x4_strip", "robust_5s"),
    *("robust_swap_la_ra", "robust_hum_50hz", "robust_wander"),
    *(f"robust_emg_{snr}db" for snr in (20, 10, 5)),
    *(f"robust_rate_{rate}hz" for rate in (100, 250, 500, 1000)),
    *("random_encoder_auc_super", "parity_cosine_p1", "parity_top10"),
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A training corpus with its three stores, and an unseen corpus of fold 10."""
    root = tmp_path_factory.mktemp("evaluate")
    train = build.write_corpus(root / "train", build.rows(32, first=1, fold=1))
    build.write_corpus(root / "unseen", build.rows(40, first=30001, fold=10, unheard=16))
    stores = {}
    for name, options in (
        ("int8", {"rounded": True, "text": True}),
        ("fp32", {"text": True}),
        ("control", {"seed": 2}),
    ):
        stores[name] = build.write_store(root / name, train, {1}, **options)
    return root, stores


@pytest.fixture(autouse=True)
def _few_conditions(monkeypatch):
    """Half the degradations after `result` was made with all of them: they take the time."""
    monkeypatch.setattr(robust, "CONDITIONS", robust.CONDITIONS[:12])


def _run(*arguments):
    return CliRunner().invoke(command, [str(part) for part in arguments])


def _options(stores):
    return [
        "--store",
        stores["int8"],
        "--reference",
        stores["fp32"],
        "--control",
        stores["control"],
    ]


@pytest.fixture(scope="module")
def result(folders):
    root, stores = folders
    ran = _run(root / "unseen", "--split", "10", *_options(stores), "--json")
    assert ran.exit_code == 0, ran.output
    return json.loads(ran.stdout)


def test_an_unseen_folder_is_evaluated_with_its_own_folds_and_ids(result):
    assert (result["schema"], result["command"], result["ok"]) == ("ecgedge/1", "evaluate", True)
    data = result["dataset"]
    assert (data["folds"], data["rows"], data["with_signal"], data["evaluated"]) == (
        [10],
        40,
        24,
        24,
    )
    assert data["patients"] == 12
    assert data["unreadable"] == []
    assert {1, 2, 3, 8, 9} <= set(result["points"]["covered"])
    # This release has no thresholds, and this folder no row of its cases.
    assert {5, 6} <= set(result["points"]["not_covered"])


def test_every_name_is_one_of_the_protocol_and_every_figure_has_its_parts(result):
    for role in ("int8", "fp32"):
        figures = result["metrics"][role]
        assert set(figures) >= PROMISED
        for name, figure in figures.items():
            assert FIGURE_NAMES.fullmatch(name), name
            assert {"value", "lo", "hi", "n", "chance"} <= set(figure), name
            if figure["value"] is None:
                assert figure["why"], name
            else:
                assert figure["lo"] <= figure["value"] <= figure["hi"], name
                assert figure["n"] > 0
                if name.startswith(("report_", "ecg_")):
                    assert figure["value"] <= figure["ceiling"] + 1e-9
                if not name.startswith(("parity", "ece")):
                    assert figure["chance"] is not None
    assert set(result["metrics"]["int8"]) == set(result["metrics"]["fp32"])


def test_the_roc_curves_span_from_nothing_claimed_to_everything(result):
    assert set(result["curves"]["roc"]) == {"NORM", "STTC", "CD"}
    for curve in result["curves"]["roc"].values():
        assert (curve["fpr"][0], curve["tpr"][0]) == (0, 0)
        assert (curve["fpr"][-1], curve["tpr"][-1]) == (1, 1)


def test_reports_of_the_cases_are_looked_up_in_the_corpus_that_holds_their_rows(folders):
    root, stores = folders
    outcome = evaluate(
        load_corpus(root / "train"),
        {1},
        open_subject(stores["int8"]),
        "no twin",
        "none",
        lambda items, *_: items,
    )
    # Same kind of heart, same words: only the report's number differs for half of them.
    figure = outcome.metrics["int8"]["rouge_l"]
    assert (figure.n, figure.value > figure.chance) == (32, True)
    assert figure.value <= figure.ceiling
    assert 6 in outcome.covered
    assert 9 not in outcome.covered


def test_labels_come_back_from_the_cases_whose_rows_are_not_in_the_folder(result):
    figures = result["metrics"]["int8"]
    assert figures["auc_super"]["value"] > 0.95  # the synthetic kinds look quite different
    assert figures["case_p5_rhythm"]["value"] > figures["case_p5_rhythm"]["chance"]
    assert result["metrics"]["int8"]["random_encoder_auc_super"]["n"] == 24
    assert set(result["left_out"]["super"]) == {"MI", "HYP"}


def test_parity_is_the_cosine_of_the_same_recordings_in_both_releases(folders, result):
    root, stores = folders
    from ecgedge.engine import Engine
    from ecgedge.formats import read

    engines = [Engine.open(stores["int8"]), Engine.open(stores["fp32"])]
    records = load_corpus(root / "unseen").select({10}, with_signal=True)
    cosines, overlaps = [], []
    for record in records:
        left, right = (engine.embed(read(record.signal)) for engine in engines)
        cosines.append(float(left @ right))
        top = [
            {hit.case.case_id for hit in engine.casebase.search(vector, 10)}
            for engine, vector in zip(engines, (left, right), strict=True)
        ]
        overlaps.append(len(top[0] & top[1]) / 10)
    figures = result["metrics"]["int8"]
    expected = np.percentile(cosines, 1)
    assert figures["parity_cosine_p1"]["value"] == pytest.approx(expected, abs=1e-6)
    assert figures["parity_top10"]["value"] == pytest.approx(np.mean(overlaps))
    assert 0.9 < expected < 1


def test_auc_agrees_with_supports_worked_out_by_hand_from_the_devices_own_search(folders, result):
    root, stores = folders
    from ecgedge.engine import Engine
    from ecgedge.formats import read

    engine, corpus = Engine.open(stores["int8"]), load_corpus(root / "unseen")
    labels, supports = [], []
    for record in corpus.select({10}, with_signal=True):
        hits = engine.casebase.search(engine.embed(read(record.signal)), 5)
        votes = np.exp(np.array([hit.similarity for hit in hits]) / 0.05)
        supports.append(votes @ ["AFIB" in hit.case.statements for hit in hits] / votes.sum())
        labels.append("AFIB" in record.statements)
    expected = metrics.roc_auc(labels, supports)
    assert result["metrics"]["int8"]["auc_AFIB"]["value"] == pytest.approx(expected, abs=1e-6)


def test_a_query_never_finds_itself_or_its_patient_and_a_note_says_it_is_a_case(folders):
    root, stores = folders
    corpus = load_corpus(root / "train")
    subject = open_subject(stores["int8"])
    outcome = evaluate(corpus, None, subject, "no twin", "none", lambda items, *_: items)
    assert "32 of 32 queries are cases of this release" in outcome.notes[0]
    # With itself or its patient's other record in reach, precision@5 could only be higher:
    # each kind has 8 cases, 2 of them this patient's.
    from ecgedge.evaluation.subject import retrieve

    records = corpus.select(None)
    rows = np.eye(len(records), 24, dtype=np.float32) + 0.1
    for record, hits in zip(records, retrieve(subject, corpus, records, rows), strict=True):
        assert corpus.group(record) not in {hit.case.group for hit in hits}
        assert len(hits) == 10


def test_unreadable_signals_are_counted_and_named_and_do_not_stop_the_rest(tmp_path, folders):
    _, stores = folders
    build.write_corpus(tmp_path, build.rows(24, first=501, fold=3))
    (tmp_path / "records100" / "00501_lr.dat").write_bytes(b"\x00" * 17)
    (tmp_path / "records100" / "00502_lr.hea").write_text("no header")
    ran = _run(tmp_path, *_options(stores), "--json")
    assert ran.exit_code == 0, ran.output
    data = json.loads(ran.stdout)["dataset"]
    assert data["evaluated"] == 22
    assert [it["record"] for it in data["unreadable"]] == ["501", "502"]
    assert all(it["why"] for it in data["unreadable"])


def test_without_reference_and_control_their_figures_are_null_and_say_why(tmp_path, folders):
    root, stores = folders
    subject = open_subject(stores["int8"])
    outcome = evaluate(
        load_corpus(root / "unseen"),
        {10},
        subject,
        "no twin",
        "no control",
        lambda items, *_: items,
    ).to_dict()
    assert outcome["metrics"]["fp32"]["auc_super"]["why"] == "no twin"
    assert outcome["metrics"]["int8"]["parity_top10"]["why"] == "no twin"
    assert outcome["metrics"]["int8"]["random_encoder_auc_super"]["why"] == "no control"
    assert outcome["difference"]["auc_super"]["value"] is None
    assert set(outcome["metrics"]["int8"]) == set(outcome["metrics"]["fp32"])


def test_the_text_shows_figures_intervals_and_published_ones(folders):
    root, stores = folders
    ran = _run(root / "unseen", *_options(stores))
    assert ran.exit_code == 0, ran.output
    line = next(line for line in ran.stdout.splitlines() if line.startswith("auc_super"))
    assert re.search(r"\[\d\.\d{3}, \d\.\d{3}\]", line)
    assert "0.930 Strodthoff" in line
    assert "no thresholds in the release" in ran.stdout


def test_the_result_file_is_the_json_and_no_half_file_is_left(tmp_path, folders):
    root, stores = folders
    target = tmp_path / "fold10.json"
    ran = _run(root / "unseen", *_options(stores), "--json", "-o", target)
    assert ran.exit_code == 0, ran.output
    assert json.loads(target.read_text()) == json.loads(ran.stdout)
    assert [path.name for path in tmp_path.iterdir()] == ["fold10.json"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--split", "4"], 3, "has folds 10"),
        (["--split", "ten"], 2, "not written like"),
        (["-o", "missing/folder/x.json"], 2, "does not exist"),
        (["--store", "nowhere"], 7, "holds no release"),
        (["--others", "nowhere"], 2, "is not a folder of recordings"),
    ],
)
def test_a_wrong_option_is_one_sentence_and_its_exit_code(folders, arguments, code, words):
    root, stores = folders
    ran = _run(root / "unseen", *_options(stores), *arguments, "--json")
    failure = json.loads(ran.stdout)
    assert ran.exit_code == failure["error"]["exit_code"] == code
    assert words in failure["error"]["message"]


def test_a_split_without_signals_is_refused(tmp_path, folders):
    _, stores = folders
    build.write_corpus(tmp_path, build.rows(6, fold=2, unheard=6))
    ran = _run(tmp_path, *_options(stores), "--json")
    assert ran.exit_code == 3
    assert "6 rows, 0 with a signal file" in json.loads(ran.stdout)["error"]["message"]


def test_a_folder_in_another_layout_is_refused(tmp_path):
    ran = _run(tmp_path, "--json")
    assert ran.exit_code == 3
    assert "PTB-XL's layout" in json.loads(ran.stdout)["error"]["message"]
