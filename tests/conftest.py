"""Fixtures shared by all tests."""

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from sim_repository import SimCart, SimRepository
    from sync_builders import Cart

# A busy machine is not a failure: no example has a deadline.
settings.register_profile("ecgedge", deadline=None)
# `--hypothesis-profile device`: a few examples each, for a slow board or an emulated one.
settings.register_profile("device", parent=settings.get_profile("ecgedge"), max_examples=5)
settings.load_profile("ecgedge")

ROOT = Path(__file__).resolve().parent.parent

# No test asks a server that its developer has running; the servers of tests have their own.
os.environ["ECGEDGE_SOCKET"] = str(ROOT / "no" / "server.sock")


# A job in the background is told to ignore Ctrl-C, and so would be every process it starts: those
# that tests stop with it must hear it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def no_settings_of_this_machine(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Neither the user's configuration nor the environment decides what a test sees."""
    os.environ["XDG_CONFIG_HOME"] = str(tmp_path_factory.mktemp("config"))
    names = ("STORE", "SOCKET", "ENCODER", "THREADS", "SOURCE", "CHANNEL", "CART", "ROOT", "CA")
    for name in names:
        os.environ.pop(f"ECGEDGE_{name}", None)
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        os.environ.pop(name, None)
        os.environ.pop(name.upper(), None)
    os.environ.pop("SSL_CERT_FILE", None)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real recordings; tests that need it are skipped without it."""
    path = Path(os.environ.get("ECGEDGE_DATA", ROOT.parent / "shared" / "data"))
    if not (path / "ptbxl" / "ptbxl_database.csv").is_file():
        pytest.skip(f"real recordings are not at {path}; set ECGEDGE_DATA to test on them")
    return path


@pytest.fixture
def centre() -> "SimRepository":
    """A centre in memory that has published one release."""
    from sim_repository import SimRepository  # needs the extra `sync`

    centre = SimRepository()
    centre.publish(b"first manifest", [b"one blob", b"another"])
    return centre


@pytest.fixture
def cart(centre: "SimRepository") -> "SimCart":
    """A cart that trusts it and has not asked yet."""
    from sim_repository import SimCart

    return SimCart(centre)


@pytest.fixture
def new_cart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> "Cart":
    """A cart with nothing, and a centre that offers nothing. No try is waited for."""
    from sync_builders import Cart

    from ecgedge.sync import fetch

    monkeypatch.setattr(fetch, "WAITS_S", ())
    monkeypatch.setattr(fetch, "_SMALL_WAITS_S", ())
    return Cart.at(tmp_path)


@pytest.fixture
def synced(new_cart: "Cart") -> "Cart":
    """A cart that has the release "first"."""
    new_cart.offer("first")
    new_cart.sync()
    new_cart.fetched()
    return new_cart


@pytest.fixture
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """What could not be fetched is tried again at once."""
    from ecgedge.sync import fetch

    monkeypatch.setattr(fetch, "_SMALL_WAITS_S", (0.0,))


_CUTS = pytest.StashKey[dict[str, object]]()


@pytest.fixture(scope="session")
def power_cuts(pytestconfig: pytest.Config) -> dict[str, object]:
    """What was cut -> how often; printed when all tests have ended."""
    return pytestconfig.stash.setdefault(_CUTS, {})


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A process that runs a part of the tests hands over what it counted."""
    handed_over = getattr(session.config, "workeroutput", None)
    if handed_over is not None:
        told = session.config.stash.get(_CUTS, {})
        handed_over["power_cuts"] = {name: str(tally) for name, tally in told.items()}


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Of pytest-xdist: such a process has ended."""
    output = getattr(node, "workeroutput", {})
    node.config.stash.setdefault(_CUTS, {}).update(output.get("power_cuts", {}))


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Say how many power cuts were tried: a number that shrank would fail no test."""
    if told := config.stash.get(_CUTS, {}):
        terminalreporter.section("power cuts and refusing disks, all survived")
        for name, tally in told.items():
            terminalreporter.line(f"{name}: {tally}")
