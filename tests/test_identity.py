"""What leaves the centre: records of the schema alone, and reports without identifiers."""

import csv
import sqlite3
import tempfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from identity_builders import CLEAN, TELLING, release
from release_builders import DATE, Grown

from ecgedge import disk
from ecgedge.casebase.release import Store
from ecgedge.casebase.segment import SegmentRef
from ecgedge.central.add import add_to_release
from ecgedge.central.identity import check_schema, mask_release
from ecgedge.central.merge import merge_release
from ecgedge.central.withdraw import withdraw
from ecgedge.errors import DamagedError, InputError, UsageError
from ecgedge.textsearch import TextSearch

REPORTS = tuple(report for report, _ in TELLING)
GONE = [word for _, words in TELLING for word in words]
SECRET = "Wilhelmine Obermoser"


def reports_of(store: Store, release_id: str) -> list[str | None]:
    base = store.casebase(store.manifest(release_id))
    return [case.report for case in base.all_cases()]


def files_of(store: Store, release_id: str) -> list[bytes]:
    return [store.blob(ref.cases).read_bytes() for ref in store.manifest(release_id).segments]


def tampered(store: Store, *statements: str) -> Store:
    """The active release with SQL done to its first segment's case records, hashes right."""
    manifest = store.manifest()
    ref = manifest.segments[0]
    path = store.root / "tampered"
    path.write_bytes(store.blob(ref.cases).read_bytes())
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA secure_delete=OFF")
        for statement in statements:
            database.execute(statement)
        database.commit()
    changed = SegmentRef(ref.vectors, store.put_blob(path), ref.count, ref.dim)
    store.activate(store.add_release(replace(manifest, segments=(changed, *manifest.segments[1:]))))
    return store


def test_a_release_without_identifiers_is_published_as_it_is(tmp_path):
    store = release(tmp_path, CLEAN, (None, CLEAN[0]))
    before = sorted(path.name for path in store.blobs.iterdir())
    published, report = mask_release(store)
    assert published == store.current_id() == report.published == report.release
    assert (report.counts, report.cases, report.rewritten) == ({}, {}, 0)
    assert report.reports == len(CLEAN) + 1
    assert sorted(path.name for path in store.blobs.iterdir()) == before


def test_the_built_in_release_passes_and_stays_byte_for_byte(tmp_path):
    import shutil

    from ecgedge.casebase.release import builtin_store

    store = Store(shutil.copytree(builtin_store().root, tmp_path / "store"))
    published, report = mask_release(store)
    assert (published, report.rewritten) == (store.current_id(), 0)


def test_nothing_is_written_into_a_store_whose_release_stays_as_it_is(tmp_path, monkeypatch):
    store = release(tmp_path, CLEAN)
    monkeypatch.setattr(disk, "create", lambda path: pytest.fail(f"{path} is written"))
    monkeypatch.setattr(disk, "rename", lambda *paths: pytest.fail(f"{paths} are renamed"))
    assert mask_release(store)[0] == store.current_id()


def test_no_room_for_temporary_files_is_a_sentence(tmp_path, monkeypatch):
    store = release(tmp_path, REPORTS)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    with pytest.raises(UsageError, match="TMPDIR"):
        mask_release(store)


def test_identifiers_are_gone_from_the_masked_release(tmp_path):
    store = release(tmp_path, REPORTS)
    published, report = mask_release(store)
    assert published != store.current_id()
    told = " ".join(filter(None, reports_of(store, published)))
    assert [word for word in GONE if word in told] == []
    assert set(report.cases) == {f"clinic0/{n}" for n in range(len(REPORTS))}
    assert store.manifest(published).corpus["masked_reports"] == len(REPORTS)


def test_no_identifier_is_left_in_the_bytes_of_the_file_or_found_by_keyword(tmp_path):
    store = release(tmp_path, (*REPORTS, *CLEAN))
    published, _ = mask_release(store)
    (data,) = files_of(store, published)
    assert [word for word in GONE if word.lower().encode() in data.lower()] == []
    # The index cuts words at their common beginnings, so its words are listed as well.
    terms = _indexed(store.blobs / store.manifest(published).segments[0].cases)
    assert {"vorhofflimmern", "name"} <= terms
    assert not terms & {"müller", "schönfeld", "okonkwo", "chidi", "1956", "00471123", "70174"}
    search = TextSearch(store.manifest(published), None, store.casebase(store.manifest(published)))
    assert search.search("Vorhofflimmern").keywords[0].case_id == "clinic0/0"
    for word in ("müller", "kowalski", "okonkwo"):
        assert all(not match.words for match in _keywords(search, word))


