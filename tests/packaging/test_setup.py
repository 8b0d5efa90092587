"""The set-up scripts on a bare, hurried, interrupted, moved, offline machine."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.support.fake_project import FakeProject

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> FakeProject:
    """One project that has been set up; tests that only look at it share it."""
    packaging = Path(__file__).parents[2] / "packaging"
    root = tmp_path_factory.mktemp("set up") / "a folder with späces"
    project = FakeProject.make(root, packaging)
    first = project.start("one", "two words")
    assert first.returncode == 0, first.stderr
    assert first.stdout == "arguments: ['one', 'two words']\n"
    assert "Setting up" in first.stderr
    return project


@pytest.fixture
def bare(tmp_path: Path, project: Path) -> FakeProject:
    """A project that was never set up."""
    return FakeProject.make(tmp_path / "bare project", project / "packaging")


@pytest.mark.parametrize(
    ("settings", "is_said"), [({}, True), ({"PIP_FIND_LINKS": "/some/wheels"}, False)]
)
def test_a_large_download_is_said_before_it_begins(
    bare: FakeProject, settings: dict[str, str], *, is_said: bool
) -> None:
    (bare.root / "packaging" / "constraints.txt").write_text("torch==2.13.0\n")
    for name in ("PIP_FIND_LINKS", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL"):
        bare.environment[name] = ""
    done = bare.start("x", **{"PIP_CONFIG_FILE": os.devnull, **settings})
    assert done.returncode == 0, done.stderr
    assert ("0.2 GB" in done.stderr) is is_said


def test_second_start_sets_nothing_up(template: FakeProject, tmp_path: Path) -> None:
    again = template.start("x", cwd=tmp_path)
    assert again.stdout == "arguments: ['x']\n"
    assert "Setting" not in again.stderr
    assert "up to date" not in again.stderr


def test_second_start_is_quick(template: FakeProject) -> None:
    def best_of_five(command: list[str]) -> float:
        times = []
        for _ in range(5):
            began = time.perf_counter()
            subprocess.run(command, env=template.variables(), check=True, capture_output=True)
            times.append(time.perf_counter() - began)
        return min(times)

    direct = best_of_five([str(template.root / ".venv" / "bin" / "songid"), "x"])
    assert best_of_five(template.command("x")) - direct < 0.3


def test_exit_status_and_standard_output_are_the_programs(template: FakeProject) -> None:
    failing = template.start("fail")
    assert failing.returncode == 7
    assert failing.stdout == "arguments: ['fail']\n"


def test_works_through_a_link(template: FakeProject, tmp_path: Path) -> None:
    link = tmp_path / "songid"
    link.symlink_to(template.root / "packaging" / "run.sh")
    done = subprocess.run(
        ["bash", str(link), "x"],
        env=template.variables(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "arguments: ['x']\n"


def test_changes_of_the_source_apply_at_once(template: FakeProject) -> None:
    module = template.root / "songid_desktop" / "other.py"
    module.write_text("print('here')")
    done = subprocess.run(
        [str(template.root / ".venv" / "bin" / "python"), "-m", "songid_desktop.other"],
        cwd="/",
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "here\n"


def test_no_screen_and_no_arguments_is_said(template: FakeProject) -> None:
    without = template.start(DISPLAY="", WAYLAND_DISPLAY="", QT_QPA_PLATFORM="")
    assert without.returncode == 3
    assert without.stdout == ""
    assert "no screen" in without.stderr
    assert "packaging/run.sh demo" in without.stderr
    offscreen = template.start(DISPLAY="", WAYLAND_DISPLAY="", QT_QPA_PLATFORM="offscreen")
    assert offscreen.returncode == 0


def test_killed_set_up_is_made_whole_by_the_next_start(bare: FakeProject) -> None:
    killed = subprocess.Popen(
        bare.command("x"), env=bare.variables(), start_new_session=True, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 30
    while not (bare.root / ".venv" / "pyvenv.cfg").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    assert (bare.root / ".venv" / ".songid-begun").exists()
    again = bare.start("x")
    assert again.stdout == "arguments: ['x']\n", again.stderr
    assert not (bare.root / ".venv" / ".songid-begun").exists()


def test_starts_at_the_same_time_set_up_once(bare: FakeProject) -> None:
    together = [
        subprocess.Popen(
            bare.command(str(n)),
            env=bare.variables(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for n in range(3)
    ]
    answers = [process.communicate(timeout=100) for process in together]
    assert [out for out, _ in answers] == [f"arguments: ['{n}']\n" for n in range(3)]
    assert sum("Setting up" in err for _, err in answers) == 1


def test_moved_project_is_set_up_anew(template: FakeProject, tmp_path: Path) -> None:
    moved = FakeProject(tmp_path / "moved")
    shutil.copytree(template.root, moved.root, symlinks=True)
    done = moved.start("x")
    assert done.stdout == "arguments: ['x']\n"
    assert "Setting up" in done.stderr
    first_line = (moved.root / ".venv" / "bin" / "songid").read_text(errors="replace")
    assert str(moved.root) in first_line


def test_other_things_in_its_place_are_left_alone(bare: FakeProject) -> None:
    (bare.root / ".venv").mkdir()
    (bare.root / ".venv" / "diary.txt").write_text("mine")
    done = bare.start("x")
    assert done.returncode == 3
    assert "is in the way" in done.stderr
    assert (bare.root / ".venv" / "diary.txt").read_text() == "mine"


def test_update_follows_the_project_and_goes_on_with_the_old_offline(bare: FakeProject) -> None:
    assert bare.start("x").returncode == 0
    bare.declare("2.0")
    updated = bare.start("x")
    assert "up to date" in updated.stderr
    assert updated.stdout == "arguments: ['x']\n"

    bare.declare("3.0", "no-such-package-anywhere")
    offline = bare.start("x")
    assert "going on with the old" in offline.stderr
    assert offline.stdout == "arguments: ['x']\n"
    assert offline.returncode == 0

    bare.declare("4.0")
    assert "could not" not in bare.start("x").stderr
    assert bare.start("x").stderr.count("up to date") == 0


def test_first_set_up_without_network_is_said_and_repaired_later(bare: FakeProject) -> None:
    bare.declare("1.0", "no-such-package-anywhere")
    failed = bare.start("x")
    assert failed.returncode == 3
    assert "needs the\nnetwork" in failed.stderr
    bare.declare("1.0")
    assert bare.start("x").stdout == "arguments: ['x']\n"


def test_environment_made_by_hand_is_used(bare: FakeProject, python: str) -> None:
    subprocess.run([python, "-m", "venv", str(bare.root / ".venv")], check=True)
    (bare.root / ".venv" / "mine.txt").write_text("kept")
    done = bare.start("x")
    assert done.stdout == "arguments: ['x']\n", done.stderr
    assert (bare.root / ".venv" / "mine.txt").exists()


def test_python_too_old_is_said(bare: FakeProject, tmp_path: Path) -> None:
    # Only this folder and what the scripts themselves need stand on the PATH.
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("bash", "dirname", "cat", "stat", "sha256sum", "cut", "uname", "flock", "ls",
                 "readlink", "id", "head", "rm", "mkdir"):  # fmt: skip
        found = shutil.which(name)
        assert found
        (tools / name).symlink_to(found)
    old = 'case "$1" in --version) echo Python 3.9.2;; *) exit 1;; esac'
    bare.put_program(tools, "python3", old)
    done = bare.start("x", PATH=str(tools))
    assert done.returncode == 3
    assert "needs Python 3.11 or later" in done.stderr
    assert "python3 is Python 3.9.2" in done.stderr


@pytest.fixture
def without_libraries(bare: FakeProject, tmp_path: Path) -> FakeProject:
    """A machine whose linker knows no library, and a user who is not root."""
    bare.put_program(tmp_path / "bin", "ldconfig", "exit 0")
    bare.put_program(tmp_path / "bin", "id", "echo 1000")
    path = bare.put_program(tmp_path / "bin", "sudo", "exit 1")
    bare.environment = {"PATH": path, "SONGID_SETUP_SYSTEM": "yes"}
    return bare


def test_missing_system_packages_are_named_with_the_command(
    without_libraries: FakeProject, tmp_path: Path
) -> None:
    apt_log = tmp_path / "apt.log"
    without_libraries.put_program(tmp_path / "bin", "apt-get", f'echo "$@" >> {apt_log}')
    done = without_libraries.start("x")
    assert done.stdout == "arguments: ['x']\n"  # goes on where it can
    assert "sudo apt-get install -y libportaudio2 " in done.stderr
    assert "libxcb-cursor0" in done.stderr
    assert not apt_log.exists()
    second = without_libraries.start("x")
    assert second.stderr.count("\n") == 1
    assert second.stderr.startswith("Still missing: libportaudio2 ")


def test_missing_system_packages_are_installed_where_allowed(
    without_libraries: FakeProject, tmp_path: Path
) -> None:
    log, programs = tmp_path / "apt.log", tmp_path / "bin"
    without_libraries.put_program(programs, "sudo", 'shift; exec "$@"')
    without_libraries.put_program(
        programs,
        "apt-get",
        f'echo "$DEBIAN_FRONTEND $@" >> "{log}"\n'
        'case " $* " in *" install "*) ;; *) exit 0;; esac\n'
        f"printf '%s\\n' '#!/bin/sh' 'sed -n \"s/^library \\([^ ]*\\) .*/\\1 /p\" "
        f'"{without_libraries.root}/packaging/system.sh"\' > "{programs}/ldconfig"',
    )
    done = without_libraries.start("x")
    assert done.stdout == "arguments: ['x']\n"
    assert "Installing system packages: libportaudio2 " in done.stderr
    assert "are missing" not in done.stderr
    installs = [line for line in log.read_text().splitlines() if " install " in line]
    assert len(installs) == 1
    assert installs[0].startswith("noninteractive ")
    assert "DPkg::Lock::Timeout" in installs[0]
    assert without_libraries.start("x").stderr == ""


def test_packages_that_cannot_be_installed_do_not_stop_the_start(
    without_libraries: FakeProject, tmp_path: Path
) -> None:
    without_libraries.put_program(tmp_path / "bin", "sudo", 'shift; exec "$@"')
    without_libraries.put_program(tmp_path / "bin", "apt-get", "exit 100")
    without_libraries.put_program(tmp_path / "bin", "sleep", "exit 0")
    done = without_libraries.start("x")
    assert done.stdout == "arguments: ['x']\n"
    assert "These system packages are missing" in done.stderr
