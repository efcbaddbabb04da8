"""What a board prefers: flags over environment over files, and every way it can be wrong."""

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_release import build_release, heart, write_csv

from ecgedge import config
from ecgedge.config import Config, load, parse, save
from ecgedge.errors import UsageError

ROOT = Path(__file__).resolve().parent.parent
WHOLE = 'store = "/srv/store"\nsocket = "/run/e.sock"\nencoder = "leads-1"\nthreads = 3\n'


def written(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_nothing_configured_says_nothing(tmp_path: Path) -> None:
    assert load({}, [tmp_path / "absent.toml", tmp_path / "no" / "folder.toml"]) == Config()
    assert load({"ECGEDGE_STORE": "", "ECGEDGE_THREADS": ""}, []) == Config()


def test_every_key_is_read_from_a_file(tmp_path: Path) -> None:
    told = load({}, [written(tmp_path / "config.toml", WHOLE)])
    assert told == Config(Path("/srv/store"), Path("/run/e.sock"), "leads-1", 3)


def test_the_later_file_and_then_the_environment_win_key_by_key(tmp_path: Path) -> None:
    machine = written(tmp_path / "etc.toml", WHOLE)
    user = written(tmp_path / "user.toml", 'encoder = "scalogram-1"\nthreads = 2\n')
    told = load({"ECGEDGE_THREADS": "4", "ECGEDGE_STORE": "here"}, [machine, user])
    assert told == Config(Path("here"), Path("/run/e.sock"), "scalogram-1", 4)


@pytest.mark.parametrize(
    ("environment", "user"),
    [
        ({"XDG_CONFIG_HOME": "/x", "HOME": "/h"}, "/x/ecgedge/config.toml"),
        ({"HOME": "/h"}, "/h/.config/ecgedge/config.toml"),
        ({"XDG_CONFIG_HOME": "relative", "HOME": "/h"}, "/h/.config/ecgedge/config.toml"),
    ],
)
def test_the_files_are_the_machines_and_then_the_users(
    environment: dict[str, str], user: str
) -> None:
    found = config.config_files(environment)
    assert list(map(str, found)) == ["/etc/ecgedge/config.toml", user]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("threads = ", "is not TOML"),
        ("= 3", "is not TOML"),
        ("colour = 3", "unknown key 'colour'; known are store"),
        ("[store]\nx = 1", "store must be text in quotes"),
        ("threads = true", "threads must be a whole number"),
        ("threads = 2.0", "threads must be a whole number"),
        ('threads = "2"', "threads must be a whole number"),
        ("threads = 0", "threads must be at least 1"),
        ("store = 3", "store must be text in quotes"),
        ('store = ""', "store must not be empty"),
        ('store = "relative/path"', "store must be a whole path"),
        ("encoder = ['a']", "encoder must be text in quotes"),
        ("x = " + "[" * 5000, "is not TOML"),
        ("#" * 70_000, "too long"),
    ],
)
def test_a_file_that_is_wrong_is_refused_in_one_sentence(
    tmp_path: Path, text: str, told: str
) -> None:
    path = written(tmp_path / "config.toml", text)
    with pytest.raises(UsageError, match=told) as caught:
        load({}, [path])
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read: Is a directory"):
        load({}, [tmp_path])
    path = tmp_path / "config.toml"
    path.write_bytes(b'store = "\xff"')
    with pytest.raises(UsageError, match="not UTF-8"):
        load({}, [path])
    if os.geteuid():
        path.chmod(0)
        with pytest.raises(UsageError, match="Permission denied"):
            load({}, [path])


@pytest.mark.parametrize("text", ["two", "2.5", "0", "-1"])
def test_a_variable_that_is_wrong_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="ECGEDGE_THREADS"):
        load({"ECGEDGE_THREADS": text}, [])


def test_saving_keeps_other_keys_comments_and_a_link(tmp_path: Path) -> None:
    real = written(tmp_path / "real.toml", '# ours\nstore = "/s"  # here\nencoder = "old"\n')
    link = tmp_path / "config.toml"
    link.symlink_to(real)
    save(link, encoder="new", threads=2)
    assert link.is_symlink()
    assert real.read_text() == '# ours\nstore = "/s"  # here\nencoder = "new"\nthreads = 2\n'
    save(tmp_path / "made" / "config.toml", threads=1)
    assert load({}, [tmp_path / "made" / "config.toml"]) == Config(threads=1)
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["config.toml"]


def test_saving_over_a_value_of_several_lines_still_gives_a_whole_file(tmp_path: Path) -> None:
    path = written(tmp_path / "config.toml", 'encoder = """\nthreads = 9\n"""\n')
    save(path, threads=2)
    assert tomllib.loads(path.read_text()) == {"encoder": "threads = 9\n", "threads": 2}


def test_a_file_that_would_be_refused_is_not_saved_over(tmp_path: Path) -> None:
    path = written(tmp_path / "config.toml", "colour = 3\n")
    with pytest.raises(UsageError, match="unknown key"):
        save(path, threads=2)
    assert path.read_text() == "colour = 3\n"
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be written"):
        save(tmp_path / "file" / "config.toml", threads=2)


KEYS = st.fixed_dictionaries(
    {},
    optional={
        "store": st.text(st.characters(codec="utf-8", exclude_characters="\0")).map(
            lambda text: f"/{text}"
        ),
        "encoder": st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1),
        "threads": st.integers(1, 1 << 40),
    },
)


@settings(max_examples=40)
@given(before=KEYS, changes=KEYS)
def test_what_is_saved_is_what_is_read(
    tmp_path_factory: pytest.TempPathFactory, before: dict, changes: dict
) -> None:
    path = tmp_path_factory.mktemp("saved") / "config.toml"
    save(path, **before)
    save(path, **changes)
    assert parse(path.read_text(encoding="utf-8"), "it") == before | changes


def _query(store: Path, recording: Path, tmp_path: Path, *options: str) -> dict:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "XDG_CONFIG_HOME": str(tmp_path)}
    command = [sys.executable, "-m", "ecgedge", "query", "--json", str(recording)]
    command += ["--rate-hz", "500", "--unit", "mV", *options]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.stderr == ""
    return {**json.loads(done.stdout), "code": done.returncode}


def test_a_real_query_takes_store_and_encoder_from_the_users_file_and_flags_win(
    tmp_path: Path,
) -> None:
    store = build_release(tmp_path / "store")
    recording = write_csv(tmp_path / "ecg.csv", heart("test/wide"))
    file = written(tmp_path / "ecgedge" / "config.toml", f'store = "{store.root}"\nthreads = 2\n')
    told = _query(store.root, recording, tmp_path)
    assert (told["code"], told["release"]) == (0, store.current_id())
    file.write_text(f'store = "{tmp_path}/absent"\nencoder = "of-another-release"\n')
    assert _query(store.root, recording, tmp_path)["code"] == 7
    told = _query(store.root, recording, tmp_path, "--store", str(store.root))
    assert told["code"] == 0
    assert any("configured encoder was not used" in note for note in told["notes"])
    told = _query(store.root, recording, tmp_path, "--store", str(store.root), "--encoder", "no")
    assert told["error"]["exit_code"] == told["code"] == 2
    assert "has no encoder no, only" in told["error"]["message"]
    file.write_text("threads = 'two'\n")
    told = _query(store.root, recording, tmp_path)
    assert (told["code"], told["error"]["type"]) == (2, "UsageError")
