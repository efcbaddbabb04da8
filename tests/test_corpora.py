"""Corpora: a folder in PTB-XL's layout is read as it is written, or refused by its line."""

import csv

import evaluation_builders as build
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecgedge.corpora.ptbxl import SUPERCLASSES, StatementTable, load_corpus, parse_folds
from ecgedge.errors import InputError, UsageError

FOLDS = st.integers(0, 999)


@given(st.lists(st.tuples(FOLDS, FOLDS).map(sorted), min_size=1, max_size=5), st.booleans())
def test_folds_written_as_ranges_are_read_as_those_ranges(ranges, spaced):
    text = (" , " if spaced else ",").join(f"{a}-{b}" if a != b else f"{a}" for a, b in ranges)
    assert parse_folds(text) == {fold for a, b in ranges for fold in range(a, b + 1)}


@pytest.mark.parametrize(
    "text", ["", " ", "1,", ",1", "-3", "3-", "8-1", "8-1,3", "1--3", "1-2-3", "1.5", "a", "1_0",
             "+1", "1000", "1-99999999999", "²", "٣"]
)  # fmt: skip
def test_folds_that_are_not_written_like_folds_are_a_usage_error(text):
    with pytest.raises(UsageError):
        parse_folds(text)


@given(st.text(max_size=12))
def test_any_text_is_folds_or_a_usage_error(text):
    try:
        folds = parse_folds(text)
    except UsageError:
        return
    assert folds
    assert all(0 <= fold <= 999 for fold in folds)


