"""`ecgedge keys` and `ecgedge publish` as an operator types them."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from publishing_builders import PASSPHRASE, add_release

from ecgedge.casebase.release import Store
from ecgedge.cli.publish import _change
from ecgedge.errors import UsageError

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


def _run(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ecgedge", *map(str, words)]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        check=False,
    )


def _json(*words: object) -> dict[str, object]:
    done = _run(*words, "--json")
    assert "Traceback" not in done.stderr
    return {**json.loads(done.stdout), "code": done.returncode}


def _typed(answers: list[str], *words: object) -> tuple[int, str]:
    """Exit code and screen of a command on a terminal of its own, which is answered in turn."""
    child, terminal = pty.fork()
    if child == 0:
        os.execve(sys.executable, [sys.executable, "-m", "ecgedge", *map(str, words)], ENVIRONMENT)
    screen, left = b"", list(answers)
    while True:
        try:
            piece = os.read(terminal, 4096)
        except OSError:  # the child has closed its end
            break
        if not piece:
            break
        screen += piece
        if screen.endswith(b": ") and left:
            os.write(terminal, left.pop(0).encode() + b"\n")
    os.close(terminal)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), screen.decode()


@pytest.fixture
def passphrases(tmp_path: Path) -> Path:
    path = tmp_path / "passphrases"
    path.write_text(PASSPHRASE + "\n")
    return path


@pytest.fixture
def keys(tmp_path: Path, passphrases: Path) -> Path:
    made = _json("keys", "new", tmp_path / "keys", "--passphrase-file", passphrases)
    assert made["code"] == 0, made
    return tmp_path / "keys"


def test_on_a_terminal_each_new_passphrase_is_asked_for_twice_and_never_shown(tmp_path):
    words = ["keys", "new", tmp_path / "keys", "--root-keys", 1, "--online-without-passphrase"]
    code, screen = _typed([PASSPHRASE] * 2 + ["another passphrase"] * 2, *words)
    assert code == 0, screen
    assert screen.count("New passphrase of root key 1 of 1") == 1
    assert screen.count("Repeat for confirmation") == 2
    assert PASSPHRASE not in screen
    folder = tmp_path / "keys"
    code, screen = _typed(["wrong", PASSPHRASE], "keys", "renew", "--keys", folder)
    assert code == 0, screen
    assert "root version 2 counts" in screen


def test_without_a_terminal_and_a_file_a_new_key_is_refused(tmp_path):
    told = _json("keys", "new", tmp_path / "keys")
    assert told["code"] == 2
    assert "--passphrase-file" in told["error"]["message"]
    assert not (tmp_path / "keys").exists()


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xff\xfe"])
def test_a_file_without_a_passphrase_is_refused(tmp_path, content):
    path = tmp_path / "empty"
    path.write_bytes(content)
    for file in (path, tmp_path / "nowhere"):
        told = _json("keys", "new", tmp_path / "keys", "--passphrase-file", file)
        assert (told["code"], told["error"]["type"]) == (2, "UsageError")


def test_roles_thresholds_and_places_of_keys_are_listed(keys, passphrases):
    told = _json("keys", "list", "--keys", keys)
    assert told["root_version"] == 1
    assert told["days_left"] in (729, 730)
    roles = {one["role"]: one for one in told["roles"]}
    assert len(roles["root"]["keys"]) == 2
    assert all(Path(one["private"]).is_file() for role in roles.values() for one in role["keys"])
    for path in keys.glob("root-*.pem"):
        path.unlink()
    assert "elsewhere" in _run("keys", "list", "--keys", keys).stdout
    waiting = _json("keys", "renew", "--keys", keys, "--passphrase-file", passphrases)
    assert (waiting["code"], waiting["complete"]) == (0, False)
    assert "version 1's root keys" in _json("keys", "list", "--keys", keys)["pending"]


def test_a_key_is_made_for_a_holder_elsewhere(tmp_path, keys, passphrases):
    made = _json("keys", "make", "root", tmp_path / "c", "--passphrase-file", passphrases)
    words = ["--keep-old", "--threshold", 3, "--public", made["public"]]
    words += ["--keys", keys, "--passphrase-file", passphrases]
    told = _json("keys", "rotate", "root", *words)
    assert (told["complete"], told["made"]) == (False, [])
    signing = ["--keys", keys, "--keys", tmp_path / "c", "--passphrase-file", passphrases]
    assert _json("keys", "sign", *signing)["complete"]


def test_a_publish_is_told_in_words_and_as_json(tmp_path, keys, passphrases):
    place, store = tmp_path / "repository", Store(tmp_path / "store")
    release = add_release(store, "1", report="seen by Dr. Mustermann")
    offered = ["--to", place, "--keys", keys, "--passphrase-file", passphrases]
    # The test's encoder is a few bytes, so this release cannot answer.
    refused = _json("publish", store.root, *offered)
    assert (refused["code"], refused["ok"]) == (7, False)
    assert not place.exists()
    builtin = ROOT / "ecgedge" / "builtin"
    dry = _json("publish", builtin, *offered, "--dry-run")
    assert (dry["dry_run"], place.exists()) == (True, False)
    done = _run("publish", builtin, *offered)
    assert done.returncode == 0, done.stderr
    assert "100 % of the carts" in done.stdout
    assert "a new cart fetches 10.4 MB" in done.stdout
    assert "valid until: targets" in done.stdout
    told = _json("publish", *offered, "--release", dry["release"], "--rollout", 20)
    assert told["offers"] == [
        {"release": dry["release"], "channel": "stable", "order": 1, "percent": 20}
    ]
    assert set(told["versions"]) == {"root", "targets", "snapshot", "timestamp"}
    assert _json("publish", *offered, "--refresh")["uploaded_files"] == 1
    assert release != dry["release"]


def test_a_missing_key_store_or_place_is_one_sentence(tmp_path, keys, passphrases):
    builtin = ROOT / "ecgedge" / "builtin"
    signing = ["--keys", keys, "--passphrase-file", passphrases]
    cases = {
        ("publish", builtin, "--to", tmp_path / "r", "--keys", tmp_path / "none"): "1.root.json",
        ("publish", tmp_path / "none", "--to", tmp_path / "r", *signing): "holds no release",
        ("publish", "--to", tmp_path / "r", *signing, "--refresh"): "nothing is published there",
        ("publish", "--to", "s3://", *signing, "--refresh"): "names no bucket",
        ("publish", builtin, "--to", "/proc/r", *signing): "cannot be",
    }
    for words, message in cases.items():
        done = _run(*words)
        assert done.returncode in (2, 7), words
        assert message in done.stderr
        assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"refresh": True, "release": "0123456789abcdef"},
        {"refresh": True, "withdraw": ("0123456789abcdef",)},
        {"refresh": True, "renew": True},
        {"percent": 20},
    ],
)
def test_options_that_do_not_go_together_are_refused(options):
    facts = {"refresh": False, "release": None, "withdraw": (), "renew": False, "percent": None}
    with pytest.raises(UsageError):
        _change(None, **{**facts, "prune": False, **options})


@pytest.mark.parametrize("package", ["cryptography", "fsspec", "s3fs"])
def test_a_package_that_is_not_installed_is_named_with_its_extra(tmp_path, keys, package):
    words = {
        "cryptography": ["keys", "new", tmp_path / "new", "--online-without-passphrase"],
        "fsspec": ["publish", "--to", "memory://x/y", "--keys", keys, "--refresh"],
        "s3fs": ["publish", "--to", "s3://x/y", "--keys", keys, "--refresh"],
    }[package]
    if package == "cryptography":
        (tmp_path / "words").write_text(PASSPHRASE)
        words += ["--passphrase-file", tmp_path / "words"]
    code = f"import sys; sys.modules[{package!r}] = None; from ecgedge.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, words)],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        check=False,
    )
    extra = "s3" if package == "s3fs" else "central"
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert f"pip install 'ecgedge[{extra}]'" in done.stderr
