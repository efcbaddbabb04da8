"""The part of docs/devices.md that is the table of devices: `python benchmarks/device_page.py`"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from firmware_bridge.device_table import DEVICES, Device  # noqa: E402
from firmware_bridge.devices import configuration  # noqa: E402
from firmware_bridge.leads import lead_map  # noqa: E402

BEGIN, END = "<!-- devices: begin -->", "<!-- devices: end -->"


def table() -> str:
    """The devices as Markdown: one line each, then a section each."""
    lines = [
        "| `--device` | what it is | octets a sample | leads | rates, Hz | gains | baud |",
        "|---|---|---|---|---|---|---|",
        *(_line(device) for device in DEVICES.values()),
    ]
    return "\n".join([*lines, "", *(_section(device) for device in DEVICES.values())])


def _line(device: Device) -> str:
    missing = lead_map(configuration(device.name)).missing
    leads = f"all but {', '.join(missing)}" if missing else "12"
    if device.record is None:
        octets, rates, gains = "see its page", "as it says", "as it says"
    else:
        octets = str(device.record.octets)
        rates = _numbers([rate for rate, _ in device.rates])
        gains = _numbers(list(device.gains))
    cells = (f"`{device.name}`", device.title, octets, leads, rates, gains, str(device.baud))
    return f"| {' | '.join(cells)} |"


def _numbers(values: list[float]) -> str:
    """In order, the usual one in bold."""
    shown = {value: f"{value:.4g}" for value in values}
    return ", ".join(f"**{shown[v]}**" if v == values[0] else shown[v] for v in sorted(values))


def _section(device: Device) -> str:
    channels = ", ".join(
        f"{number} {'not used' if positive == 'NC' else f'{positive} - {negative}'}"
        for number, (positive, negative) in enumerate(device.channels, start=1)
    )
    numbers = "offset binary" if device.encoding == "offset" else "two's complement"
    parts = [
        f"### {device.name}: {device.title}",
        device.wiring,
        f"Channels: {channels}. Counts: {numbers}, reference {device.reference_mv:g} mV.",
        "\n".join(f"- {note}" for note in device.notes),
        "\n".join(f"- Source: {source}." for source in device.sources),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def main() -> None:
    """Write the table into the page between its marks."""
    page = ROOT / "docs" / "devices.md"
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    page.write_text(f"{before}{BEGIN}\n\n{table().strip()}\n\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
