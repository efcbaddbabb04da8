"""The devices: one table, data only. `devices` looks things up in it, `records` reads by it.

`docs/devices.md` is made of this table and says how to add a row. No row was ever tried on
hardware: each fact comes from the datasheet, manual or public source its row names.
"""

from __future__ import annotations

from dataclasses import dataclass

from firmware_bridge.events import ELECTRODES, Electrode, NumberEncoding
from firmware_bridge.layout import Layout

_TWOS_24 = 2**23 - 1


@dataclass(frozen=True)
class Device:
    """A row. `record` is None for our own wire format, which describes itself.

    rates: (rate in Hz, full scale in counts) the device offers, the default first; gains the
    same way. channels: (positive, negative) electrode of each, in the order they are sent.
    off_valid: lead-off bits that mean something when the sensing of every input is switched
    on. start, stop: what to write to the port. wiring, notes, sources: for people.
    """

    name: str
    title: str
    record: Layout | None
    encoding: NumberEncoding
    reference_mv: float
    rates: tuple[tuple[float, int], ...]
    gains: tuple[float, ...]
    channels: tuple[tuple[Electrode, Electrode], ...]
    baud: int
    wiring: str
    sources: tuple[str, ...]
    notes: tuple[str, ...] = ()
    off_valid: int = 0
    start: bytes = b""
    stop: bytes = b""


def _pairs(text: str) -> tuple[tuple[Electrode, Electrode], ...]:
    """Channels as "positive-negative" words."""
    ends = (word.split("-") for word in text.split())
    return tuple(
        (ELECTRODES[ELECTRODES.index(one)], ELECTRODES[ELECTRODES.index(other)])
        for one, other in ends
    )


def _ads129x(channels: int) -> Layout:
    """Status word 1100, eight lead-off bits P, eight N, four GPIO; then the counts."""
    return Layout(
        octets=3 + 3 * channels,
        fixed=((0, 0xF0, 0xC0),),
        channels=channels,
        counts_at=3,
        confirm=16,
        hold=2,
        steady=((0, 0x0F), (1, 0xFF), (2, 0xFF)),
        flicker=2,
        off_at=(4, 12),
    )


_ADS129X_RATES = tuple((rate, _TWOS_24) for rate in (500.0, 250.0, 1000.0, 2000.0))
_ADS129X_GAINS = (6.0, 1.0, 2.0, 3.0, 4.0, 8.0, 12.0)
_ADS129X_NOTES = (
    "A record is what the chip shifts out, forwarded as it is; nothing counts records, so a loss "
    "of whole records leaves no trace in the bytes.",
    "Lead-off bits mean something only where the chip's LOFF_SENSP and LOFF_SENSN are set, which "
    "the stream does not say: they are ignored unless asked for, and those of inputs that "
    "Wilson's terminal drives are ignored always.",
    "Reference 2.4 V (CONFIG3.VREF_4V = 0); the 4 V setting needs a row of its own.",
    "The serial speed is the microcontroller's own affair; 230400 baud is the least standard one "
    "that carries 27 octets at 500 Hz.",
)
_SBAS459 = (
    "TI SBAS459K (ADS1294/6/8): data format, output rates, PGA gains, reference, LOFF_STATP/N",
    "TI e2e 63155: lead-off bits of inputs driven by WCT show nothing",
)

# Output rate = 102.4 kHz / (R1 R2 R3) and ADCMAX, R1 = 4, from SNAS602C tables 8 and 9. The
# filters are sinc^5, so ADCMAX is (R2 R3)^5 shifted to fill 24 bits: a function of the rate.
_ADS1293_RATES = (
    (102400 / 192, 0xF30000),  # R2 R3 = 4x12, 6x8, 8x6
    (102400 / 120, 0xB964F0),  # 5x6
    (102400 / 1024, 0x800000),  # 4x64, 8x32
    (102400 / 768, 0xF30000),  # 6x32
    (102400 / 640, 0xC35000),  # 5x32
    (102400 / 512, 0x800000),  # 4x32, 8x16
    (102400 / 384, 0xF30000),  # 6x16, 8x12
    (102400 / 320, 0xC35000),  # 5x16
    (102400 / 288, 0xE6A900),  # 6x12
    (102400 / 256, 0x800000),  # 4x16, 8x8
    (102400 / 240, 0xB964F0),  # 5x12
    (102400 / 160, 0xC35000),  # 5x8
    (102400 / 144, 0xE6A900),  # 6x6
    (102400 / 128, 0x800000),  # 4x8, 8x4
    (102400 / 96, 0xF30000),  # 4x6, 6x4
    (102400 / 80, 0xC35000),  # 5x4
    (102400 / 64, 0x800000),  # 4x4
)
_SNAS602 = (
    "TI SNAS602C (ADS1293) equations 4 to 6: VIN = (ADC / ADCMAX - 1/2) 2 VREF / 3.5, ODR = fS / "
    "(R1 R2 R3); tables 8 to 11: ADCMAX; section 9.2: electrodes and channels",
)

