"""Folders in, tracks out: what each kind of file comes to, and what a second look costs."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import mutagen.flac
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from songid_desktop.catalog import stages
from songid_desktop.catalog.catalog import Catalog
from songid_desktop.catalog.enrol import enrol, enrol_pending
from songid_desktop.catalog.records import EnrolProgress
from songid_desktop.errors import UsageError
from songid_desktop.paths import Paths, base_dir_paths
from songid_desktop.types import AudioBlock, CancelToken, EnrolState, FileProblem, Fingerprint
from tests.support.catalog import RATE, CheckSum, Refusing, enrol_here, titles, write_song
from tests.support.catalog_files import encode


@pytest.mark.parametrize("ending", [".wav", ".flac", ".ogg", ".aiff", ".mp3"])
def test_a_song_of_each_kind_becomes_a_track(paths: Paths, music: Path, ending: str) -> None:
    song = write_song(music / f"song{ending}", 1, 2.0)
    report = enrol_here(paths, music)
    assert (report.added, report.failed, report.warnings) == (1, (), ())
    assert report.audio_s == pytest.approx(2.0, abs=0.15)
    with Catalog.open(paths) as catalog:
        (track,) = catalog.tracks()
        assert track.path == song
        assert track.duration_s == pytest.approx(2.0, abs=0.15)
        assert [state.state for state in track.states] == [EnrolState.ENROLLED]
        assert catalog.find_path(song) == catalog.track(track.track_id) == track
        assert catalog.folders() == [music]


def test_a_second_run_reads_nothing(
    paths: Paths, music: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in range(3):
        write_song(music / f"{seed}.wav", seed)
    (music / "bad.wav").write_bytes(b"no sound here" * 100)
    first = enrol_here(paths, music)

    def never(*_: object, **__: object) -> None:
        raise AssertionError("an unchanged file was opened")

    monkeypatch.setattr(stages, "content_hash", never)
    monkeypatch.setattr(stages, "open_audio", never)
    second = enrol_here(paths, music)
    assert second.unchanged == 3
    assert second.added == second.updated == second.moved == second.missing == 0
    assert second.failed == first.failed
    assert second.audio_s == 0.0


def make_broken(folder: Path) -> dict[str, FileProblem]:
    """A folder of files that can't be enrolled, and why each can't."""
    rng = np.random.default_rng(5)
    (folder / "empty.mp3").touch()
    write_song(folder / "short.wav", 1, 0.6)
    (folder / "noise.flac").write_bytes(rng.bytes(20_000))
    (folder / "letter.mp3").write_text("Dear Sir or Madam\n" * 400)
    (folder / "picture.m4a").write_bytes(b"\x89PNG\r\n\x1a\n" + rng.bytes(3000))
    for name, length in (("header only.flac", 60), ("torn.flac", None)):
        whole = write_song(folder / name, 2).read_bytes()
        rest = b"" if length else rng.bytes(len(whole) - 90)
        (folder / name).write_bytes(whole[: length or 90] + rest)
    protected = encode(folder / "bought.m4a", 3).read_bytes()
    (folder / "bought.m4a").write_bytes(protected.replace(b"mp4a", b"drms"))
    return {
        "empty.mp3": FileProblem.EMPTY,
        "short.wav": FileProblem.TOO_SHORT,
        "letter.mp3": FileProblem.NOT_AUDIO,
        "picture.m4a": FileProblem.NOT_AUDIO,
        "header only.flac": FileProblem.CORRUPT,
        "torn.flac": FileProblem.CORRUPT,
        "bought.m4a": FileProblem.DRM,
    }


def test_broken_files_are_rows_with_a_reason_and_stop_nothing(paths: Paths, music: Path) -> None:
    expected = make_broken(music)
    write_song(music / "good.wav", 7)
    report = enrol_here(paths, music)
    assert report.added == 1
    found = {problem.path.name: problem.problem for problem in report.failed}
    # Random bytes may look a little like anything.
    assert found.pop("noise.flac") in {FileProblem.CORRUPT, FileProblem.NOT_AUDIO}
    assert found == expected
    assert all(problem.message.endswith(".") for problem in report.failed)
    with Catalog.open(paths) as catalog:
        assert {problem.path for problem in catalog.problems()} == {
            problem.path for problem in report.failed
        }
        assert catalog.verify() == []


def test_a_bad_file_is_tried_again_only_when_changed_and_forgotten_when_well(
    paths: Paths, music: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = music / "song.wav"
    bad.write_bytes(b"RIFF" + bytes(400))
    assert len(enrol_here(paths, music).failed) == 1
    looked_at: list[Path] = []
    examine = stages.examine
    monkeypatch.setattr(
        "songid_desktop.catalog.crew.examine",
        lambda path, *rest: looked_at.append(path) or examine(path, *rest),
    )
    assert len(enrol_here(paths, music).failed) == 1
    assert looked_at == []
    write_song(bad, 1)
    report = enrol_here(paths, music)
    assert looked_at == [bad]
    assert (report.added, report.failed) == (1, ())
    with Catalog.open(paths) as catalog:
        assert catalog.problems() == []


def test_a_problem_goes_with_its_file(paths: Paths, music: Path) -> None:
    bad = music / "song.wav"
    bad.write_bytes(bytes(1000))
    enrol_here(paths, music)
    bad.unlink()
    assert enrol_here(paths, music).failed == ()
    with Catalog.open(paths) as catalog:
        assert catalog.problems() == []


def test_half_a_song_is_enrolled_as_far_as_it_goes(paths: Paths, music: Path) -> None:
    whole = write_song(music / "song.flac", 3, 8.0).read_bytes()
    (music / "song.flac").write_bytes(whole[: len(whole) // 2])
    for _ in range(2):  # told again by a rescan that finds it unchanged
        report = enrol_here(paths, music)
        assert [warning.problem for warning in report.warnings] == [FileProblem.TRUNCATED]
        assert report.failed == ()
    with Catalog.open(paths) as catalog:
        (track,) = catalog.tracks()
        assert 2.0 < track.duration_s < 6.0
        assert track.warning


@pytest.mark.skipif(os.name != "posix", reason="makes odd files")
def test_only_regular_sound_files_are_taken_from_a_folder(paths: Paths, music: Path) -> None:
    write_song(music / "song.wav", 1)
    write_song(music / ".hidden.wav", 2)
    write_song(music / "._song.wav", 3)
    write_song(music / ".trash" / "old.wav", 4)
    (music / "notes.txt").write_text("buy bread")
    (music / "cover.jpg").write_bytes(b"\xff\xd8\xff")
    os.mkfifo(music / "pipe.wav")
    (music / "broken link.wav").symlink_to(music / "nowhere.wav")
    listener = socket.socket(socket.AF_UNIX)
    here = Path.cwd()
    os.chdir(music)  # socket names are short
    try:
        listener.bind("socket.wav")
    finally:
        os.chdir(here)
        listener.close()
    report = enrol_here(paths, music)
    assert (report.added, report.failed) == (1, ())
    text = enrol_here(paths, music / "notes.txt", music / "pipe.wav")
    assert {problem.problem for problem in text.failed} == {FileProblem.NOT_AUDIO}
    assert len(text.failed) == 2


@pytest.mark.skipif(os.name != "posix", reason="needs symbolic links")
def test_links_and_loops(paths: Paths, music: Path) -> None:
    write_song(music / "real" / "song.wav", 1)
    (music / "real" / "up").symlink_to(music)
    (music / "a link to real").symlink_to(music / "real")
    (music / "alias.wav").symlink_to(music / "real" / "song.wav")
    elsewhere = write_song(music.parent / "elsewhere" / "other.wav", 2)
    (music / "linked").symlink_to(elsewhere.parent)
    report = enrol_here(paths, music)
    assert (report.added, report.copies) == (2, 1)
    with Catalog.open(paths) as catalog:
        found = {path for track in catalog.tracks() for path in track.locations}
    assert found == {
        music / "real" / "song.wav",
        music / "alias.wav",
        music / "linked" / "other.wav",
    }
    # With the linked folder added under its own name the linked path still is there.
    again = enrol_here(paths, music, elsewhere.parent)
    assert (again.missing, again.copies) == (0, 1)
    assert enrol_here(paths, music, elsewhere.parent).unchanged == 4


NAMES = [
    "Ünïcödé",
    "音楽",
    "музыка",
    "موسيقى",
    "नमस्ते",
    "😀🎵",
    "a\nb",
    "'; DROP TABLE--",
    " ",
    "-rf",
]


@pytest.mark.skipif(os.name != "posix", reason="names Windows does not allow")
def test_names_in_any_script_and_none(paths: Paths, music: Path) -> None:
    songs = [write_song(music / f"{name}.wav", seed) for seed, name in enumerate(NAMES)]
    songs.append(write_song(Path(os.fsdecode(os.fsencode(music) + b"/caf\xe9 \xff.wav")), 77))
    deep = music
    while len(os.fsencode(deep)) < 3500:
        deep = deep / ("深い" * 20)
    songs.append(write_song(deep / "long.wav", 78))
    assert enrol_here(paths, music).added == len(songs)
    assert enrol_here(paths, music).unchanged == len(songs)
    with Catalog.open(paths) as catalog:
        assert {track.path for track in catalog.tracks()} == set(songs)
        assert all(catalog.find_path(song) is not None for song in songs)
        assert [track.path for track in catalog.tracks(search="音")] == [songs[1]]


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="becomes another user")
def test_what_may_not_be_read_is_told_and_known_tracks_in_it_are_kept(
    paths: Paths, music: Path, tmp_path: Path
) -> None:
    write_song(music / "open.wav", 1)
    write_song(music / "shut" / "in.wav", 2)
    assert enrol_here(paths, music).added == 2
    secret = write_song(music / "secret.wav", 3)
    secret.chmod(0)
    (music / "shut").chmod(0)
    for folder in [tmp_path, *tmp_path.parents]:
        if str(folder).startswith("/tmp/"):
            folder.chmod(0o777)
    for file in [paths.data, *paths.data.iterdir()]:
        file.chmod(0o777)
    os.seteuid(65534)
    try:
        report = enrol_here(paths, music)
    finally:
        os.seteuid(0)
    assert {problem.path.name for problem in report.failed} == {"secret.wav", "shut"}
    assert {problem.problem for problem in report.failed} == {FileProblem.NO_PERMISSION}
    assert report.missing == 0
    secret.chmod(0o644)
    (music / "shut").chmod(0o755)
    well = enrol_here(paths, music)
    assert (well.added, well.unchanged, well.failed) == (1, 2, ())
    with Catalog.open(paths) as catalog:
        assert catalog.problems() == []
        assert catalog.counts().missing == 0


def test_new_tags_are_an_update_of_the_same_track(paths: Paths, music: Path) -> None:
    song = write_song(music / "song.flac", 1)
    enrol_here(paths, music)
    with Catalog.open(paths) as catalog:
        (before,) = catalog.tracks()
        revision = catalog.reader().revision()
    tagged = mutagen.flac.FLAC(song)
    tagged["title"], tagged["artist"] = "A Name", "Somebody"
    tagged.save()
    report = enrol_here(paths, music)
    assert (report.updated, report.added, report.audio_s) == (1, 0, 0.0)
    with Catalog.open(paths) as catalog:
        (after,) = catalog.tracks(search="somebody name")
        assert (after.track_id, after.title) == (before.track_id, "A Name")
        assert catalog.reader().revision() == revision
    os.utime(song, ns=(1, 1))
    assert enrol_here(paths, music).unchanged == 1


def test_new_sound_at_an_old_path_is_an_update_and_takes_the_history_along(
    paths: Paths, music: Path
) -> None:
    from songid_desktop.catalog.history import History
    from songid_desktop.catalog.records import Play

    song = write_song(music / "song.wav", 1)
    enrol_here(paths, music)
    with Catalog.open(paths) as catalog:
        (old,) = catalog.tracks()
        play = History(catalog).add(Play(0.0, 1.0, track_id=old.track_id))
    write_song(song, 2, 3.0)
    report = enrol_here(paths, music)
    assert (report.added, report.updated, report.missing) == (0, 1, 0)
    with Catalog.open(paths) as catalog:
        (new,) = catalog.tracks()
        assert new.track_id != old.track_id
        assert new.duration_s == pytest.approx(3.0, abs=0.1)
        found = History(catalog).get(play)
        assert found is not None
        assert found.track_id == new.track_id
        assert catalog.verify() == []


def test_a_move_keeps_the_track_and_decodes_nothing(paths: Paths, music: Path) -> None:
    song = write_song(music / "old" / "song.wav", 1)
    enrol_here(paths, music)
    (music / "new").mkdir()
    moved = song.rename(music / "new" / "renamed.wav")
    report = enrol_here(paths, music)
    assert (report.moved, report.added, report.missing, report.audio_s) == (1, 0, 0, 0.0)
    with Catalog.open(paths) as catalog:
        (track,) = catalog.tracks()
        assert track.locations == (moved,)


def test_a_swap_of_two_files_is_no_new_track(paths: Paths, music: Path) -> None:
    a, b = write_song(music / "a.wav", 1), write_song(music / "b.wav", 2, 2.0)
    enrol_here(paths, music)
    with Catalog.open(paths) as catalog:
        ids = {track.path: track.track_id for track in catalog.tracks()}
    spare = a.rename(music / "spare")
    b.rename(a)
    spare.rename(b)
    report = enrol_here(paths, music)
    assert (report.added, report.missing, report.audio_s) == (0, 0, 0.0)
    with Catalog.open(paths) as catalog:
        now = {track.path: track.track_id for track in catalog.tracks()}
    assert now == {a: ids[b], b: ids[a]}


def test_a_drive_that_is_gone_loses_nothing(paths: Paths, music: Path) -> None:
    for seed in range(3):
        write_song(music / f"{seed}.wav", seed)
    enrol_here(paths, music)
    music.rename(music.with_name("unplugged"))
    report = enrol_here(paths, music)
    assert (report.missing, report.missing_roots) == (3, (music,))
    with Catalog.open(paths) as catalog:
        assert [track.is_missing for track in catalog.tracks()] == [True] * 3
        counts = catalog.counts()
        assert (counts.tracks, counts.missing, counts.enrolled) == (3, 3, {"checksum": 3})
    # A copy that turns up meanwhile is a copy: the drive may come back.
    copy = write_song(music.parent / "backup" / "0.wav", 0)
    assert enrol_here(paths, copy.parent).copies == 1
    music.with_name("unplugged").rename(music)
    report = enrol_here(paths, music)
    assert (report.unchanged, report.missing, report.audio_s) == (3, 0, 0.0)
    with Catalog.open(paths) as catalog:
        assert catalog.counts().missing == 0
        assert {len(track.locations) for track in catalog.tracks()} == {1, 2}


def test_a_path_that_never_was_is_the_callers_mistake(paths: Paths, music: Path) -> None:
    with pytest.raises(UsageError, match="no file or folder"):
        enrol_here(paths, music, music / "typo")
    with pytest.raises(UsageError, match="at least one identifier"):
        enrol_here(paths, music, fingerprinters=[])
    with pytest.raises(UsageError, match="twice"):
        enrol_here(paths, music, fingerprinters=[CheckSum(), CheckSum()])


def test_another_identifier_later_does_only_its_own_part(paths: Paths, music: Path) -> None:
    for seed in range(3):
        write_song(music / f"{seed}.wav", seed)
    first, second = CheckSum(), CheckSum(name="second", sample_rate=None)
    enrol_here(paths, music, fingerprinters=[first])
    with Catalog.open(paths) as catalog:
        revision = catalog.reader().revision()
    report = enrol_here(paths, music, fingerprinters=[first, second])
    assert (report.added, report.updated, report.unchanged) == (0, 3, 0)
    with Catalog.open(paths) as catalog:
        reader = catalog.reader()
        assert list(reader.changes("checksum", "v1", revision)) == []
        assert len(list(reader.changes("second", "v1", revision))) == 3


def test_pending_tracks_are_caught_up_without_a_walk(paths: Paths, music: Path) -> None:
    for seed in range(3):
        write_song(music / f"{seed}.wav", seed)
    enrol_here(paths, music)
    write_song(music / "new.wav", 9)
    (music / "2.wav").unlink()
    other = CheckSum(name="other")
    report = enrol_pending(paths, [other], in_process=True)
    assert (report.added, report.updated) == (0, 2)
    with Catalog.open(paths) as catalog:
        counts = catalog.counts()
        assert counts.enrolled == {"checksum": 3, "other": 2}
        assert counts.pending == {"checksum": 0, "other": 1}
    assert enrol_pending(paths, [other], in_process=True).updated == 0


def test_another_configuration_makes_everything_pending(paths: Paths, music: Path) -> None:
    write_song(music / "a.wav", 1)
    enrol_here(paths, music)
    with Catalog.open(paths, configs={"checksum": "v2"}) as catalog:
        assert catalog.tracks()[0].states[0].state is EnrolState.PENDING
        assert catalog.counts().pending == {"checksum": 1}
        assert catalog.reader().fingerprint_count("checksum", "v2") == 0
    report = enrol_here(paths, music, fingerprinters=[CheckSum(config_digest="v2")])
    assert report.updated == 1
    with Catalog.open(paths) as catalog:
        assert catalog.tracks()[0].states[0].state is EnrolState.ENROLLED
        assert catalog.reader().fingerprint_count("checksum", "v1") == 0


def test_an_identifier_that_fails_is_a_state_of_the_track(paths: Paths, music: Path) -> None:
    write_song(music / "a.wav", 1)
    both = [CheckSum(), Refusing()]
    for _ in range(2):
        report = enrol_here(paths, music, fingerprinters=both)
    assert report.unchanged == 1
    with Catalog.open(paths) as catalog:
        states = {state.identifier: state for state in catalog.tracks()[0].states}
        assert states["checksum"].state is EnrolState.ENROLLED
        assert states["refusing"].state is EnrolState.FAILED
        assert "not my kind of music" in states["refusing"].message
        assert catalog.counts().failed == {"checksum": 0, "refusing": 1}


@dataclass(frozen=True)
class FailingAtFirst(CheckSum):
    """Works from the second time on."""

    name: str = "failing"
    asked: list[int] = field(default_factory=list)

    def fingerprint(
        self, blocks: Iterable[AudioBlock], cancel: CancelToken | None = None
    ) -> Fingerprint:
        self.asked.append(1)
        if len(self.asked) == 1:
            raise ImportError("half a library")
        return super().fingerprint(blocks, cancel)


def test_what_the_program_could_not_do_is_tried_again(paths: Paths, music: Path) -> None:
    write_song(music / "a.wav", 1)
    both = [CheckSum(), FailingAtFirst()]
    report = enrol_here(paths, music, fingerprinters=both)
    assert [problem.problem for problem in report.failed] == [FileProblem.PROGRAM]
    with Catalog.open(paths) as catalog:
        state = next(s for s in catalog.tracks()[0].states if s.identifier == "failing")
        assert state.state is EnrolState.FAILED
        assert "half a library" in state.message
    report = enrol_here(paths, music, fingerprinters=both)
    assert (report.updated, report.failed) == (1, ())
    with Catalog.open(paths) as catalog:
        assert catalog.counts().failed == {"checksum": 0, "failing": 0}
        assert catalog.counts().enrolled == {"checksum": 1, "failing": 1}


def test_cancelled_work_goes_on_where_it_was(paths: Paths, music: Path) -> None:
    for seed in range(6):
        write_song(music / f"{seed}.wav", seed)
    cancel = threading.Event()

    def stop_after_two(progress: EnrolProgress) -> None:
        if progress.added >= 2:
            cancel.set()

    from songid_desktop.catalog import pace

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pace, "_TELL_EVERY_S", 0.0)
        first = enrol_here(paths, music, progress=stop_after_two, cancel=cancel)
    assert first.was_cancelled
    assert first.added == 2
    second = enrol_here(paths, music)
    assert (second.added, second.unchanged, second.was_cancelled) == (4, 2, False)
    assert len(titles(paths)) == 6


def test_cancelled_scan_calls_nothing_missing(paths: Paths, music: Path) -> None:
    song = write_song(music / "a.wav", 1)
    enrol_here(paths, music)
    song.unlink()
    cancel = threading.Event()
    cancel.set()
    report = enrol_here(paths, music, cancel=cancel)
    assert report.was_cancelled
    with Catalog.open(paths) as catalog:
        assert catalog.counts().missing == 0


def test_progress_ends_with_the_truth(paths: Paths, music: Path) -> None:
    for seed in range(3):
        write_song(music / f"{seed}.wav", seed)
    (music / "bad.wav").touch()
    seen: list[EnrolProgress] = []
    report = enrol_here(paths, music, progress=seen.append)
    assert [step.phase for step in seen][-1] == "finished"
    assert {"scanning", "enrolling", "finished"} >= {step.phase for step in seen}
    last = seen[-1]
    assert (last.done, last.total, last.added, last.failed) == (4, 4, 3, 1)
    assert last.rate_x > 0
    assert len(seen) <= 3 + report.elapsed_s * 10


def test_a_removed_track_returns_only_when_asked_to(paths: Paths, music: Path) -> None:
    song = write_song(music / "a.wav", 1)
    write_song(music / "b.wav", 2)
    enrol_here(paths, music)
    with Catalog.open(paths) as catalog, catalog.writer("test") as writer:
        track = catalog.find_path(song)
        assert track is not None
        writer.remove_tracks([track.track_id], keep_out=True)
    assert enrol_here(paths, music).added == 0
    assert enrol_here(paths, song).added == 1
    with Catalog.open(paths) as catalog, catalog.writer("test") as writer:
        track = catalog.find_path(song)
        assert track is not None
        writer.remove_tracks([track.track_id])
    assert enrol_here(paths, music).added == 1


def test_single_files_are_looked_at_by_a_rescan(paths: Paths, music: Path) -> None:
    song = write_song(music.parent / "single.wav", 1)
    write_song(music / "a.wav", 2)
    enrol_here(paths, song, music)
    with Catalog.open(paths) as catalog:
        assert catalog.folders() == [music]
        assert catalog.roots() == [music, song]
        again = enrol_here(paths, *catalog.roots())
    assert again.unchanged == 2


@settings(max_examples=15, deadline=None)
@given(seconds=st.floats(0.9, 1.1))
def test_one_second_is_the_shortest_track(
    tmp_path_factory: pytest.TempPathFactory, seconds: float
) -> None:
    base = tmp_path_factory.mktemp("short")
    song = base / "song.wav"
    samples = int(seconds * RATE)
    soundfile.write(song, np.full(samples, 0.1, np.float32), RATE)
    report = enrol(base_dir_paths(base / "i"), [song], [CheckSum()], in_process=True)
    if samples >= RATE:
        assert report.added == 1
    else:
        assert [problem.problem for problem in report.failed] == [FileProblem.TOO_SHORT]
