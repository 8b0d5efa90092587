"""The window's start does not pay for libraries that only some work needs."""

from __future__ import annotations

import subprocess
from pathlib import Path

_CODE = """
import pkgutil, sys
import songid_desktop.audio as room
for module in pkgutil.iter_modules(room.__path__, room.__name__ + "."):
    __import__(module.name)
print([name for name in ("av", "sounddevice", "scipy", "PySide6") if name in sys.modules])
"""


def test_the_room_loads_without_its_heavy_libraries(python: str, project: Path) -> None:
    done = subprocess.run(
        [python, "-c", _CODE], cwd=project, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
