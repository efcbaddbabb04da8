"""What holds for every image encoding: golden images, shape, finiteness, missing leads."""

import json

import numpy as np
import pytest
from golden.cases import CASES, IMAGES, fingerprint
from hypothesis import given, settings
from hypothesis import strategies as st

from ecgedge.errors import UsageError
from ecgedge.imaging import ImageEncoding, encoding_ids, get_encoding
from ecgedge.signal.conditioning import Conditioned, condition
from ecgedge.signal.synthetic import synthesize

ENCODINGS = [get_encoding(encoding_id) for encoding_id in encoding_ids()]
every_encoding = pytest.mark.parametrize("encoding", ENCODINGS, ids=encoding_ids())
SINUS = condition(synthesize())


def without(leads: list[int]) -> Conditioned:
    signal = SINUS.signal.copy()
    signal[leads] = np.nan
    return Conditioned(signal)


def test_the_four_encodings_are_registered() -> None:
    assert encoding_ids() == ["fields-1", "leads-1", "scalogram-1", "trace-1"]
    assert [encoding.id for encoding in ENCODINGS] == encoding_ids()


def test_an_unknown_encoding_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="'leads-9' is not one of fields-1, leads-1"):
        get_encoding("leads-9")


@every_encoding
@pytest.mark.parametrize("name", CASES)
def test_the_image_is_bit_for_bit_the_golden_one(encoding: ImageEncoding, name: str) -> None:
    golden = json.loads(IMAGES.read_text())[encoding.id][name]
    found = fingerprint(encoding.encode(condition(CASES[name]())))
    assert found["excerpt"] == golden["excerpt"]
    assert found["sha256"] == golden["sha256"]


@every_encoding
def test_patches_tile_the_image(encoding: ImageEncoding) -> None:
    _, height, width = encoding.shape
    assert height % encoding.patch[0] == 0
    assert width % encoding.patch[1] == 0


signals = st.builds(
    lambda n, seed, scale, missing, gap: _random_signal(n, seed, scale, missing, gap),
    n=st.sampled_from([1, 2, 60, 333, 999, 1000, 1001, 3000]),
    seed=st.integers(0, 2**32 - 1),
    scale=st.sampled_from([0.0, 1e-3, 1.0, 16.0]),
    missing=st.sets(st.integers(0, 11)),
    gap=st.tuples(st.integers(0, 11), st.integers(0, 999), st.integers(1, 1000)),
)


def _random_signal(
    n: int, seed: int, scale: float, missing: set[int], gap: tuple[int, int, int]
) -> np.ndarray:
    signal = np.random.default_rng(seed).normal(0, scale, (12, n)).clip(-16, 16)
    signal[sorted(missing)] = np.nan
    signal[gap[0], gap[1] : gap[1] + gap[2]] = np.nan
    return (np.round(signal * 1024) / 1024).astype(np.float32)


@every_encoding
@settings(max_examples=25, deadline=None)
@given(signals)
def test_any_signal_gives_a_finite_image_of_the_declared_shape_and_is_left_alone(
    encoding: ImageEncoding, signal: np.ndarray
) -> None:
    before = signal.copy()
    image = encoding.encode(Conditioned(signal))
    assert image.shape == encoding.shape
    assert image.dtype == np.float32
    assert np.isfinite(image).all()
    assert np.array_equal(signal, before, equal_nan=True)
    picture = encoding.picture(image)
    assert picture.dtype == np.uint8
    assert picture.ndim == 3
    assert picture.shape[2] == 3


@every_encoding
def test_nothing_recorded_is_an_image_of_zeros(encoding: ImageEncoding) -> None:
    assert not encoding.encode(without(list(range(12)))).any()


@every_encoding
def test_only_the_first_ten_seconds_count(encoding: ImageEncoding) -> None:
    longer = np.concatenate([SINUS.signal, -SINUS.signal], axis=1)
    assert np.array_equal(encoding.encode(Conditioned(longer)), encoding.encode(SINUS))


@settings(max_examples=15, deadline=None)
@given(st.sets(st.integers(0, 11), min_size=1, max_size=11))
def test_a_missing_lead_is_zero_in_its_own_place_only(missing: set[int]) -> None:
    absent = sorted(missing)
    kept = [lead for lead in range(12) if lead not in missing]
    for encoding_id in ("leads-1", "scalogram-1"):
        encode = get_encoding(encoding_id).encode
        whole, part = encode(SINUS), encode(without(absent))
        if encoding_id == "leads-1":
            whole, part = whole.transpose(1, 0, 2), part.transpose(1, 0, 2)
        assert not part[absent].any()
        assert np.array_equal(part[kept], whole[kept])


@settings(max_examples=15, deadline=None)
@given(st.sets(st.integers(0, 11), min_size=1, max_size=8))
def test_a_missing_lead_leaves_its_tile_of_the_fields_empty(missing: set[int]) -> None:
    image = get_encoding("fields-1").encode(without(sorted(missing)))
    tiles = image.reshape(3, 3, 50, 4, 50).transpose(1, 3, 0, 2, 4).reshape(12, -1)
    assert {lead for lead in range(12) if not tiles[lead].any()} == missing


def test_leads_1_is_the_signal_and_where_it_was_recorded() -> None:
    conditioned = condition(CASES["gaps-500"]())
    signal, observed = get_encoding("leads-1").encode(conditioned)
    assert np.array_equal(observed, ~np.isnan(conditioned.signal))
    assert np.array_equal(signal, np.nan_to_num(conditioned.signal))
