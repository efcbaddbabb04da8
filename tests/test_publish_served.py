"""From a store at the centre to a cart that answers: by nginx with our configuration, by stick."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import urllib3
from nginx import serving
from publishing_builders import (
    DAY,
    PASSPHRASE,
    Centre,
    PlaceFetcher,
    add_release,
    make_centre,
    read_by_tuf,
)
from small_release import build_release, heart, write_csv
from tuf.api.exceptions import UnsignedMetadataError

from ecgedge.casebase.release import Store
from ecgedge.sync.layout import release_of

ROOT = Path(__file__).resolve().parent.parent
CONFIGURATION = ROOT / "examples" / "nginx" / "ecgedge.conf"
IMMUTABLE = "public, max-age=31536000, immutable"


def example_site(listen: str, root: Path) -> str:
    """The example's own text, with another port and another folder."""
    text = CONFIGURATION.read_text(encoding="utf-8")
    text, ports = re.subn(r"listen 80;", f"listen {listen};", text)
    text, roots = re.subn(r"root /srv/ecgedge;", f"root {root};", text)
    assert (ports, roots) == (1, 1)
    return text


@pytest.fixture
def centre(tmp_path: Path) -> Centre:
    centre = make_centre(tmp_path)
    centre.publish(add_release(centre.store, "1"))
    return centre


@pytest.fixture
def served(centre: Centre, tmp_path: Path) -> Iterator[str]:
    with serving(centre.destination.root, tmp_path / "nginx", site=example_site) as url:
        yield f"{url}/"


def _get(url: str, **headers: str) -> urllib3.BaseHTTPResponse:
    return urllib3.request("GET", url, headers=headers, retries=False)


def test_python_tufs_client_reads_the_repository_from_nginx(centre, served):
    second = add_release(centre.store, "2", segments=2)
    centre.publish(second)
    centre.rotate("timestamp")
    centre.change()
    found = read_by_tuf(None, centre.root(1), url=served)
    assert second in {release_of(path) for path in found}


def test_what_never_changes_may_be_kept_and_the_timestamp_must_be_asked_for(centre, served):
    for path in centre.destination.sizes(""):
        reply = _get(served + path)
        assert reply.data == centre.destination.read(path)
        expected = "no-cache" if path.endswith("timestamp.json") else IMMUTABLE
        assert reply.headers["Cache-Control"] == expected
    again = _get(f"{served}metadata/timestamp.json")
    same = _get(f"{served}metadata/timestamp.json", **{"If-None-Match": again.headers["ETag"]})
    assert (same.status, same.data) == (304, b"")


def test_a_root_that_is_not_there_yet_is_not_kept_by_a_cache(served):
    reply = _get(f"{served}metadata/2.root.json")
    assert reply.status == 404
    assert "Cache-Control" not in reply.headers


def test_a_blob_continues_at_any_byte(centre, served):
    path = max(centre.destination.sizes("targets/blobs"))
    whole = centre.destination.read(path)
    reply = _get(served + path, Range="bytes=5-")
    assert (reply.status, reply.data) == (206, whole[5:])
    assert reply.headers["Content-Range"] == f"bytes 5-{len(whole) - 1}/{len(whole)}"
    assert "Content-Encoding" not in _get(served + path, **{"Accept-Encoding": "gzip"}).headers


def test_neither_folders_nor_half_written_files_nor_links_are_shown(centre, served):
    root = centre.destination.root
    hidden = root / "targets" / "blobs" / f".{'0' * 64}.1.tmp"
    hidden.write_bytes(b"half")
    (root / "targets" / "blobs" / ("f" * 64)).symlink_to("/etc/passwd")
    for path in ("", "metadata/", "targets/blobs/", "targets/blobs/" + hidden.name,
                 "metadata/../../keys/1.root.json", "targets/blobs/" + "f" * 64):  # fmt: skip
        assert _get(served + path).status in (400, 403, 404), path
    posted = urllib3.request("POST", f"{served}metadata/timestamp.json", body=b"x", retries=False)
    assert posted.status == 403


