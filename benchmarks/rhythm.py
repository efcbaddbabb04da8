"""Four rhythms by retrieval: `python benchmarks/rhythm.py CORPUS RUN [RUN ...]`.

Sinus rhythm, sinus bradycardia, atrial fibrillation or flutter, supraventricular
tachycardia, told by the votes of the nearest past recordings of other patients. Each
RUN is a folder that `ecgedge train` wrote, the `scalogram-1` one first; beside them the
built-in release and, as the floor, three figures of the RR intervals. What is asked is
the validation fold; k and temperature come from the training folds.

`--crossfit DIR` also trains the first RUN's recipe twice, on every other fold (in DIR,
resumable), so that every recording is asked once of an encoder and a case base that
know nothing of its patient. Needs the extra `train`.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np  # noqa: E402

from benchmarks import page, rhythm_models, rhythm_page  # noqa: E402
from benchmarks import rhythm_task as task  # noqa: E402
from benchmarks.rhythm_models import Data, Halves, Model  # noqa: E402
from ecgedge.corpora.ptbxl import load_corpus, parse_folds  # noqa: E402
from ecgedge.errors import InputError, UsageError  # noqa: E402
from ecgedge.evaluation.figures import difference, patient_weights  # noqa: E402
from ecgedge.training import checkpoint  # noqa: E402
from ecgedge.training.data import SignalSet, load_signals  # noqa: E402

#: model -> setting -> rule -> what was answered
Found = dict[str, dict[str, dict[str, task.Outcome]]]


def ask_once(
    data: Data, similarity: task.Floats, cases: task.Labels, queries: task.Labels, rule: str
) -> task.Outcome:
    """Settings from the cases asked of one another, then the queries' answers."""
    settings = task.tune(data.ask(similarity, cases, cases), rule)
    shares, said = task.answer(data.ask(similarity, queries, cases), settings, rule)
    weights = patient_weights(data.patient[queries].tolist())
    return task.Outcome((settings,), shares, data.truth[queries], said, weights)


def ask_halves(
    data: Data, similarities: dict[str, task.Floats], halves: Halves, rule: str
) -> task.Outcome:
    """Every recording once, of the half of the folds that its patient is not in."""
    parts, rows = [], []
    for half, (learn, asked) in halves.items():
        queries = data.within(asked)
        parts.append(ask_once(data, similarities[half], data.within(learn), queries, rule))
        rows.append(queries)
    order = np.argsort(np.concatenate(rows))
    shares = np.concatenate([part.shares for part in parts])[order]
    said = np.concatenate([part.said for part in parts])[order]
    settings = tuple(one for part in parts for one in part.settings)
    weights = patient_weights(data.patient.tolist())
    return task.Outcome(settings, shares, data.truth, said, weights)


def outcomes(
    data: Data, model: Model, learn: Sequence[int], valid: Sequence[int], halves: Halves
) -> dict[str, dict[str, task.Outcome]]:
    """setting -> rule -> outcome."""
    cases, queries = data.within(learn), data.within(valid)
    everyone = np.arange(len(data.truth), dtype=np.intp)

    def each(ask: Callable[[str], task.Outcome]) -> dict[str, task.Outcome]:
        return {rule: ask(rule) for rule in task.RULES}

    found = {
        "validation": each(lambda rule: ask_once(data, model.similarity, cases, queries, rule)),
        "seen": each(lambda rule: ask_once(data, model.similarity, everyone, everyone, rule)),
    }
    if model.halves:
        found["crossfit"] = each(lambda rule: ask_halves(data, model.halves, halves, rule))
    return found


def compare(found: Found) -> dict[str, Any]:
    """Balanced accuracy of the weighed votes: the first model less each other, paired."""
    first, *others = found
    told: dict[str, Any] = {"less": first}
    for setting in ("validation", "crossfit"):
        for other in others:
            if setting in found[first] and setting in found[other]:
                pair = [found[name][setting]["weighed"].figures() for name in (first, other)]
                gap = difference(*(one["balanced_accuracy"] for one in pair))
                told.setdefault(setting, {})[other] = gap.to_dict()
    return told


