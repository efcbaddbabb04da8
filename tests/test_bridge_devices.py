"""The table of devices: its facts against datasheets, its errors, and the page made of it."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from benchmarks.device_page import BEGIN, END, table
from ecgedge.errors import UsageError
from ecgedge.recording import LEADS, MAX_RATE_HZ, MIN_RATE_HZ
from firmware_bridge.decoder import WireDecoder
from firmware_bridge.devices import DEVICES, configuration, open_decoder
from firmware_bridge.events import ELECTRODES, MAX_CHANNELS, Frame
from firmware_bridge.leads import counts_of, lead_map
from firmware_bridge.wire import tagged

PAGE = Path(__file__).resolve().parent.parent / "docs" / "devices.md"
RECORDS = [name for name, device in DEVICES.items() if device.record is not None]


def mv_of(name: str, count: int, channel: int = 0, **chosen: float) -> float:
    """What one count is worth between the two inputs of a channel."""
    told = configuration(name, **chosen)
    zero = told.full_scale / 2 if told.encoding == "offset" else 0
    half = told.full_scale / 2 if told.encoding == "offset" else told.full_scale
    return (count - zero) * told.reference_mv / (told.channels[channel].gain * half)


@pytest.mark.parametrize("name", DEVICES)
def test_every_row_can_be_decoded_into_leads(name: str) -> None:
    device = DEVICES[name]
    assert device.name == name
    assert device.sources
    assert device.wiring
    assert 1 <= len(device.channels) <= MAX_CHANNELS
    assert set(itertools.chain(*device.channels)) <= set(ELECTRODES)
    for rate, full_scale in device.rates:
        assert MIN_RATE_HZ <= rate <= MAX_RATE_HZ
        assert 2**22 < full_scale < 2**24
    assert len(lead_map(configuration(name)).missing) < 12
    assert open_decoder(name).feed(b"") == []


@pytest.mark.parametrize("name", RECORDS)
def test_every_layout_fits_in_its_record(name: str) -> None:
    layout = DEVICES[name].record
    assert layout is not None
    assert layout.channels == len(DEVICES[name].channels)
    counts_end = layout.counts_at + layout.width * layout.channels
    assert counts_end <= layout.octets
    counts = set(range(layout.counts_at, counts_end))
    for octet, mask, value in layout.fixed:
        assert octet < layout.octets
        assert octet not in counts
        assert value & ~mask == 0
    assert layout.counter_at not in counts
    assert layout.confirm > layout.hold


def test_twelve_leads_come_of_eight_channels() -> None:
    missing = {name: lead_map(configuration(name)).missing for name in DEVICES}
    assert missing["ecgedge"] == missing["ads1298"] == missing["cyton"] == ()
    assert missing["ads1294"] == ("V2", "V3", "V4", "V6")
    assert missing["ads1293"] == LEADS[7:]
    assert missing["openview"] == LEADS[6:]


def test_tis_order_of_channels_is_not_that_of_the_leads() -> None:
    # SBAU181B table 2.
    weights = lead_map(configuration("ads1298")).weights
    order = [int(np.flatnonzero(weights[LEADS.index(lead)])[0]) + 1 for lead in
             ("V6", "I", "II", "V2", "V3", "V4", "V5", "V1")]  # fmt: skip
    assert order == [1, 2, 3, 4, 5, 6, 7, 8]


def test_a_cytons_channel_is_its_reference_minus_its_electrode() -> None:
    told = configuration("cyton")
    leads = np.zeros((12, 1))
    leads[0] = leads[4] = 1.0  # I of 1 mV: LA above RA
    assert counts_of(told, leads)[0, 0] == pytest.approx(-1000 / 0.0223517, rel=1e-4)


def test_counts_are_worth_what_the_makers_say() -> None:
    assert mv_of("cyton", 1) * 1000 == pytest.approx(0.02235, abs=5e-6)  # docs.openbci.com, uV
    assert mv_of("ads1298", 2**23 - 1) == pytest.approx(400)  # 2.4 V / 6
    assert mv_of("ads1298", 1, gain=12) == pytest.approx(2400 / 12 / (2**23 - 1))
    # SNAS602C equation 4: nothing at ADCMAX / 2, 2.4 V / 3.5 at the ends.
    assert mv_of("ads1293", 0xB964F0 // 2, rate_hz=853) == 0
    assert mv_of("ads1293", 0xB964F0, rate_hz=853) == pytest.approx(2400 / 3.5)


def test_adcmax_is_the_gain_of_the_decimation_filters() -> None:
    """Sinc^5 filters of R2 and R3 multiply by (R2 R3)^5, shifted to fill 24 bits."""
    offered = {round(rate, 6): full for rate, full in DEVICES["ads1293"].rates}
    reached = {}
    for r2, r3 in itertools.product((4, 5, 6, 8), (4, 6, 8, 12, 16, 32, 64, 128)):
        rate = 102400 / (4 * r2 * r3)
        gain = (r2 * r3) ** 5
        adcmax = gain << 24 >> gain.bit_length()
        assert reached.setdefault(round(rate, 6), adcmax) == adcmax  # a function of the rate
    assert offered == {rate: full for rate, full in reached.items() if 100 <= rate <= 2000}
    # Spelled out in tables 8 to 11 of the datasheet, as users quote them.
    assert offered[round(102400 / 80, 6)] == 0xC35000  # R2 = 5, R3 = 4
    assert offered[round(102400 / 120, 6)] == 0xB964F0  # R2 = 5, R3 = 6
    assert reached[round(102400 / 512, 6)] == 0x800000


def test_a_rate_may_be_rounded_and_no_more() -> None:
    assert configuration("ads1293", rate_hz=853).rate_hz == pytest.approx(853.333, abs=1e-3)
    assert configuration("ads1298", rate_hz=250).rate_hz == 250


@pytest.mark.parametrize(
    ("name", "chosen", "said"),
    [
        ("ads1299", {}, "there are ecgedge, ads1298, ads1294, ads1293, cyton, openview"),
        ("ads1293", {"rate_hz": 500}, "does not run at 500 Hz; it offers 100, "),
        ("cyton", {"rate_hz": 1000}, "does not run at 1000 Hz; it offers 250"),
        ("cyton", {"rate_hz": float("nan")}, "does not run at nan Hz"),
        ("cyton", {"gain": 3}, "no gain of 3; it offers 1, 2, 4, 6, 8, 12, 24"),
        ("ads1293", {"gain": 6}, "no gain of 6; it offers 3.5"),
    ],
)
def test_what_a_device_does_not_have_is_refused_with_what_it_has(
    name: str, chosen: dict[str, float], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        configuration(name, **chosen)
    with pytest.raises(UsageError, match=said):
        open_decoder(name, **chosen)


def test_the_wire_says_everything_itself() -> None:
    assert isinstance(open_decoder("ecgedge"), WireDecoder)
    for chosen in ({"rate_hz": 500}, {"gain": 6}, {"lead_off": True}):
        with pytest.raises(UsageError, match="says its own"):
            open_decoder("ecgedge", **chosen)  # type: ignore[arg-type]
    simulated = configuration("ecgedge", rate_hz=360, gain=4)
    assert simulated == tagged(simulated)
    assert (simulated.rate_hz, simulated.channels[0].gain) == (360, 4)
    for chosen in ({"rate_hz": 99}, {"gain": 0}, {"gain": 700}):
        with pytest.raises(UsageError):
            configuration("ecgedge", **chosen)


@pytest.mark.parametrize("name", ["ads1293", "cyton", "openview"])
def test_lead_off_is_not_promised_where_the_format_does_not_tell_it(name: str) -> None:
    with pytest.raises(UsageError, match="does not tell which electrodes are off"):
        open_decoder(name, lead_off=True)


def test_lead_off_of_inputs_that_wilsons_terminal_drives_is_never_valid() -> None:
    for name in ("ads1298", "ads1294"):
        device = DEVICES[name]
        for number, (_, negative) in enumerate(device.channels):
            assert (device.off_valid >> (8 + number) & 1) == (negative != "WCT")


def test_the_page_is_made_of_the_table() -> None:
    text = PAGE.read_text(encoding="utf-8")
    inside = text.partition(BEGIN)[2].partition(END)[0]
    assert inside.strip() == table().strip(), "run python benchmarks/device_page.py"


def test_frames_say_which_device_they_are_of() -> None:
    from firmware_bridge.records import pack

    device = DEVICES["ads1298"]
    octets = b"".join(pack(device, np.zeros((40, 8), np.int32)))
    frames = [one for one in open_decoder("ads1298").feed(octets) if isinstance(one, Frame)]
    assert {frame.configuration.device for frame in frames if frame.configuration} == {"ads1298"}
