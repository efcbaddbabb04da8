"""The wavelets inside the network, against a plain convolution."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from ecgedge.training.model import Wavelets, polyphase  # noqa: E402


def plain_energy(signal: np.ndarray, rate_hz: float, frequency_hz: float, lowest_hz: float):
    """log(1 + 4 |signal * Morlet wavelet|) by numpy.convolve; zero outside the signal."""
    reach = round(2.5 * 6 / (2 * np.pi * lowest_hz) * rate_hz)
    time_s = np.arange(-reach, reach + 1) / rate_hz
    envelope = np.exp(-0.5 * (time_s * 2 * np.pi * frequency_hz / 6) ** 2)
    wavelet = 2 * envelope / envelope.sum() * np.exp(-2j * np.pi * frequency_hz * time_s)
    padded = np.pad(signal, reach)
    return np.log1p(4 * np.abs(np.convolve(padded, wavelet, mode="valid")))


@pytest.fixture(scope="module")
def found():
    signal = np.random.default_rng(0).standard_normal((1, 1, 12, 1000)).astype(np.float32)
    with torch.no_grad():
        energy = Wavelets()(torch.from_numpy(signal)).numpy()
    return signal[0, 0].astype(float), energy.reshape(15, 12, 250)


@pytest.mark.parametrize("number", range(7))
def test_each_fast_wavelet_is_a_convolution_seen_every_fourth_sample(found, number):
    signal, energy = found
    hz = Wavelets.FAST_HZ[number]
    for lead in (0, 11):
        expected = plain_energy(signal[lead], 100, hz, Wavelets.FAST_HZ[0])[::4]
        np.testing.assert_allclose(energy[8 + number, lead], expected, atol=2e-5)


@pytest.mark.parametrize("number", range(8))
def test_each_slow_wavelet_is_a_convolution_of_the_signal_averaged_to_25_hz(found, number):
    signal, energy = found
    hz = Wavelets.SLOW_HZ[number]
    coarse = signal.reshape(12, 250, 4).mean(axis=-1)
    for lead in (0, 11):
        expected = plain_energy(coarse[lead], 25, hz, Wavelets.SLOW_HZ[0])
        np.testing.assert_allclose(energy[number, lead], expected, atol=2e-5)


@settings(max_examples=40)
@given(
    stride=st.integers(1, 4),
    phases=st.integers(1, 6),
    reach=st.integers(0, 30),
    blocks=st.integers(1, 5),
    seed=st.integers(0, 99),
)
def test_a_polyphase_bank_makes_the_sums_of_the_plain_one(stride, phases, reach, blocks, seed):
    rng = np.random.default_rng(seed)
    bank = torch.from_numpy(rng.standard_normal((2, 3, 2 * reach + 1)))
    block = stride * phases
    signal = torch.from_numpy(rng.standard_normal((1, 1, blocks * block)))
    plain = torch.conv1d(signal, bank.flatten(0, 1)[:, None], stride=stride, padding=reach)
    wide = polyphase(bank.float(), stride, phases).double()
    cut = signal.reshape(1, blocks, 1, block).permute(0, 3, 2, 1)
    found = torch.conv2d(cut, wide, padding=(0, wide.shape[-1] // 2))[0, :, 0]
    found = found.unflatten(0, (6, phases)).transpose(1, 2).flatten(1)
    torch.testing.assert_close(found, plain[0], atol=1e-4, rtol=1e-4)
