"""A private sound server for the tests that listen or play."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.sound import PrivateSoundServer, missing_programs


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[PrivateSoundServer]:
    """A server that this very process uses too."""
    if missing := missing_programs():
        pytest.skip(f"no private sound server: {', '.join(missing)} not installed")
    with PrivateSoundServer() as server:
        for name, value in server.own_env.items():
            monkeypatch.setenv(name, value)
        yield server
