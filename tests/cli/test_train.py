"""`songid train` as a user has it: what it makes, what it says, and its exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from songid_desktop.cli import main
from tests.support.training import VALUES, make_collection

Run = Callable[..., int]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def songid(tmp_path: Path) -> Run:
    def run(*words: str | Path) -> int:
        arguments = ["--base-dir", str(tmp_path / "base"), "train", *map(str, words)]
        return main.run(arguments, lambda *_: 99)

    return run


@pytest.fixture
def given(tmp_path: Path) -> tuple[Path, Path]:
    config = tmp_path / "config.json"
    config.write_text(json.dumps(VALUES), "utf-8")
    return make_collection(tmp_path / "music", train=4, validation=2), config


def _common(music: Path, config: Path, out: Path) -> tuple[str | Path, ...]:
    places = ("--config", config, "--data", music, "--out", out)
    return (*places, "--workers", "0", "--device", "cpu", "--threads", "1")


def test_train_resume_export(
    songid: Run,
    given: tuple[Path, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    music, config = given
    out = tmp_path / "run"
    common = _common(music, config, out)
    assert songid("cnn", *common, "--steps", "3", "--json") == 0
    told = capsys.readouterr()
    steps = [json.loads(line) for line in told.out.splitlines()]
    assert [step["step"] for step in steps] == [1, 2, 3]
    assert steps[0]["eta_s"] > 0 == steps[-1]["eta_s"]
    assert set(steps[-1]["check"]) == {"clean", "room0"}
    assert "4 tracks" in told.err

    assert songid("cnn", *common) == 2
    assert "--resume" in capsys.readouterr().err

    resumed = ("cnn", "--resume", "--out", out, "--steps", "4", "--workers", "0")
    assert songid(*resumed, "--device", "cpu") == 0
    assert "Done after 4 steps" in capsys.readouterr().err

    target = tmp_path / "mine" / "cnn.safetensors"
    assert songid("export", out, "--to", target) == 0
    card = json.loads(target.with_suffix(".json").read_text("utf-8"))
    assert card["weights"]["sha256"] in capsys.readouterr().err
    assert card["recipe"]["loss"]["temperature"] == 0.05
    assert str(tmp_path) not in json.dumps(card)


def test_what_is_wrong_is_said_and_has_its_code(
    songid: Run,
    given: tuple[Path, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    music, config = given
    common = _common(music, config, tmp_path / "run")
    empty = tmp_path / "empty"
    empty.mkdir()
    (tmp_path / "bad.json").write_text("{", "utf-8")
    usage: list[tuple[tuple[str | Path, ...], str]] = [
        (("cnn", *_common(empty, config, tmp_path / "run")), "no audio"),
        (("cnn", *common, "--set", "loss.tau=1"), "loss.tau"),
        (("cnn", *common, "--set", "loss"), "NAME=VALUE"),
        (("cnn", *common, "--preset", "none"), "report-cnn-best"),
        (("cnn", *common, "--resume"), "no checkpoint"),
        (("cnn", *common, "--from", tmp_path / "none"), "no file or folder"),
        (("cnn", *common, "--from", "official"), "official"),
        (("ast", *common), "songid train cnn"),
        (("cnn", *common, "--config", tmp_path / "bad.json"), "JSON"),
        (("cnn", "--out", tmp_path / "run"), "--data"),
        (("cnn", "--resume"), "--out"),
        (("export", tmp_path, "--to", tmp_path / "x.safetensors"), "no training"),
        (("export", tmp_path, "--to", tmp_path / "x.bin"), ".safetensors"),
        (("cnn", *common, "--set", "loss.alpha=1"), "classification"),
    ]
    for words, said in usage:
        assert songid(*words) == 2, words
        assert said in capsys.readouterr().err, words


def test_a_broken_checkpoint_is_the_worlds_doing(
    songid: Run,
    given: tuple[Path, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "run"
    out.mkdir()
    (out / "checkpoint.safetensors").write_bytes(b"cut")
    assert songid("cnn", *_common(*given, out), "--resume") == 3
    assert "can't be read" in capsys.readouterr().err


def test_presets_are_listed_and_shown(songid: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert songid("presets") == 0
    assert "report-cnn-best" in capsys.readouterr().out
    assert songid("presets", "report-cnn-best") == 0
    assert json.loads(capsys.readouterr().out)["batch"] == 32


def test_a_grid_from_the_command_line(
    songid: Run, given: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from tests.train.test_grid import SMALL

    music, _ = given
    settings = [f"{name}={json.dumps(value)}" for name, value in SMALL.items()]
    changes = [word for setting in settings for word in ("--set", setting)]
    places = ("--data", music, "--out", tmp_path / "grid", "--workers", "0", "--device", "cpu")
    assert songid("grid", "report-cnn", "--cells", "1", *places, *changes) == 0
    assert "1 of 1" in capsys.readouterr().err
    assert (tmp_path / "grid" / "grid.csv").is_file()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_killed_training_leaves_no_process_behind(
    given: tuple[Path, Path], tmp_path: Path
) -> None:
    import subprocess
    import sys
    import time

    import psutil

    music, config = given
    out = tmp_path / "run"
    words = ("train", "cnn", "--config", config, "--data", music, "--out", out, "--device", "cpu")
    command = [sys.executable, "-m", "songid_desktop", "--base-dir", tmp_path / "base", *words]
    sizes = ("--steps", "100000", "--threads", "1", "--workers", "1")
    running = subprocess.Popen([*command, *sizes], stderr=subprocess.DEVNULL)
    until = time.monotonic() + 200
    while not (out / "checkpoint.safetensors").exists():
        assert time.monotonic() < until
        assert running.poll() is None
        time.sleep(0.05)
    children = psutil.Process(running.pid).children(recursive=True)
    assert children
    running.kill()
    running.wait()
    _, alive = psutil.wait_procs(children, timeout=30)
    assert not alive


def test_two_trainings_do_not_share_a_folder(
    songid: Run, given: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from songid_desktop.train.start import taken

    music, config = given
    out = tmp_path / "run"
    with taken(out):
        assert songid("cnn", *_common(music, config, out)) == 3
        assert "is being written by songid train" in capsys.readouterr().err
        assert songid("grid", "report-cnn", "--data", music, "--out", out) == 3
    cell = out / "lr0.0001-t0.07-a0.25-d128-b32"
    with taken(cell):
        assert songid("grid", "report-cnn", "--data", music, "--out", out, "--cells", "1") == 3
    assert "is being written by songid train" in capsys.readouterr().err
    assert not list(out.rglob("checkpoint.safetensors"))
