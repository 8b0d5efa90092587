"""Programs that tests call, and the real command line as a process."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


def needed(name: str) -> str:
    """Path of the program `name`. Without it the test is skipped, saying so; where the set-up
    promises that all are there, it fails."""
    found = shutil.which(name)
    if found:
        return found
    message = f"the program {name} is not installed (see packaging/system.sh)"
    if os.environ.get("SONGID_REQUIRE_TOOLS"):
        pytest.fail(message)
    pytest.skip(message)


def songid(
    *arguments: str | os.PathLike[str],
    base_dir: Path | None = None,
    timeout_s: float = 60.0,
    **variables: str,
) -> subprocess.CompletedProcess[str]:
    """Run the real command line to its end."""
    before = [] if base_dir is None else ["--base-dir", str(base_dir)]
    return subprocess.run(
        [sys.executable, "-m", "songid_desktop", *before, *map(os.fspath, arguments)],
        env={**os.environ, **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


def last_json(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """The object of the last line on standard output."""
    assert done.stdout.strip(), f"nothing on stdout; stderr: {done.stderr}"
    value = json.loads(done.stdout.splitlines()[-1])
    assert isinstance(value, dict)
    return value
