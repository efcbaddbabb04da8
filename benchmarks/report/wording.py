"""What each figure is called on the page, point by point."""

from __future__ import annotations

from collections.abc import Mapping

from ecgedge.evaluation.robust import CONDITIONS
from ecgedge.recording import LEADS
from ecgedge.statements import statement_name

_WAYS = {"report": "ECG to report", "ecg": "report to ECG"}
_GALLERIES = {
    "": "all of the split",
    "_1269": "abnormal, up to 1,269",
    "_dup": "an identical text counts",
}
_CONDITIONS = {
    "limb_only": "limb leads only",
    "print_3x4": "3x4 print, 2.5 s a lead",
    "print_3x4_strip": "3x4 print with a rhythm strip of II",
    "5s": "5 s recording",
    "swap_la_ra": "LA and RA swapped",
    "hum_50hz": "50 Hz hum",
    "wander": "base line wander",
}
#: Superclasses in words; other classes are in ecgedge/statements.json.
SUPERCLASSES = {
    "NORM": "normal",
    "MI": "myocardial infarction",
    "STTC": "ST and T changes",
    "CD": "conduction disturbance",
    "HYP": "hypertrophy",
}
_SCORES = {"super": "superclasses", "sub": "subclasses", "form": "form", "rhythm": "rhythm"}


def _condition(name: str) -> str:
    if name in _CONDITIONS:
        return _CONDITIONS[name]
    kind, _, rest = name.partition("_")
    if kind == "lead":
        return f"{name.removeprefix('lead_off_')} off"
    words = {"emg": "muscle noise, {} SNR", "rate": "resampled to {}"}
    return words[kind].format(rest.replace("db", " dB").replace("hz", " Hz"))


def column(name: str) -> str:
    """A figure's name as the head of a narrow column."""
    way, _, rest = name.partition("_r")
    if way in _WAYS and rest:
        return f"{_WAYS[way]}, R@{rest.partition('_')[0]}"
    words = next((held[name] for held in POINTS.values() if name in held), name)
    return words.partition(" (")[0].replace(", macro AUC", "")


def class_name(name: str) -> str:
    """ "MI: myocardial infarction" for a class of the evaluation, known or not."""
    code = name.removesuffix("_sub")
    if code != name:  # a subclass that bears a superclass' name
        return f"{code} (subclass)"
    words = SUPERCLASSES.get(code, statement_name(code))
    return code if words == code else f"{code}: {words}"


def one_lead(name: str) -> bool:
    """Whether this is the figure of one single lead off."""
    return name in {f"robust_lead_off_{lead}" for lead in LEADS}


#: Title of a point -> name of a figure -> words.
POINTS: Mapping[str, Mapping[str, str]] = {
    "1. ECG to report and back, exact pair": {
        f"{way}_r{k}{suffix}": f"{words}, {gallery}, R@{k}"
        for way, words in _WAYS.items()
        for suffix, gallery in _GALLERIES.items()
        for k in (1, 5, 10)
    },
    "2. Case retrieval": {
        f"case_{name}_{kind}": f"{words}, {kind}"
        for kind in ("diagnostic", "form", "rhythm")
        for name, words in (("p5", "precision@5"), ("ndcg10", "nDCG@10"))
    },
    "3. AUC of the retrieved labels": {
        **{f"auc_{task}": f"{words}, macro AUC" for task, words in _SCORES.items()},
        "random_encoder_auc_super": "superclasses, untrained encoder (control)",
    },
    "4. Zero-shot prompts (in-domain: trained on PTB-XL's reports)": {
        **{f"zeroshot_{task}": f"{words}, macro AUC" for task, words in _SCORES.items()},
        "zeroshot_mean": "mean of the four",
    },
    "5. Hard labels, superclasses": {
        "hard_f1": "macro F1",
        "hard_hamming": "Hamming loss (less is better)",
        "hard_balanced": "mean of sensitivity and specificity",
    },
    "6. Draft report: the nearest case's report against the true one": {
        "bleu1": "BLEU-1",
        "bleu4": "BLEU-4",
        "rouge_l": "ROUGE-L",
        "meteor": "METEOR, exact matches",
    },
    "7. Calibration and refusal": {
        "ece": "expected calibration error of the supports (less is better)",
        "ece_p05": "the same, of supports of at least .05",
        "ece_own": "the same, mean over statements of each one's own",
        "ece_super": "the same, superclasses",
        "novelty_auroc": "AUROC of novelty for recordings unlike the corpus",
        "aurc_labels": "area under risk-coverage, wrong hard labels (less is better)",
        "aurc_p5": "area under risk-coverage, 1 - precision@5 (less is better)",
    },
    "8. Robustness: change of superclass AUC": {
        "robust_lead_off": "one lead off, mean of the twelve",
        "robust_lead_off_worst": "one lead off, the worst",
        **{f"robust_{one.name}": _condition(one.name) for one in CONDITIONS},
    },
    "9. int8 beside fp32": {
        "parity_cosine_p1": "cosine of both embeddings, 1st percentile",
        "parity_top10": "overlap of the ten nearest cases",
    },
}
