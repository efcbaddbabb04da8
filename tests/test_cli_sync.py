"""`ecgedge sync`, `rollback` and `status` as a person and a script meet them."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from centre_builders import ROOT, Centre, ecgedge, process, sync_words, told
from small_release import build_release

from ecgedge.casebase.manifest import Probe
from ecgedge.casebase.pointer import Pointer
from ecgedge.casebase.release import Store
from ecgedge.central.probes import make_probes
from ecgedge.encoders import load_encoder
from ecgedge.sync import places


@pytest.fixture
def centre(tmp_path: Path) -> Centre:
    return Centre.at(tmp_path)


@pytest.fixture
def store(centre: Centre, tmp_path: Path) -> Store:
    """A cart's store after two syncs: "one", then "two"."""
    for name in ("one", "two"):
        centre.offer(name)
        done = ecgedge(*sync_words(centre, tmp_path / "cart"))
        assert done.returncode == 0, done.stderr
    return Store(tmp_path / "cart")


def test_a_sync_from_a_folder_installs_and_says_what_was_fetched(
    centre: Centre, tmp_path: Path
) -> None:
    one, folder = centre.offer("one"), tmp_path / "cart"
    done = process(*sync_words(centre, folder))
    assert done.returncode == 0, done.stderr
    assert f"release {one} is installed and answers: " in done.stdout
    assert "note: this is one" in done.stdout
    assert "fetching: " in done.stderr
    assert "MB here after" in done.stderr
    two = centre.offer("two")
    done = ecgedge(*sync_words(centre, folder), "--json")
    facts = told(done)
    assert (facts["ok"], facts["kind"]) == (True, "installed")
    assert (facts["release"], facts["before"]) == (two, one)
    assert 0 < facts["fetch_bytes"] <= facts["received_bytes"]
    done = ecgedge("query", ROOT / "examples" / "synthetic.hea", "--store", folder, "--json")
    assert told(done)["release"] == two


def test_nothing_new_is_exit_code_8_in_words_and_in_json(centre: Centre, store: Store) -> None:
    for option in ((), ("--check",)):
        done = ecgedge(*sync_words(centre, store.root), *option)
        assert (done.returncode, done.stdout) == (8, "")
        assert done.stderr == (
            f"ecgedge: nothing new: release {store.current_id()} answers and is whole\n"
        )
    done = ecgedge(*sync_words(centre, store.root), "--json")
    assert (done.returncode, done.stderr) == (8, "")
    assert told(done)["error"]["type"] == "NothingNew"


def test_check_says_what_there_is_and_leaves_the_old_release(centre: Centre, store: Store) -> None:
    two, three = store.current_id(), centre.offer("three")
    done = ecgedge(*sync_words(centre, store.root), "--check")
    assert done.returncode == 0
    assert f"release {three} is on offer, " in done.stdout
    assert f"; {two} answers now" in done.stdout
    assert store.current_id() == two


def test_everything_can_be_configured_once(centre: Centre, tmp_path: Path) -> None:
    one = centre.offer("one", "pilot")
    config = tmp_path / "home" / "ecgedge" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text(
        f'store = "{tmp_path / "cart"}"\nsource = "file://{centre.folder}"\nchannel = "pilot"\n'
        f'cart = "ward-7"\nroot = "{centre.root_file}"\n'
    )
    home = {"XDG_CONFIG_HOME": str(config.parent.parent)}
    assert told(ecgedge("sync", "--json", **home))["release"] == one
    facts = told(ecgedge("status", "--json", **home))
    assert (facts["release"], facts["channel"], facts["cart"]) == (one, "pilot", "ward-7")
    assert facts["source"] == f"file://{centre.folder}"
    done = ecgedge("sync", ECGEDGE_CHANNEL="stable", **home)
    assert done.returncode == 8, "the environment wins, and nothing is offered there"


@pytest.mark.parametrize(
    ("words", "needle"),
    [
        ((), "no store is configured"),
        (("--store", "{tmp}/cart"), "no source is configured"),
        (("--store", "{tmp}/cart", "--from", "{tmp}/repository"), "root file"),
        (
            ("--store", "{tmp}/cart", "--from", "{tmp}/repository", "--root", "{tmp}/none"),
            "root file",
        ),
        (("--store", "{tmp}/cart", "--from", "ftp://x/", "--root", "{root}"), "ftp://"),
        (("--store", "{tmp}/root.json/x", "--from", "{tmp}/repository", "--root", "{root}"), "x"),
    ],
)
def test_what_is_not_set_up_is_one_sentence_and_exit_code_2(
    centre: Centre, tmp_path: Path, words: tuple[str, ...], needle: str
) -> None:
    centre.offer("one")
    filled = [word.format(tmp=tmp_path, root=centre.root_file) for word in words]
    done = ecgedge("sync", *filled)
    assert (done.returncode, done.stdout) == (2, "")
    assert needle in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_stick_without_a_repository_is_exit_code_5(store: Store, centre: Centre) -> None:
    two = store.current_id()
    shutil.rmtree(centre.folder)
    done = ecgedge(*sync_words(centre, store.root))
    assert (done.returncode, done.stderr.count("\n")) == (5, 1)
    assert "plug the stick in" in done.stderr
    assert store.current_id() == two


