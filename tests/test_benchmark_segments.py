"""The benchmarks of segments and of bytes on the wire: what they count, and their pages."""

import json
import shutil
import sys
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))

pytest.importorskip("tuf")

import page  # noqa: E402
import segments  # noqa: E402
import sync_bytes  # noqa: E402
import sync_peers  # noqa: E402
from sync_release import draw  # noqa: E402
from wire import http  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results"


def committed(name: str) -> dict:
    path = RESULTS / name
    if not path.is_file():
        pytest.skip(f"{name} was not measured yet")
    return json.loads(path.read_text())


def test_the_relay_counts_every_byte_of_requests_and_replies(tmp_path):
    (tmp_path / "blob").write_bytes(bytes(100_000))
    with http(tmp_path) as (address, relay):
        with urllib.request.urlopen(f"{address}/blob") as reply:
            assert len(reply.read()) == 100_000
            headers = len(str(reply.headers))
        total = relay.take()
        assert relay.take() == 0
    assert 100_000 + headers < total < 100_000 + headers + 400


@pytest.mark.parametrize("fanout", segments.FANOUTS)
def test_a_year_without_merges_fetches_each_case_once_and_merges_bound_the_segments(fanout):
    told = segments.year(50_000, fanout, 0.1)
    if fanout is None:
        assert (told["fetched"], told["most_segments"]) == (1.0, 1 + segments.WEEKS)
    else:
        assert told["fetched"] > 1
        assert told["most_segments"] <= 2 * fanout + 2
    assert told["worst_search"] == pytest.approx(1 + 0.1 * (told["most_segments"] - 1))


def test_drawn_cases_are_new_ones_that_look_like_the_built_in_releases():
    first, second = draw(20, 0), draw(20, 20)
    ids = [case.case_id for part in (first, second) for case in part.cases]
    assert len(set(ids)) == 40
    assert all(case.report is None and case.statements for case in first.cases)
    assert first.embeddings.shape == (20, 128)


def test_peers_bring_the_same_files_and_their_bytes_are_counted(tmp_path):
    if not (shutil.which("rsync") and shutil.which("zstd")):
        pytest.skip("rsync and zstd are not installed")
    before, after = tmp_path / "before", tmp_path / "after"
    sync_peers.write_monolith(before, draw(300, 0))
    sync_peers.grow_monolith(before, after, draw(30, 300))
    whole = sum(path.stat().st_size for path in after.iterdir())
    nothing = sync_peers.rsync_bytes(before, before, tmp_path)
    delta = sync_peers.rsync_bytes(after, before, tmp_path)
    assert nothing < 2_000 < delta < whole
    assert 0 < sync_peers.zstd_patch_bytes(after, before, tmp_path) < whole


def test_a_small_run_judges_its_bars(tmp_path):
    results = sync_bytes.measure(600, tmp_path)
    assert [row["added"] for row in results["rows"]] == [1, 6, 30]
    for row in results["rows"]:
        assert row["segment_bytes"] < row["sync_bytes"] < row["whole_sync_bytes"]
        # The models come with the package and are copied from there.
        assert row["whole_sync_bytes"] < row["release_bytes"]
    assert 0 < results["bars"]["nothing_new_bytes"][0] < 10_000
    assert "nothing new, bytes" in sync_bytes.tables(results)


@pytest.mark.parametrize(("module", "name"), [(segments, "segments"), (sync_bytes, "sync_bytes")])
def test_the_page_holds_what_was_measured(module, name):
    results = committed(f"{name}.json")
    text = (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")
    assert page.between(text)[1].strip() == module.tables(results).strip()


def test_the_bars_of_the_wire_are_kept():
    (over, most), (whole, least), (nothing, few) = committed("sync_bytes.json")["bars"].values()
    assert over <= most
    assert whole >= least
    assert nothing < few
