"""No identity leaves the centre: what is checked and masked before a release is published.

`check_schema` refuses records with fields that the format does not have; `mask_release` masks
what looks like an identifier in the reports. It is a help, not a guarantee (docs/identity.md).
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ecgedge.atomic import write_atomic
from ecgedge.casebase.release import Store
from ecgedge.central.identifiers import RULES
from ecgedge.central.masking import mask_segment
from ecgedge.central.schema import check_schema
from ecgedge.textsearch import open_text

__all__ = ["MaskReport", "check_schema", "mask_release"]

#: In a release's facts: how many of its reports were masked.
MASKED_REPORTS = "masked_reports"


@dataclass(frozen=True)
class MaskReport:
    """What was masked, never the identifiers themselves.

    release: what was looked at; published: what came of it, the same id where nothing had to
    change. reports: how many were read. cases: case id -> kind -> finds, of masked cases only.
    rewritten: files of case records without a find whose bytes were others than their records
    give today; they are replaced too.
    """

    release: str
    published: str
    reports: int
    cases: Mapping[str, Mapping[str, int]]
    rewritten: int = 0
    rules: str = RULES

    @property
    def counts(self) -> dict[str, int]:
        """Finds of each kind over all cases."""
        total: Counter[str] = Counter()
        for found in self.cases.values():
            total.update(found)
        return dict(sorted(total.items()))

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "release": self.release,
            "published": self.published,
            "reports": self.reports,
            "masked_reports": len(self.cases),
            "counts": self.counts,
            "cases": {name: dict(found) for name, found in self.cases.items()},
            "rewritten": self.rewritten,
            "rules": self.rules,
        }

    def text(self) -> str:
        """For a person at the centre, some lines."""
        if not self.reports:
            lines = ["the release holds no report texts: nothing to mask"]
        elif not self.cases:
            lines = [f"{self.reports:,} reports read, no identifier found"]
        else:
            kinds = ", ".join(f"{count} {kind}" for kind, count in self.counts.items())
            lines = [f"{self.reports:,} reports read, {len(self.cases):,} masked: {kinds}"]
        if self.rewritten:
            lines.append(
                f"{self.rewritten} files of case records written anew: their bytes were not "
                "those that their records give"
            )
        if self.reports:
            lines.append(
                "a help, not a guarantee: names without a title are not found; have somebody "
                "read a sample"
            )
        return "\n".join(lines)

    def write_csv(self, path: Path) -> None:
        """One line a case and kind, for those who can look the case up. Raises UsageError."""
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow(["case_id", "kind", "count"])
        for case_id, found in self.cases.items():
            writer.writerows((case_id, kind, count) for kind, count in sorted(found.items()))
        write_atomic(path, buffer.getvalue().encode())


def mask_release(
    store: Store, release: str | None = None, created: str | None = None
) -> tuple[str, MaskReport]:
    """Check a release and mask its reports: (the id of the release to publish, what was done).

    The id is the release's own where nothing had to change. Otherwise the masked one is added
    to the store beside it and not activated; who published it before gets the same id again.
    release: the active one when None. created: YYYY-MM-DD of a masked release, when None that
    of the original.

    Raises InputError for a record outside the schema, ReleaseError for a release that is not
    there or is damaged, UsageError where the store cannot be written.
    """
    manifest = store.manifest(release)
    check_schema(store, manifest)
    text = open_text(store, manifest)
    done = [mask_segment(store, ref, manifest.encoder.id, text) for ref in manifest.segments]
    cases = {name: dict(found) for one in done for name, found in one.masked.items()}
    rewritten = sum(
        one.ref != ref and not one.masked for one, ref in zip(done, manifest.segments, strict=True)
    )
    published = manifest
    if any(one.ref != ref for one, ref in zip(done, manifest.segments, strict=True)):
        facts = dict(manifest.corpus)
        if cases:
            facts[MASKED_REPORTS] = int(facts.get(MASKED_REPORTS, 0)) + len(cases)
        published = replace(
            manifest,
            segments=tuple(one.ref for one in done),
            created=created or manifest.created,
            corpus=facts,
        )
        store.add_release(published)
    reports = sum(one.reports for one in done)
    return published.id, MaskReport(manifest.id, published.id, reports, cases, rewritten)