def test_another_centres_signatures_are_exit_code_6(
    store: Store, centre: Centre, tmp_path: Path
) -> None:
    two = store.current_id()
    (tmp_path / "thief").mkdir()
    thief = Centre.at(tmp_path / "thief")
    thief.offer("three")
    words = ["sync", "--store", store.root, "--from", thief.folder, "--root", centre.root_file]
    done = ecgedge(*words)
    assert (done.returncode, done.stderr.count("\n")) == (6, 1)
    assert store.current_id() == two
    done = ecgedge("status", "--store", store.root)
    assert "failed" in done.stdout
    assert "(exit 6)" in done.stdout


def test_a_release_that_answers_otherwise_here_is_not_switched_to(
    store: Store, centre: Centre
) -> None:
    two = store.current_id()
    wrong = Probe({"rate_bpm": 66.0}, (("nobody/0", 0.5),))
    manifest = replace(centre.made.manifest(two), probes=(wrong,))
    release = centre.made.add_release(manifest)
    centre.repository.publish_store(centre.made, release, {"stable": (99, 100)})
    centre.write()
    done = ecgedge(*sync_words(centre, store.root))
    assert (done.returncode, done.stderr.count("\n")) == (7, 1), done.stderr
    assert f"answered otherwise here than where release {release} was made" in done.stderr
    assert store.current_id() == two


def test_a_second_sync_says_at_once_that_another_runs(store: Store, centre: Centre) -> None:
    handle = os.open(places.lock(store.root), os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    for words in (sync_words(centre, store.root), ["rollback", "--store", store.root]):
        done = ecgedge(*words, "--json")
        assert done.returncode == 5
        assert told(done)["error"]["type"] == "BusyError"
        assert "another ecgedge sync or rollback" in told(done)["error"]["message"]
    os.close(handle)


# -- rollback


def test_a_rollback_returns_to_the_release_before_and_holds_the_one_it_left(
    store: Store, centre: Centre
) -> None:
    two, one = store.pointer().active, store.pointer().previous
    done = ecgedge("rollback", "--store", store.root)
    assert done.returncode == 0, done.stderr
    assert done.stdout == (
        f"release {one} answers again; {two} is held: sync does not take it until the centre "
        "offers another\n"
    )
    done = ecgedge(*sync_words(centre, store.root))
    assert (done.returncode, store.current_id()) == (8, one)
    assert f"{two} is held until the centre offers another" in done.stderr
    three = centre.offer("three")
    assert ecgedge(*sync_words(centre, store.root)).returncode == 0
    assert store.pointer() == Pointer(three, previous=one)


def test_a_second_rollback_undoes_the_first(store: Store) -> None:
    before = store.pointer()
    assert told(ecgedge("rollback", "--store", store.root, "--json"))["held"] is True
    done = ecgedge("rollback", "--store", store.root, "--json")
    assert told(done)["held"] is False
    assert store.pointer() == before


def test_there_is_no_going_back_to_a_release_that_is_damaged(store: Store) -> None:
    pointer = store.pointer()
    name = store.manifest(pointer.previous).segments[0].vectors
    (store.blobs / name).write_bytes(b"rubbish")
    done = ecgedge("rollback", "--store", store.root)
    assert (done.returncode, done.stderr.count("\n")) == (7, 1)
    assert "cannot be gone back to" in done.stderr
    assert store.pointer() == pointer


def test_a_rollback_without_a_release_before_is_exit_code_2(centre: Centre, tmp_path: Path) -> None:
    centre.offer("one")
    ecgedge(*sync_words(centre, tmp_path / "cart"))
    done = ecgedge("rollback", "--store", tmp_path / "cart")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "nothing to go back to" in done.stderr
    assert ecgedge("rollback").returncode == 2, "the release inside the package"


# -- status


def test_status_tells_release_age_sizes_and_the_last_sync(store: Store, centre: Centre) -> None:
    facts = told(ecgedge("status", "--store", store.root, "--json", ECGEDGE_SOURCE="https://c/"))
    assert facts["release"] == store.current_id()
    assert facts["previous"] == store.pointer().previous
    assert (facts["cases"], facts["held"], facts["problems"]) == (5, None, [])
    assert facts["age_days"] >= 0
    assert facts["blobs_bytes"] == sum(path.stat().st_size for path in store.blobs.iterdir())
    assert facts["source"] == "https://c/"
    assert facts["last_sync"]["outcome"] == "installed"
    assert facts["last_sync"]["release"] == store.current_id()
    assert facts["expires"] > facts["last_sync"]["confirmed"] >= facts["floor"]
    text = ecgedge("status", "--store", store.root).stdout
    assert f"release   {store.current_id()}, made 2026-01-01 (" in text
    assert f"before    {store.pointer().previous} (`ecgedge rollback` returns to it)" in text
    assert "last sync 20" in text
    assert ": installed" in text
    assert "note: this is two" in text


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("https://cart:secret@centre.example/ecg", "https://centre.example/ecg"),
        ("https://cart:secret@[centre", "an address that cannot be read"),
        ("/media/stick", "/media/stick"),
    ],
)
def test_status_never_shows_a_password(store: Store, source: str, shown: str) -> None:
    for option in ((), ("--json",)):
        done = ecgedge("status", "--store", store.root, *option, ECGEDGE_SOURCE=source)
        assert "secret" not in done.stdout + done.stderr
        assert shown in done.stdout


