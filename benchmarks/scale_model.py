"""A region's carts over a year, hour by hour, by a seed: what they fetch and how current they are.

Pure: numpy and the standard library, no files, no network. Carts are independent of each other,
so that some hundreds stand for a thousand. What a cart fetches is what `ecgedge sync` would:
a timestamp at every check, and for a newer release the snapshot, the targets, the manifest and
those segments that it does not have.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scale_sizes import Sizes

from ecgedge.central.tiers import merges

Groups = tuple[tuple[int, ...], ...]
Policy = Callable[[Sequence[int]], Groups]
Segments = tuple[tuple[int, int], ...]  # (number, cases)

HOURS = 24


@dataclass(frozen=True)
class Region:
    """One repository. cases at the start, added_a_day afterwards; publish_days between releases;
    policy: which segments are merged at a release. offered: releases that stay on offer.
    """

    cases: int
    added_a_day: float
    publish_days: int
    policy: Policy
    offered: int = 2


@dataclass(frozen=True)
class Carts:
    """How carts live. number: of them. check_hours between checks while they run, each moved by
    up to a tenth either way. on_hours a day, from an hour of their own. offline_share of the time
    without a link, in spells of offline_days on average. slow_share of them have slow_bits_s,
    the others fast_bits_s. connection_bytes, request_bytes: TLS and headers.
    """

    number: int
    check_hours: float
    on_hours: float = 10.0
    offline_share: float = 0.33
    offline_days: float = 14.0
    slow_share: float = 0.2
    slow_bits_s: float = 64_000.0
    fast_bits_s: float = 2_000_000.0
    connection_bytes: int = 5_000
    request_bytes: int = 800


@dataclass(frozen=True)
class Release:
    """hour: when it is published."""

    hour: float
    segments: Segments


def never(_counts: Sequence[int]) -> Groups:
    """No merge, ever."""
    return ()


def into_one(counts: Sequence[int]) -> Groups:
    """Everything into one segment, at every release."""
    return (tuple(range(len(counts))),) if len(counts) > 1 else ()


def tiered(fanout: int) -> Policy:
    """As `ecgedge index merge` decides."""
    return lambda counts: merges(counts, fanout)


def history(region: Region, days: int) -> list[Release]:
    """The releases of a region, the first on offer before the first hour."""
    segments: Segments = ((0, region.cases),)
    releases = [Release(-1.0, segments)]
    number, carried = 1, 0.0
    for day in range(region.publish_days, days + 1, region.publish_days):
        carried += region.added_a_day * region.publish_days
        fresh, carried = int(carried), carried % 1
        if fresh:
            segments = (*segments, (number, fresh))
            number += 1
        groups = region.policy([count for _, count in segments])
        gone = {place for group in groups for place in group}
        made = tuple(
            (number + n, sum(segments[place][1] for place in group))
            for n, group in enumerate(groups)
        )
        number += len(made)
        kept = tuple(one for place, one in enumerate(segments) if place not in gone)
        segments = tuple(sorted((*made, *kept)))
        releases.append(Release(day * HOURS - HOURS / 2, segments))
    return releases


@dataclass(frozen=True)
class Costs:
    """Bytes of a step between releases. blobs: [have, want], have 0 for none and otherwise one
    more than the release's place. listing: snapshot, targets and manifest of each release.
    requests: of files, likewise.
    """

    blobs: NDArray[np.float64]
    listing: NDArray[np.float64]
    requests: NDArray[np.int64]
    targets: NDArray[np.float64]


def costs(releases: Sequence[Release], region: Region, sizes: Sizes) -> Costs:
    """What every step costs."""
    count = len(releases)
    blobs = np.zeros((count + 1, count))
    requests = np.zeros((count + 1, count), np.int64)
    held = [dict(one.segments) for one in releases]
    for want in range(count):
        for have in range(want + 2 if want + 1 <= count else count):
            known = held[have - 1] if have else {}
            missing = [cases for name, cases in held[want].items() if name not in known]
            blobs[have, want] = sum(map(sizes.segment_bytes, missing)) + (not have) * sizes.models
            requests[have, want] = 2 * len(missing) + (not have) * sizes.model_files
    listed = []
    for want in range(count):
        offered = range(max(0, want + 1 - region.offered), want + 1)
        names = {name for one in offered for name in held[one]}
        listed.append(2 * len(names) + len(offered) + sizes.model_files)
    targets = np.array([sizes.targets.at(n) for n in listed])
    manifests = np.array([sizes.manifest.at(len(one)) for one in held])
    return Costs(blobs, sizes.snapshot + targets + manifests, requests, targets)


@dataclass(frozen=True)
class Outcome:
    """What a region's carts fetched, bytes a cart: timestamps (and, where counted, headers),
    listings (snapshot, targets, manifest), blobs. checks, requests: a cart. switched: [release,
    cart] hours when a cart first answered from this release or a later one, inf for never.
    log: (hour, cart) of every check, where it was asked for.
    """

    timestamps: float
    headers: float
    listings: float
    blobs: float
    checks: float
    requests: float
    switched: NDArray[np.float64]
    log: tuple[tuple[float, int], ...] = ()

    @property
    def total(self) -> float:
        return self.timestamps + self.headers + self.listings + self.blobs


def simulate(
    region: Region, carts: Carts, sizes: Sizes, *, days: int, seed: int, log: bool = False
) -> Outcome:
    """Let carts that hold the first release live through the days, in steps of an hour."""
    releases = history(region, days)
    prices = costs(releases, region, sizes)
    published = np.array([one.hour for one in releases])
    fleet = _Fleet(carts, len(releases), seed)
    checks: list[tuple[float, int]] = []
    for hour in range(days * HOURS):
        newest = int(np.searchsorted(published, hour, side="right")) - 1
        asked = fleet.step(hour, newest, prices, sizes)
        if log:
            checks += [(float(hour), cart) for cart in asked.tolist()]
    n = carts.number
    return Outcome(
        timestamps=fleet.timestamps / n,
        headers=(fleet.requests * carts.request_bytes + fleet.checks * carts.connection_bytes) / n,
        listings=fleet.listings / n,
        blobs=fleet.blobs / n,
        checks=fleet.checks / n,
        requests=fleet.requests / n,
        switched=fleet.switched - published[:, None],
        log=tuple(checks),
    )


class _Fleet:
    """The state of all carts, one array each."""

    def __init__(self, carts: Carts, releases: int, seed: int) -> None:
        self.carts = carts
        self.rng = np.random.default_rng(seed)
        n = carts.number
        self.online = self.rng.random(n) >= carts.offline_share
        self.wakes = self.rng.uniform(0, HOURS, n)
        self.next_check = self.rng.uniform(0, carts.check_hours, n)
        slow = self.rng.random(n) < carts.slow_share
        self.bytes_an_hour = np.where(slow, carts.slow_bits_s, carts.fast_bits_s) / 8 * 3600
        self.held = np.zeros(n, np.int64)
        self.wanted = np.zeros(n, np.int64)
        self.left = np.zeros(n)
        self.switched = np.full((releases, n), np.inf)
        self.switched[0] = 0
        self.timestamps = self.listings = self.blobs = 0.0
        self.checks = self.requests = 0

    def step(self, hour: int, newest: int, prices: Costs, sizes: Sizes) -> NDArray[np.int64]:
        """One hour; returns the carts that checked."""
        self._links()
        running = (hour - self.wakes) % HOURS < self.carts.on_hours
        able = self.online & running
        asking = np.flatnonzero(able & (self.left == 0) & (self.next_check <= hour))
        self._check(asking, hour, newest, prices, sizes)
        self._transfer(np.flatnonzero(able & (self.left > 0)), hour)
        return asking

    def _links(self) -> None:
        """Spells without a link begin and end; how long they last is exponential."""
        back = 1 / (self.carts.offline_days * HOURS)
        share = self.carts.offline_share
        lost = back * share / (1 - share)
        turns = self.rng.random(len(self.online)) < np.where(self.online, lost, back)
        self.online ^= turns

    def _check(
        self, asking: NDArray[np.int64], hour: int, newest: int, prices: Costs, sizes: Sizes
    ) -> None:
        jitter = self.rng.uniform(0.9, 1.1, len(asking)) * self.carts.check_hours
        # A timer goes on from when it was due; one that was due while the cart was off, from now.
        self.next_check[asking] = np.maximum(self.next_check[asking], hour - 1) + jitter
        self.checks += len(asking)
        self.requests += 2 * len(asking)  # the next root, which is not there, and the timestamp
        self.timestamps += float(sizes.timestamp * len(asking))
        behind = asking[self.held[asking] < newest]
        have = self.held[behind] + 1
        listing, blobs = prices.listing[newest], prices.blobs[have, newest]
        self.listings += float(listing * len(behind))
        self.blobs += float(blobs.sum())
        self.requests += int(prices.requests[have, newest].sum()) + 3 * len(behind)
        self.wanted[behind] = newest
        self.left[behind] = listing + blobs

    def _transfer(self, moving: NDArray[np.int64], hour: int) -> None:
        self.left[moving] = np.maximum(self.left[moving] - self.bytes_an_hour[moving], 0)
        done = moving[self.left[moving] == 0]
        for cart in done.tolist():
            first, last = self.held[cart] + 1, self.wanted[cart] + 1
            self.switched[first:last, cart] = hour + 1
        self.held[done] = self.wanted[done]


def hours_to(
    outcome: Outcome, share: float, before_hour: float, releases: Sequence[Release]
) -> float:
    """Median over the releases published before an hour: hours until this share of carts has it."""
    chosen = [n for n, one in enumerate(releases) if n and one.hour < before_hour]
    each = np.quantile(outcome.switched[chosen], share, axis=1, method="higher")
    return float(np.median(each))


def herd(carts: int, window_s: float, requests: int, spread_s: float, seed: int) -> int:
    """Most requests in one second when all carts get power back at once: each comes up within
    `spread_s`, waits a random part of `window_s`, and asks one request after another, 0.2 s apart.
    """
    rng = np.random.default_rng(seed)
    begin = rng.uniform(0, spread_s, carts) + rng.uniform(0, max(window_s, 1e-9), carts)
    times = (begin[:, None] + 0.2 * np.arange(requests)).ravel()
    return int(np.bincount(times.astype(np.int64)).max())