def counts(data: Data, read: SignalSet, valid: Sequence[int]) -> dict[str, Any]:
    """How many recordings each group and each code has, and how many have no group."""
    asked = np.isin(data.fold, list(valid))
    codes = [code for name in task.NAMES for code in sorted(task.GROUPS[name])]

    def groups(rows: np.ndarray[Any, Any]) -> dict[str, int]:
        number = np.bincount(data.truth[rows], minlength=len(task.NAMES)).tolist()
        return dict(zip(task.NAMES, number, strict=True))

    return {
        "training": groups(~asked),
        "validation": groups(asked),
        "codes": {code: sum(code in one.statements for one in data.records) for code in codes},
        "patients": len(set(data.patient.tolist())),
        "without_one_group": len(read.records) - len(data.records),
        "unreadable": len(read.skipped),
    }


def folds_of(runs: Sequence[Path], valid: Sequence[int]) -> tuple[int, ...]:
    """The folds all runs were trained on; raises UsageError where that is no fair contest."""
    known = {checkpoint.load(run / "best.pt").config.train_folds for run in runs}
    if len(known) > 1:
        raise UsageError("the runs were trained on different folds and cannot be compared")
    (learn,) = known
    if set(learn) & set(valid):
        raise UsageError("the runs were trained on a fold that is to be asked")
    return learn


def measure(options: argparse.Namespace) -> dict[str, Any]:
    corpus = load_corpus(options.corpus)
    valid = sorted(parse_folds(options.valid))
    learn = folds_of(options.runs, valid)
    folds = sorted({*learn, *valid})
    halves = rhythm_models.halves_of(folds)
    read = load_signals(corpus.select(folds, with_signal=True), rhythm_models.quiet)
    data = Data.of(read)
    if not len(data.within(valid)) or not len(data.within(learn)):
        raise InputError("no recording of the folds has one of the four rhythms")
    models: dict[str, Model] = {}
    for run in options.runs:
        refit = {}
        if options.crossfit and not models:  # the first run only: trainings are dear
            epochs = options.crossfit_epochs
            refit = rhythm_models.crossfit(corpus, data, run, options.crossfit, epochs, halves)
        model = rhythm_models.trained_model(data, run, refit)
        models[f"{model.facts['encoding']}, {model.facts['epochs']} epochs"] = model
    models["built-in release"] = rhythm_models.builtin_model(data, options.store)
    models["RR intervals alone"] = rhythm_models.rr_model(data, halves)
    found = {name: outcomes(data, one, learn, valid, halves) for name, one in models.items()}
    return {
        "folds": {"training": list(learn), "validation": valid},
        "crossfit_epochs": options.crossfit_epochs if options.crossfit else None,
        "counts": counts(data, read, valid),
        "models": {name: told(models[name], found[name]) for name in models},
        "difference": compare(found),
    }


def told(model: Model, each: dict[str, dict[str, task.Outcome]]) -> dict[str, Any]:
    """One model's facts and figures as plain data."""
    figures = {
        setting: {rule: outcome.to_dict() for rule, outcome in rules.items()}
        for setting, rules in each.items()
    }
    return model.facts | figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", type=Path, help="folder in PTB-XL's layout")
    parser.add_argument("runs", nargs="+", type=Path, help="run folders, scalogram-1 first")
    parser.add_argument("--valid", default="9", help="folds that are asked [9]")
    parser.add_argument("--crossfit", type=Path, help="train on every other fold, in here")
    parser.add_argument("--crossfit-epochs", type=int, default=20, help="epochs of each [20]")
    parser.add_argument("--store", type=Path, help="release store beside them [the built-in]")
    parser.add_argument("-o", "--output", type=Path, help="write the JSON here")
    parser.add_argument("--page", type=Path, help="put the tables into this page")
    options = parser.parse_args()
    page.publish(lambda: measure(options), rhythm_page.tables, options.output, options.page)


if __name__ == "__main__":
    main()