def _run(*words: object, **environment: str) -> dict[str, object]:
    done = subprocess.run(
        [sys.executable, "-m", "ecgedge", *map(str, words), "--json"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        check=False,
    )
    told = json.loads(done.stdout)
    return {**told, "code": done.returncode}


@pytest.fixture
def operator(tmp_path: Path) -> tuple[Path, Path, Store]:
    """Keys with passphrases, the file that holds them, and a store, all made by the commands."""
    passphrases = tmp_path / "passphrases"
    passphrases.write_text(PASSPHRASE + "\n")
    made = _run("keys", "new", tmp_path / "keys", "--passphrase-file", passphrases)
    assert made["code"] == 0, made
    return tmp_path / "keys", passphrases, build_release(tmp_path / "store")


@pytest.mark.parametrize("by", ["nginx", "folder"])
def test_a_cart_answers_from_what_was_published_with_the_commands_alone(operator, by, tmp_path):
    keys, passphrases, store = operator
    place, cart = tmp_path / "repository", tmp_path / "cart"
    signing = ["--to", place, "--keys", keys, "--passphrase-file", passphrases]
    published = _run("publish", store.root, *signing)
    assert published["code"] == 0, published
    if by == "folder":
        _answers_after_sync(str(place), keys, cart, published)
        return
    with serving(place, tmp_path / "nginx", site=example_site) as url:
        _answers_after_sync(url, keys, cart, published)
        assert (
            _run("sync", "--store", cart, "--from", url, "--root", keys / "root.json")["code"] == 8
        )


def _answers_after_sync(source: str, keys: Path, cart: Path, published: dict[str, object]) -> None:
    synced = _run("sync", "--store", cart, "--from", source, "--root", keys / "root.json")
    assert synced["code"] == 0, synced
    assert synced["release"] == published["release"]
    recording = write_csv(cart.parent / "ecg.csv", heart("test/fast"))
    answer = _run("query", recording, "--rate-hz", 500, "--unit", "mV", "--store", cart)
    assert answer["code"] == 0
    assert answer["matches"][0]["case_id"] == "test/fast"


def test_a_cart_goes_back_to_the_last_release_when_its_own_is_withdrawn(operator, tmp_path):
    keys, passphrases, store = operator
    place, cart = tmp_path / "repository", tmp_path / "cart"
    signing = ["--to", place, "--keys", keys, "--passphrase-file", passphrases]
    sync = ["sync", "--store", cart, "--from", place, "--root", keys / "1.root.json"]
    first = _run("publish", store.root, *signing)["release"]
    later = build_release(tmp_path / "later", words=True)
    second = _run("publish", later.root, *signing, "--channel", "pilot")["release"]
    assert _run(*sync)["release"] == first
    assert _run("publish", "--release", second, *signing)["code"] == 0
    assert _run(*sync)["release"] == second
    assert _run("publish", "--withdraw-release", second, *signing)["code"] == 0
    assert _run(*sync)["release"] == first


def test_a_cart_follows_new_keys_and_refuses_what_dropped_ones_sign(operator, tmp_path):
    """A thief of keys that were dropped publishes by himself; the cart has seen the newer root."""
    keys, passphrases, store = operator
    place, cart = tmp_path / "repository", tmp_path / "cart"
    signing = ["--to", place, "--keys", keys, "--passphrase-file", passphrases]
    sync = ["sync", "--store", cart, "--from", place, "--root", keys / "1.root.json"]
    first = _run("publish", store.root, *signing)["release"]
    stolen = tmp_path / "stolen"
    stolen.mkdir()
    for path in keys.iterdir():
        (stolen / path.name).write_bytes(path.read_bytes())
        (stolen / path.name).chmod(0o600)
    assert _run(*sync)["release"] == first
    for role in ("targets", "timestamp"):
        done = _run("keys", "rotate", role, "--keys", keys, "--passphrase-file", passphrases)
        assert done["complete"], done
    assert _run("publish", "--renew", "--carry-over", *signing)["code"] == 0
    assert _run(*sync)["code"] == 8
    thief = tmp_path / "thief"
    forged = ["--to", thief, "--keys", stolen, "--passphrase-file", passphrases]
    assert _run("publish", store.root, *forged)["code"] == 0
    refused = _run(*sync[:3], "--from", thief, *sync[5:])
    assert (refused["code"], refused["error"]["type"]) == (6, "TrustError")


def test_pythons_tuf_client_refuses_what_a_dropped_key_signed(centre, tmp_path):
    remembered = tmp_path / "remembered"
    stolen = tmp_path / "stolen"
    stolen.mkdir()
    for path in centre.keys.iterdir():
        (stolen / path.name).write_bytes(path.read_bytes())
        (stolen / path.name).chmod(0o600)
    centre.rotate("targets")
    centre.change(renew=True, carry_over=True)
    read_by_tuf(PlaceFetcher(centre.destination), centre.root(1), folder=remembered)
    (tmp_path / "thief").mkdir()
    thief = make_centre(tmp_path / "thief")
    thief.keys, thief.now = stolen, centre.now + DAY
    for name in "abc":  # versions beyond those the cart has seen
        thief.publish(add_release(thief.store, name))
    with pytest.raises(UnsignedMetadataError, match="targets was signed by 0/1 keys"):
        read_by_tuf(PlaceFetcher(thief.destination), centre.root(1), thief.now, folder=remembered)
