"""A folder in PTB-XL's own layout (Wagner et al. 2020): metadata, reports, signals.

`ptbxl_database.csv` names a report, SCP-ECG statements, a patient and a fold for
each record; `scp_statements.csv` says what each statement is. Rows without a
signal file are kept: their reports still teach words.
"""

from __future__ import annotations

import ast
import csv
import hashlib
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ecgedge.errors import InputError, UsageError

#: The label tasks of the PTB-XL benchmark (Strodthoff et al. 2021).
TASKS = ("super", "sub", "form", "rhythm")
SUPERCLASSES = ("NORM", "MI", "STTC", "CD", "HYP")
_COLUMNS = ("ecg_id", "patient_id", "report", "scp_codes", "strat_fold", "filename_lr")
_STATEMENT_COLUMNS = (
    "",
    "diagnostic",
    "form",
    "rhythm",
    "diagnostic_class",
    "diagnostic_subclass",
)
#: PTB-XL writes 300 for everyone over 89; we say 90 and mean 90 or more.
_OLDEST = 90
#: What a cell that is not what its column holds can raise on the way to a record.
_BAD_CELL = (
    ArithmeticError,
    AttributeError,
    MemoryError,
    RecursionError,
    SyntaxError,
    TypeError,
    ValueError,
)
_FOLDS = re.compile(r"\s*([0-9]{1,3})\s*(?:-\s*([0-9]{1,3})\s*)?")


@dataclass(frozen=True)
class CorpusRecord:
    """One past ECG as the corpus tells it.

    statements: SCP code -> likelihood in percent (0 where the corpus gives none).
    signal: path of the recording without suffix, or None where there is none.
    """

    record_id: str
    patient_id: str
    fold: int
    report: str
    statements: Mapping[str, float]
    age: int | None
    sex: str | None
    signal: Path | None


@dataclass(frozen=True)
class StatementTable:
    """What each SCP code is: the tasks of the PTB-XL benchmark.

    superclass and subclass: diagnostic code -> class. form, rhythm: sets of codes.
    """

    superclass: Mapping[str, str]
    subclass: Mapping[str, str]
    form: frozenset[str]
    rhythm: frozenset[str]

    def classes(self, task: str) -> list[str]:
        """Class names of task "super", "sub", "form" or "rhythm", in a fixed order."""
        if task == "super":
            return list(SUPERCLASSES)
        if task == "sub":
            return sorted(set(self.subclass.values()))
        return sorted(self.form if task == "form" else self.rhythm)

    def labels(self, codes: Collection[str], task: str) -> set[str]:
        """The classes of `task` that these SCP codes stand for."""
        if task in ("super", "sub"):
            table = self.superclass if task == "super" else self.subclass
            return {table[code] for code in codes if code in table}
        return set(codes) & (self.form if task == "form" else self.rhythm)

    def matrix(self, rows: Collection[Collection[str]], task: str) -> NDArray[np.bool_]:
        """Shape (len(rows), classes): membership, columns as `classes(task)`."""
        names = self.classes(task)
        held = [self.labels(codes, task) for codes in rows]
        return np.array([[name in row for name in names] for row in held], dtype=bool).reshape(
            len(held), len(names)
        )


@dataclass(frozen=True)
class Corpus:
    """A whole folder. name: prefix of every case's provenance, e.g. "ptb-xl"."""

    name: str
    root: Path
    records: tuple[CorpusRecord, ...]
    table: StatementTable

    def case_id(self, record: CorpusRecord) -> str:
        """The record's name in a case base, e.g. "ptb-xl/158"."""
        return f"{self.name}/{record.record_id}"

    def group(self, record: CorpusRecord) -> str:
        """A pseudonym equal for all records of one patient, to keep them apart in evaluation.

        It hides nothing from someone who holds the corpus; it only keeps the
        corpus' own patient numbers out of the case base.
        """
        digest = hashlib.sha256(f"{self.name}/patient/{record.patient_id}".encode())
        return digest.hexdigest()[:12]

    def select(
        self, folds: Collection[int] | None = None, *, with_signal: bool = False
    ) -> list[CorpusRecord]:
        """Records of these folds (all when None), optionally only those with a signal."""
        return [
            record
            for record in self.records
            if (folds is None or record.fold in folds)
            and (record.signal is not None or not with_signal)
        ]


