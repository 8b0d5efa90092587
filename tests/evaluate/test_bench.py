import collections
import subprocess
import sys
import threading

import pytest

from songid_desktop.errors import Cancelled, EnvironmentProblem, UsageError
from songid_desktop.evaluate.bench import Bench
from songid_desktop.evaluate.results import GROWTH, RESULTS_FILE, SESSION, RunFolder
from tests.support import bench
from tests.support.identifying import wait_for
from tests.support.music import short_tune
from tests.support.sound import write_wav


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return bench.make_music(tmp_path_factory.mktemp("bench"))


@pytest.fixture(scope="module")
def answered(folder):
    """A whole small run."""
    return bench.run(folder, folder / "whole")


def test_every_cell_is_asked_once_and_counted_honestly(answered):
    many = collections.Counter(one.condition for one in answered)
    assert many == {"clean": 4, "room0": 4, "absent_clean": 1, "noise_only": 2, "silence": 5}
    for one in answered:
        enrolled = one.condition in ("clean", "room0")
        assert one.is_enrolled == enrolled
        assert one.verdict != "skipped"
        assert enrolled or one.rank is None
        assert one.total_confidence <= 1.0 + 1e-6
    clean = [one for one in answered if one.condition == "clean"]
    assert all(one.rank == 1 and one.best == one.track for one in clean)
    assert all(abs(one.offset_error_s) < 0.05 for one in clean)
    absent = next(one for one in answered if one.condition == "absent_clean")
    assert absent.track not in {one.track for one in clean}


def test_the_run_says_what_it_did(folder, answered):
    run = RunFolder(folder / "whole").read_run()
    assert run["queries"] == 4
    assert run["absent"] == 1
    assert run["enrolment"]["tracks"] == 4
    assert "--rooms-dir" in run["rooms_are"]
    assert run["identifiers"]["landmark"]["index_bytes"] > 1000
    assert run["versions"]["build"] == answered[0].build


def test_the_seed_decides_everything(folder, answered, tmp_path):
    again = bench.run(folder, tmp_path / "again")
    assert bench.untimed(again) == bench.untimed(answered)
    other = bench.run(folder, tmp_path / "other", seed=1)
    assert bench.untimed(other) != bench.untimed(answered)


@pytest.mark.slow
def test_the_number_of_workers_decides_nothing(folder, answered, tmp_path):
    at_once = bench.run(folder, tmp_path / "jobs", jobs=2)
    assert bench.untimed(at_once) == bench.untimed(answered)


def test_a_run_goes_on_where_it_was(folder, answered, tmp_path):
    out = tmp_path / "out"
    bench.run(folder, out)
    path = out / RESULTS_FILE
    lines = path.read_bytes().splitlines(keepends=True)
    kept = b"".join(lines[:5]) + lines[5][:40]  # as a kill in the midst of writing leaves it
    path.write_bytes(kept)
    again = bench.run(folder, out)
    assert path.read_bytes().startswith(b"".join(lines[:5]))
    assert bench.untimed(again) == bench.untimed(answered)
    size = path.stat().st_size
    bench.run(folder, out)
    assert path.stat().st_size == size


def test_more_can_be_asked_of_a_finished_run(folder, answered, tmp_path):
    out = tmp_path / "out"
    bench.run(folder, out)
    more = bench.run(folder, out, conditions="white0", draws=2, lengths_s=(1.0, 2.0))
    assert len(more) == len(answered) + 4 * 2 * 2
    assert bench.untimed(more)[0].build == answered[0].build


def test_another_seed_needs_another_folder(folder, tmp_path):
    bench.run(folder, tmp_path, conditions="clean")
    with pytest.raises(UsageError, match="another --seed"):
        bench.run(folder, tmp_path, conditions="clean", seed=5)


def test_a_manifest_decides_who_plays_which_part(tmp_path):
    folder = bench.make_music(tmp_path)
    roles = ["query", "train", "absent", "validation_absent", "query"]
    lines = [f"tune {number:03}.wav,{role}" for number, role in enumerate(roles)]
    (folder / "music" / "manifest.csv").write_text("path,role\n" + "\n".join(lines) + "\n")
    records = bench.run(folder, tmp_path / "out", conditions="clean,absent_clean")
    parts = {(one.condition, one.track) for one in records}
    assert parts == {
        ("clean", "tune 000.wav"),
        ("clean", "tune 004.wav"),
        ("absent_clean", "tune 002.wav"),
    }
    assert RunFolder(tmp_path / "out").read_run()["enrolment"]["tracks"] == 3