def rewritten(root, name="ptbxl_database.csv", *, row=0, drop=(), **cells):
    """The corpus in root with some cells of one row, or whole columns, changed on disk."""
    with (root / name).open(newline="", encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    names = [column for column in [*table[0], *(set(cells) - set(table[0]))] if column not in drop]
    table[row] |= cells
    with (root / name).open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(table)
    return root


@pytest.fixture
def root(tmp_path):
    """Six records of three patients in fold 1; the last has no signal."""
    build.write_corpus(tmp_path / "corpus", build.rows(6, unheard=1))
    return tmp_path / "corpus"


def test_every_row_becomes_a_record_with_its_facts(root):
    corpus = load_corpus(root)
    assert [record.record_id for record in corpus.records] == ["1", "2", "3", "4", "5", "6"]
    first = corpus.records[2]
    assert (first.patient_id, first.fold, first.report) == ("2", 1, "Vorhofflimmern")
    assert first.statements == {"AFIB": 0.0, "NDT": 50.0}
    assert first.signal == root / "records100" / "00003_lr"


def test_a_row_without_a_signal_keeps_its_report(root):
    corpus = load_corpus(root)
    assert corpus.records[5].signal is None
    assert corpus.records[5].report == "Linksschenkelblock 6"
    assert len(corpus.select()) == 6
    assert [r.record_id for r in corpus.select(with_signal=True)] == ["1", "2", "3", "4", "5"]
    assert corpus.select({2}) == []


def test_the_100_hz_copy_is_read_where_there_is_one_and_the_500_hz_file_elsewhere(root):
    high = root / "records500" / "00001_hr"
    build.write_signal(high, build.Row(1, 1, 1, 0))
    rewritten(root, filename_hr="records500/00001_hr")
    assert load_corpus(root).records[0].signal == root / "records100" / "00001_lr"
    (root / "records100" / "00001_lr.hea").unlink()
    assert load_corpus(root).records[0].signal == high
    high.with_name("00001_hr.hea").unlink()
    assert load_corpus(root).records[0].signal is None


@pytest.mark.parametrize(
    ("cell", "age"),
    [("300", 90), ("300.0", 90), ("91", 90), ("90", 90), ("56.0", 56), ("0", 0), ("", None)],
)
def test_ages_over_89_are_said_as_90_and_a_missing_one_stays_missing(root, cell, age):
    assert load_corpus(rewritten(root, age=cell)).records[0].age == age


@pytest.mark.parametrize(
    ("cell", "sex"), [("0", "M"), ("1", "F"), ("0.0", "M"), ("1.0", "F"), ("", None), ("2", None)]
)
def test_sex_is_0_for_men_and_1_for_women(root, cell, sex):
    assert load_corpus(rewritten(root, sex=cell)).records[0].sex == sex


def test_age_and_sex_may_be_columns_the_corpus_does_not_have(root):
    first = load_corpus(rewritten(root, drop=("age", "sex", "filename_hr"))).records[0]
    assert (first.age, first.sex) == (None, None)


@pytest.mark.parametrize("name", ["ptbxl_database.csv", "scp_statements.csv"])
def test_a_folder_without_one_of_the_two_tables_is_refused(root, name):
    (root / name).unlink()
    with pytest.raises(InputError, match=f"not in PTB-XL's layout: {name} is missing"):
        load_corpus(root)


@pytest.mark.parametrize(
    ("name", "column"),
    [("ptbxl_database.csv", "strat_fold"), ("ptbxl_database.csv", "report"),
     ("scp_statements.csv", "rhythm"), ("scp_statements.csv", "diagnostic_subclass")],
)  # fmt: skip
def test_a_table_that_lacks_a_column_is_refused_by_the_columns_name(root, name, column):
    with pytest.raises(InputError, match=f"{name} lacks the column {column}"):
        load_corpus(rewritten(root, name, drop=(column,)))


@pytest.mark.parametrize(
    ("column", "cell"),
    [("scp_codes", "NORM"), ("scp_codes", "{'NORM': "), ("scp_codes", "['NORM']"),
     ("scp_codes", "{'NORM': 'much'}"), ("scp_codes", "{'NORM': None}"), ("scp_codes", ""),
     ("scp_codes", "(" * 3000), ("scp_codes", "__import__('os').getcwd()"), ("ecg_id", "first"),
     ("ecg_id", ""), ("strat_fold", "nan"), ("strat_fold", "inf"), ("age", "old"),
     ("age", "inf"), ("age", "nan")],
)  # fmt: skip
def test_a_cell_that_cannot_be_read_is_told_by_its_line(root, column, cell):
    rewritten(root, row=3, **{column: cell})
    with pytest.raises(InputError, match=r"^ptbxl_database\.csv line 5 cannot be read: .") as error:
        load_corpus(root)
    assert "\n" not in str(error.value)


def test_the_line_told_counts_the_lines_of_a_report_that_has_several(root):
    rewritten(root, row=0, report="two\nlines")
    assert load_corpus(root).records[0].report == "two\nlines"
    rewritten(root, row=3, strat_fold="x")
    with pytest.raises(InputError, match="line 6 cannot be read"):
        load_corpus(root)


@pytest.mark.parametrize("name", ["ptbxl_database.csv", "scp_statements.csv"])
@pytest.mark.parametrize(("tail", "told"), [("7,x\n", "fewer"), ("1," * 30 + "\n", "more")])
def test_a_row_of_another_length_than_the_header_is_told_by_its_line(root, name, tail, told):
    with (root / name).open("a", encoding="utf-8") as file:
        file.write(tail)
    line = len((root / name).read_text(encoding="utf-8").splitlines())
    with pytest.raises(InputError, match=f"{name} line {line} has {told} cells"):
        load_corpus(root)


def test_two_rows_of_one_id_are_refused(root):
    with pytest.raises(InputError, match="ecg_id 1 more than once"):
        load_corpus(rewritten(root, row=4, ecg_id="1.0"))


def test_a_diagnostic_class_the_benchmark_does_not_have_is_refused(root):
    rewritten(root, "scp_statements.csv", row=3, diagnostic_class="Cd")
    with pytest.raises(InputError, match=r"scp_statements\.csv line 5 puts CLBBB into .*'Cd'"):
        load_corpus(root)


def test_tables_that_are_no_text_or_have_no_rows_are_refused(root):
    header = (root / "ptbxl_database.csv").read_text().splitlines()[0]
    (root / "ptbxl_database.csv").write_text(header + "\n")
    with pytest.raises(InputError, match="has no rows"):
        load_corpus(root)
    (root / "ptbxl_database.csv").write_bytes(b"\xff\xfe\x00" * 100)
    with pytest.raises(InputError, match="cannot be read"):
        load_corpus(root)
    (root / "ptbxl_database.csv").write_bytes(b"")
    with pytest.raises(InputError, match="lacks the column"):
        load_corpus(root)


TABLE = StatementTable(
    superclass={"NORM": "NORM", "CLBBB": "CD", "LAFB": "CD", "NDT": "STTC"},
    subclass={"NORM": "NORM", "CLBBB": "CLBBB", "LAFB": "LAFB/LPFB", "NDT": "STTC"},
    form=frozenset({"NDT", "PVC"}),
    rhythm=frozenset({"SR", "AFIB"}),
)


@pytest.mark.parametrize(
    ("task", "codes", "labels"),
    [("super", ["CLBBB", "LAFB", "SR"], {"CD"}), ("super", ["AFIB"], set()),
     ("super", ["NDT", "NORM"], {"STTC", "NORM"}),
     ("sub", ["LAFB", "CLBBB"], {"LAFB/LPFB", "CLBBB"}),
     ("form", ["NDT", "NORM", "PVC"], {"NDT", "PVC"}), ("rhythm", ["AFIB", "unheard of"], {"AFIB"}),
     ("rhythm", [], set())],
)  # fmt: skip
def test_codes_stand_for_the_classes_of_each_task(task, codes, labels):
    assert TABLE.labels(codes, task) == labels


def test_classes_are_in_a_fixed_order_and_the_matrix_has_their_columns():
    assert tuple(TABLE.classes("super")) == SUPERCLASSES == ("NORM", "MI", "STTC", "CD", "HYP")
    assert TABLE.classes("sub") == ["CLBBB", "LAFB/LPFB", "NORM", "STTC"]
    assert TABLE.classes("form") == ["NDT", "PVC"]
    assert TABLE.classes("rhythm") == ["AFIB", "SR"]
    matrix = TABLE.matrix([{"CLBBB": 100.0, "SR": 0.0}, {}, {"NDT": 0.0}], "super")
    np.testing.assert_array_equal(matrix, [[0, 0, 0, 1, 0], [0, 0, 0, 0, 0], [0, 0, 1, 0, 0]])
    assert matrix.dtype == bool
    assert TABLE.matrix([], "sub").shape == (0, 4)


def test_records_of_one_patient_share_a_pseudonym_that_does_not_show_the_number(root):
    corpus = load_corpus(rewritten(root, row=0, patient_id="15709.0"))
    rewritten(root, row=1, patient_id="15709")
    corpus = load_corpus(root)
    groups = [corpus.group(record) for record in corpus.records]
    assert groups[0] == groups[1]
    assert groups[2] == groups[3]
    assert len(set(groups)) == 3
    assert all("15709" not in group and len(group) == 12 for group in groups)
    other = load_corpus(root, "hospital")
    assert other.group(other.records[0]) != groups[0]
    assert other.case_id(other.records[0]) == "hospital/1"


@pytest.fixture(scope="module")
def ptbxl(shared_data):
    return load_corpus(shared_data / "ptbxl")


def test_the_real_corpus_has_the_rows_and_signals_it_is_known_to_have(ptbxl):
    assert len(ptbxl.records) == 19634
    assert len(ptbxl.select(range(1, 9), with_signal=True)) == 1441
    assert len(ptbxl.select({9}, with_signal=True)) == 183
    assert len({record.patient_id for record in ptbxl.records}) == len(
        {ptbxl.group(record) for record in ptbxl.records}
    )


def test_the_real_statements_make_the_benchmarks_classes(ptbxl):
    counts = {task: len(ptbxl.table.classes(task)) for task in ("super", "sub", "form", "rhythm")}
    assert counts == {"super": 5, "sub": 23, "form": 19, "rhythm": 12}
    for code, top, sub in [("CLBBB", "CD", "CLBBB"), ("1AVB", "CD", "_AVB"), ("ILMI", "MI", "IMI"),
                           ("NDT", "STTC", "STTC"), ("LVH", "HYP", "LVH")]:  # fmt: skip
        assert ptbxl.table.labels({code}, "super") == {top}
        assert ptbxl.table.labels({code}, "sub") == {sub}
    assert ptbxl.table.labels({"VCLVH", "AFIB"}, "super") == set()
    assert ptbxl.table.labels({"NDT", "VCLVH"}, "form") == {"NDT", "VCLVH"}


def test_no_patient_of_the_real_corpus_is_in_two_folds(ptbxl):
    folds = {}
    for record in ptbxl.records:
        folds.setdefault(record.patient_id, set()).add(record.fold)
    assert all(len(held) == 1 for held in folds.values())
