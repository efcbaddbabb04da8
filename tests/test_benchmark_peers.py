"""What the peers benchmark makes of its laps, and that its networks are the ones it names."""

import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))
import peers  # noqa: E402


def results(**cpu_ms: float) -> dict[str, Any]:
    """Laps in which the encoder takes 1 ms unless said otherwise, and all that goes with them."""
    names = {"int8": peers.INT8, "ours": peers.OURS, "eager": peers.EAGER, "fp32": peers.FP32}
    names |= {"vit": peers.VIT, "vit_ort": peers.VIT_ORT, "other": "our encoder, another int8"}
    taken = dict.fromkeys(names, 1.0) | cpu_ms
    laps = {
        names[key]: {"cpu_ms": ms, "cpu_p25_ms": ms, "cpu_p75_ms": ms * 1.1, "wall_ms": ms}
        for key, ms in taken.items()
    }
    made: dict[str, Any] = {
        "release": "r", "machine": {"cpu": "c"}, "cases": 10, "peers": laps,
        "cold": {peers.query.IMPORTS: {"median_s": 0.2},
                 "ecgedge query, grown": {"median_s": 0.4}},
        "arithmetic": {"weights": 3e6, "macs": 160e6, "gmac_s": 40.0,
                       "best": {"gmac_s": 100.0, "operator": "MatMulInteger",
                                "m": 1, "k": 2, "n": 3}},
    }  # fmt: skip
    return made | {"bars": peers.verdicts(made)}


def test_a_bar_is_passed_on_its_own_side_only() -> None:
    told_ms = {"ours": 1.2, "eager": 4.5, "fp32": 2.4, "vit": 200.0, "vit_ort": 119.0, "other": 0.5}
    bars = results(**told_ms)["bars"]
    told = [(round(bar["measured"], 3), bar["passed"]) for bar in bars.values()]
    assert told == [
        (4.5, True),
        (2.4, False),
        (9.0, True),  # the faster of two int8 encoders
        (4.8, True),
        (99.167, False),  # the faster of the two ViT counts
        (1.2, True),
        (2.0, True),
        (0.4, True),
    ]


def test_the_page_says_of_every_bar_whether_it_was_met() -> None:
    page = peers.tables(results(ours=2.0, eager=8.0))
    assert page.count("PASSED") + page.count("MISSED") == len(peers.BARS)
    assert f"| {peers.EAGER} | 8.00 | 4.00 | 10% |" in page
    assert "40.0 GMAC/s" in page
    assert "100.0 GMAC/s (MatMulInteger, 1 x 2 x 3)" in page


def test_every_call_is_made_in_every_turn_once_unmeasured() -> None:
    made: list[str] = []
    calls = {name: lambda name=name: made.append(name) for name in "ab"}
    laps = peers.in_turns(calls, 3)
    assert made == ["a", "b"] + ["a", "a", "b", "b"] * 3
    assert {lap["calls"] for lap in laps.values()} == {3}


def test_the_networks_are_of_the_size_they_are_named_for() -> None:
    torch = pytest.importorskip("torch")
    import peer_nets as nets

    with torch.device("meta"):
        vit, resnet = nets.VitB16(), nets.ResNet18()
        assert resnet(torch.empty(1, *resnet.shape)).shape == (1, 512)
        assert vit(torch.empty(1, *vit.shape)).shape == (1, 768)
    assert 85e6 < nets.parameters(vit) < 88e6
    assert nets.parameters(resnet) < 12e6
    layer = torch.nn.Linear(8, 4)
    assert nets.multiplications(layer, torch.zeros(3, 8)) == 3 * 8 * 4


def test_the_best_rate_comes_from_a_product_that_runs_in_every_operator() -> None:
    pytest.importorskip("onnx")
    import int8_rate

    for name in int8_rate.OPERATORS:
        assert int8_rate._median_s(name, 8, 16, 4, 1) >= 0
