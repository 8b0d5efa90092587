"""What a start imports, and that the core needs no window."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LEARNING = ("torch", "transformers", "faiss", "safetensors", "huggingface_hub", "tokenizers")
NEVER_AT_START = (*LEARNING, "librosa", "matplotlib", "sklearn", "pandas")
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


def module_name(path: Path) -> str:
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    return name.removesuffix(".__init__")


def core_files() -> list[Path]:
    package = ROOT / "songid_desktop"
    return [
        path
        for path in sorted(package.rglob("*.py"))
        if "ui" not in path.relative_to(package).parts[:1] and path.name != "__main__.py"
    ]


def imported_at_the_top(tree: ast.Module) -> Iterator[str]:
    """Modules that come with an import of this one: not those inside functions or TYPE_CHECKING."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            waiting += node.orelse
        elif not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            waiting += ast.iter_child_nodes(node)


def learned_modules() -> set[str]:
    """Modules that can't be imported without PyTorch, directly or through another of them: a class
    of layers needs its base. Whoever uses them imports them inside a function."""
    tops = {
        module_name(path): set(imported_at_the_top(ast.parse(path.read_text(encoding="utf-8"))))
        for path in core_files()
    }
    learned = {
        name
        for name, top in tops.items()
        if {module.partition(".")[0] for module in top} & {*LEARNING}
    }
    while more := {name for name, top in tops.items() if top & learned} - learned:
        learned |= more
    return learned


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


def test_every_page_of_the_window_is_imported_without_heavy_libraries() -> None:
    pages = sorted((ROOT / "songid_desktop" / "ui").rglob("*.py"))
    imports = "\n".join(f"import {module_name(path)}" for path in pages)
    assert imported_by(imports) & {*NEVER_AT_START} == set()


def test_core_is_imported_without_qt_and_without_heavy_libraries() -> None:
    light = {module_name(path) for path in core_files()} - learned_modules()
    imports = "\n".join(f"import {name}" for name in sorted(light))
    heavy = imported_by(BLOCK_QT + imports) & {*NEVER_AT_START, "PySide6"}
    assert heavy == set()


def test_pytorch_is_needed_only_by_what_is_imported_when_it_runs() -> None:
    """The rooms that use encoders may have modules that need them; whoever chooses among
    identifiers, and both front ends, must not."""
    learned = learned_modules()
    assert {name.split(".")[1] for name in learned} <= {"neural", "train", "identify", "evaluate"}
    rooms = {f"songid_desktop.{room}" for room in ("neural", "train", "identify", "evaluate")}
    choosing = ("registry", "engine", "worker", "session", "enrolment", "answers", "calibration")
    assert learned & (rooms | {f"songid_desktop.identify.{name}" for name in choosing}) == set()


@pytest.mark.slow
def test_learned_modules_are_imported_without_qt_and_without_a_warning() -> None:
    imports = "\n".join(f"import {name}" for name in sorted(learned_modules()))
    assert "PySide6" not in imported_by(BLOCK_QT + imports)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("import torch", {"torch"}),
        ("from torch import nn", {"torch", "torch.nn"}),
        ("try:\n    import torch\nexcept ImportError:\n    pass", {"torch"}),
        ("class A:\n    import torch", {"torch"}),
        ("def f():\n    import torch", set()),
        ("class A:\n    def f(self):\n        import torch", set()),
        ("if TYPE_CHECKING:\n    import torch", set()),
    ],
)
def test_imports_at_the_top_are_recognised(text: str, found: set[str]) -> None:
    assert set(imported_at_the_top(ast.parse(text))) == found


@pytest.mark.slow
def test_core_does_the_main_job_without_qt() -> None:
    code = BLOCK_QT + "from songid_desktop.__main__ import main\nsys.exit(main())"
    done = run_python(code, "demo", "--json")
    assert done.returncode == 0, done.stderr
    last = json.loads(done.stdout.splitlines()[-1])
    assert last["verdict"] == "match"
