"""Our whole query and our encoder beside their peers: `python benchmarks/peers.py`.

One thread, one recording, everything in one run in turns, CPU time: trust the ratios more than
the milliseconds. Needs the extra `train` (torch, onnx) and about three minutes.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]
for _library in ("OMP", "OPENBLAS", "MKL"):  # one thread, also in numpy's linear algebra
    os.environ[f"{_library}_NUM_THREADS"] = "1"

import int8_rate  # noqa: E402
import numpy as np  # noqa: E402
import query  # noqa: E402
from page import publish  # noqa: E402

Call = Callable[[], Any]

#: Bars of the house: which figure, whether more is better, and what is asked.
BARS = {
    "the release's own int8 encoder against eager torch, times as fast": (True, 4.0),
    "the release's own int8 encoder against ONNX Runtime fp32, times as fast": (True, 2.5),
    "its fastest int8 encoder against eager torch, times as fast": (True, 4.0),
    "its fastest int8 encoder against ONNX Runtime fp32, times as fast": (True, 2.5),
    "whole query against ViT-B/16, times as fast": (True, 100.0),
    "whole query over the encoder alone": (False, 1.3),
    "cold query over importing numpy and onnxruntime": (False, 2.5),
    "share of the best int8 matrix rate": (True, 0.35),
}
OURS, RETRIEVAL, INT8 = "our whole query", "our retrieval alone", "our encoder, int8"
EAGER, FP32 = "our encoder, eager torch fp32", "our encoder, ONNX Runtime fp32"
VIT, VIT_ORT = "ViT-B/16 at 384 x 384, eager torch", "ViT-B/16 at 384 x 384, ONNX Runtime fp32"
RESNET, RESNET_ORT = "ResNet18-1D, eager torch", "ResNet18-1D, ONNX Runtime fp32"
PRODUCT = "the best int8 product"
_SLOW_S = 0.2  # calls that take longer are made in few of the turns
_SAME_NET = 0.05  # share of the weights by which the net in torch may differ from the release's


def measure_all(store: Path | None, cases: int, turns: int, runs: int) -> dict[str, Any]:
    """Every figure of the page; one thread."""
    import torch

    from ecgedge.casebase.release import open_store

    torch.set_num_threads(1)
    source = open_store(store)
    with tempfile.TemporaryDirectory() as folder:
        grown = query.grow_store(source, Path(folder) / "store", cases)
        calls, facts = _peers(grown.root)
        best = int8_rate.best_rate()
        size = best["m"], best["k"], best["n"]
        calls[PRODUCT] = int8_rate.multiplication(best["operator"], *size)
        laps = in_turns(calls, turns)
        cold = query.cold({"grown": grown.root}, runs)
    int8_s, product_s = laps[INT8]["cpu_ms"] / 1e3, laps.pop(PRODUCT)["cpu_ms"] / 1e3
    # In the same turns as the rest: the best of a sweep is by half the luck of the moment.
    best["gmac_s"] = math.prod(size) / product_s / 1e9
    results = {
        "release": source.manifest().id,
        "machine": query.machine() | {"torch": torch.__version__},
        "cases": cases,
        "turns": turns,
        "peers": laps,
        "cold": cold,
        "arithmetic": {**facts, "gmac_s": facts["macs"] / int8_s / 1e9, "best": best},
    }
    return results | {"bars": verdicts(results)}


def _peers(root: Path) -> tuple[dict[str, Call], dict[str, Any]]:
    """Every call that is timed, by name, and facts about our net: weights and multiplications."""
    import peer_nets as nets
    import torch

    from ecgedge.casebase.release import Store
    from ecgedge.encoders import load_encoder
    from ecgedge.engine import Engine
    from ecgedge.imaging import get_encoding
    from ecgedge.signal.conditioning import condition

    engine, (recording, *_) = Engine.open(root), query.recordings()
    encoder, encoding = engine.encoder, get_encoding(engine.encoder.spec.imaging)
    image = encoding.encode(condition(recording))[None]
    calls: dict[str, Call] = {
        OURS: lambda: engine.query(recording),
        RETRIEVAL: lambda: [hit.case for hit in engine.casebase.search(engine.embed(recording), 5)],
        INT8: lambda: encoder.encode(image),
    }
    for one in engine.manifest.alternatives:
        other = Engine.open(root, encoder=one.encoder.id).encoder
        calls[f"our encoder, {one.encoder.id}"] = lambda other=other: other.encode(image)
    torch.manual_seed(0)
    reference = Store(ROOT / "models" / "reference")
    named = reference.manifest().encoder
    fp32 = load_encoder(reference.blob(named.model), reference.blob(named.spec))
    twin = _twin(encoding.id, reference.blob(named.model))
    calls[EAGER] = nets.eager(twin, torch.from_numpy(image))
    calls[FP32] = lambda: fp32.encode(image)
    for module, in_torch, in_ort in (
        (nets.VitB16().eval(), VIT, VIT_ORT),
        (nets.ResNet18().eval(), RESNET, RESNET_ORT),
    ):
        example = torch.randn(1, *module.shape)
        calls[in_torch] = nets.eager(module, example)
        calls[in_ort] = nets.in_onnx_runtime(module, example, in_torch.split()[0].replace("/", "-"))
    macs = nets.multiplications(twin, torch.from_numpy(image))
    return calls, {"weights": nets.parameters(twin), "macs": macs}


def _twin(encoding: str, reference: Path) -> Any:
    """The net that training makes by default, with random weights.

    reference: the released net in fp32; exits where that has another number of weights.
    """
    import onnx
    import peer_nets as nets

    from ecgedge.training.checkpoint import build_towers
    from ecgedge.training.config import TrainConfig

    net = build_towers(TrainConfig(encoding, train_folds=(1,), valid_folds=(9,)))[0].eval()
    graph = onnx.load(str(reference)).graph
    known = sum(int(np.prod(one.dims)) for one in graph.initializer)
    if abs(known - nets.parameters(net)) > _SAME_NET * known:
        sys.exit(f"the net in torch has {nets.parameters(net)} weights, the released one {known}")
    return net


def in_turns(calls: Mapping[str, Call], turns: int) -> dict[str, dict[str, float]]:
    """Median and middle half of the CPU and wall time of each call, in ms.

    Each turn makes every call once unmeasured, so that its caches are its own, and once measured;
    slow ones in five of the turns only.
    """
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in calls}
    slow = {name for name, call in calls.items() if _seconds(call)[1] > _SLOW_S}
    rare = max(1, turns // 5)
    for turn in range(turns):
        for name, call in calls.items():
            if name in slow:
                if turn % rare == 0:
                    taken[name].append(_seconds(call))
            else:
                call()
                taken[name].append(_seconds(call))
    return {name: _summary(np.array(laps) * 1e3) for name, laps in taken.items()}


def _seconds(call: Call) -> tuple[float, float]:
    cpu, wall = time.process_time(), time.perf_counter()
    call()
    return time.process_time() - cpu, time.perf_counter() - wall


def _summary(laps: Any) -> dict[str, float]:
    (low, cpu, high), wall = np.percentile(laps[:, 0], [25, 50, 75]), np.median(laps[:, 1])
    figures = {"cpu_ms": cpu, "cpu_p25_ms": low, "cpu_p75_ms": high, "wall_ms": wall}
    return {name: float(value) for name, value in figures.items()} | {"calls": len(laps)}


def verdicts(results: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Each bar: what was measured, what is asked, whether it passed.

    Of the two ViT-B/16 the faster one counts.
    """
    cpu = {name: lap["cpu_ms"] for name, lap in results["peers"].items()}
    cold = results["cold"]
    arithmetic = results["arithmetic"]
    imports, started = (cold[name]["median_s"] for name in (query.IMPORTS, "ecgedge query, grown"))
    int8 = [name for name in cpu if name.startswith("our encoder") and name not in (EAGER, FP32)]
    fastest = min(cpu[name] for name in int8)
    measured = (
        cpu[EAGER] / cpu[INT8],
        cpu[FP32] / cpu[INT8],
        cpu[EAGER] / fastest,
        cpu[FP32] / fastest,
        min(cpu[VIT], cpu[VIT_ORT]) / cpu[OURS],
        cpu[OURS] / cpu[INT8],
        started / imports,
        arithmetic["gmac_s"] / arithmetic["best"]["gmac_s"],
    )
    return {
        name: {
            "measured": value,
            "asked": f"{'at least' if more else 'at most'} {bar:g}",
            "passed": value >= bar if more else value <= bar,
        }
        for (name, (more, bar)), value in zip(BARS.items(), measured, strict=True)
    }


