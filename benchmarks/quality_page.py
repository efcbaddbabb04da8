"""The tables of docs/quality.md."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_BAR = 0.02
_ROBUST = {
    "robust_hum_50hz": "hum, 50 Hz",
    "robust_wander": "base line wander",
    "robust_lead_off": "one lead off, mean of the twelve",
    "robust_lead_off_worst": "one lead off, the one that costs most",
}


def render(results: Mapping[str, Any]) -> str:
    """All tables, from what benchmarks/quality.py measured."""
    sets = results["sets"]
    judged = {name: one for name, one in sets.items() if "faults" in one}
    parts = ["### Recordings as they are", _clean(sets)]
    parts += ["### One fault in one lead", _faults(judged)]
    parts += ["### Limb leads that contradict each other", _simple(judged, "contradictions")]
    parts += ["### Electrodes exchanged", _exchanges(sets)]
    if any(one["pulses"] for one in judged.values()):
        parts += ["### Calibration pulses (mV only)", _simple(judged, "pulses")]
    if any("peer" in one for one in judged.values()):
        parts += ["### Beside neurokit2", _peer(judged)]
    parts += ["### What it does to the answer", _robust(results["robust"])]
    return "\n\n".join([*parts, _cost(judged)])


def _share(one: Mapping[str, Any]) -> str:
    """ "98.4 % (95.3-99.4)"."""
    if one["value"] is None:
        return "-"
    return f"{one['value']:.1%} ({one['lo'] * 100:.1f}-{one['hi'] * 100:.1f})".replace("%", " %")


def _table(head: Sequence[str], rows: Iterator[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def _clean(sets: Mapping[str, Any]) -> str:
    def rows() -> Iterator[Sequence[str]]:
        told = {name: one["clean"] for name, one in sets.items()}
        yield "recordings", *(str(one["recordings"]) for one in told.values())
        for word in ("poor", "refuse"):
            yield f"{word}", *(_share(one["verdicts"][word]) for one in told.values())
        yield "limb leads contradict", *(_share(one["contradictions"]) for one in told.values())
        yield "electrodes warned of", *(_share(one["warned"]) for one in told.values())
        yield "which", *(_which(one["warnings"]) for one in told.values())
        yield "calibration pulse cut", *(_share(one["pulses"]) for one in told.values())
        yield "leads refused", *(_share(one["refused_leads"]) for one in told.values())
        reasons = dict.fromkeys(word for one in told.values() for word in one["leads"])
        for word in reasons:
            none = {"value": None}
            yield f"leads: {word}", *(_share(one["leads"].get(word, none)) for one in told.values())

    return _table(["", *sets], rows())


def _which(warnings: Mapping[str, str]) -> str:
    return ", ".join(f"{exchange} ({record})" for record, exchange in warnings.items()) or "-"


def _faults(judged: Mapping[str, Any]) -> str:
    names = list(judged)
    keyed = {
        name: {(row["reason"], row["strength"]): row for row in one["faults"]}
        for name, one in judged.items()
    }
    keys = dict.fromkeys(key for rows in keyed.values() for key in rows)

    def rows() -> Iterator[Sequence[str]]:
        for reason, strength in keys:
            held = [keyed[name].get((reason, strength)) for name in names]
            meant = next(row["meant"] for row in held if row)
            cells = [f"{_share(row[what])}" if row else "-" for row in held
                     for what in ("recall", "precision", "refused")]  # fmt: skip
            yield reason, strength if meant else f"{strength}, not meant to be told", *cells

    head = [f"{name}: {what}" for name in names for what in ("recall", "precision", "lead refused")]
    return _table(["reason", "strength", *head], rows())


def _simple(judged: Mapping[str, Any], part: str) -> str:
    held = {name: one[part] for name, one in judged.items() if one[part]}
    first = next(iter(held.values()))
    label = "where" if part == "pulses" else "strength"

    def rows() -> Iterator[Sequence[str]]:
        for number, row in enumerate(first):
            yield row[label], *(_share(rows_[number]["recall"]) for rows_ in held.values())

    return _table([label, *(f"{name}: recall" for name in held)], rows())


def _exchanges(sets: Mapping[str, Any]) -> str:
    names = list(sets)

    def rows() -> Iterator[Sequence[str]]:
        for number, row in enumerate(sets[names[0]]["exchanges"]):
            cells = []
            for name in names:
                ours = sets[name]["exchanges"][number]
                cells += [_share(ours["named"]), _share(ours["warned"])]
                if "novelty" in sets[name]:
                    theirs = sets[name]["novelty"]
                    held = [theirs[what].get(row["exchange"]) for what in ("named", "warned")]
                    cells += [_share(one) if one else "-" for one in held]
            yield row["exchange"], *cells

    head = []
    for name in names:
        head += [f"{name}: named rightly", "warned of any"]
        if "novelty" in sets[name]:
            head += ["by the release's swap measure: named rightly", "any"]
    return _table(["exchange", *head], rows())


#: Column -> key of a row of the comparison.
_PEER = {
    "ours: told": "ours fault marked",
    "ours: false alarm": "ours clean marked",
    "neurokit2 not Excellent: told": "peer fault marked",
    "false alarm": "peer clean marked",
    "neurokit2 Unacceptable: told": "peer fault refused",
    "false alarm ": "peer clean refused",
}


def _peer(judged: Mapping[str, Any]) -> str:
    def rows() -> Iterator[Sequence[str]]:
        for name, one in judged.items():
            for row in one.get("peer", ()):
                yield name, row["fault"], *(_share(row[key]) for key in _PEER.values())

    return _table(["recordings", "fault", *(title.strip() for title in _PEER)], rows())


def _robust(robust: Mapping[str, Any]) -> str:
    def rows() -> Iterator[Sequence[str]]:
        for name, one in robust.items():
            what = _ROBUST[name]
            what += f", SNR {one['snr_db']} dB" if one["snr_db"] is not None else ""
            what += f" ({one['lead']})" if one["lead"] else ""
            within = "yes" if abs(one["value"]) < _BAR else "no"
            interval = f"{one['lo']:+.4f} to {one['hi']:+.4f}"
            yield what, f"{one['value']:+.4f}", interval, str(one["n"]), within

    head = ["fault", "change of the superclasses' AUC", "95 % interval", "n", f"under {_BAR:g}"]
    return _table(head, rows())


def _cost(judged: Mapping[str, Any]) -> str:
    told = "; ".join(f"{name} {one['cost']['assess_ms']:.2f} ms" for name, one in judged.items())
    return f"One verdict with its warnings takes, in processor time: {told}."
