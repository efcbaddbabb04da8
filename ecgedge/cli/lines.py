"""Lines of text for a person, as every command that speaks of a recording writes them."""

from __future__ import annotations

import textwrap

from ecgedge.answer import Quality

WIDTH = 96
VERDICTS = {"ok": "good enough", "poor": "POOR", "refuse": "NOT GOOD ENOUGH"}
_MARGIN = 11  # width of the headings on the left


def plain(text: str) -> str:
    """One line of printable characters: files and reports must not steer a terminal."""
    return printable(" ".join(text.split()))


def printable(text: str) -> str:
    """The text with a question mark for every character that is none."""
    return "".join(mark if mark.isprintable() else "?" for mark in text)


def counted(number: int, noun: str) -> str:
    """A number with its noun, which takes an s unless there is one of it."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def megabytes(count: int) -> str:
    """A number of bytes for people."""
    return f"{count / 1e6:,.1f} MB" if count >= 100_000 else f"{count / 1e3:.1f} kB"


def labelled(label: str, text: str) -> list[str]:
    """Wrapped text with its heading in the left margin."""
    return textwrap.wrap(
        text, WIDTH, initial_indent=f"{label:<{_MARGIN}}", subsequent_indent=" " * _MARGIN
    )


def quality_lines(quality: Quality) -> list[str]:
    """The verdict and its reasons, then what to check before anything is leant on."""
    verdict = VERDICTS[quality.verdict]
    lines = labelled("Quality", ": ".join([verdict, *filter(None, ["; ".join(quality.reasons)])]))
    return lines + [
        line for one in quality.warnings for line in labelled("WARNING", plain(one.text))
    ]
