"""The engine over a real catalog: verdicts with their reasons, and keeping up with changes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from songid_desktop.catalog.catalog import Catalog
from songid_desktop.catalog.rebuild import rebuild
from songid_desktop.errors import NothingEnrolled, UsageError
from songid_desktop.evaluate.demo_tunes import TUNE_RATE_HZ, TUNES, render
from songid_desktop.evaluate.singing import sing
from songid_desktop.identify import engine as engine_module
from songid_desktop.identify.engine import Engine
from songid_desktop.identify.enrolment import enrol_library
from songid_desktop.paths import Paths, base_dir_paths
from songid_desktop.types import (
    AudioBlock,
    CancelToken,
    FloatArray,
    Identification,
    Reason,
    Verdict,
)
from tests.support.cli import RATE, noise, write_wav
from tests.support.identifying import found


def tune(number: int) -> FloatArray:
    """A demo tune in mono at half its rate."""
    mono = render(TUNES[number]).mean(axis=1)
    assert TUNE_RATE_HZ == 2 * RATE
    return np.asarray(mono[: len(mono) // 2 * 2].reshape(-1, 2).mean(axis=1), np.float32)


@pytest.fixture(scope="module")
def tunes() -> tuple[FloatArray, ...]:
    """Three tunes; the third is never enrolled."""
    return tune(0), tune(3), tune(6)


@pytest.fixture(scope="module")
def library(
    tmp_path_factory: pytest.TempPathFactory, tunes: tuple[FloatArray, ...]
) -> tuple[Paths, Path]:
    """Two tunes enrolled; the instance and its music folder."""
    folder = tmp_path_factory.mktemp("library")
    music = folder / "music"
    music.mkdir()
    for number in (0, 1):
        write_wav(music / f"tune {number}.wav", tunes[number])
    paths = base_dir_paths(folder / "base")
    report = enrol_library(paths, [music], in_process=True)
    assert report.added == 2
    return paths, music


@pytest.fixture
def engine(library: tuple[Paths, Path]) -> Iterator[Engine]:
    with Engine(library[0]) as opened:
        yield opened


def block(samples: FloatArray, start_s: float = 0.0, length_s: float = 6.0) -> AudioBlock:
    begin = round(start_s * RATE)
    return AudioBlock(samples[begin : begin + round(length_s * RATE)], RATE)


def named(engine: Engine, found: Identification) -> str:
    assert found.best is not None
    track = engine.track(found.best.track_id)
    assert track is not None
    return track.path.name


def test_names_the_track_with_its_place_and_a_sentence(
    engine: Engine, tunes: tuple[FloatArray, ...]
) -> None:
    found = engine.identify(block(tunes[1], start_s=9.0))
    assert found.verdict is Verdict.MATCH
    assert found.reason is None
    assert named(engine, found) == "tune 1.wav"
    assert found.best is not None
    assert found.best.offset_s == pytest.approx(9.0, abs=0.1)
    assert "tune 1" in found.message
    assert found.heard_s == pytest.approx(6.0)
    assert found.timings.total_ms >= found.timings.match_ms > 0


def test_level_does_not_matter_until_it_is_hopeless(
    engine: Engine, tunes: tuple[FloatArray, ...]
) -> None:
    faint = engine.identify(block(tunes[0] * np.float32(10 ** (-50 / 20)), 5.0))
    assert faint.verdict is Verdict.MATCH
    hopeless = engine.identify(block(tunes[0] * np.float32(10 ** (-80 / 20)), 5.0))
    assert (hopeless.verdict, hopeless.reason) == (Verdict.NO_SIGNAL, Reason.TOO_QUIET)
    assert "dBFS" in hopeless.message


def test_zeros_and_shortness(engine: Engine, tunes: tuple[FloatArray, ...]) -> None:
    zeros = engine.identify(AudioBlock(np.zeros(3 * RATE, np.float32), RATE))
    assert (zeros.verdict, zeros.reason) == (Verdict.NO_SIGNAL, Reason.EXACT_ZEROS)
    short = engine.identify(block(tunes[0], 5.0, 0.2))
    assert short.verdict is Verdict.NOT_ENOUGH_AUDIO
    nothing = engine.identify(AudioBlock(np.zeros(0, np.float32), RATE))
    assert nothing.verdict in (Verdict.NO_SIGNAL, Verdict.NOT_ENOUGH_AUDIO)
    assert all(found.message for found in (zeros, short, nothing))


def test_clipping_stands_beside_a_match(engine: Engine, tunes: tuple[FloatArray, ...]) -> None:
    loud = np.clip(tunes[0] * 8, -1, 1).astype(np.float32)
    found = engine.identify(block(loud, 5.0))
    assert (found.verdict, found.reason) == (Verdict.MATCH, Reason.CLIPPING)
    assert "clipped" in found.message


def test_samples_that_are_no_numbers_do_no_harm(
    engine: Engine, tunes: tuple[FloatArray, ...]
) -> None:
    broken = tunes[0][5 * RATE : 11 * RATE].copy()
    broken[::1000] = np.nan
    broken[1::5000] = np.inf
    found = engine.identify(AudioBlock(broken, RATE))
    assert found.verdict in (Verdict.MATCH, Verdict.UNSURE, Verdict.NO_MATCH)


def test_noise_is_no_music_absent_music_is_not_similar(
    engine: Engine, tunes: tuple[FloatArray, ...]
) -> None:
    noisy = engine.identify(AudioBlock(noise(6.0, seed=77), RATE))
    assert (noisy.verdict, noisy.reason) == (Verdict.NO_MATCH, Reason.NO_MUSIC)
    assert "No music" in noisy.message
    absent = engine.identify(block(tunes[2], 8.0))
    assert (absent.verdict, absent.reason) == (Verdict.NO_MATCH, Reason.NOT_SIMILAR)
    assert absent.message


@pytest.mark.parametrize("seed", range(8))
def test_singing_alone_is_music(engine: Engine, seed: int) -> None:
    found = engine.identify(AudioBlock(sing(5.0, RATE, seed), RATE))
    assert found.verdict is Verdict.NO_MATCH
    assert found.reason is Reason.NOT_SIMILAR


def test_a_cancelled_question_is_a_verdict(engine: Engine, tunes: tuple[FloatArray, ...]) -> None:
    cancel = CancelToken()
    cancel.set()
    assert engine.identify(block(tunes[0]), cancel=cancel).verdict is Verdict.CANCELLED


def test_files(
    engine: Engine, library: tuple[Paths, Path], tmp_path: Path, tunes: tuple[FloatArray, ...]
) -> None:
    whole = engine.identify_file(library[1] / "tune 0.wav")
    assert named(engine, whole) == "tune 0.wav"
    assert whole.timings.decode_ms > 0
    assert whole.timings.total_ms >= whole.timings.decode_ms
    write_wav(tmp_path / "late.wav", np.concatenate([noise(25.0), tunes[1]]))
    late = engine.identify_file(tmp_path / "late.wav")
    assert named(engine, late) == "tune 1.wav"
    assert late.best is not None
    assert late.best.offset_s == pytest.approx(-25.0, abs=0.2)
    (tmp_path / "text.mp3").write_text("no music")
    for name in ("text.mp3", "absent.wav"):
        unreadable = engine.identify_file(tmp_path / name)
        assert (unreadable.verdict, unreadable.reason) == (Verdict.ERROR, Reason.UNREADABLE)
        assert unreadable.message


@pytest.mark.parametrize(
    ("samples", "reason"),
    [
        (np.zeros(4 * RATE, np.float32), Reason.EXACT_ZEROS),
        (noise(4.0) * np.float32(4e-4), Reason.TOO_QUIET),
        (np.clip(noise(4.0) * np.float32(50), -1, 1), Reason.CLIPPING),
        (noise(4.0), Reason.NO_MUSIC),
    ],
)
def test_what_is_said_of_a_file_can_be_done_with_a_file(
    engine: Engine, tmp_path: Path, samples: FloatArray, reason: Reason
) -> None:
    """Nobody can unmute a file, turn it down or move closer to it; a source, yes."""
    write_wav(tmp_path / "clip.wav", samples)
    of_file = engine.identify_file(tmp_path / "clip.wav")
    of_source = engine.identify(AudioBlock(samples, RATE))
    assert of_file.reason is of_source.reason is reason
    advice = ("source", "move closer", "turn ", "mute")
    assert of_file.message
    assert not any(words in of_file.message.lower() for words in advice)
    assert any(words in of_source.message.lower() for words in advice)


@pytest.mark.parametrize("speed", [None, 0.96, 1.04])
def test_a_late_window_of_a_file_at_another_speed(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, speed: float | None
) -> None:
    """The offset belongs to the file's first sample: the seconds before the window that was
    named count times the speed."""
    write_wav(tmp_path / "long.wav", noise(60.0))
    seen: list[AudioBlock] = []

    def identify(audio: AudioBlock, *_more: object) -> Identification:
        seen.append(audio)
        if len(seen) < 3:
            return found(Verdict.NO_MATCH)
        return found(Verdict.MATCH, 1, offset_s=100.0, speed=speed)

    monkeypatch.setattr(engine, "identify", identify)
    answer = engine.identify_file(tmp_path / "long.wav")
    assert answer.best is not None
    start_s = engine_module.LONG_FILE_PLACES[2] * 60.0
    assert answer.best.offset_s == pytest.approx(100.0 - start_s * (speed or 1.0), abs=0.05)
    assert answer.best.speed == speed


def test_an_empty_library_is_a_verdict_here_and_an_error_where_asked(
    paths: Paths, tunes: tuple[FloatArray, ...]
) -> None:
    with Engine(paths) as engine:
        assert engine.identify(block(tunes[0])).verdict is Verdict.EMPTY_CATALOG
        with pytest.raises(NothingEnrolled, match="songid enroll"):
            engine.require_tracks()
        assert not paths.catalog.exists(), "asking makes no catalog"
        assert engine.change_counter == -1
        with pytest.raises(UsageError, match="ouija"):
            engine.identify(block(tunes[0]), "ouija")


def test_warming_up_needs_no_library(paths: Paths, engine: Engine) -> None:
    engine.warm()
    with Engine(paths) as empty:
        empty.warm()
    assert not paths.catalog.exists()


def test_one_with_other_weights_is_opened_anew_when_it_is_made_ready(
    library: tuple[Paths, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[object] = []
    real_create = engine_module.registry.create

    def create(name: str, paths: Paths) -> object:
        made.append(real_create(name, paths))
        return made[-1]

    monkeypatch.setattr(engine_module.registry, "create", create)
    with Engine(library[0]) as engine:
        engine.warm("report")
        engine.warm("report")
        digest = made[-1].config_digest  # type: ignore[attr-defined]
        assert len(made) == 2, "hidden ones have no digest on offer: never taken for up to date"
        monkeypatch.setattr(engine_module.registry, "config_digests", lambda: {"report": digest})
        engine.warm("report")
        assert len(made) == 2
        monkeypatch.setattr(engine_module.registry, "config_digests", lambda: {"report": "new"})
        engine.warm("report")
        assert len(made) == 3


def test_follows_what_others_enrol_and_remove(
    paths: Paths, tmp_path: Path, tunes: tuple[FloatArray, ...]
) -> None:
    write_wav(tmp_path / "a.wav", tunes[0])
    with Engine(paths) as engine:
        assert engine.track_count() == 0
        enrol_library(paths, [tmp_path / "a.wav"], in_process=True)
        counter = engine.change_counter
        assert engine.refresh()
        assert engine.change_counter > counter
        assert not engine.refresh(), "nothing new the second time"
        found = engine.identify(block(tunes[0], 5.0))
        assert found.verdict is Verdict.MATCH
        assert found.best is not None
        with Catalog.open(paths) as catalog, catalog.writer("test") as writer:
            writer.remove_tracks([found.best.track_id])
        assert engine.identify(block(tunes[0], 5.0)).verdict is Verdict.EMPTY_CATALOG
        assert engine.track(found.best.track_id) is None


def test_a_library_that_is_taken_away_is_an_empty_one(
    paths: Paths, tmp_path: Path, tunes: tuple[FloatArray, ...]
) -> None:
    write_wav(tmp_path / "a.wav", tunes[0])
    enrol_library(paths, [tmp_path / "a.wav"], in_process=True)
    with Engine(paths) as engine:
        assert engine.track_count() == 1
        shutil.rmtree(paths.data)
        assert engine.identify(block(tunes[0], 5.0)).verdict is Verdict.EMPTY_CATALOG
        enrol_library(paths, [tmp_path / "a.wav"], in_process=True)
        assert engine.identify(block(tunes[0], 5.0)).verdict is Verdict.MATCH
    engine.close()


def test_an_index_that_was_long_to_make_is_saved_for_the_next(
    paths: Paths,
    tmp_path: Path,
    tunes: tuple[FloatArray, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_wav(tmp_path / "a.wav", tunes[0])
    enrol_library(paths, [tmp_path / "a.wav"], in_process=True)
    shutil.rmtree(paths.index)
    with Engine(paths) as engine:
        assert engine.track_count() == 1
    assert not any(paths.index.rglob("*.*")), "made in a moment: not worth a write"
    monkeypatch.setattr(engine_module, "SAVE_AFTER_OPENING_S", 0.0)
    with Catalog.open(paths) as catalog, catalog.writer("another"), Engine(paths) as engine:
        assert engine.track_count() == 1
    assert not any(paths.index.rglob("*.*")), "another program writes: left alone"
    with Engine(paths) as engine:
        assert engine.track_count() == 1
        assert any(paths.index.rglob("*.*"))
        assert engine.identify(block(tunes[0], 5.0)).verdict is Verdict.MATCH


def test_a_library_that_is_rebuilt_beside_it_is_followed(
    paths: Paths, tmp_path: Path, tunes: tuple[FloatArray, ...]
) -> None:
    write_wav(tmp_path / "a.wav", tunes[0])
    write_wav(tmp_path / "b.wav", tunes[1])
    enrol_library(paths, [tmp_path / "a.wav"], in_process=True)
    with Engine(paths) as engine:
        assert engine.track_count() == 1
        rebuild(paths)
        enrol_library(paths, [tmp_path / "b.wav"], in_process=True)
        assert engine.track_count() == 2
        assert engine.identify(block(tunes[1], 5.0)).verdict is Verdict.MATCH
