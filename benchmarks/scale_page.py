"""The tables of docs/scale.md, from the results of scale_sync.py."""

from __future__ import annotations

from typing import Any


def tables(results: dict[str, Any]) -> str:
    """Everything between the page's marks."""
    parts = [
        _sizes(results),
        _capacity(results["capacity"]),
        _segments(results["region"]["cases"], results["segment_sizes"]),
        _search(results["searched_cases"], results["search_ms_by_segments"]),
        _merging(results["merging"]),
        _checking(results["checking"]),
        _herd(results["herd"]),
        _centre(results["centre"]),
        _check(results["check"]),
    ]
    return "\n\n".join(parts)


def _table(title: str, head: list[str], rows: list[list[str]]) -> str:
    lines = [f"**{title}**", "", f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def _size(count: float) -> str:
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count:.0f} B"


def _sizes(results: dict[str, Any]) -> str:
    one, plain = results["sizes"], results["sizes_without_reports"]
    rows = [
        ["a segment, with reports", _line(one["segment"], "a case")],
        ["the same without reports", _line(plain, "a case")],
        ["a case more from 100,000 cases in a segment on", f"{one['large_each']:.0f} B"],
        ["manifest", _line(one["manifest"], "a segment")],
        ["targets.json", _line(one["targets"], "a file listed")],
        ["snapshot.json, timestamp.json", f"{one['snapshot']} B, {one['timestamp']} B"],
        ["models, fetched once", _size(one["models"])],
    ]
    return _table("What files weigh, measured", ["file", "bytes"], rows)


def _line(line: dict[str, float], what: str) -> str:
    near = f", off by at most {100 * line['error']:.1f} %" if line["error"] else ""
    return f"{line['fixed']:,.0f} + {line['each']:.0f} {what}{near}"


def _capacity(rows: list[dict[str, Any]]) -> str:
    body = []
    for one in rows:
        slow, fast = one["first_fetch_hours"].values()
        body.append(
            [
                f"{one['cases']:,}",
                f"{one['regions']:,} of {one['carts_a_region']:,} carts",
                _size(one["disk_bytes"]),
                _size(one["disk_bytes_while_all_is_new"]),
                f"{slow:,.0f} h",
                f"{fast:.1f} h",
                f"{one['search_ms']:.1f}" if one["search_ms"] else "not measured",
                f"{one['peak_mib']}" if one["peak_mib"] else "not measured",
            ]
        )
    head = [
        "cases a region", "regions", "on the cart", "while all of it is replaced",
        "first fetch, 64 kbit/s", "2 Mbit/s", "search, ms", "peak MiB",
    ]  # fmt: skip
    return _table("How large a region", head, body)


def _segments(cases: int, rows: list[dict[str, Any]]) -> str:
    body = [
        [
            f"{one['cases_a_segment']:,}",
            str(one["segments"]),
            f"{one['search_ms']:.1f}",
            _size(one["erase_one_bytes"]),
            _size(one["all_bytes"]),
            _size(one["targets_bytes"]),
        ]
        for one in rows
    ]
    head = [
        "cases a segment", "segments", "search, ms", "fetched when one case is erased",
        "all of it", "targets.json",
    ]  # fmt: skip
    return _table(f"A region of {cases:,} cases in segments of", head, body)


def _search(cases: int, told: dict[str, float]) -> str:
    rows = [["ms", *(f"{ms:.2f}" for ms in told.values())]]
    title = f"A search for 150 of {cases:,} cases that lie in so many segments"
    return _table(title, ["segments", *told], rows)


def _merging(rows: list[dict[str, Any]]) -> str:
    body = [
        [
            str(one["publish_days"]),
            one["merged"],
            str(one["segments_most"]),
            _size(one["targets_bytes_most"]),
            _size(one["listings_a_day"]),
            _size(one["blobs_a_day"]),
            f"{one['blobs_a_day'] / one['new_bytes_a_day']:.1f}x",
        ]
        for one in rows
    ]
    head = [
        "published every, days", "merged", "segments, most", "targets.json, most",
        "listings a day", "segments' files a day", "of the new cases' own bytes",
    ]  # fmt: skip
    return _table("How often to publish and to merge: bytes a cart", head, body)


def _checking(rows: list[dict[str, Any]]) -> str:
    body = []
    for one in rows:
        hours = [_days(value) for value in one["hours_to"].values()]
        body.append(
            [
                one["miss_a_week"],
                f"{one['check_hours']:.0f} h",
                f"{one['checks_a_day']:.1f}",
                _size(one["timestamps_a_day"] + one["headers_a_day"]),
                _size(one["all_a_day"]),
                f"{one['fleet_gb_a_day']:.1f} GB",
                f"{one['fleet_requests_s']:.0f}",
                *hours,
            ]
        )
    head = [
        "carts that miss a week", "check every", "checks a day", "timestamps and headers a day",
        "all a day", "fleet a day", "fleet, requests a second", "50 % have it after", "90 %",
        "99 %",
    ]  # fmt: skip
    return _table(
        "How often to check: bytes a cart, and how soon a withdrawal is there", head, body
    )


def _days(hours: float | None) -> str:
    if hours is None:
        return "not within the time"
    return f"{hours:.0f} h" if hours < 72 else f"{hours / 24:.0f} days"


def _herd(rows: list[dict[str, Any]]) -> str:
    body = [
        [
            f"{one['carts']:,}",
            f"{one['window_s']:,} s",
            f"{one['nothing_new']:,}",
            f"{one['new_release']:,}",
        ]
        for one in rows
    ]
    head = ["carts", "random delay up to", "nothing new", "a new release"]
    return _table("After a power failure: most requests in one second", head, body)


def _centre(one: dict[str, Any]) -> str:
    rows = [
        [
            "encoding all cases, reading files not counted",
            f"{one['encode_core_hours']:,} core hours",
        ],
        ["graphs, a million cases each, one thread each", f"{one['graph_core_hours']} core hours"],
        ["all regions, one release", _size(one["bytes"])],
        [
            "a new encoder: every cart fetches everything",
            _size(one["all_carts_fetch_all_bytes"]),
        ],
        [
            f"all regions after a year of {one['releases_a_year']} releases, nothing pruned",
            _size(one["bytes_after_a_year_unpruned"]),
        ],
    ]
    return _table("The centre, from times of one thread", ["what", "how much"], rows)


def _check(one: dict[str, Any] | None) -> str:
    if one is None:
        return "The simulation was not compared with real syncs in this run."
    rows = [
        [
            name,
            f"{one['simulated_bytes_a_cart'][name]:,}",
            f"{one['real_bytes_a_cart'][name]:,}",
            f"{100 * one['deviation'][name]:+.2f} %",
        ]
        for name in one["real_bytes_a_cart"]
    ]
    title = (
        f"Simulated and real: {one['carts']} carts, {one['days']} days, {one['releases'] - 1} "
        f"releases, {one['checks']} syncs of which {one['installed']} installed; bytes a cart"
    )
    return _table(title, ["what", "simulated", "`synchronise()`", "deviation"], rows)
