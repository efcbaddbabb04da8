"""What the trainer draws from: signals, keys of equal reports, intervals, batches."""

import dataclasses

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import evaluation_builders as build  # noqa: E402
from training_builders import STILL, silent, tiny_config  # noqa: E402

from ecgedge.corpora.ptbxl import CorpusRecord  # noqa: E402
from ecgedge.errors import InputError  # noqa: E402
from ecgedge.imaging import encoding_ids, get_encoding  # noqa: E402
from ecgedge.signal.conditioning import Conditioned, condition  # noqa: E402
from ecgedge.signal.synthetic import Heart, synthesize  # noqa: E402
from ecgedge.training.data import (  # noqa: E402
    BatchLoader,
    SignalSet,
    load_signals,
)
from ecgedge.training.measured import SAMPLES, beat_targets, rhythm_targets  # noqa: E402
from ecgedge.training.reports import LabelColumns, ReportSet, WordColumns, equivalence_keys  # noqa: E402


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return build.write_corpus(tmp_path_factory.mktemp("data"), build.rows(10))


@pytest.fixture(scope="module")
def signals(corpus):
    return load_signals(corpus.records, silent)


def test_signals_are_conditioned_and_in_the_order_of_their_records(corpus, signals):
    assert signals.signals.shape == (10, 12, 1000)
    assert signals.signals.dtype == np.float32
    assert signals.records == corpus.records
    assert signals.skipped == ()
    from ecgedge.formats import read

    expected = condition(read(corpus.records[3].signal)).signal
    np.testing.assert_array_equal(signals.signals[3], expected)


def test_unreadable_records_are_listed_with_their_reason_and_the_others_kept(tmp_path):
    corpus = build.write_corpus(tmp_path, build.rows(4))
    (tmp_path / "records100" / "00002_lr.dat").write_bytes(b"\x00" * 7)
    (tmp_path / "records100" / "00003_lr.hea").write_text("nothing\n")
    signals = load_signals(corpus.records, silent)
    assert [record.record_id for record in signals.records] == ["1", "4"]
    assert [record for record, _ in signals.skipped] == ["2", "3"]
    assert all(reason and "\n" not in reason for _, reason in signals.skipped)


def test_a_corpus_of_unreadable_records_is_refused(tmp_path):
    corpus = build.write_corpus(tmp_path, build.rows(2))
    for path in (tmp_path / "records100").glob("*.dat"):
        path.write_bytes(b"")
    with pytest.raises(InputError, match="none of the 2 recordings"):
        load_signals(corpus.records, silent)


def record(report, *codes):
    return CorpusRecord("1", "1", 1, report, dict.fromkeys(codes, 100.0), None, None, None)


def test_equal_texts_and_equal_statement_sets_have_equal_keys():
    texts, sets = equivalence_keys(
        [
            record("Normales EKG.", "NORM", "SR"),
            record("normales  ekg", "NORM"),
            record("Linkstyp", "SR", "NORM"),
            record("anders", "AFIB"),
        ]
    )
    assert texts.tolist() == [0, 0, 1, 2]
    assert sets.tolist() == [0, 1, 0, 2]


def test_a_statement_counts_whatever_its_likelihood():
    left = dataclasses.replace(record("a"), statements={"SR": 0.0, "NORM": 80.0})
    right = dataclasses.replace(record("b"), statements={"NORM": 100.0, "SR": 100.0})
    assert len(set(equivalence_keys([left, right])[1].tolist())) == 1


def test_a_report_set_knows_each_recordings_own_report_and_which_are_equivalent():
    first, second, third = record("ein wort"), record(""), record("Ein Wort!")
    rows = [dataclasses.replace(r, record_id=str(i)) for i, r in enumerate((first, second, third))]
    reports = ReportSet.of(rows, [rows[2], rows[0]], 64)
    assert reports.ids.shape == (3, 3)
    assert not reports.ids[1].any()
    assert reports.owner.tolist() == [2, 0]
    texts = [[True, False, True], [False, True, False], [True, False, True]]
    sets = reports.set_key[:, None] == reports.set_key
    every = np.arange(3)
    np.testing.assert_array_equal(reports.same(every, every), np.array(texts) | sets)


def test_label_columns_are_what_enough_records_carry_with_their_classes(corpus):
    """Ten rows, two a patient, kinds in turn: NORM, AFIB, CLBBB, ISC_, NORM."""
    columns = LabelColumns.of(corpus, corpus.records, minimum=3)
    assert columns.names == ("NORM", "SR", "sub:NORM", "super:NORM", "super:STTC")
    matrix = columns.matrix(corpus, corpus.records)
    assert matrix.dtype == np.float32
    np.testing.assert_array_equal(matrix[0], [1, 1, 1, 1, 0])  # NORM, SR
    np.testing.assert_array_equal(matrix[2], [0, 0, 0, 0, 1])  # AFIB, NDT
    np.testing.assert_array_equal(matrix[4], [0, 1, 0, 0, 0])  # CLBBB, SR
    assert (matrix.sum(axis=0) >= 3).all()


def targets(*hearts):
    return rhythm_targets(np.stack([condition(synthesize(heart)).signal for heart in hearts]))


def test_a_faster_heart_has_a_lower_rr_target():
    rr = targets(*(Heart(rate_bpm=bpm) for bpm in (50, 70, 90, 120)))[:, 0]
    assert rr.dtype == np.float32
    assert (np.diff(rr) < -0.3).all()


