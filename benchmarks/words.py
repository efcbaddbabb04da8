"""Search by words, by meaning beside by keywords: `python benchmarks/words.py CORPUS`.

Asks words_queries.toml of a release's case base and prints precision@10 for English and
German. A case is right when it carries a statement of every finding that a query names.
Then, to settle how reports and images are mixed, the mean average precision of each share
on a case base of the validation fold, whose reports and signals no tower was trained on.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np  # noqa: E402

from ecgedge.casebase.meaning import DEFAULT_SHARES, Asked, Shares, by_meaning  # noqa: E402
from ecgedge.casebase.search import CaseBase  # noqa: E402
from ecgedge.casebase.segment import CaseRecord, Segment, write_segment  # noqa: E402
from ecgedge.central.cases import case_texts  # noqa: E402
from ecgedge.corpora.ptbxl import load_corpus, parse_folds  # noqa: E402
from ecgedge.errors import EcgedgeError, UsageError  # noqa: E402
from ecgedge.evaluation.figures import mean_figure  # noqa: E402
from ecgedge.evaluation.subject import Subject, embed_split, open_subject  # noqa: E402
from ecgedge.textsearch import TextSearch, as_asked  # noqa: E402

AT = 10
BEGIN, END = "<!-- benchmarks/words.py -->", "<!-- end -->"
#: Fewer right cases than this, and a query says little about a ranking.
LEAST = {"release": 10, "validation": 3}
STATEMENT_SHARES, REPORT_SHARES = (0.0, 0.5, 0.8, 0.9, 1.0), (0.0, 0.5, 0.7, 1.0)
DRAWS = 1000


@dataclass(frozen=True)
class Query:
    """One text and what it is after: a code of every set."""

    text: str
    language: str
    find: tuple[frozenset[str], ...]

    def right(self, codes: Sequence[str]) -> bool:
        return all(wanted & set(codes) for wanted in self.find)


def load_queries() -> list[Query]:
    rows = tomllib.loads(Path(__file__).with_name("words_queries.toml").read_text("utf-8"))
    return [
        Query(row[language], language, tuple(map(frozenset, row["find"])))
        for language in ("en", "de")
        for row in rows["query"]
    ]


def precision(search: TextSearch, queries: Sequence[Query]) -> list[dict[str, Any]]:
    """Precision@10 of both lists for every query with enough right cases."""
    cases = search.casebase.all_cases()
    rows = []
    for query in queries:
        held = sum(query.right(list(case.statements)) for case in cases)
        if held < LEAST["release"]:
            continue
        try:
            answer = search.search(query.text, AT)
            found = {"meaning": answer.meaning, "keywords": answer.keywords}
        except UsageError:  # not one word is known to either: nothing is found
            found = {"meaning": (), "keywords": ()}
        rates = {
            name: sum(query.right(match.statements) for match in matches) / AT
            for name, matches in found.items()
        }
        facts = {"text": query.text, "language": query.language, "findings": len(query.find)}
        rows.append({**facts, "right_cases": held, "chance": held / len(cases), **rates})
    return rows


def summarise(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Mean precision with its interval over queries, by language and number of findings."""
    groups = {
        "English": [row for row in rows if row["language"] == "en"],
        "German": [row for row in rows if row["language"] == "de"],
        "one finding": [row for row in rows if row["findings"] == 1],
        "two findings": [row for row in rows if row["findings"] > 1],
        "all": list(rows),
    }
    return {name: _figures(held) for name, held in groups.items() if held}