def tables(results: Mapping[str, Any]) -> str:
    """The page's tables, in Markdown."""
    laps = results["peers"]
    ours, int8 = laps[OURS]["cpu_ms"], laps[INT8]["cpu_ms"]
    lines = ["| one thread, CPU time | over our int8 encoder | over our whole query | spread |"]
    lines += ["|---|---|---|---|"]
    for name, lap in laps.items():
        middle = lap["cpu_ms"]
        spread = (lap["cpu_p75_ms"] - lap["cpu_p25_ms"]) / middle
        lines.append(f"| {name} | {middle / int8:.2f} | {middle / ours:.2f} | {spread:.0%} |")
    it = results["arithmetic"]
    best = it["best"]
    size = f"{best['m']} x {best['k']} x {best['n']}"
    lines += [
        "",
        f"Our encoder: {it['weights'] / 1e6:.2f} million weights, {it['macs'] / 1e6:.0f} million "
        f"multiplications an ECG, so {it['gmac_s']:.1f} GMAC/s; the best int8 matrix "
        f"multiplication of ONNX Runtime here: {best['gmac_s']:.1f} GMAC/s ({best['operator']}, "
        f"{size}). One query: {ours:.2f} ms; {results['cases']} cases.",
        "",
        "| bar | measured | asked | |",
        "|---|---|---|---|",
    ]
    for name, bar in results["bars"].items():
        verdict = "PASSED" if bar["passed"] else "MISSED"
        lines.append(f"| {name} | {bar['measured']:.2f} | {bar['asked']} | {verdict} |")
    facts = ", ".join(f"{name} {value}" for name, value in results["machine"].items())
    return "\n".join([*lines, "", f"{facts}; release {results['release']}."])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", type=Path, help="release store [the built-in one]")
    parser.add_argument("--cases", type=int, default=20_000, help="size of the case base [20000]")
    parser.add_argument("--turns", type=int, default=200, help="calls of each peer [200]")
    parser.add_argument("--runs", type=int, default=7, help="new processes of each kind [7]")
    parser.add_argument("--strict", action="store_true", help="exit with 1 where a bar is missed")
    parser.add_argument("--page", type=Path, help="fill this page's table")
    parser.add_argument("-o", "--output", type=Path, help="write the JSON to this file")
    options = parser.parse_args()
    kept: dict[str, Any] = {}

    def measured() -> dict[str, Any]:
        kept.update(measure_all(options.store, options.cases, options.turns, options.runs))
        return kept

    publish(measured, tables, options.output, options.page)
    if options.strict and not all(bar["passed"] for bar in kept["bars"].values()):
        sys.exit(1)


if __name__ == "__main__":
    main()
