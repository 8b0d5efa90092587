"""Rules for every test: a home of its own, no network, no unexpected warning in the log, nothing
left running."""

from __future__ import annotations

from tests.support import isolation

PRIVATE_HOME = isolation.isolate()  # before Qt, platformdirs or a sound library is imported

import logging  # noqa: E402 - the lines above must come first
import os  # noqa: E402
import sys  # noqa: E402
from collections.abc import Iterator  # noqa: E402
from pathlib import Path  # noqa: E402

import pytest  # noqa: E402
from hypothesis import HealthCheck, settings  # noqa: E402

from songid_desktop.paths import Paths, base_dir_paths  # noqa: E402
from tests.support import guards  # noqa: E402

# A slow shared machine is no bug of the program: no deadline per example. In CI the examples are
# the same on every run, so that a red run is about the change.
settings.register_profile("dev", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("dev"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "dev")


def pytest_unconfigure() -> None:
    isolation.clean_up(PRIVATE_HOME)


@pytest.fixture(autouse=True, scope="session")
def network_guard() -> Iterator[list[str]]:
    with guards.no_network() as tried:
        yield tried


@pytest.fixture(autouse=True)
def stays_on_this_machine(network_guard: list[str]) -> Iterator[None]:
    """Also catches what the program tried and then swallowed the refusal of."""
    network_guard.clear()
    yield
    if network_guard:
        pytest.fail("The network was used:" + guards.explain(network_guard))


@pytest.fixture(autouse=True)
def warning_log() -> Iterator[guards.WarningLog]:
    """Fails the test for an unexpected log warning; ask for it and call `allow(pattern)` where a
    warning is what the test is about."""
    log = guards.WarningLog()
    root = logging.getLogger()
    root.addHandler(log)
    yield log
    root.removeHandler(log)
    if unexpected := log.unexpected():
        pytest.fail("Unexpected log messages:" + guards.explain(unexpected))


@pytest.fixture(autouse=True)
def leak_guard() -> Iterator[None]:
    """Fails a test that leaves a thread or a child process running."""
    threads, children = guards.live_threads(), guards.child_processes()
    yield
    if leaked := guards.left_behind(threads, children):
        pytest.fail("Left running:" + guards.explain(leaked))


@pytest.fixture
def project() -> Path:
    """The checkout's root."""
    return Path(__file__).parent.parent


@pytest.fixture
def python() -> str:
    """The interpreter of this run."""
    return sys.executable


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """A throw-away instance."""
    return base_dir_paths(tmp_path / "instance")
