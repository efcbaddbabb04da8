"""What this board prefers, from the environment and two small files.

    store = "/var/lib/ecgedge"
    socket = "/run/ecgedge/ecgedge.sock"
    encoder = "leads-1-int8-0123456789ab"
    threads = 2
    source = "https://centre.example/ecgedge"
    channel = "stable"
    cart = "ward-7"
    root = "/etc/ecgedge/root.json"
    ca = "/etc/ssl/certs/hospital.pem"

Flags win over `ECGEDGE_STORE`, `ECGEDGE_SOCKET`, and so on, those over the user's file, that
over the machine's. Every query reads this, so it imports nothing, not even a TOML reader,
before there is a file.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ecgedge.errors import UsageError

SYSTEM_FILE = Path("/etc/ecgedge/config.toml")
_MAX_BYTES = 1 << 16
_KINDS: Mapping[str, type] = {
    "store": str, "socket": str, "encoder": str, "threads": int,
    "source": str, "channel": str, "cart": str, "root": str, "ca": str,
}  # fmt: skip
_PATHS = ("store", "socket", "root", "ca")


@dataclass(frozen=True)
class Config:
    """None where nothing was said. threads: cores for the encoder, at least 1.

    For a sync alone: source, the address or folder of the repository; channel; cart, this
    cart's id; root, the file its first trust comes from; ca, the certificates that vouch for
    the source.
    """

    store: Path | None = None
    socket: Path | None = None
    encoder: str | None = None
    threads: int | None = None
    source: str | None = None
    channel: str | None = None
    cart: str | None = None
    root: Path | None = None
    ca: Path | None = None


def load(
    environment: Mapping[str, str] | None = None, files: Sequence[Path] | None = None
) -> Config:
    """What is configured here.

    environment: `os.environ` by default. files: those read, the weakest first, by default
    the machine's and the user's; one that is not there says nothing.

    Raises UsageError, naming file or variable, for what cannot be read, an unknown key, a
    value of the wrong type or a relative path in a file.
    """
    environment = os.environ if environment is None else environment
    values: dict[str, Any] = {}
    for path in config_files(environment) if files is None else files:
        values |= read_file(path)
    for name in _KINDS:
        text = environment.get(f"ECGEDGE_{name.upper()}")
        if text:
            values[name] = _of_variable(name, text)
    for name in _PATHS:
        if name in values:
            values[name] = Path(values[name])
    return Config(**values)


def config_files(environment: Mapping[str, str]) -> list[Path]:
    """The machine's file and the user's, whether they are there or not."""
    folder = Path(environment.get("XDG_CONFIG_HOME", ""))
    if not folder.is_absolute():  # as the XDG base directory specification asks
        try:
            folder = Path(environment.get("HOME") or Path.home()) / ".config"
        except RuntimeError:  # a service's user without a home
            return [SYSTEM_FILE]
    return [SYSTEM_FILE, folder / "ecgedge" / "config.toml"]


def read_file(path: Path) -> dict[str, Any]:
    """Checked values by key, {} where there is no such file; raises as `load`."""
    text = _text(path)
    return {} if text is None else parse(text, str(path))


def parse(text: str, source: str) -> dict[str, Any]:
    """Checked values by key. source: named where the text is refused; raises as `load`."""
    import tomllib

    try:
        values = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise UsageError(f"{source} is not TOML: {error}") from None
    for name, value in values.items():
        if name not in _KINDS:
            raise UsageError(f"{source} has an unknown key {name!r}; known are {', '.join(_KINDS)}")
        _check(name, value, source)
        if name in _PATHS and not Path(value).is_absolute():
            raise UsageError(f"{source}: {name} must be a whole path such as /var/lib/ecgedge")
    return values


def own_file(environment: Mapping[str, str]) -> Path:
    """The file to write: the machine's for root, whose services read it, else the user's."""
    files = config_files(environment)
    return files[0] if os.geteuid() == 0 else files[-1]


def check_saving(path: Path) -> None:
    """Raise UsageError, before the work is done, unless `save` can be expected to succeed."""
    read_file(path)
    folder = path.resolve().parent
    while not folder.exists():
        folder = folder.parent
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise UsageError(f"{path} cannot be written: name another file with --config")


def save(path: Path, **changes: str | int | None) -> None:
    """Set keys of a configuration file, or remove those that are None, atomically; other
    keys and all comments stay.

    The file and its folder are made where they are missing. Raises UsageError where the
    file cannot be written or holds what `load` would refuse.
    """
    from ecgedge.atomic import write_atomic

    path = path.resolve()  # a link stays a link
    before = _text(path) or ""
    wanted = parse(before, str(path)) | changes
    wanted = {name: value for name, value in wanted.items() if value is not None}
    text = _edited(before, changes)
    try:
        kept = parse(text, str(path)) == wanted
    except UsageError:
        kept = False
    if not kept:  # a value over several lines, say: write all of it anew
        text = "".join(_line(name, value) for name, value in wanted.items())
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror or error}") from None
    write_atomic(path, text.encode())


def _edited(text: str, changes: Mapping[str, str | int | None]) -> str:
    """The text with the lines of these keys replaced, removed or added at its end."""
    left = dict(changes)
    lines = text.splitlines(keepends=True)
    for number, line in enumerate(lines):
        name = line.partition("=")[0].strip()
        if "=" in line and name in left:
            lines[number] = _line(name, left.pop(name))
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    return "".join([*lines, *(_line(name, value) for name, value in left.items())])


def _line(name: str, value: str | int | None) -> str:
    """One line of TOML, whose basic strings are JSON's but for one character; "" for None."""
    import json

    if value is None:
        return ""
    told = json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return f"{name} = {told}\n"


def _text(path: Path) -> str | None:
    """The file's text, None where there is none."""
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
        if len(data) > _MAX_BYTES:
            raise UsageError(f"{path} is too long for a configuration")
        return data.decode("utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not UTF-8 text, so it is no configuration") from None


def _of_variable(name: str, text: str) -> str | int:
    value: str | int = text
    if _KINDS[name] is int:
        try:
            value = int(text)
        except ValueError:
            raise UsageError(f"ECGEDGE_{name.upper()} must be a whole number") from None
    _check(name, value, f"ECGEDGE_{name.upper()}")
    return value


def _check(name: str, value: Any, source: str) -> None:
    if type(value) is not _KINDS[name]:  # a bool is an int to isinstance
        kind = "text in quotes" if _KINDS[name] is str else "a whole number"
        raise UsageError(f"{source}: {name} must be {kind}")
    if isinstance(value, int) and value < 1:
        raise UsageError(f"{source}: {name} must be at least 1")
    if isinstance(value, str) and (not value or "\0" in value):
        raise UsageError(f"{source}: {name} must not be empty")