def test_copies_are_one_answer_and_never_absent(tmp_path):
    folder = bench.make_music(tmp_path)
    music = folder / "music"
    tunes = sorted(music.iterdir())
    roles = {tunes[0].name: "query", tunes[1].name: "train", tunes[2].name: "absent"}
    (music / "the same.wav").write_bytes(tunes[0].read_bytes())
    roles["the same.wav"] = "train"
    table = "path,role\n" + "".join(f"{name},{role}\n" for name, role in roles.items())
    (music / "manifest.csv").write_text(table)
    (clean,) = bench.run(folder, tmp_path / "out", conditions="clean")
    assert clean.rank == 1


def test_twins_listed_beside_the_music_count_too(tmp_path):
    folder = bench.make_music(tmp_path)
    names = [f"tune {number:03}.wav" for number in range(5)]
    roles = ["query", "train", "absent", "absent", "train"]
    lines = [f"{name},{role}" for name, role in zip(names, roles, strict=True)]
    (folder / "music" / "manifest.csv").write_text("path,role\n" + "\n".join(lines) + "\n")
    (folder / "music" / "twins.tsv").write_text(f"{names[0]}\t{names[1]}\n{names[2]}\t{names[4]}\n")
    records = bench.run(folder, tmp_path / "out", conditions="clean,absent_clean")
    assert {one.track for one in records if not one.is_enrolled} == {names[3]}
    run = RunFolder(tmp_path / "out").read_run()
    assert run["twins"]["groups"] == [names[:2]]
    assert run["twins"]["not_absent"] == [names[2]]


def test_two_runs_do_not_share_a_folder(folder, answered, tmp_path):
    out = tmp_path / "taken"
    with RunFolder(out).taken(), pytest.raises(EnvironmentProblem, match="another --out"):
        bench.run(folder, out)
    assert not (out / RESULTS_FILE).exists()
    assert bench.untimed(bench.run(folder, out)) == bench.untimed(answered)


def test_tracks_too_short_are_counted_as_such(folder, tmp_path):
    records = bench.run(folder, tmp_path, conditions="clean", lengths_s=(9.0,))
    assert {one.verdict for one in records} == {"skipped"}
    assert {one.reason for one in records} == {"too_short"}


def test_a_cancelled_run_keeps_what_it_has(folder, tmp_path):
    cancel = threading.Event()

    def stop(progress):
        if progress.stage == "clips" and progress.done >= 2:
            cancel.set()

    with pytest.raises(Cancelled):
        Bench(bench.options(folder, tmp_path), progress=stop, cancel=cancel).run()
    kept = RunFolder(tmp_path).read_results()
    assert 2 <= len(kept) < 16
    assert len(bench.run(folder, tmp_path)) == 16


def test_growth_asks_the_same_clips_of_parts(folder, tmp_path):
    records = bench.run(folder, tmp_path, conditions="clean", catalog_sizes=(2, 3, 99))
    grown = [one for one in records if one.kind == GROWTH]
    sizes = collections.Counter(one.catalog_tracks for one in grown)
    assert sizes == {2: 2, 3: 2, 4: 2}
    assert all(one.rank == 1 for one in grown)
    places = {(one.track, one.start_s) for one in grown}
    assert len(places) == 2


def test_sessions_end_with_a_match_or_the_time(tmp_path):
    folder = bench.make_music(tmp_path)
    for number, path in enumerate(sorted((folder / "music").iterdir())[:2]):
        write_wav(path, short_tune(50 + number, 16.5), bench.RATE)
    for path in sorted((folder / "music").iterdir())[2:]:
        path.unlink()
    records = bench.run(folder, tmp_path / "out", conditions="clean", sessions=4)
    held = [one for one in records if one.kind == SESSION]
    (found,) = (one for one in held if one.is_enrolled)
    assert found.rank == 1
    assert found.verdict == "match"
    assert 2.0 <= found.heard_s < 10.0
    away = [one for one in held if not one.is_enrolled]
    assert len(away) == 4
    assert all(one.looks == 27 and one.heard_s == pytest.approx(15.0) for one in away)
    assert not any(one.verdict == "match" for one in away)


@pytest.mark.slow
def test_a_killed_run_goes_on(folder, answered, tmp_path):
    out = tmp_path / "out"
    command = [
        *(sys.executable, "-m", "songid_desktop", "evaluate", "run", "--jobs", "1"),
        *("--catalog-from", folder / "music", "--out", out, "--lengths", "2"),
        *("--noise-dir", folder / "noise", "--rooms-dir", folder / "rooms"),
        *("--conditions", "clean,room0,absent_clean,noise_only,silence", "--timing-clips", "0"),
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for((out / RESULTS_FILE).exists, 60.0)
    finally:
        process.kill()
        process.wait()
    assert (out / RESULTS_FILE).exists()
    assert bench.untimed(bench.run(folder, out)) == bench.untimed(answered)
