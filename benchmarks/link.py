"""How many bytes a bad link costs twice.

    python benchmarks/link.py -o benchmarks/results/link.json --page docs/link.md

A blob is fetched over a connection that is reset after every so many bytes: by one process, and
by processes that end at each drop and are started anew. Beside ecgedge's fetcher: wget, curl
and python-tuf's own download, in the same run. Then the power is cut without notice.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import page  # noqa: E402
from benchmarks.link_server import BadLink, serving  # noqa: E402
from ecgedge.sync.parts import parse_name  # noqa: E402

BAR_PERCENT = 3.0
ONE, ANEW = "one process", "a new process after each drop"
OURS, TUF = "ecgedge", "python-tuf"
_WORKER = (sys.executable, str(ROOT / "benchmarks" / "link_worker.py"))


class Blob:
    """Bytes that do not compress, and what a peer needs to know of them."""

    def __init__(self, length: int) -> None:
        self.data = random.Random(0).randbytes(length)
        self.sha256 = hashlib.sha256(self.data).hexdigest()

    def arrived(self, folder: Path) -> bool:
        """Whether it lies whole where one of the peers puts it."""
        for path in (folder / self.sha256, folder / "blobs" / self.sha256):
            if path.is_file() and path.read_bytes() == self.data:
                return True
        return False


def commands(drops: int) -> dict[tuple[str, str], list[str]]:
    """What is run for each peer and setting. URL, FOLDER, SHA256 and LENGTH are put in."""
    place = ["URL", "FOLDER", "SHA256", "LENGTH"]
    wget = ["wget", "--quiet", "--continue", "--waitretry=0"]
    curl = ["curl", "--silent", "--show-error", "--continue-at", "-", "--remote-name"]
    retry = ["--retry", "5", "--retry-all-errors", "--retry-delay", "1"]
    return {
        (OURS, ONE): [*_WORKER, "ecgedge", *place],
        ("wget -c", ONE): [*wget, "--tries=0", "URL/SHA256"],
        ("curl -C - --retry", ONE): [*curl, *retry, "URL/SHA256"],
        (TUF, ONE): [*_WORKER, "tuf", *place, "--tries", str(drops + 1)],
        (OURS, ANEW): [*_WORKER, "ecgedge", *place, "--die"],
        ("wget -c", ANEW): [*wget, "--tries=1", "URL/SHA256"],
        ("curl -C -", ANEW): [*curl, "URL/SHA256"],
        (TUF, ANEW): [*_WORKER, "tuf", *place],
    }


def measure(length: int, drop: int, rate: float, cut: int) -> dict[str, Any]:
    """Everything. All in bytes, rate in bytes a second."""
    blob, drops = Blob(length), (length - 1) // drop
    rows = [
        {"peer": peer, "setting": setting} | transfer(blob, drop, command, drops, setting == ANEW)
        for (peer, setting), command in commands(drops).items()
        if shutil.which(command[0])
    ]
    return {
        "blob_bytes": length,
        "drop_bytes": drop,
        "drops": drops,
        "bar_percent": BAR_PERCENT,
        "rows": rows,
        "power": power_cuts(blob, rate, cut),
        "versions": versions(),
    }


def transfer(
    blob: Blob, drop: int, command: Sequence[str], drops: int, anew: bool
) -> dict[str, Any]:
    """One peer's download, with as many processes as there are drops and one more."""
    with tempfile.TemporaryDirectory() as name, serving(BadLink(blob.data, drop)) as server:
        begun, processes = time.monotonic(), 0
        while processes < (drops + 1 if anew else 1) and not blob.arrived(Path(name)):
            start(command, server, blob, Path(name)).wait()
            processes += 1
        seconds = time.monotonic() - begun
        completed = blob.arrived(Path(name))
    return outcome(server, blob, completed) | {"processes": processes, "seconds": round(seconds, 2)}


