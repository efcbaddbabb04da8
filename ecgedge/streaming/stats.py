"""How the clocks run, as a line for `--stats`."""

from __future__ import annotations

from ecgedge.streaming.clock import ClockReport, Line


def sentence(report: ClockReport) -> str:
    """What `Clock.report` found, in words."""
    parts = []
    if report.device is not None:
        parts.append(f"the device's clock: {_line(report.device)}")
    if report.samples is not None and report.rate_hz:
        real_hz = report.measured_host_hz or report.rate_hz
        parts.append(
            f"samples: {real_hz:.3f} a second for {report.rate_hz:g}, {_line(report.samples)}"
        )
    if report.steps:
        parts.append(f"the device's clock stepped {report.steps} times")
    if report.note:
        parts.append(report.note)
    return "; ".join(parts)


def _line(line: Line) -> str:
    """Drift against the host with its bounds, and how late bytes came."""
    return (
        f"{line.drift_ppm:+.1f} ppm (within {line.within_ppm:.1f}), bytes late by "
        f"{line.p50_ms:.1f} ms, 95 % within {line.p95_ms:.1f}, at most {line.max_ms:.1f} ms, "
        f"over {line.seconds:.0f} s"
    )
