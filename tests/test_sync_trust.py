"""Verified metadata: what is taken over, what is remembered, what it costs."""

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from sim_repository import EPOCH, SimRepository, SimSource

from ecgedge.errors import NetworkError, UsageError
from ecgedge.sync.layout import blob_target, manifest_target
from ecgedge.sync.offers import Offer
from ecgedge.sync.trust import read_root
from ecgedge.sync.trusted import TrustState

DAY = timedelta(days=1)


pytestmark = pytest.mark.usefixtures("no_waits")


def test_a_first_refresh_gives_every_target_and_offer_and_remembers_all_roles(cart):
    trusted = cart.refresh()
    release = next(iter(trusted.offers)).release
    assert trusted.offers == (Offer(release, "stable", 1, 100),)
    assert trusted.targets[manifest_target(release)].length == len(b"first manifest")
    assert len(trusted.targets) == 3
    assert all(
        path in (manifest_target(release), blob_target(target.sha256))
        for path, target in trusted.targets.items()
    )
    assert trusted.expires == EPOCH + 7 * DAY
    names = ["1.root.json", "timestamp.json", "snapshot.json", "targets.json"]
    assert list(cart.state.metadata) == names
    assert cart.state.floor == EPOCH


def test_nothing_new_costs_a_missing_root_and_the_timestamp_far_below_10_kb(cart):
    first = cart.refresh()
    cart.source = SimSource(cart.source.files)
    assert cart.refresh() == first
    assert cart.source.asked_paths == ["metadata/2.root.json", "metadata/timestamp.json"]
    assert cart.source.sent_bytes < 1_000


def test_the_daily_signature_costs_the_timestamp_alone(cart, centre):
    cart.refresh()
    centre.now = cart.now = EPOCH + DAY
    centre.sign_timestamp()
    cart.source = SimSource(centre.files)
    assert cart.refresh().expires == EPOCH + 8 * DAY
    assert cart.source.asked_paths == ["metadata/2.root.json", "metadata/timestamp.json"]
    assert cart.state.floor == EPOCH + DAY


def test_a_later_release_is_found_beside_the_first(cart, centre):
    cart.refresh()
    centre.publish(b"second", [b"more"], channels={"stable": (2, 10), "pilot": (2, 100)})
    orders = [(offer.channel, offer.order, offer.percent) for offer in cart.refresh().offers]
    assert orders == [("stable", 1, 100), ("pilot", 2, 100), ("stable", 2, 10)]


# -- roots and keys


@pytest.mark.parametrize("role", ["root", "targets", "snapshot", "timestamp"])
def test_new_keys_for_a_role_are_followed(cart, centre, role):
    cart.refresh()
    centre.rotate(role)
    centre.sign_all()
    cart.refresh()
    assert cart.versions() == {"root": 2, "timestamp": 3, "snapshot": 3, "targets": 3}


def test_a_cart_that_was_off_for_years_follows_every_root_in_between_though_they_expired(
    cart, centre
):
    cart.refresh()
    for _ in range(40):
        centre.now += 365 * DAY
        centre.rotate("root")
        centre.rotate("timestamp")
    centre.sign_all()
    cart.now = centre.now
    cart.refresh()
    assert cart.versions()["root"] == 81
    cart.source = SimSource(centre.files)
    cart.refresh()
    assert cart.source.asked_paths == ["metadata/82.root.json", "metadata/timestamp.json"]


def test_roots_that_came_before_the_network_failed_are_remembered(cart, centre):
    cart.refresh()
    for _ in range(3):
        centre.rotate("root")
    cart.source.broken["metadata/timestamp.json"] = 10
    with pytest.raises(NetworkError):
        cart.refresh()
    assert cart.versions()["root"] == 4


def test_a_newer_root_file_may_be_installed_over_an_old_memory_and_an_older_one_again(cart, centre):
    cart.refresh()
    centre.rotate("root")
    centre.rotate("timestamp")
    centre.sign_all()
    cart.root = centre.files["metadata/3.root.json"]
    cart.refresh()
    assert cart.versions()["root"] == 3
    cart.root = centre.root_file
    cart.refresh()
    assert cart.versions()["root"] == 3


def test_a_root_file_of_another_centre_starts_anew_with_that_centre(cart, centre):
    centre.rotate("root")
    cart.refresh()
    other = SimRepository(EPOCH - 3 * DAY)
    cart.root, cart.source = other.root_file, SimSource(other.files)
    assert cart.refresh().offers == ()
    assert cart.versions() == {"root": 1, "timestamp": 1, "snapshot": 1, "targets": 1}


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"<html>", b"\xff\xfe", b"[" * 100_000], ids=lambda data: str(data[:6])
)
def test_a_root_file_that_is_none_says_to_install_the_centres(cart, content):
    cart.root = content
    with pytest.raises(UsageError, match=r"root\.json in its place"):
        cart.refresh()


def test_another_role_is_no_root_file(cart, centre):
    cart.root = centre.files["metadata/timestamp.json"]
    with pytest.raises(UsageError, match=r"root\.json in its place"):
        cart.refresh()


def test_a_root_file_below_its_own_threshold_is_none(cart, centre):
    cart.root = centre.signed(centre.root, centre.signers["root"][:1])
    with pytest.raises(UsageError, match="signed by 1/2 keys"):
        cart.refresh()


def test_a_missing_root_file_says_where_to_put_it(tmp_path):
    with pytest.raises(UsageError, match=r"cannot be read .*put the centre's root\.json there"):
        read_root(tmp_path / "root.json")


# -- the machine


def test_a_folder_for_temporary_files_that_refuses_is_the_callers_to_mend(cart, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", "/proc/none")
    with pytest.raises(UsageError, match="TMPDIR"):
        cart.refresh()


def test_what_keep_raises_reaches_the_caller(cart):
    def keep(state: TrustState) -> None:
        raise UsageError("disk full")

    cart._keep = keep
    with pytest.raises(UsageError, match="disk full"):
        cart.refresh()


WITHOUT_CRYPTOGRAPHY = """
import sys
sys.modules["cryptography"] = None  # any import of it fails
import pathlib
from datetime import datetime
from contextlib import nullcontext
from ecgedge.sync.transport import Missing, Reply
from ecgedge.sync.trust import refresh
from ecgedge.sync.trusted import TrustState

class Folder:
    name = "folder"
    def open(self, path, start=0):
        file = pathlib.Path(sys.argv[1], path)
        if not file.exists():
            raise Missing(path)
        return nullcontext(Reply(0, iter([file.read_bytes()])))

root = pathlib.Path(sys.argv[1], "metadata/1.root.json").read_bytes()
now = datetime.fromisoformat(sys.argv[2])
try:
    trusted = refresh(Folder(), root, TrustState(), now, lambda state: None)
    print(len(trusted.targets))
except Exception as error:
    print(type(error).__name__)
"""


def test_a_cart_without_cryptography_verifies_all_the_same(centre, tmp_path):
    def run() -> str:
        for path, data in centre.files.items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_bytes(data)
        command = [sys.executable, "-c", WITHOUT_CRYPTOGRAPHY, str(tmp_path), EPOCH.isoformat()]
        root = Path(__file__).resolve().parent.parent
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    assert run() == "3"
    centre.files["metadata/timestamp.json"] = centre.signed(
        centre.timestamp, centre.signers["root"]
    )
    assert run() == "TrustError"