def parse_folds(text: str) -> frozenset[int]:
    """ "1-8,10" -> {1..8, 10}; raises UsageError."""
    folds: set[int] = set()
    for part in text.split(","):
        found = _FOLDS.fullmatch(part)
        if found is None:
            raise UsageError(f"folds {text!r} are not written like 1-8 or 9 or 1,3,5")
        first, last = int(found[1]), int(found[2] or found[1])
        if last < first:
            raise UsageError(f"folds {text!r} run backwards: write {last}-{first}")
        folds |= set(range(first, last + 1))
    return frozenset(folds)


def load_corpus(root: Path | str, name: str = "ptb-xl") -> Corpus:
    """Read the metadata; no signal is opened. Raises InputError for another layout."""
    root = Path(root)
    table = _load_statements(root / "scp_statements.csv")
    rows = _read_csv(root / "ptbxl_database.csv", _COLUMNS)
    records = tuple(_record(root, line, row) for line, row in rows)
    if not records:
        raise InputError(f"{root}: ptbxl_database.csv has no rows")
    names = [record.record_id for record in records]
    if len(set(names)) < len(names):
        twice = next(name for place, name in enumerate(names) if name in names[:place])
        raise InputError(f"{root}: ptbxl_database.csv has the ecg_id {twice} more than once")
    return Corpus(name, root, records, table)


def _read_csv(path: Path, columns: Collection[str]) -> list[tuple[int, dict[str, str]]]:
    """Rows with the line each ends on: a report may run over several lines."""
    if not path.is_file():
        raise InputError(f"{path.parent} is not in PTB-XL's layout: {path.name} is missing")
    rows: list[tuple[int, dict[str, str]]] = []
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            missing = set(columns) - set(reader.fieldnames or ())
            if missing:
                raise InputError(f"{path} lacks the column {', '.join(sorted(missing))}")
            for row in reader:
                if None in row or None in row.values():
                    more = "more" if None in row else "fewer"
                    raise InputError(
                        f"{path.name} line {reader.line_num} has {more} cells than the header"
                    )
                rows.append((reader.line_num, row))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read: {error}") from None
    return rows


def _load_statements(path: Path) -> StatementTable:
    superclass, subclass, form, rhythm = {}, {}, set(), set()
    for line, row in _read_csv(path, _STATEMENT_COLUMNS):
        code = row[""]
        if row["diagnostic"].startswith("1"):
            if row["diagnostic_class"] not in SUPERCLASSES:
                raise InputError(
                    f"{path.name} line {line} puts {code} into diagnostic class "
                    f"{row['diagnostic_class']!r}, which is none of {', '.join(SUPERCLASSES)}"
                )
            superclass[code] = row["diagnostic_class"]
            subclass[code] = row["diagnostic_subclass"]
        if row["form"].startswith("1"):
            form.add(code)
        if row["rhythm"].startswith("1"):
            rhythm.add(code)
    return StatementTable(superclass, subclass, frozenset(form), frozenset(rhythm))


def _record(root: Path, line: int, row: Mapping[str, str]) -> CorpusRecord:
    try:
        codes = ast.literal_eval(row["scp_codes"])
        statements = {str(code): float(likelihood) for code, likelihood in codes.items()}
        return CorpusRecord(
            record_id=str(int(float(row["ecg_id"]))),
            patient_id=row["patient_id"].removesuffix(".0"),
            fold=int(float(row["strat_fold"])),
            report=row["report"].strip(),
            statements=statements,
            age=_age(row.get("age", "")),
            sex={"0": "M", "1": "F"}.get(row.get("sex", "").removesuffix(".0")),
            signal=_signal_path(root, row),
        )
    except _BAD_CELL as error:
        told = str(error).partition("\n")[0] or type(error).__name__
        raise InputError(f"ptbxl_database.csv line {line} cannot be read: {told}") from None


def _age(text: str) -> int | None:
    return min(int(float(text)), _OLDEST) if text.strip() else None


def _signal_path(root: Path, row: Mapping[str, str]) -> Path | None:
    """The 100 Hz copy where it exists (it is all cond-1 keeps), else the 500 Hz one."""
    for column in ("filename_lr", "filename_hr"):
        name = row.get(column, "").strip()
        if name and (root / f"{name}.hea").is_file():
            return root / name
    return None