def power_cuts(blob: Blob, rate: float, cut: int) -> dict[str, Any]:
    """The machine goes off without notice after a half to one and a half of `cut` bytes: the
    process is killed while the connection stands, and of its files what was flushed is left.
    """
    command, cuts, lengths = commands(0)[OURS, ONE], 0, random.Random(1)
    with tempfile.TemporaryDirectory() as name, serving(BadLink(blob.data, cut, rate)) as server:
        most = 3 * len(blob.data) // cut + 3
        while cuts < most and not blob.arrived(Path(name)):
            server.drop_bytes = lengths.randrange(cut // 2, cut * 3 // 2)
            process = start(command, server, blob, Path(name))
            server.dropping = process.kill
            cuts += process.wait() != 0
            lose_unflushed(Path(name) / "parts")
        completed = blob.arrived(Path(name))
    return outcome(server, blob, completed) | {
        "rate_bytes_per_s": rate,
        "cut_bytes": cut,
        "cuts": cuts,
    }


def lose_unflushed(parts: Path) -> None:
    """What a power cut may do at worst to data that was not flushed."""
    for path in parts.glob("*.part"):
        parsed = parse_name(path.name)
        assert parsed is not None
        with path.open("r+b") as file:
            file.truncate(parsed[1])


def start(
    command: Sequence[str], server: BadLink, blob: Blob, folder: Path
) -> subprocess.Popen[bytes]:
    names = {"FOLDER": str(folder), "SHA256": blob.sha256, "LENGTH": str(len(blob.data))}
    filled = [
        names.get(word, word.replace("SHA256", blob.sha256).replace("URL", server.url))
        for word in command
    ]
    return subprocess.Popen(
        filled, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def outcome(server: BadLink, blob: Blob, completed: bool) -> dict[str, Any]:
    repeated = 100 * (server.sent_bytes / len(blob.data) - 1)
    return {
        "completed": completed,
        "requests": server.requests,
        "sent_bytes": server.sent_bytes,
        "repeated_percent": round(repeated, 3) if completed else None,
    }


def versions() -> dict[str, str]:
    """Of the peers that are installed."""
    found = {"tuf": version("tuf"), "urllib3": version("urllib3")}
    for program in ("wget", "curl"):
        if shutil.which(program):
            told = subprocess.run(
                [program, "--version"], capture_output=True, text=True, check=True
            )
            words = told.stdout.split("\n")[0].split()
            found[program] = next(word for word in words if word[0].isdigit())
    return found


def tables(results: Mapping[str, Any]) -> str:
    """The page's figures."""
    power, bar = results["power"], results["bar_percent"]
    ours = [row for row in results["rows"] if row["peer"] == OURS]
    met = all(row["completed"] and row["repeated_percent"] < bar for row in ours)
    lines = [
        f"{_mb(results['blob_bytes'])} MB, the connection reset after every "
        f"{results['drop_bytes'] / 1000:.0f} KB: {results['drops']} drops at least. "
        + ", ".join(f"{name} {number}" for name, number in results["versions"].items())
        + ".",
        "",
        f"Bar: ecgedge completes with less than {bar:g} % of the bytes repeated: "
        f"{'met' if met else '**missed**'}.",
        "",
        "| | processes | requests | MB sent | repeated |",
        "|---|---|---|---|---|",
    ]
    for row in results["rows"]:
        repeated = (
            f"{row['repeated_percent']:.2f} %" if row["completed"] else "**does not complete**"
        )
        lines.append(
            f"| {row['peer']}, {row['setting']} | {row['processes']} | {row['requests']} | "
            f"{_mb(row['sent_bytes'])} | {repeated} |"
        )
    every_s = power["cut_bytes"] / power["rate_bytes_per_s"]
    rate = f"{power['rate_bytes_per_s'] / 1000:.0f} KB/s"
    end = "**it did not complete**"
    if power["completed"]:
        end = f"{power['repeated_percent']:.1f} % of the bytes repeated"
    lines += [
        "",
        f"Power cut without notice after {every_s / 2:.0f} to {every_s * 1.5:.0f} s each time, at "
        f"{rate}, with all lost that was not flushed: {power['cuts']} cuts, {end}.",
    ]
    return "\n".join(lines)


def _mb(count: int) -> str:
    return f"{count / 1e6:.1f}".removesuffix(".0")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--length", type=int, default=20_000_000, help="of the blob, in bytes")
    parser.add_argument("--drop", type=int, default=500_000, help="bytes a connection lasts")
    parser.add_argument("--rate", type=float, default=250_000, help="bytes/s, with power cuts")
    parser.add_argument("--cut", type=int, default=2_500_000, help="bytes between power cuts")
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--page", type=Path)
    given = parser.parse_args()
    page.publish(
        lambda: measure(given.length, given.drop, given.rate, given.cut),
        tables,
        given.output,
        given.page,
    )


if __name__ == "__main__":
    main()
