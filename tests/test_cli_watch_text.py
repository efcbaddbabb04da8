"""A window as text: short, and harmless to the terminal it is shown on."""

from __future__ import annotations

from dataclasses import replace

import pytest
from watch_builders import RATE_HZ

from ecgedge.answer import Answer, LeadQuality, Match, Measurement, Novelty, Quality, Support
from ecgedge.cli import render_window
from ecgedge.errors import QualityRefused, ReleaseError
from ecgedge.signal.synthetic import synthesize
from ecgedge.streaming.replies import Answered, Refused
from ecgedge.streaming.told import Notice, Window

WINDOW = Window(7, 30_000, 3_660.0, 3_670.0, synthesize(rate_hz=RATE_HZ), 0.0)
ANSWER = Answer(
    source="port",
    unit="mV",
    window_s=(0.0, 10.0),
    quality=Quality("poor", ("hum in V1",), (LeadQuality("V1", "poor", ("hum",)),)),
    supports=(
        Support("AFIB", "atrial fibrillation", 0.9, (), "", 0.999, 9, 10),
        Support("LVH", "left ventricular hypertrophy", 0.5, (), "voltage", None, 4, 10),
    ),
    withheld=(),
    matches=(Match(1, 0.91, "ptb-xl/158", ("AFIB",), None, 70, "F", ""),),
    novelty=Novelty(0.99, 0.9, "unusual", "its shape"),
    measurements={
        "heart_rate": Measurement(88.4, "bpm", 9),
        "pr": Measurement(None, "ms", 0, why="no P wave"),
    },
    release="r",
    model="m",
    timings_ms={},
    notes=("made of tests",),
)


def test_an_answer_says_what_a_person_must_know_in_a_dozen_short_lines() -> None:
    lines = render_window.answered(Answered(WINDOW, ANSWER)).splitlines()
    assert lines == [
        "[7] 1:01:00 to 1:01:10  POOR",
        "    hum in V1",
        "    UNUSUAL: its shape",
        "    rate 88 bpm",
        "    p 0.99   AFIB   atrial fibrillation",
        "    4 of 10  LVH    left ventricular hypertrophy (voltage)",
        "    nearest  0.910 ptb-xl/158: atrial fibrillation",
        "    note: made of tests",
    ]


def test_what_was_noted_before_is_not_noted_again() -> None:
    assert "note" not in render_window.answered(Answered(WINDOW, ANSWER), ANSWER.notes)


def test_a_release_cannot_steer_the_terminal() -> None:
    evil = "\x1b[2J\rgood"
    support = replace(ANSWER.supports[0], name=evil, caution=evil)
    match = replace(ANSWER.matches[0], case_id=evil)
    told = replace(ANSWER, supports=(support,), matches=(match,), notes=(evil,))
    text = render_window.answered(Answered(WINDOW, told))
    text += render_window.refused(Refused(WINDOW, ReleaseError(evil), None))
    text += render_window.notice(Notice("log", evil, 1.0))
    assert text.replace("\n", "").isprintable()


@pytest.mark.parametrize(
    ("error", "verdict"),
    [(QualityRefused("flat"), "NOT ANSWERED"), (ReleaseError("damaged"), "FAILED")],
)
def test_a_window_without_an_answer_says_whether_signal_or_engine_is_at_fault(
    error: Exception, verdict: str
) -> None:
    quality = Quality("refuse", (), (LeadQuality("V1", "refuse", ("off",)), LeadQuality("I", "ok")))
    lines = render_window.refused(Refused(WINDOW, error, quality)).splitlines()
    assert lines == [f"[7] 1:01:00 to 1:01:10  {verdict}", f"    {error}", "    V1: off"]