#: Start, length 12, type 2; stop.
_OPENVIEW_FRAME = ((0, 0x0A), (1, 0xFA), (2, 12), (3, 0), (4, 2), (17, 0), (18, 0x0B))

_TABLE = (
    Device(
        name="ecgedge",
        title="ecgedge wire format",
        record=None,
        encoding="twos",
        reference_mv=2400.0,
        rates=((500.0, _TWOS_24),),
        gains=(6.0,),
        channels=_pairs("LA-RA LL-RA C1-WCT C2-WCT C3-WCT C4-WCT C5-WCT C6-WCT"),
        baud=230400,
        off_valid=0x03FF,
        wiring="Whatever the device says of itself each second; this is what a simulated one says.",
        sources=("firmware_bridge/README.md",),
    ),
    Device(
        name="ads1298",
        title="TI ADS1298",
        record=_ads129x(8),
        encoding="twos",
        reference_mv=2400.0,
        rates=_ADS129X_RATES,
        gains=_ADS129X_GAINS,
        channels=_pairs("C6-WCT LA-RA LL-RA C2-WCT C3-WCT C4-WCT C5-WCT C1-WCT"),
        baud=230400,
        off_valid=0x06FF,
        wiring="TI's ADS1298RECG-FE: CH1 is V6, CH8 is V1; the chip's WCT on the negative inputs "
        "of the chest channels.",
        sources=(*_SBAS459, "TI SBAU181B (ADS1298RECG-FE), tables 2 and 3: which lead is where"),
        notes=_ADS129X_NOTES,
    ),
    Device(
        name="ads1294",
        title="TI ADS1294",
        record=_ads129x(4),
        encoding="twos",
        reference_mv=2400.0,
        rates=_ADS129X_RATES,
        gains=_ADS129X_GAINS,
        channels=_pairs("LA-RA LL-RA C1-WCT C5-WCT"),
        baud=230400,
        off_valid=0x030F,
        wiring="I, II, V1 and V5 against the chip's WCT, as in a 6-wire monitoring cable.",
        sources=_SBAS459,
        notes=(
            "TI gives no wiring for four channels: this one is ours. Wired otherwise, its leads "
            "are wrong, and nothing in the stream can tell.",
            *_ADS129X_NOTES,
        ),
    ),
    Device(
        name="ads1293",
        title="TI ADS1293",
        record=Layout(
            octets=17,
            fixed=((0, 0xE1, 0xE0), (16, 0xFF, 0x01)),
            channels=3,
            counts_at=7,
            confirm=8,
            hold=2,
        ),
        encoding="offset",
        reference_mv=2400.0,
        rates=_ADS1293_RATES,
        gains=(3.5,),
        channels=_pairs("LA-RA LL-RA C1-WCT"),
        baud=115200,
        wiring="TI's 5-lead application: RA, LA, LL, RL on IN1 to IN4, V1 on IN5, the chip's "
        "Wilson terminal on IN6.",
        sources=(
            *_SNAS602,
            "SNAS602C, auto-incrementing address: a burst from 0x30 holds DATA_STATUS, pace 1 to 3 "
            "(16 bits each), ECG 1 to 3 (24 bits each), REVID",
            "bits of DATA_STATUS (E3..E1 ready, P3..P1, ALARMB, 0) and REVID = 1: public drivers; "
            "not read in the datasheet itself",
        ),
        notes=(
            "The firmware reads registers 0x30 to 0x40 in one burst when ECG data is ready, and "
            "forwards the 17 octets. TI's streaming record (nine octets, ten with the status) has "
            "too little to know it by: a channel's middle octet can pass for its status.",
            "Offset binary: 0 V is ADCMAX / 2, and ADCMAX follows from the decimation, so from the "
            "rate. A wrong rate is a wrong amplitude. No setting gives 500 Hz.",
            "Lead-off is in a register (ERROR_LOD) that the record does not hold.",
        ),
    ),
    Device(
        name="cyton",
        title="OpenBCI Cyton",
        record=Layout(
            octets=33,
            fixed=((0, 0xFF, 0xA0), (32, 0xF8, 0xC0)),
            channels=8,
            counts_at=2,
            confirm=4,
            counter_at=1,
            modulus=256,
        ),
        encoding="twos",
        reference_mv=4500.0,
        rates=((250.0, _TWOS_24),),
        gains=(24.0, 1.0, 2.0, 4.0, 6.0, 8.0, 12.0),
        channels=_pairs("RA-LA RA-LL RA-C1 RA-C2 RA-C3 RA-C4 RA-C5 RA-C6"),
        baud=115200,
        start=b"b",
        stop=b"s",
        wiring="RA on SRB2 (the lower one), LA, LL, C1 to C6 on N1P to N8P's lower pins (IN1N to "
        "IN8N), RL on BIAS: nine electrodes give all twelve leads.",
        sources=(
            "docs.openbci.com Cyton Data Format: 33 octets, 4.5 V / gain / (2^23 - 1) a count",
            "OpenBCI_Cyton_Library: 115200 baud, b and s, packet types 0xC0 to 0xC6",
            "OpenBCI Documentation #187, forum 2042: SRB2 is every channel's positive input",
        ),
        notes=(
            "With the default settings (SRB2 closed) a channel is SRB2 minus its electrode: the "
            "sign is the reverse of what one expects, and the table says so.",
            "The counter is 8 bits: 3 lost and 259 lost look alike, and 256 lost look like none.",
            "A channel in a gain other than the others needs a row of its own. Daisy (16 channels, "
            "two records a sample) is not read. The board's clock in records 0xC3 to 0xC6 is not "
            "used. Text replies to commands count as damage.",
            "The ADS1299 on the board offers more rates; its radio carries 250 Hz.",
        ),
    ),
    Device(
        name="openview",
        title="ProtoCentral ADS1293 breakout, OpenView packets",
        record=Layout(
            octets=19,
            fixed=tuple((at, 0xFF, octet) for at, octet in _OPENVIEW_FRAME),
            channels=3,
            counts_at=5,
            confirm=2,
            width=4,
            order="little",
        ),
        encoding="offset",
        reference_mv=2400.0,
        rates=tuple(sorted(_ADS1293_RATES, key=lambda rate: rate[0])),
        gains=(3.5,),
        channels=_pairs("LA-RA LL-RA NC-NC"),
        baud=57600,
        wiring="RA, LA, LL, RL on IN1 to IN4. Six limb leads.",
        sources=(
            *_SNAS602,
            "protocentral-ads1293-arduino, examples/03-5-lead-ECG-openview: packet 0x0A 0xFA, "
            "length 12, type 2, three 32-bit little-endian, 0x00 0x0B; 57600 baud, 100 Hz",
        ),
        notes=(
            "The sketch sign-extends the chip's offset binary as if it were two's complement; the "
            "low 24 bits are what the chip gave, and are read as such.",
            "The third channel is left out: the sketch never sets up Wilson's terminal (registers "
            "0x0D to 0x10), so its V1 is against an open input. With that mended, make it "
            '("C1", "WCT").',
            "The sketch polls the chip at most every 10 ms and drops what it misses without a "
            "trace; OpenView itself assumes 128 Hz, a rate the chip does not have. Times from it "
            "are approximate until a sketch sends every sample.",
            "Packets of HealthyPi boards hold other payloads and are not read. Sketches before "
            "2025 send 16 octets of payload and lose the high octet of each count; neither.",
        ),
    ),
)

DEVICES: dict[str, Device] = {device.name: device for device in _TABLE}