def test_status_without_a_store_tells_of_the_release_inside_the_package() -> None:
    done = ecgedge("status")
    assert done.returncode == 0
    assert done.stdout.startswith("release   ")
    assert "last sync" not in done.stdout


def test_status_tells_why_the_last_sync_failed_and_that_the_old_release_answers(
    store: Store, centre: Centre
) -> None:
    shutil.rmtree(centre.folder)
    ecgedge(*sync_words(centre, store.root))
    done = ecgedge("status", "--store", store.root, "--json")
    last = told(done)["last_sync"]
    assert (done.returncode, last["outcome"], last["exit_code"]) == (0, "failed", 5)
    assert "plug the stick in" in last["error"]
    assert last["confirmed"] is not None


@pytest.mark.parametrize("lost", ["current", "blobs", "releases", "all"])
def test_status_of_a_store_that_cannot_answer_is_exit_code_7_and_all_it_knows(
    store: Store, lost: str
) -> None:
    path = store.root if lost == "all" else store.root / lost
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    done = ecgedge("status", "--store", store.root, "--json")
    facts = told(done)
    assert (done.returncode, facts["error"]["exit_code"]) == (7, 7)
    assert "ecgedge sync" in facts["error"]["message"]
    if lost != "all":
        assert facts["last_sync"]["outcome"] == "installed"
    done = ecgedge("status", "--store", store.root)
    assert done.returncode == 7
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["trust", "status"])
@pytest.mark.parametrize(
    "text", ["rubbish", "{}", '{"format": "ecgedge-sync/9", "schema": "ecgedge-sync/9"}']
)
def test_status_names_a_damaged_or_newer_file_of_the_sync_and_still_tells_the_rest(
    store: Store, name: str, text: str
) -> None:
    path = getattr(places, name)(store.root)
    path.write_text(text)
    done = ecgedge("status", "--store", store.root, "--json")
    facts = told(done)
    assert (done.returncode, facts["release"]) == (0, store.current_id())
    assert any(str(path) in problem for problem in facts["problems"])


def test_status_of_a_newer_release_format_asks_for_an_update(store: Store) -> None:
    path = store.root / "releases" / f"{store.current_id()}.json"
    path.write_text(path.read_text().replace("ecgedge-release/1", "ecgedge-release/9"))
    done = ecgedge("status", "--store", store.root)
    assert done.returncode == 7
    assert "update ecgedge" in done.stderr


def test_status_writes_nothing_and_reads_no_file_of_a_release(store: Store) -> None:
    before = {path: path.stat().st_mtime_ns for path in store.root.rglob("*")}
    code = (
        "import sys\n"
        "def hook(event, arguments):\n"
        "    if event == 'open' and '/blobs/' in str(arguments[0]): raise SystemExit('read')\n"
        "sys.addaudithook(hook)\n"
        "from ecgedge.cli import main\n"
        f"sys.argv = ['ecgedge', 'status', '--store', {str(store.root)!r}]\n"
        "main()\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, check=False)
    assert done.returncode == 0
    assert {path: path.stat().st_mtime_ns for path in store.root.rglob("*")} == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_store_that_may_not_be_written_is_told(store: Store, centre: Centre) -> None:
    for path in (store.root, *store.root.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    done = ecgedge(*sync_words(centre, store.root))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert ecgedge("status", "--store", store.root).returncode == 0


def test_after_a_rollback_the_probes_pass_without_the_cases_that_were_withdrawn_since(
    tmp_path: Path,
) -> None:
    store = build_release(tmp_path / "store")
    before = store.manifest()
    encoder = load_encoder(store.blob(before.encoder.model), store.blob(before.encoder.spec))
    before = replace(before, probes=make_probes(store.casebase(before), encoder))
    nearest = {before.probes[0].expect[0][0], before.probes[1].expect[0][0]}
    after = replace(before, withdrawn=tuple(sorted({*before.withdrawn, *nearest})), probes=())
    for manifest in (before, after):
        store.activate(store.add_release(manifest))
    assert ecgedge("rollback", "--store", store.root).returncode == 0
    assert ecgedge("verify", "--store", store.root).returncode == 0
    answer = told(
        ecgedge("query", "--json", "--store", store.root, ROOT / "examples" / "synthetic.hea")
    )
    assert answer["release"] == before.id
    assert not nearest & {match["case_id"] for match in answer["matches"]}
