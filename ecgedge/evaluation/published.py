"""What others published under the same names of figures, and why it is not the same thing.

Copied from the papers and repositories named; nothing here was measured by us. None
of it is on this split, so it is for orientation, not comparison.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_QIU = "patients on both sides of the split; translated text; most likely re-ranked by a second net"
_QIU_NAMES = tuple(f"{way}_r{k}_1269" for way in ("report", "ecg") for k in (1, 5, 10))
_WHOLE_NAMES = tuple(f"{way}_r{k}" for way in ("report", "ecg") for k in (1, 5, 10))
_AUCS = ("auc_super", "auc_sub", "auc_form", "auc_rhythm")
_ZERO_SHOT = ("zeroshot_super", "zeroshot_sub", "zeroshot_form", "zeroshot_rhythm")
_HARD = ("hard_f1", "hard_hamming", "hard_balanced")
_TEXT = ("bleu1", "bleu4", "rouge_l", "meteor")
_GENERATED = "label strings that a 7-billion-parameter model wrote on reading an image"
_TEMPLATES = "in-domain text scores reward a reused template"


@dataclass(frozen=True)
class Published:
    """One system's figures. values: name of our figure -> theirs (share, not percent).

    trained: on what, with PTB-XL called in-domain. tested: records, gallery. caution:
    what makes it another thing than ours; may be empty.
    """

    system: str
    values: dict[str, float]
    trained: str
    tested: str
    caution: str = ""


def _system(
    system: str,
    names: Sequence[str],
    figures: Iterable[float | None],
    trained: str,
    tested: str,
    caution: str = "",
) -> Published:
    pairs = zip(names, figures, strict=True)
    values = {name: figure for name, figure in pairs if figure is not None}
    return Published(system, values, trained, tested, caution)


#: The first system that has a figure is the one put beside it in the terminal's table.
SYSTEMS: tuple[Published, ...] = (
    _system(
        "Qiu 2023, three image encodings",
        _QIU_NAMES,
        (0.0788, 0.2451, 0.3404, 0.0827, 0.2396, 0.3491),
        "in-domain, about 8,600 pairs; ViT-B and BERT from BLIP",
        "abnormal, N = 1,269",
        _QIU,
    ),
    _system(
        "Qiu 2023, one plotted beat",
        _QIU_NAMES,
        (0.0551, 0.1716, 0.2564, 0.0498, 0.1708, 0.2605),
        "in-domain, about 8,600 pairs",
        "abnormal, N = 1,269",
        _QIU,
    ),
    _system(
        "ECG-Chat, plain reports",
        _WHOLE_NAMES,
        (0.0214, 0.0665, 0.0960, 0.0237, 0.0610, 0.1020),
        "zero-shot, 805,000 pairs of other collections",
        "PTB-XL, N about 2,000",
    ),
    _system(
        "ECG-Chat, measurements pasted into the reports",
        _WHOLE_NAMES,
        (0.647, 0.847, 0.894, 0.716, 0.890, 0.930),
        "zero-shot, 805,000 pairs of other collections",
        "PTB-XL, N about 2,000",
        "the text was made unique by intervals measured on the very ECG",
    ),
    _system(
        "Strodthoff 2021, supervised",
        _AUCS,
        (0.930, 0.930, 0.899, 0.957),
        "in-domain, 17,000 labelled records; the best net of each task",
        "fold 10, about 2,158 (form 880)",
        "trained on twelve times our recordings",
    ),
    _system(
        "ECG-Greedy, scalograms and signal",
        ("auc_super",),
        (0.9238,),
        "in-domain, supervised, 17,000 records",
        "PTB-XL",
    ),
    _system(
        "MERL 2024",
        _ZERO_SHOT,
        (0.742, 0.757, 0.659, 0.785),
        "zero-shot, 771,693 pairs of MIMIC-IV-ECG",
        "fold 10: 2,158 / 2,158 / 880 / 2,098",
        "checkpoint chosen on validation splits of the same sets; ours is in-domain",
    ),
    _system(
        "D-BETA 2025",
        _ZERO_SHOT,
        (0.762, 0.759, 0.661, 0.886),
        "zero-shot, MIMIC-IV-ECG",
        "fold 10, as MERL",
        "partly second-hand; ours is in-domain",
    ),
    _system(
        "PULSE-7B",
        _HARD,
        (0.748, 0.110, 0.824),
        "instructions made from PTB-XL and others, 1.16 million",
        "PTB-XL, 2,082",
        _GENERATED,
    ),
    _system(
        "GEM 2025 on PULSE",
        _HARD,
        (0.758, 0.110, 0.834),
        "as PULSE-7B, and grounded instructions",
        "PTB-XL, 2,082",
        _GENERATED,
    ),
    _system(
        "GPT-4o",
        _HARD,
        (0.283, 0.262, 0.556),
        "zero-shot",
        "PTB-XL, 2,082",
        "reads images; can read printed measurements",
    ),
    _system(
        "MEIT, LLaMA-2-70B",
        _TEXT,
        (None, 0.477, 0.632, 0.711),
        "in-domain, generates the report",
        "PTB-XL",
        _TEMPLATES,
    ),
    _system(
        "MEIT, Mistral-7B",
        _TEXT,
        (None, 0.418, 0.568, 0.662),
        "in-domain, generates the report",
        "PTB-XL",
        _TEMPLATES,
    ),
    _system(
        "ECG-ReGen, the nearest case's report",
        _TEXT,
        (0.801, 0.700, 0.836, 0.836),
        "in-domain retrieval",
        "PTB-XL",
        "second-hand, from a re-implementation's table: treat with care",
    ),
    _system(
        "ECG-Chat with diagnosis prompt",
        _TEXT,
        (0.3227, 0.1119, 0.2993, 0.3510),
        "zero-shot, MIMIC-IV-ECG",
        "PTB-XL",
    ),
    _system(
        "linear probe on a random ViT",
        ("random_encoder_auc_super",),
        (0.76,),
        "no training of the encoder (Berger 2026)",
        "PTB-XL",
    ),
    _system(
        "linear probe on a random ResNet",
        ("random_encoder_auc_super",),
        (0.87,),
        "no training of the encoder (Berger 2026)",
        "PTB-XL",
    ),
)


def beside(name: str) -> tuple[float, str] | None:
    """(value, system) put beside one of our figures, or None."""
    for system in SYSTEMS:
        if name in system.values:
            return system.values[name], system.system
    return None
