"""The grid: every cell, kept one by one, beside the report's numbers."""

from __future__ import annotations

import argparse
import csv
import json
import shutil
import threading
import wave
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from songid_desktop.errors import Cancelled, UsageError
from songid_desktop.evaluate import grid
from songid_desktop.evaluate.grid import GridOptions, options_from, run_grid
from songid_desktop.evaluate.grid_cell import wilson_pct
from songid_desktop.evaluate.grid_material import choose
from tests.support.landmark_library import tune

RATE = 11_025
TRACKS = 4


def write_wave(path, samples):
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((np.clip(samples, -1, 1) * 32_767).astype("<i2").tobytes())


@pytest.fixture(scope="module")
def music(tmp_path_factory):
    folder = tmp_path_factory.mktemp("music")
    for n in range(TRACKS):
        hiss = 3e-3 * np.random.default_rng(n).standard_normal(14 * RATE)
        write_wave(folder / f"tune {n}.wav", tune(n, 14.0, RATE) + hiss)
    return folder


def small(music, out, **more):
    values = {"pns": (20, 40), "fan": (15,), "eth": (0.3,), "jobs": 1, **more}
    return GridOptions(music, out, **values)


@pytest.fixture(scope="module")
def measured(music, tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    lines = []
    state = run_grid(small(music, out), progress=lines.append)
    return out, state, lines


def test_clean_clips_are_found_and_stand_beside_the_reports(measured):
    _, state, lines = measured
    assert [(cell["pns"], cell["fan"], cell["eth"]) for cell in state["cells"]] == [
        (20, 15, 0.3),
        (40, 15, 0.3),
    ]
    dense, sparse = state["cells"]
    assert dense["total"] == sparse["total"] == dense["tracks"] == TRACKS
    assert dense["right"] >= 3
    assert dense["published_top_1_pct"] == pytest.approx(87.56, abs=0.01)
    assert sparse["published_latency_s"] == pytest.approx(0.570391)
    assert 0 < sparse["postings"] < dense["postings"]
    for cell in state["cells"]:
        assert cell["top_1_low_pct"] <= cell["top_1_pct"] <= cell["top_1_high_pct"]
        assert cell["top_1_pct"] <= cell["top_5_pct"] <= 100
        assert 0 < cell["latency_p50_s"] <= cell["latency_p95_s"]
        assert cell["stft_ratio"] > 1
        assert cell["offset_error_median_s"] < 0.1
    assert any("PNS 40 FAN 15 ETH 0.3" in line and "report 56.0 %" in line for line in lines)


def test_both_files_hold_the_cells(measured):
    out, state, _ = measured
    kept = json.loads((out / "grid.json").read_text(encoding="utf-8"))
    assert kept == json.loads(json.dumps(state))
    assert "Published" in kept["published"]
    with (out / "grid.csv").open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert [float(row["top_1_pct"]) for row in rows] == [c["top_1_pct"] for c in state["cells"]]
    assert not list(out.rglob("index/*"))


def test_a_finished_cell_is_not_measured_again(measured, music, tmp_path, monkeypatch):
    kept, state, _ = measured
    out = shutil.copytree(kept, tmp_path / "copy")
    asked = []

    def measure(config, *_rest):
        asked.append((config.pns, config.fan))
        return []

    monkeypatch.setattr(grid, "measure_cell", measure)
    again = run_grid(small(music, out))
    assert again["cells"] == state["cells"]
    run_grid(small(music, out, fan=(15, 30)))
    assert asked == [(20, 30), (40, 30)]


def test_other_clips_are_measured_apart(measured, music, tmp_path, monkeypatch):
    kept, _, _ = measured
    out = shutil.copytree(kept, tmp_path / "copy")
    monkeypatch.setattr(grid, "prepare", lambda *_args, **_more: None)
    monkeypatch.setattr(grid, "measure_cell", lambda *_args: [])
    for options in (small(music, out, seed=2), small(music, out, lengths_s=(2.0,))):
        assert run_grid(options)["cells"] == []


def test_noise_and_lengths_are_rows_of_their_own_and_a_bad_file_is_left_out(music, tmp_path):
    folder = tmp_path / "music"
    folder.mkdir()
    for path in sorted(music.iterdir())[:2]:
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "broken.wav").write_bytes(b"RIFF no sound at all")
    lines = []
    asked = {"conditions": ("clean", "white0"), "lengths_s": (2.0, 5.0), "draws": 2}
    options = small(folder, tmp_path / "out", pns=(30,), **asked)
    state = run_grid(options, progress=lines.append)
    rows = {(cell["condition"], cell["length_s"]): cell for cell in state["cells"]}
    assert set(rows) == {(c, s) for c in ("clean", "white0") for s in (2.0, 5.0)}
    assert all(cell["total"] == 2 * 2 for cell in state["cells"])
    assert rows["white0", 5.0]["published_top_1_pct"] is None
    assert list(state["left_out"]) == ["broken.wav"]
    assert any("Left out: broken.wav" in line for line in lines)
    # It is still left out, and said so, when the run goes on.
    assert list(run_grid(options)["left_out"]) == ["broken.wav"]