def _figures(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    draws = np.random.default_rng(0).multinomial(
        len(rows), np.full(len(rows), 1 / len(rows)), size=DRAWS
    )
    chance = np.array([row["chance"] for row in rows])
    columns = {name: np.array([row[name] for row in rows]) for name in ("meaning", "keywords")}
    columns["difference"] = columns["meaning"] - columns["keywords"]
    return {
        name: mean_figure(values, draws.astype(float), chance=chance).to_dict()
        for name, values in columns.items()
    }


def mix(subject: Subject, corpus_path: Path, folds: frozenset[int]) -> dict[str, Any]:
    """Mean average precision by the reports' share, on a case base of these folds."""
    corpus, text = load_corpus(corpus_path), subject.text
    assert text is not None
    found = embed_split(corpus.select(folds, with_signal=True), [subject], lambda it, *_: it)
    cases = [
        CaseRecord(corpus.case_id(one), dict(one.statements), None, None, None, "", "")
        for one in found.records
    ]
    texts = case_texts(text, [record.report for record in found.records])
    held = [set(case.statements) for case in cases]
    queries = [
        query
        for query in load_queries()
        if sum(map(query.right, held)) >= LEAST["validation"] and text.knows(query.text)
    ]
    with tempfile.TemporaryDirectory() as folder:
        spec = subject.engine.encoder.spec
        ref = write_segment(
            Path(folder), found.embeddings[0], cases, encoder_id=spec.id, texts=texts
        )
        base = CaseBase([Segment.open(Path(folder), ref, spec.id)])
        asked = [(query, as_asked(text, query.text)) for query in queries]
        means = [
            {"statement": statement, "report": report}
            | {"map": _mean_precision(base, asked, Shares(statement, report))}
            for statement in STATEMENT_SHARES
            for report in REPORT_SHARES
        ]
    used = asdict(DEFAULT_SHARES)
    return {"cases": len(cases), "queries": len(queries), "used": used, "shares": means}


def _mean_precision(base: CaseBase, asked: Sequence[tuple[Query, Asked]], shares: Shares) -> float:
    values = []
    for query, vectors in asked:
        hits = by_meaning(base, vectors, len(base), shares)
        right = np.array([query.right(hit.codes) for hit in hits])
        ranks = np.arange(1, len(right) + 1)
        values.append(float((np.cumsum(right) / ranks)[right].mean()))
    return float(np.mean(values))


def render(result: dict[str, Any]) -> str:
    """Markdown for docs/words.md."""
    lines = [
        f"Precision@{AT} with its 95 % interval over queries; release {result['release']}, "
        f"{result['cases']} cases:",
        "",
        "| queries | n | meaning | keywords | difference | by chance |",
        "|---|---|---|---|---|---|",
    ]
    for name, row in result["precision"].items():
        cells = [_cell(row[column]) for column in ("meaning", "keywords", "difference")]
        lines.append(
            f"| {name} | {row['meaning']['n']} | {' | '.join(cells)} "
            f"| {row['meaning']['chance']:.2f} |"
        )
    return "\n".join([*lines, "", *_render_mix(result["mix"])])


def _render_mix(found: dict[str, Any]) -> list[str]:
    lines = [
        f"Mean average precision, {found['cases']} validation cases, {found['queries']} queries, "
        "by the statements' share of the score (columns) and the reports' share of the rest "
        f"(in use: {found['used']['statement']}, {found['used']['report']}):",
        "",
        f"| report | {' | '.join(map(str, STATEMENT_SHARES))} |",
        "|---" * (len(STATEMENT_SHARES) + 1) + "|",
    ]
    for report in REPORT_SHARES:
        row = [f"{one['map']:.3f}" for one in found["shares"] if one["report"] == report]
        lines.append(f"| {report} | {' | '.join(row)} |")
    return lines


def _cell(figure: dict[str, Any]) -> str:
    return f"{figure['value']:.2f} [{figure['lo']:.2f}, {figure['hi']:.2f}]"


def write_between(page: Path, tables: str) -> None:
    """Put the tables between the page's two markers."""
    text = page.read_text("utf-8")
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    page.write_text(f"{head}{BEGIN}\n{tables}\n{END}{tail}", "utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--store", type=Path, help="Release store [built in].")
    parser.add_argument("--folds", default="9", help="Folds for the mix [9].")
    parser.add_argument("-o", "--output", type=Path, help="Write the figures as JSON here.")
    parser.add_argument("--document", type=Path, help="Renew the tables of this page.")
    options = parser.parse_args()
    try:
        subject = open_subject(options.store)
        if subject.text is None:
            raise UsageError("this release holds no text tower")
        search = TextSearch.open(options.store)
        rows = precision(search, load_queries())
        result = {
            "release": search.manifest.id,
            "cases": len(search.casebase),
            "in_domain": "the text tower has read the reports of these cases",
            "precision": summarise(rows),
            "mix": mix(subject, options.corpus, parse_folds(options.folds)),
            "queries": rows,
        }
    except EcgedgeError as error:
        sys.exit(f"benchmarks/words.py: {error}")
    if options.document:
        write_between(options.document, render(result))
    if options.output:
        options.output.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", "utf-8")
    print(render(result))


if __name__ == "__main__":
    main()