def _indexed(path: Path) -> set[str]:
    """Every word that a keyword index holds."""
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE VIRTUAL TABLE temp.held USING fts5vocab('main', 'words', 'row')")
        return {term for (term,) in database.execute("SELECT term FROM held")}


def _keywords(search: TextSearch, word: str) -> tuple:
    try:
        return search.search(word).keywords
    except UsageError:  # no case holds the word
        return ()


def test_only_segments_with_identifiers_get_another_name(tmp_path):
    store = release(tmp_path, CLEAN, REPORTS)
    published, report = mask_release(store)
    before, after = store.manifest().segments, store.manifest(published).segments
    assert after[0] == before[0]
    assert after[1].vectors == before[1].vectors
    assert after[1].cases != before[1].cases
    assert report.rewritten == 0


def test_ages_sex_statements_signals_and_report_less_cases_are_carried_over(tmp_path):
    store = release(tmp_path, (*REPORTS, None))
    published, _ = mask_release(store)
    old, new = store.casebase(store.manifest()), store.casebase(store.manifest(published))
    strip = [replace(case, report=None) for case in old.all_cases()]
    assert [replace(case, report=None) for case in new.all_cases()] == strip
    query = "SELECT key, signal FROM ecgs ORDER BY key"
    files = [store.blobs / store.manifest(one).segments[0].cases for one in (None, published)]
    rows = []
    for path in files:
        with closing(sqlite3.connect(path)) as database:
            rows.append(database.execute(query).fetchall())
    assert rows[0] == rows[1]
    assert len(rows[0]) == len(REPORTS) + 1


def test_masked_again_a_release_stays_and_the_original_gives_the_same_again(tmp_path):
    store = release(tmp_path, CLEAN, REPORTS)
    published, _ = mask_release(store)
    assert mask_release(store, published)[0] == published
    assert mask_release(store)[0] == published
    assert store.current_id() != published  # who publishes does not change what answers here