def test_a_cancel_keeps_what_was_done(music, tmp_path):
    cancel = threading.Event()

    def stop_after_one(line):
        if line.startswith("1 of 2"):
            cancel.set()

    options = small(music, tmp_path)
    with pytest.raises(Cancelled):
        run_grid(options, progress=stop_after_one, cancel=cancel)
    assert len(json.loads((tmp_path / "grid.json").read_text(encoding="utf-8"))["cells"]) == 1
    assert len(run_grid(options)["cells"]) == 2


def manifest(folder, roles):
    lines = ["path,role"]
    for name, role in roles.items():
        (folder / name).write_bytes(b"")
        lines.append(f"{name},{role}")
    lines.append("gone.ogg,query")
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_roles_are_honoured(tmp_path):
    roles = {f"{role}{n}.ogg": role for n in range(3) for role in ROLES}
    manifest(tmp_path, roles)
    every = choose(tmp_path, None, None, seed=1)
    assert {roles[path] for path in every.tracks} == {"query", "train", "validation", "distractor"}
    assert {roles[path] for path in every.queries} == {"query"}
    assert len(every.tracks) == 12
    assert len(every.queries) == 3
    some = choose(tmp_path, 5, 2, seed=1)
    assert len(some.tracks) == 5
    assert len(some.queries) == 2
    assert set(some.queries) <= set(some.tracks)
    assert choose(tmp_path, 5, 2, seed=1) == some
    assert choose(tmp_path, 2, None, seed=1).queries == choose(tmp_path, 2, None, seed=1).tracks


ROLES = ("query", "absent", "train", "validation", "validation_absent", "distractor")


def test_no_music_is_said_so(tmp_path):
    with pytest.raises(UsageError, match="no tracks"):
        run_grid(GridOptions(tmp_path, tmp_path / "out"))
    with pytest.raises(UsageError, match="no folder"):
        run_grid(GridOptions(tmp_path / "nowhere", tmp_path / "out"))


@pytest.mark.parametrize("condition", ["noise_only", "silence", "foggy"])
def test_conditions_that_ask_for_nothing_are_refused(music, tmp_path, condition):
    with pytest.raises(UsageError, match=condition):
        run_grid(small(music, tmp_path, conditions=(condition,)))


LISTS = {"pns": "20,30,40", "fan": "15,30,50", "eth": "0.3,0.5,0.7", "lengths": "5"}


def parsed(**given):
    folders = {"catalog_from": Path("in"), "out": Path("out")}
    return options_from(argparse.Namespace(**folders, **given))


def test_the_command_line_gives_the_reports_grid_on_200_tracks():
    expected = GridOptions(Path("in"), Path("out"))
    assert expected.tracks == 200
    assert parsed() == expected
    assert parsed(tracks="200", queries=None, seed=None, jobs=0, draws=1, **LISTS) == expected


def test_the_command_line_can_ask_for_other_cells():
    options = parsed(tracks="all", pns="20", eth="0.3,0.4", lengths="2,10", draws=2)
    assert options.tracks is None
    assert (options.pns, options.eth, options.lengths_s) == ((20,), (0.3, 0.4), (2.0, 10.0))
    assert parsed(conditions="white10,white0").conditions == ("white10", "white0")


@pytest.mark.parametrize(
    "changed",
    [
        {"tracks": "some"},
        {"tracks": "0"},
        {"queries": 0},
        {"draws": 0},
        {"jobs": -1},
        {"pns": "1"},
        {"fan": ""},
        {"eth": "nan"},
        {"lengths": "0.1"},
        {"conditions": "foggy"},
    ],
    ids=str,
)
def test_values_without_sense_are_refused(changed):
    with pytest.raises(UsageError, match=r"needs (a )?number|foggy"):
        parsed(**changed)


@given(total=st.integers(1, 2000), share=st.floats(0, 1))
def test_an_interval_holds_its_share(total, share):
    right = round(share * total)
    low, high = wilson_pct(right, total)
    assert 0 <= low <= 100 * right / total + 1e-9
    assert 100 * right / total - 1e-9 <= high <= 100
    assert high - low > 0
