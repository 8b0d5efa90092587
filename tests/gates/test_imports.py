"""What a start imports, and that the core needs no window."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NEVER_AT_START = ("torch", "transformers", "librosa", "faiss", "matplotlib", "sklearn", "pandas")
NOT_BEFORE_THE_FIRST_FRAME = (*NEVER_AT_START, "scipy", "sounddevice", "av", "pyqtgraph", "numba")
COMMAND_LINE_DOES_WITHOUT = (*NOT_BEFORE_THE_FIRST_FRAME, "PySide6", "shiboken6")

LIST_MODULES = (
    "import json, sys; print(json.dumps(sorted({m.partition('.')[0] for m in sys.modules})))"
)

BLOCK_QT = """
import sys
class NoQt:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("PySide6", "shiboken6", "pyqtgraph"):
            raise ModuleNotFoundError(f"No module named {name!r} (blocked)", name=name)
sys.meta_path.insert(0, NoQt())
"""


def run_python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def imported_by(code: str, *arguments: str) -> set[str]:
    """Top-level modules that `code` has imported when it is done."""
    done = run_python(f"{code}\n{LIST_MODULES}", *arguments)
    assert done.returncode == 0, done.stderr
    modules = json.loads(done.stdout.splitlines()[-1])
    assert isinstance(modules, list)
    return set(modules)


def core_modules() -> list[str]:
    package = ROOT / "songid_desktop"
    names = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in sorted(package.rglob("*.py"))
        if "ui" not in path.relative_to(package).parts[:1]
    ]
    return [name.removesuffix(".__init__") for name in names]


@pytest.mark.parametrize(
    "arguments", [["--version"], ["--help"], ["identify", "--help"], ["listen", "--help"]]
)
def test_command_line_starts_light(arguments: list[str]) -> None:
    code = (
        "import contextlib\n"
        "from songid_desktop.__main__ import main\n"
        "with contextlib.suppress(SystemExit): main()"
    )
    heavy = imported_by(code, *arguments) & {*COMMAND_LINE_DOES_WITHOUT}
    assert heavy == set()


def test_window_is_imported_light() -> None:
    code = "import songid_desktop.ui.app, songid_desktop.ui.window"
    assert imported_by(code) & {*NOT_BEFORE_THE_FIRST_FRAME} == set()


def test_core_is_imported_without_qt_and_without_heavy_libraries() -> None:
    imports = "\n".join(f"import {name}" for name in core_modules() if "__main__" not in name)
    heavy = imported_by(BLOCK_QT + imports) & {*NEVER_AT_START, "PySide6"}
    assert heavy == set()


@pytest.mark.slow
def test_core_does_the_main_job_without_qt() -> None:
    code = BLOCK_QT + "from songid_desktop.__main__ import main\nsys.exit(main())"
    done = run_python(code, "demo", "--json")
    assert done.returncode == 0, done.stderr
    last = json.loads(done.stdout.splitlines()[-1])
    assert last["verdict"] == "match"
