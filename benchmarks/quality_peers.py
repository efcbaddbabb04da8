"""Who else judges: neurokit2 a lead, and the novelty model of a release the electrodes."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ecgedge.engine import Engine
from ecgedge.novelty import raw_parts
from ecgedge.recording import Recording
from ecgedge.signal import traits
from ecgedge.signal.conditioning import condition

#: (reason, strength) of the faults that neurokit2 is asked about: it takes no gaps.
PEER_FAULTS = {
    ("flat", "all of the time"),
    ("saturated", "30 % of samples at a rail"),
    ("noise", "white noise, no heart"),
    ("noise", "electrode in the air: noise, hum and drift"),
    ("hum", "50 Hz, SNR 0 dB"),
    ("wander", "SNR -15 dB"),
    ("muscle noise", "SNR 5 dB"),
}
#: The novelty model's words for what the warnings name by electrodes.
_WORDS = {
    "LA/RA": "electrodes LA and RA were exchanged",
    "RA/LL": "electrodes RA and LL were exchanged",
    "LA/LL": "electrodes LA and LL were exchanged",
    "V1-V6": "V1 to V6 were attached in reverse order",
}


def peer(recording: Recording, row: int) -> str:
    """ "Excellent", "Barely acceptable" or "Unacceptable" by neurokit2's method zhao2018.

    Zhao and Zhang 2018: kurtosis, and shares of the spectrum of QRS and base line. A lead on
    which it raises (a flat one has no beats) counts as Unacceptable.
    """
    try:
        import neurokit2
    except ImportError:
        sys.exit("neurokit2 is not there: pip install -e '.[bench]', or --no-peers")
    rate = int(recording.rate_hz)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            cleaned = neurokit2.ecg_clean(recording.signal[row].astype(float), sampling_rate=rate)
            told = neurokit2.ecg_quality(cleaned, sampling_rate=rate, method="zhao2018")
        except (ValueError, IndexError, ZeroDivisionError, KeyError, TypeError):
            return "Unacceptable"
    return str(told)


def novelty_swaps(
    recordings: Mapping[str, Recording],
    exchanges: Mapping[str, Callable[[Recording], Recording]],
    alarms: int,
) -> dict[str, Any]:
    """The release's swap measure at a threshold with as many false alarms as ours, (hits, n).

    The threshold is chosen on these very recordings, in the measure's favour. Exchanges with
    the right leg are not its business. named: also by the right words.
    """
    model = Engine.open().novelty_model
    assert model is not None

    def swap(recording: Recording) -> tuple[float, str]:
        held = traits.measure(condition(recording))
        values, name = raw_parts(model.relations, model.shape, held, 1.0)
        return values.get("swap", -np.inf), name

    usual = sorted((swap(one)[0] for one in recordings.values()), reverse=True)
    threshold = usual[alarms]
    told: dict[str, Any] = {"threshold": round(threshold, 3), "named": {}, "warned": {}}
    for name, exchange in exchanges.items():
        if "RL" in name or name.count("/") == 2:
            continue
        words = _WORDS.get(name, f"{name.replace('/', ' and ')} were exchanged")
        said = [swap(exchange(one)) for one in recordings.values()]
        told["warned"][name] = (sum(value > threshold for value, _ in said), len(said))
        right = sum(value > threshold and by == words for value, by in said)
        told["named"][name] = (right, len(said))
    return told
