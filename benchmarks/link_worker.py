"""One process that downloads: `link_worker.py ecgedge|tuf URL FOLDER SHA256 LENGTH`.

--tries N: python-tuf's download, begun anew so often. --die: ecgedge's, killed (SIGKILL) when
it is about to ask again after a drop.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from ecgedge.sync.fetch import fetch  # noqa: E402
from ecgedge.sync.http import HttpSource  # noqa: E402
from ecgedge.sync.transport import Reply, Source  # noqa: E402
from ecgedge.sync.trusted import Target  # noqa: E402


class Dying:
    """A source that kills its process at the second request."""

    def __init__(self, source: Source) -> None:
        self._source, self._asked = source, False

    @property
    def name(self) -> str:
        return self._source.name

    @contextmanager
    def open(self, path: str, start: int = 0) -> Iterator[Reply]:
        if self._asked:
            os.kill(os.getpid(), signal.SIGKILL)
        self._asked = True
        with self._source.open(path, start) as reply:
            yield reply


def by_ecgedge(url: str, folder: Path, sha256: str, length: int, die: bool) -> None:
    source: Source = HttpSource(url)
    fetch(
        Dying(source) if die else source,
        Target(f"blobs/{sha256}", length, sha256),
        folder / "parts",
        folder / "blobs",
        tick=lambda _: None,
    )


def by_tuf(url: str, folder: Path, sha256: str, length: int, tries: int) -> int:
    """What `tuf.ngclient.Updater.download_target` fetches a target with."""
    from tuf.ngclient.urllib3_fetcher import Urllib3Fetcher

    for _ in range(tries):
        try:
            with Urllib3Fetcher().download_file(f"{url}/{sha256}", length) as file:
                (folder / "blobs").mkdir(exist_ok=True)
                with (folder / "blobs" / sha256).open("wb") as target:
                    shutil.copyfileobj(file, target)
            return 0
        except Exception as error:
            failure = error
    print(f"{type(failure).__name__}: {failure}", file=sys.stderr)
    return 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("by", choices=["ecgedge", "tuf"])
    parser.add_argument("url")
    parser.add_argument("folder", type=Path)
    parser.add_argument("sha256")
    parser.add_argument("length", type=int)
    parser.add_argument("--tries", type=int, default=1)
    parser.add_argument("--die", action="store_true")
    given = parser.parse_args()
    place = given.url, given.folder, given.sha256, given.length
    if given.by == "tuf":
        return by_tuf(*place, given.tries)
    by_ecgedge(*place, given.die)
    return 0


if __name__ == "__main__":
    sys.exit(main())