def test_the_report_names_cases_and_kinds_and_never_what_was_masked(tmp_path):
    store = release(tmp_path / "store", (*REPORTS, *CLEAN))
    _, report = mask_release(store)
    report.write_csv(tmp_path / "masked.csv")
    told = f"{report.to_dict()} {report.text()} {(tmp_path / 'masked.csv').read_text()}"
    assert [word for word in GONE if word in told] == []
    with (tmp_path / "masked.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert sum(int(row["count"]) for row in rows) == sum(report.counts.values())
    assert "10 reports read, 5 masked" in report.text()


def test_report_vectors_of_masked_reports_are_made_anew(tmp_path):
    from small_release import linear_text

    model, spec = linear_text([*REPORTS, *CLEAN])
    store = release(tmp_path, (*REPORTS, *CLEAN), text=(model, spec.to_json().encode()))
    published, _ = mask_release(store)
    pairs = []
    for one in (None, published):
        (segment,) = store.segments(store.manifest(one))
        pairs.append(segment.texts.vectors)
    changed = (pairs[0] != pairs[1]).any(axis=1)
    assert changed.tolist() == [True] * len(REPORTS) + [False] * len(CLEAN)


def test_leftovers_between_the_records_do_not_leave_the_centre(tmp_path):
    store = tampered(
        release(tmp_path, CLEAN),
        "CREATE TABLE scratch (told TEXT)",
        f"INSERT INTO scratch VALUES ('{SECRET}')",
        "DROP TABLE scratch",
    )
    assert SECRET.encode() in files_of(store, store.current_id())[0]  # else this shows nothing
    published, report = mask_release(store)
    assert report.rewritten == 1
    assert SECRET.encode() not in files_of(store, published)[0]


@pytest.mark.parametrize(
    ("statement", "where"),
    [
        (f"ALTER TABLE cases ADD COLUMN name TEXT DEFAULT '{SECRET}'", "table cases"),
        ("CREATE TABLE patients (name TEXT)", "a table that is none"),
        (f"CREATE VIEW told AS SELECT '{SECRET}' AS x", "a view that is none"),
        (f"INSERT INTO meta VALUES ('operator', '{SECRET}')", "table meta"),
        (f"UPDATE meta SET value = '{SECRET}' WHERE name = 'encoder_id'", "table meta"),
        (f"UPDATE cases SET case_id = '{SECRET}' WHERE key = 1", "key 1"),
        ("UPDATE cases SET case_id = 'clinic/1956-03-12' WHERE key = 1", "key 1"),
        ("UPDATE cases SET case_id = 'clinic/a.m@b' WHERE key = 1", "key 1"),
        (f"UPDATE cases SET source = '{SECRET}' WHERE key = 1", "clinic0/1"),
        (f"UPDATE cases SET patient = '{SECRET}' WHERE key = 1", "patient"),
        ("UPDATE cases SET patient = '4711' WHERE key = 1", "patient"),
        (f"UPDATE cases SET sex = '{SECRET}' WHERE key = 1", "sex"),
        (f"UPDATE cases SET age = '{SECRET}' WHERE key = 1", "age"),
        ("UPDATE cases SET age = 300 WHERE key = 1", "age"),
        ("UPDATE cases SET age = 97 WHERE key = 1", "age"),
        (f"UPDATE cases SET statements = '{{\"{SECRET}\":100.0}}' WHERE key = 1", "statements"),
        (f"UPDATE cases SET statements = '{{\"SR\":\"{SECRET}\"}}' WHERE key = 1", "statements"),
        ("UPDATE cases SET statements = '{\"SR\":101.0}' WHERE key = 1", "statements"),
        ("UPDATE cases SET report = x'00ff' WHERE key = 1", "report"),
        ("UPDATE ecgs SET signal = x'789c030000000001416461' WHERE key = 1", "key 1"),
    ],
)  # fmt: skip
def test_what_has_no_place_in_the_schema_is_refused_and_not_repeated(tmp_path, statement, where):
    store = tampered(release(tmp_path, CLEAN), statement)
    with pytest.raises(InputError) as refused:
        mask_release(store)
    assert where in str(refused.value)
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    "change",
    [
        {"corpus": {"name": "clinic", "operator": SECRET}},
        {"corpus": {"name": "clinic", "cases": SECRET}},
        {"corpus": {"name": "clinic", "folds": [SECRET]}},
        {"corpus": {"name": "clinic", "added": [{"operator": SECRET}]}},
        {"corpus": {"attribution": f"by Dr. {SECRET}"}},
        {"notes": (f"Ask Frau {SECRET}.",)},
        {"withdrawn": (SECRET,)},
        {"created": SECRET},
    ],
)
def test_facts_and_notes_that_are_none_of_ours_are_refused(tmp_path, change):
    store = release(tmp_path, CLEAN)
    manifest = replace(store.manifest(), **change)
    with pytest.raises(InputError) as refused:
        check_schema(store, manifest)
    assert SECRET not in str(refused.value)


def test_a_build_s_own_additions_are_no_strangers(tmp_path):
    store = release(tmp_path, CLEAN)
    added = [{"name": "clinic", "folds": [1, 2], "cases": 5, "skipped": 0}]
    facts = {**store.manifest().corpus, "tuned_on_cases": 5, "added": added}
    check_schema(store, replace(store.manifest(), corpus=facts))


def test_damaged_case_records_are_damaged_and_not_masked(tmp_path):
    store = release(tmp_path, REPORTS)
    path: Path = store.blobs / store.manifest().segments[0].cases
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(DamagedError):
        mask_release(store)


@pytest.mark.parametrize("signals", [False, True])
def test_what_an_index_builds_adds_withdraws_and_merges_is_published_as_it_is(tmp_path, signals):
    grown, out = Grown(tmp_path / "grown"), tmp_path / "store"
    grown.build(out, signals=signals)
    store, added = Store(out), add_to_release(grown.adding(out)).release
    gone = next(iter(store.casebase(store.manifest()).all_cases())).case_id
    withdrawn = withdraw(store, store.manifest(), [gone], DATE).release
    merged = merge_release(store, store.manifest(), DATE, every=True).release
    for one in (added, withdrawn, merged):
        published, report = mask_release(store, one)
        assert (published, report.rewritten, report.counts) == (one, 0, {})
        assert report.reports > 0


def test_additions_made_after_masking_leave_the_masked_segment_as_it_was(tmp_path):
    grown, out = Grown(tmp_path / "grown"), tmp_path / "store"
    for corpus in (grown.before, grown.after):
        table = corpus / "ptbxl_database.csv"
        table.write_text(table.read_text().replace("Befund AFIB", "Herr Obermoser: AFIB"))
    grown.build(out)
    store = Store(out)
    first, _ = mask_release(store)
    add_to_release(grown.adding(out))
    second, report = mask_release(store)
    assert "name" in report.counts
    assert store.manifest(second).segments[0] == store.manifest(first).segments[0]
