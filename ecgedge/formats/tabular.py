"""Text tables (CSV): a header row of lead names, one row a sample.

Comma, semicolon or tab; decimal commas where the semicolon separates. Comment
lines `# rate_hz: 500` and `# unit: mV` count as given with the file; a column
title may carry the unit, "II (uV)". Columns that are no ECG lead, such as time,
are left out. Empty cells and "nan" are missing samples.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ecgedge.errors import InputError, UsageError
from ecgedge.formats import facts
from ecgedge.recording import MAX_SAMPLES, Recording, Unit, assemble, parse_lead

#: Twelve leads, ten minutes, 500 Hz; parsing takes several times this in memory.
MAX_TEXT_BYTES = 32 << 20

# Plain strings: `re` compiles them when they are first needed, which costs a millisecond.
_TITLE_UNIT = r"(.*?)\s*[(\[]\s*([µμun]?v|mv|nu)\s*[)\]]"
_STATED = r"#\s*(rate_hz|rate|unit)\s*[:=]\s*(\S+)"
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d{1,3})?|[-+]?(?:nan|inf|infinity)"
_MISSING = ("", "na", "null", "none")


@dataclass(frozen=True)
class _Table:
    """header: the first row as written, whose cells are the titles.

    line_numbers: where each data row stands in the file, for messages.
    """

    header: str
    header_line: int
    titles: tuple[str, ...]
    rows: list[str]
    line_numbers: list[int]
    delimiter: str
    comments: tuple[str, ...]


def names_leads(text: str) -> bool:
    """Whether a text opens like a table with at least one ECG lead in its header row."""
    try:
        table = _split(text)
    except InputError:
        return False
    return any(parse_lead(_title(title)[0]) is not None for title in table.titles)


def read_table(
    text: str,
    *,
    rate_hz: float | None = None,
    unit: str | None = None,
    leads: Sequence[str] | None = None,
    source: str = "",
) -> Recording:
    """Read a whole table.

    Raises InputError for text that is no such table, naming the line, and
    UsageError where rate or unit are stated nowhere or contradict.
    """
    table = _name_columns(_split(text), leads)
    titles = [_title(title) for title in table.titles]
    names = facts.settle_leads([name for name, _ in titles], leads)
    ecg = facts.ecg_channels(names)
    stated_rate, stated_unit = _stated(table.comments)
    rate_hz = facts.settle_rate(stated_rate, rate_hz)
    units = [titles[index][1] or stated_unit for index in ecg]
    factors, own_unit = _scales(units, unit)
    values = _values(table, ecg)
    with np.errstate(over="ignore"):
        signal = values * np.array(factors)[:, None]
    facts.check_amplitude(signal)
    return assemble(
        [names[index] for index in ecg],
        signal,
        rate_hz=rate_hz,
        unit=own_unit,
        source=source,
        meta=facts.person("\n".join(table.comments)),
    )


def _split(text: str) -> _Table:
    """Separate comments, header row and data rows; no number is parsed yet."""
    comments: list[str] = []
    rows: list[str] = []
    line_numbers: list[int] = []
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), start=1):
        if line.lstrip().startswith("#"):
            comments.append(line.strip())
        elif line.strip(" \t,;"):
            rows.append(line)
            line_numbers.append(number)
    if not rows:
        raise InputError("the text holds no table")
    delimiter = max(";\t,", key=rows[0].count)
    titles = tuple(cell.strip().strip("\"'") for cell in rows[0].split(delimiter))
    return _Table(
        rows[0], line_numbers[0], titles, rows[1:], line_numbers[1:], delimiter, tuple(comments)
    )


def _name_columns(table: _Table, leads: Sequence[str] | None) -> _Table:
    """The table with titles that name leads; a first row of numbers needs them given."""
    if all(_is_number(title) or title.lower() in _MISSING for title in table.titles):
        if leads is None:
            raise UsageError(
                "the table has no header row: name its columns, as in --leads I,II,V1,V2"
            )
        return replace(
            table,
            titles=("",) * len(table.titles),
            rows=[table.header, *table.rows],
            line_numbers=[table.header_line, *table.line_numbers],
        )
    if leads is None and not any(parse_lead(_title(title)[0]) for title in table.titles):
        raise InputError(f"line {table.header_line} should name the ECG leads and names none")
    return table


def _is_number(cell: str) -> bool:
    return re.fullmatch(_NUMBER, cell, re.I) is not None


def _title(title: str) -> tuple[str, str | None]:
    """ "II (uV)" -> ("II", "uV")."""
    if not title.endswith((")", "]")):
        return title, None
    match = re.fullmatch(_TITLE_UNIT, title, re.I)
    return (match[1], match[2]) if match else (title, None)


def _stated(comments: Sequence[str]) -> tuple[float | None, str | None]:
    """Sampling rate and unit that comment lines give."""
    rate: float | None = None
    unit: str | None = None
    for comment in comments:
        match = re.match(_STATED, comment, re.I)
        if match is None:
            continue
        if match[1].lower() == "unit":
            unit = match[2]
        elif _is_number(match[2]):
            rate = float(match[2])
        else:
            raise InputError("the comment line that states the rate holds no number")
    return rate, unit


def _scales(units: Sequence[str | None], given: str | None) -> tuple[list[float], Unit]:
    """Factor into mV or NU a lead, from the file or, where it is silent, the caller."""
    if any(unit is None for unit in units) and given is None:
        raise UsageError(
            "the file does not state its unit: add it, as in --unit mV (or uV, or NU if unknown)"
        )
    parsed = [
        facts.given_unit(given or "") if unit is None else facts.parse_unit(unit) for unit in units
    ]
    own = facts.common_unit(unit for unit, _ in parsed)
    if any(unit is not None for unit in units):
        facts.settle_unit(own, given)
    return [factor for _, factor in parsed], own


def _values(table: _Table, columns: Sequence[int]) -> NDArray[np.float64]:
    """The chosen columns as numbers, shape (len(columns), rows)."""
    if not 0 < len(table.rows) <= MAX_SAMPLES:
        raise InputError(f"the table has {len(table.rows)} rows of samples, no resting ECG")
    separators = len(table.titles) - 1
    for row, number in zip(table.rows, table.line_numbers, strict=True):
        if row.count(table.delimiter) != separators:
            found = row.count(table.delimiter) + 1
            raise InputError(
                f"line {number} has {found} columns where the header row has {separators + 1}"
            )
    rows = table.rows
    if table.delimiter == ";":
        rows = [row.replace(",", ".") for row in rows]
    try:
        # numpy's C parser; it takes neither empty cells nor quotes, hence the second way.
        fast: NDArray[np.float64] = np.loadtxt(
            rows, delimiter=table.delimiter, usecols=columns, ndmin=2, comments=None
        ).T
        return fast
    except ValueError:
        return _values_cell_by_cell(rows, table, columns)


def _values_cell_by_cell(
    rows: Sequence[str], table: _Table, columns: Sequence[int]
) -> NDArray[np.float64]:
    values = np.full((len(columns), len(rows)), np.nan)
    for index, (row, number) in enumerate(zip(rows, table.line_numbers, strict=True)):
        cells = row.split(table.delimiter)
        for target, column in enumerate(columns):
            cell = cells[column].strip().strip("\"'").strip()
            if cell.lower() in _MISSING:
                continue
            if not _is_number(cell):
                raise InputError(f"line {number}, column {column + 1} is no number")
            values[target, index] = float(cell)
    return values
