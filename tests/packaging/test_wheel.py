"""The wheel holds everything and, installed elsewhere, works from any folder."""

from __future__ import annotations

import email
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from tests.support.screen import started_window
from tests.support.tools import last_json

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, so that nothing is left in the checkout."""
    copy = tmp_path_factory.mktemp("source") / "project"
    ignored = shutil.ignore_patterns("__pycache__", ".*", "build", "dist", "*.egg-info", "tests")
    shutil.copytree(ROOT, copy, ignore=ignored)
    out = tmp_path_factory.mktemp("wheel")
    done = subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, copy],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs' folder of an environment that holds the wheel, and sees the dependencies of
    this one."""
    venv = tmp_path_factory.mktemp("other place") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", venv / "bin" / "python", "install", "--quiet",
         "--no-index", "--no-deps", "--disable-pip-version-check", wheel],
        check=True,
    )  # fmt: skip
    (packages,) = venv.glob("lib/python*/site-packages")
    # A path line makes modules visible without running .pth files there, so that the checkout,
    # which this environment may have installed as editable, is not found.
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return venv / "bin"


def contents(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_all_code_is_in_it(wheel: Path) -> None:
    expected = {str(path.relative_to(ROOT)) for path in (ROOT / "songid_desktop").rglob("*.py")} | {
        "songid_desktop/py.typed"
    }
    assert expected <= contents(wheel)


def test_all_resources_are_in_it(wheel: Path) -> None:
    expected = {
        f"songid_desktop/{path.relative_to(ROOT)}"
        for path in (ROOT / "resources").rglob("*")
        if path.is_file()
    }
    assert expected
    assert expected <= contents(wheel)


def test_nothing_else_is_in_it(wheel: Path) -> None:
    known = ("songid_desktop/", "songid_desktop-")
    assert [name for name in contents(wheel) if not name.startswith(known)] == []
    assert not any("/tests/" in name or "__pycache__" in name for name in contents(wheel))
    assert wheel.stat().st_size < 30_000_000  # three models of at most 8 MB


def test_every_model_has_its_card_in_it(wheel: Path) -> None:
    models = {name for name in contents(wheel) if "/resources/models/" in name}
    weights = {name for name in models if name.endswith(".safetensors")}
    assert {f"{name.removesuffix('.safetensors')}.json" for name in weights} <= models


def test_desktop_files_are_in_it(wheel: Path) -> None:
    data = {name.partition(".data/data/")[2] for name in contents(wheel)}
    assert {
        "share/applications/songid-desktop.desktop",
        "share/metainfo/songid-desktop.metainfo.xml",
        "share/icons/hicolor/scalable/apps/songid-desktop.svg",
    } <= data


def test_it_says_its_licence(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
        metadata = email.message_from_bytes(archive.read(name))
    assert metadata["License-Expression"] == "GPL-3.0-or-later"
    assert any(name.endswith("/LICENSE") for name in contents(wheel))
    assert metadata["Requires-Python"] == ">=3.11"


def run_installed(
    bin_folder: Path, cwd: Path, *arguments: str, timeout_s: float = 90
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [bin_folder / "songid", *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": ""},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


def test_installed_program_finds_its_resources(installed: Path, tmp_path: Path) -> None:
    code = (
        "import songid_desktop, songid_desktop.paths as p\n"
        "print(songid_desktop.__file__)\n"
        "print(*sorted(str(f.relative_to(p.resource())) for f in p.resource().rglob('*.*')))"
    )
    done = subprocess.run(
        [installed / "python", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    where, listing = done.stdout.splitlines()
    assert Path(where).is_relative_to(installed.parent)
    expected = (p.relative_to(ROOT / "resources") for p in (ROOT / "resources").rglob("*.*"))
    assert listing == " ".join(sorted(map(str, expected)))


def test_installed_program_does_the_main_job(installed: Path, tmp_path: Path) -> None:
    version = run_installed(installed, tmp_path, "--version")
    assert version.returncode == 0
    assert version.stdout.startswith("songid ")
    demo = run_installed(installed, tmp_path, "demo", "--json")
    assert demo.returncode == 0, demo.stderr
    assert last_json(demo)["verdict"] == "match"


def test_installed_window_opens(installed: Path, tmp_path: Path) -> None:
    command = [str(installed / "songid-desktop")]
    with started_window(command, tmp_path, QT_QPA_PLATFORM="offscreen", PYTHONPATH="") as window:
        window.wait_for("painted", timeout_s=30)
        window.wait_for("ready", timeout_s=30)
        assert window.close() == 0, window.errors()
        assert "Traceback" not in window.errors()
