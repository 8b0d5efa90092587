"""Listing a folder as a data set: whole rows, shares kept, nothing leaking from one to another."""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from songid_desktop.errors import Cancelled, EnvironmentProblem, UsageError
from songid_desktop.train.dataset import ScanReport, read_rows, scan, write_table
from songid_desktop.train.split import SPLITS, Row, Shares, groups_of, plain_name, share_out
from songid_desktop.types import CancelToken, FileProblem
from tests.support.cli import write_wav
from tests.support.music import short_tune

RATE = 8000


def tagged(path: Path, seed: int, artist: str = "", album: str = "", seconds: float = 6.0) -> Path:
    """A FLAC file with tags."""
    import mutagen
    import soundfile

    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, short_tune(seed, seconds, RATE), RATE, format="FLAC")
    file = mutagen.File(path)
    file["title"], file["artist"], file["album"] = path.stem, artist, album
    file["genre"] = "jazz"
    file.save()
    return path


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve tracks by six artists, a copy, and four files that are of no use."""
    folder = tmp_path_factory.mktemp("music")
    for number in range(12):
        tagged(folder / f"{number:02}.flac", number, f"Artist {number % 6}", f"Album {number}")
    tagged(folder / "copy" / "of 3.flac", 3, "Somebody Else", "Hits")
    write_wav(folder / "short.wav", short_tune(50, 1.0, RATE), RATE)
    (folder / "text.mp3").write_text("no sound")
    (folder / "empty.ogg").write_bytes(b"")
    whole = tagged(folder / "cut.flac", 60, "Artist 1", seconds=8.0).read_bytes()
    (folder / "cut.flac").write_bytes(whole[: len(whole) // 2])
    return folder


def by_name(report: ScanReport) -> dict[str, Row]:
    return {row.path: row for row in report.rows}


def test_rows_say_what_the_files_say(library: Path) -> None:
    rows = by_name(scan(library))
    row = rows["05.flac"]
    assert (row.title, row.artist, row.album) == ("05", "Artist 5", "Album 5")
    assert (row.genre, row.duration_s) == ("jazz", 6.0)
    assert len({row.track_id for row in rows.values()}) == len(rows) - 1  # one copy
    assert rows["copy/of 3.flac"].track_id == rows["03.flac"].track_id


def test_files_of_no_use_are_named_and_do_not_stop_it(library: Path) -> None:
    report = scan(library)
    problems = {one.path.name: one.problem for one in report.unusable}
    assert problems == {
        "short.wav": FileProblem.TOO_SHORT,
        "text.mp3": FileProblem.NOT_AUDIO,
        "empty.ogg": FileProblem.EMPTY,
        "cut.flac": FileProblem.TOO_SHORT,
    }
    assert all(one.message for one in report.unusable)
    assert len(report.rows) == 13


def test_damage_is_told_where_enough_is_left(library: Path) -> None:
    report = scan(library, shortest_s=2.0, decode_all=True)
    assert [(one.path.name, one.problem) for one in report.doubtful] == [
        ("cut.flac", FileProblem.TRUNCATED)
    ]
    assert by_name(report)["cut.flac"].duration_s < 6.0


def test_artists_and_copies_stay_on_one_side(library: Path) -> None:
    for seed in range(5):
        report = scan(library, seed=seed)
        sides = defaultdict(set)
        for row in report.rows:
            sides[row.artist].add(row.split)
        assert all(len(splits) == 1 for splits in sides.values())
        assert sides["Somebody Else"] == sides["Artist 3"]  # the same sound
        assert not report.is_split_by_track


def test_the_seed_decides_and_nothing_else(library: Path) -> None:
    assert scan(library, seed=3).rows == scan(library, seed=3).rows
    assert len({tuple(row.split for row in scan(library, seed=n).rows) for n in range(6)}) > 1


def test_too_few_groups_are_split_by_track_and_said(tmp_path: Path) -> None:
    for number in range(10):
        tagged(tmp_path / f"{number}.flac", number, "One Artist", "One Album")
    report = scan(tmp_path)
    assert report.is_split_by_track
    assert report.tracks == {"train": 6, "validation": 2, "test": 2}


def test_table_remembers_what_no_file_says(library: Path, tmp_path: Path) -> None:
    table = tmp_path / "metadata.csv"
    report = scan(library, table)
    rows = [
        replace(row, split="test" if row.artist == "Artist 0" else row.split) for row in report.rows
    ]
    rows[0] = replace(rows[0], track_id="77", licence="CC", source="web", title="Given")
    write_table(table, rows)
    again = scan(library, table, keep_splits=True)
    assert again.rows == tuple(rows)
    assert (table.parent / rows[0].path).resolve() == (library / "00.flac").resolve()


def test_a_folder_without_music_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not there"):
        scan(tmp_path / "none")
    with pytest.raises(UsageError, match="holds no audio files"):
        scan(tmp_path)
    (tmp_path / "a.mp3").write_text("no")
    with pytest.raises(UsageError, match=r"None of the 1 audio files .* a\.mp3"):
        scan(tmp_path)
    with pytest.raises(UsageError, match="is no folder"):
        scan(tmp_path / "a.mp3")


def test_somebody_elses_table_is_not_written_over(library: Path, tmp_path: Path) -> None:
    table = tmp_path / "metadata.csv"
    table.write_text("song,likes\nx,3\n")
    with pytest.raises(UsageError, match="not written over"):
        scan(library, table)


def test_cancel_ends_it(library: Path) -> None:
    cancel = CancelToken()
    with pytest.raises(Cancelled):
        scan(library, progress=lambda done, _total: done == 3 and cancel.set(), cancel=cancel)


def test_a_table_comes_back_as_it_was(tmp_path: Path) -> None:
    odd = os.fsdecode(b'caf\xe9, "x"\n.flac')
    rows = (Row("1", "a,b", 'say "x"', "ö\n", 12.34, "rock; pop", odd, "train", "CC BY", "web"),)
    write_table(tmp_path / "t.csv", rows)
    assert read_rows(tmp_path / "t.csv") == rows
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("path,x\na,b\n", "no column split"),
        ("path,split,duration_s\na,train,long\n", "line 2: “long” is no duration"),
        ("", "no column path"),
    ],
)
def test_a_broken_table_is_a_sentence(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(UsageError, match=words):
        read_rows(tmp_path / "t.csv")


def test_a_table_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EnvironmentProblem, match="can't be written"):
        write_table(tmp_path / "file" / "t.csv", ())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("The Beatles", "beatles"),
        ("Björk", "BJORK"),
        ("AC/DC", "ac dc"),
        ("Various Artists", ""),
        ("  ", "unknown"),
    ],
)
def test_names_are_compared_plainly(one: str, other: str) -> None:
    assert plain_name(one) == plain_name(other)


def test_without_an_artist_album_and_folder_decide() -> None:
    def row(path: str, artist: str = "", album: str = "") -> Row:
        return Row("", "", artist, album, 9.0, "", path)

    rows = [
        row("a/1", album="X"), row("a/2", album="x"), row("b/3", album="X"),
        row("c/4"), row("c/5"), row("6"), row("7"), row("c/8", "Various Artists"),
    ]  # fmt: skip
    a1, a2, b3, c4, c5, six, seven, c8 = groups_of(rows)
    assert a1 == a2
    assert c4 == c5 == c8
    assert len({a1, b3, c4, six, seven}) == 5


@given(
    st.lists(st.integers(0, 30), min_size=1, max_size=120),
    st.integers(0, 5),
    st.floats(0.0, 0.5),
    st.floats(0.0, 0.5),
)
def test_whole_groups_near_the_shares(
    groups: list[int], seed: int, validation: float, test: float
) -> None:
    shares = Shares(validation, test)
    keys = [f"{place}" for place in range(len(groups))]
    splits = share_out(keys, groups, seed, shares)
    sides = defaultdict(set)
    for group, split in zip(groups, splits, strict=True):
        sides[group].add(split)
    assert all(len(found) == 1 for found in sides.values())
    largest = max(groups.count(group) for group in set(groups))
    wanted = shares.counts(len(groups))
    assert sum(wanted.values()) == len(groups)
    for split in SPLITS:
        assert splits.count(split) <= wanted[split] + largest
    order = np.random.default_rng(seed).permutation(len(groups))
    moved = share_out([keys[n] for n in order], [groups[n] for n in order], seed, shares)
    assert [moved[place] for place in np.argsort(order)] == splits


@given(st.integers(20, 400), st.integers(0, 5))
def test_single_tracks_meet_the_shares(count: int, seed: int) -> None:
    keys = [f"{place}" for place in range(count)]
    splits = share_out(keys, list(range(count)), seed, Shares())
    assert {split: splits.count(split) for split in SPLITS} == Shares().counts(count)


def test_shares_are_those_of_the_report() -> None:
    assert Shares(0.2, 0.0).counts(989) == {"train": 791, "validation": 198, "test": 0}
    with pytest.raises(UsageError):
        Shares(1.5)
