"""What pyproject.toml, the constraints and the rooms say about each other."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def pins() -> dict[str, str]:
    lines = (ROOT / "packaging" / "constraints.txt").read_text().splitlines()
    requirements = [Requirement(line) for line in lines if line and not line.startswith("#")]
    pinned = {}
    for requirement in requirements:
        (specifier,) = requirement.specifier
        assert specifier.operator == "=="
        pinned[canonicalize_name(requirement.name)] = specifier.version
    assert len(pinned) == len(requirements)
    return pinned


def rooms() -> set[str]:
    package = ROOT / "songid_desktop"
    return {".".join(init.parent.relative_to(ROOT).parts) for init in package.rglob("__init__.py")}


def test_every_room_is_shipped(pyproject: dict[str, Any]) -> None:
    listed = set(pyproject["tool"]["setuptools"]["packages"])
    assert listed == rooms() | {"songid_desktop.resources"}


def test_every_folder_with_code_is_a_package() -> None:
    package = ROOT / "songid_desktop"
    folders = {path.parent for path in package.rglob("*.py")}
    assert [str(f) for f in folders if not (f / "__init__.py").exists()] == []


def test_import_rules_cover_every_room(pyproject: dict[str, Any]) -> None:
    contracts = pyproject["tool"]["importlinter"]["contracts"]
    layers, qt, *_ = contracts
    in_layers = {name.strip() for layer in layers["layers"] for name in layer.split("|")}
    top = {room for room in rooms() if room.count(".") == 1}
    assert top <= in_layers
    assert top - {"songid_desktop.ui"} <= set(qt["source_modules"])
    assert {"PySide6", "pyqtgraph"} <= set(qt["forbidden_modules"])
    learned = {"songid_desktop.neural", "songid_desktop.train"}
    above = {"songid_desktop.identify", "songid_desktop.evaluate"}
    (tensors,) = (c for c in contracts if "torch" in c.get("forbidden_modules", ()))
    modules = {"songid_desktop.types", "songid_desktop.errors"}
    modules |= {"songid_desktop.paths", "songid_desktop.settings"}
    modules |= {"songid_desktop.locks", "songid_desktop.manifest", "songid_desktop.following"}
    assert set(tensors["source_modules"]) == (top | modules) - learned - above


def test_every_wanted_version_is_pinned_within_its_limits(
    pyproject: dict[str, Any], pins: dict[str, str]
) -> None:
    project = pyproject["project"]
    wanted = [
        *pyproject["build-system"]["requires"],
        *project["dependencies"],
        *(line for extra in project["optional-dependencies"].values() for line in extra),
    ]
    for line in wanted:
        requirement = Requirement(line)
        assert requirement.specifier.contains(pins[canonicalize_name(requirement.name)]), line


def needed_here(name: str, seen: set[str], extras: frozenset[str] = frozenset()) -> None:
    """Add everything that the installed distribution `name` needs to `seen`."""
    environment = {str(key): str(value) for key, value in default_environment().items()}
    for line in importlib.metadata.requires(name) or ():
        requirement = Requirement(line)
        marker = requirement.marker
        wanted = marker is None or any(
            marker.evaluate({**environment, "extra": extra}) for extra in extras or ("",)
        )
        needed = canonicalize_name(requirement.name)
        if wanted and needed not in seen:
            seen.add(needed)
            needed_here(needed, seen)


FOR_ACCELERATORS = re.compile(r"nvidia|cuda|triton")
"""What PyTorch's plain build brings on Linux, in versions that it pins itself."""


def test_everything_that_comes_along_is_pinned_too(
    pyproject: dict[str, Any], pins: dict[str, str]
) -> None:
    project = pyproject["project"]
    lines = [*project["dependencies"], *project["optional-dependencies"]["test"]]
    needed: set[str] = set()
    for line in lines:
        requirement = Requirement(line)
        needed.add(canonicalize_name(requirement.name))
        needed_here(requirement.name, needed)
    unpinned = {name for name in needed - set(pins) if not FOR_ACCELERATORS.search(name)}
    assert sorted(unpinned) == []


def test_nothing_for_accelerators_is_asked_for(pins: dict[str, str]) -> None:
    assert [name for name in pins if FOR_ACCELERATORS.search(name)] == []
    assert "torchaudio" not in pins


def test_the_pin_of_pytorch_takes_its_cpu_build(pins: dict[str, str]) -> None:
    """A pin with a local label would force one build, on machines that have no such build too."""
    assert Version(pins["torch"]).local is None
    pin = Requirement(f"torch=={pins['torch']}").specifier
    assert pin.contains(f"{pins['torch']}+cpu")
    assert Version(f"{pins['torch']}+cpu") > Version(pins["torch"])  # so pip prefers it


@pytest.mark.parametrize(
    ("platform", "machine", "comes"),
    [
        ("linux", "x86_64", True),
        ("linux", "aarch64", True),
        ("darwin", "arm64", True),
        ("darwin", "x86_64", False),
        ("win32", "AMD64", True),
    ],
)
def test_pytorch_is_asked_for_where_it_is_made(
    pyproject: dict[str, Any], platform: str, machine: str, comes: bool
) -> None:
    """The rest installs and works without: what nobody can meet would stop every start."""
    environment = {"sys_platform": platform, "platform_machine": machine}
    wanted = {
        requirement.name
        for requirement in map(Requirement, pyproject["project"]["dependencies"])
        if requirement.marker is None or requirement.marker.evaluate(environment)
    }
    assert ("torch" in wanted, "transformers" in wanted) == (comes, comes)
    assert {"faiss-cpu", "safetensors", "numpy"} <= wanted


@pytest.mark.parametrize(("python", "is_allowed"), [("3.11", False), ("3.12", True)])
def test_the_version_of_qt_that_aborts_is_kept_out(
    pyproject: dict[str, Any], python: str, is_allowed: bool
) -> None:
    environment = {"python_version": python}
    requirements = [
        requirement
        for requirement in map(Requirement, pyproject["project"]["dependencies"])
        if requirement.name == "PySide6-Essentials"
        and (requirement.marker is None or requirement.marker.evaluate(environment))
    ]
    assert len(requirements) == 1
    assert requirements[0].specifier.contains("6.12.0") is is_allowed


def test_qt_keeps_its_references() -> None:
    """PySide6 6.12.0 on Python 3.10 and 3.11 loses one reference to True and None an emit."""
    code = """
import sys
from PySide6.QtCore import QCoreApplication, QObject, Signal
class Sender(QObject):
    said = Signal(bool)
app = QCoreApplication([])
sender = Sender()
sender.said.connect(lambda value: None)
before = sys.getrefcount(True), sys.getrefcount(None)
for _ in range(2000):
    sender.said.emit(True)
    sender.setObjectName("x")
after = sys.getrefcount(True), sys.getrefcount(None)
print(max(abs(a - b) for a, b in zip(before, after)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    if sys.version_info < (3, 12):  # later ones do not count references to these
        assert int(done.stdout) < 100
    assert done.returncode == 0


def test_version_is_one(pyproject: dict[str, Any]) -> None:
    import songid_desktop

    assert pyproject["project"]["dynamic"] == ["version"]
    changes = (ROOT / "CHANGELOG.md").read_text()
    newest = re.search(r"^## (\S+)", changes, re.MULTILINE)
    assert newest
    assert Version(newest[1]) == Version(songid_desktop.__version__)


def test_ci_calls_the_test_script_and_nothing_else() -> None:
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    lines = [line for line in script.read_text().splitlines() if line and line[0] != "#"]
    assert lines == ['cd "$(dirname "$0")/.." || exit 3', "bash packaging/test.sh"]