def test_an_irregular_heart_has_higher_change_targets():
    _, regular, slightly, wildly = targets(
        Heart(rate_bpm=55), Heart(), Heart(jitter=0.3), Heart(jitter=0.9)
    )
    assert (regular[1:] < slightly[1:]).all()
    assert (slightly[1:] < wildly[1:]).all()


def test_targets_are_standardised_and_bounded():
    table = targets(*(Heart(rate_bpm=bpm, jitter=bpm / 200) for bpm in range(50, 130, 8)))
    np.testing.assert_allclose(table.mean(axis=0), 0, atol=0.2)
    assert np.abs(table).max() <= 3


def test_a_recording_without_beats_has_no_target_and_spoils_no_other():
    beats = np.stack([condition(synthesize(Heart(rate_bpm=bpm))).signal for bpm in (60, 90)])
    table = rhythm_targets(np.concatenate([beats, np.full((1, 12, 1000), np.nan, np.float32)]))
    assert np.isnan(table[2]).all()
    np.testing.assert_array_equal(table[:2], rhythm_targets(beats))


def test_a_set_without_any_beat_has_no_targets_and_raises_no_warning():
    assert np.isnan(rhythm_targets(np.zeros((2, 12, 1000), np.float32))).all()


def order(signals, config, epoch):
    return [batch.rows.tolist() for batch in BatchLoader(signals, config, epoch)]


def test_an_epoch_shows_each_record_at_most_once_in_whole_batches(signals):
    for epoch in range(5):
        batches = order(signals, tiny_config(batch=4), epoch)
        assert [len(rows) for rows in batches] == [4, 4]
        drawn = [row for rows in batches for row in rows]
        assert len(set(drawn)) == len(drawn)
        assert set(drawn) <= set(range(10))


def test_fewer_records_than_a_batch_are_one_batch(signals):
    batches = order(signals, tiny_config(batch=64), 0)
    assert sorted(batches[0]) == list(range(10))
    assert len(batches) == len(BatchLoader(signals, tiny_config(batch=64), 0)) == 1


def test_the_order_follows_from_seed_and_epoch_alone(signals):
    first = order(signals, tiny_config(batch=4), 1)
    assert order(signals, tiny_config(batch=4, augment=STILL, epochs=9, dim=8), 1) == first
    blank = SignalSet(np.zeros_like(signals.signals), signals.records, ())
    assert order(blank, tiny_config(batch=4), 1) == first
    assert order(signals, tiny_config(batch=4), 2) != first
    assert order(signals, tiny_config(batch=4, seed=1), 1) != first


def test_workers_draw_the_same_images_as_the_process_itself(signals):
    config = tiny_config(batch=4)
    alone, helped = (list(BatchLoader(signals, config, 2, workers=n)) for n in (0, 1))
    assert len(alone) == len(helped) == 2
    for left, right in zip(alone, helped, strict=True):
        assert torch.equal(left.images, right.images)
        np.testing.assert_array_equal(left.rows, right.rows)


def test_an_image_depends_on_its_record_and_epoch_and_not_on_its_batch(signals):
    def by_record(config, epoch):
        loader = BatchLoader(signals, config, epoch)
        return {
            int(row): image
            for batch in loader
            for row, image in zip(batch.rows, batch.images, strict=True)
        }

    small, large = by_record(tiny_config(batch=2), 0), by_record(tiny_config(batch=10), 0)
    assert all(torch.equal(small[row], large[row]) for row in range(10))
    later = by_record(tiny_config(batch=10), 1)
    assert not any(torch.equal(later[row], large[row]) for row in range(10))


@pytest.mark.parametrize("encoding_id", encoding_ids())
def test_without_augmentation_the_image_is_what_the_cart_makes(signals, encoding_id):
    config = tiny_config(batch=2, encoding=encoding_id, augment=STILL)
    batch = next(iter(BatchLoader(signals, config, 0)))
    encoding = get_encoding(encoding_id)
    assert batch.images.shape == (2, *encoding.shape)
    assert batch.images.dtype == torch.float32
    for row, image in zip(batch.rows, batch.images, strict=True):
        expected = encoding.encode(Conditioned(signals.signals[row]))
        np.testing.assert_array_equal(image.numpy(), expected)


def test_the_beat_target_is_the_median_beat_and_unknown_where_nothing_was_recorded():
    signals = np.stack([condition(synthesize(Heart(rate_bpm=rate))).signal for rate in (60, 90)])
    off = signals[:1].copy()
    off[0, 3] = np.nan
    table = beat_targets(np.concatenate([signals, off, np.zeros((1, 12, 1000), np.float32)]))
    assert table.shape == (4, SAMPLES)
    leads = table.reshape(4, 12, -1)
    assert np.isfinite(leads[:2]).all()
    assert np.isnan(leads[2, 3]).all()
    np.testing.assert_allclose(leads[2, 4], leads[0, 4], atol=1e-5)
    assert np.isnan(leads[3]).all()


def test_word_columns_are_the_words_and_pairs_that_enough_reports_carry(corpus):
    texts = ["Linkstyp. Sinusrhythmus"] * 3 + ["linkstyp, NIEDERSPANNUNG"] * 3 + ["einmal"] * 14
    records = [dataclasses.replace(corpus.records[0], report=text) for text in texts]
    columns = WordColumns.of(records, share=0.2)
    assert columns.grams == ("einmal", "linkstyp")
    columns = WordColumns.of(records)
    assert set(columns.grams) >= {"linkstyp sinusrhythmus", "niederspannung", "linkstyp"}
    held = columns.matrix(records)
    carrying = held[:, columns.grams.index("linkstyp")]
    np.testing.assert_array_equal(carrying, [True] * 6 + [False] * 14)
