"""The log of what was heard: kept, found, corrected, taken back, exported."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import threading
import urllib.parse
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from songid_desktop.catalog.catalog import Catalog
from songid_desktop.catalog.export import FORMATS, export_plays
from songid_desktop.catalog.history import ORDERS, History
from songid_desktop.catalog.records import Play
from songid_desktop.errors import CatalogError, UsageError
from songid_desktop.paths import Paths

EVENING = 1_750_000_000.0
PLAYS = [
    Play(EVENING, EVENING + 200, title="Hyperballad", artist="Björk", path=Path("/m/a b.flac")),
    Play(EVENING + 300, EVENING + 420.5, title="Кино", source="Küche", note="zweimal"),
    Play(EVENING + 7000, EVENING + 7100, title='Say "hi"', artist="=1+1", is_favourite=True),
]


def test_plays_are_kept_as_given_newest_first(paths: Paths) -> None:
    clip = paths.clips / "one.flac"
    whole = Play(
        EVENING, EVENING + 9, title="t", artist="a", album="b", path=Path("/x"), offset_s=1.5,
        confidence=0.9, identifier="landmark", verdict="unsure", source="mic", clip=clip,
        note="line one\nline two", is_favourite=True,
    )  # fmt: skip
    with Catalog.open(paths) as catalog:
        history = History(catalog)
        play_id = history.add(whole)
        for play in PLAYS:
            history.add(play)
        import dataclasses

        assert history.get(play_id) == dataclasses.replace(whole, play_id=play_id)
        starts = [play.started_at for play in history.search()]
        assert starts == sorted(starts, reverse=True)
        assert history.search(limit=2, offset=1) == history.search()[1:3]
        assert history.get(999) is None


SORTED = [
    Play(EVENING, EVENING + 9, title="Über", artist="b", confidence=0.5, offset_s=9.0,
         identifier="landmark", verdict="unsure", source="Mic"),
    Play(EVENING + 1, EVENING + 2, title="apple", artist="Á", confidence=0.9, offset_s=1.0,
         identifier="cnn", source="line", is_favourite=True),
    Play(EVENING + 2, EVENING + 7, verdict="no_match", clip=Path("/c/1.wav")),
    Play(EVENING + 3, EVENING + 7, title="Zebra", artist="c", confidence=0.7, offset_s=5.0,
         identifier="landmark", source="mic"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("order", "upwards", "downwards"),
    [
        ("heard", [1, 2, 3, 4], [4, 3, 2, 1]),
        ("title", [2, 1, 4, 3], [4, 1, 2, 3]),  # what has no title is last either way
        ("artist", [2, 1, 4, 3], [4, 1, 2, 3]),
        ("sure", [1, 4, 2, 3], [2, 4, 1, 3]),
        ("offset", [2, 4, 1, 3], [1, 4, 2, 3]),
        ("duration", [2, 4, 3, 1], [1, 3, 4, 2]),
        ("source", [2, 4, 1, 3], [4, 1, 2, 3]),
        ("identifier", [2, 4, 1, 3], [4, 1, 2, 3]),
        ("marks", [4, 1, 3, 2], [2, 3, 4, 1]),
    ],
)
def test_every_order_both_ways(
    paths: Paths, order: str, upwards: list[int], downwards: list[int]
) -> None:
    assert order in ORDERS
    with Catalog.open(paths) as catalog:
        history = History(catalog)
        for play in SORTED:
            history.add(play)
        assert history.ids(order=order, descending=False) == upwards
        assert history.ids(order=order, descending=True) == downwards
        with pytest.raises(UsageError, match="ordered by heard"):
            history.ids(order="colour")


def test_plays_by_their_ids(paths: Paths) -> None:
    with Catalog.open(paths) as catalog:
        history = History(catalog)
        for play in PLAYS:
            history.add(play)
        assert history.ids("kuche") == [2]
        assert history.ids(only_favourites=True) == [3]
        history.delete([2])
        found = history.plays([3, 2, 99, 1])
        assert {play_id: play.title for play_id, play in found.items()} == {
            1: "Hyperballad", 3: 'Say "hi"',
        }  # fmt: skip
        assert history.plays(range(1, 5000)).keys() == {1, 3}


@pytest.mark.parametrize(
    ("text", "expected"),
    [("bjork", 1), ("кино", 1), ("kuche zwei", 1), ("a b.flac", 1), ("", 3), ("nothing", 0)],
)
def test_search(paths: Paths, text: str, expected: int) -> None:
    with Catalog.open(paths) as catalog:
        history = History(catalog)
        for play in PLAYS:
            history.add(play)
        assert len(history.search(text)) == history.count(text) == expected
        assert len(history.search(only_favourites=True)) == 1
        assert len(history.search(since=EVENING + 300)) == 2
        assert len(history.search(since=EVENING + 300, until=EVENING + 7000)) == 1


def test_edit_delete_undo(paths: Paths) -> None:
    with Catalog.open(paths) as catalog:
        history = History(catalog)
        ids = [history.add(play) for play in PLAYS]
        changed = history.update(ids[0], note="an der Bar", is_favourite=True)
        assert (changed.note, changed.title) == ("an der Bar", "Hyperballad")
        assert history.search("bar") == [changed]
        with pytest.raises(UsageError, match="tempo"):
            history.update(ids[0], tempo=120)
        with pytest.raises(UsageError, match="play_id"):
            history.update(ids[0], play_id=5)
        with pytest.raises(UsageError, match="number 999"):
            history.update(999, note="")
        token = history.delete(ids[:2])
        assert len(history.search()) == 1
        assert history.get(ids[0]) is None
        assert history.undo(token) == 2
        assert len(history.search()) == 3
        with pytest.raises(UsageError, match="can't be undone"):
            history.undo(token)
        assert catalog.verify() == []


def test_a_clip_goes_when_its_play_can_no_longer_come_back(paths: Paths) -> None:
    paths.clips.mkdir(parents=True)
    mine, foreign = paths.clips / "c.flac", paths.data / "precious.flac"
    mine.touch()
    foreign.touch()
    with Catalog.open(paths) as catalog:
        history = History(catalog)
        ids = [history.add(Play(0.0, 1.0, clip=clip)) for clip in (mine, foreign)]
        history.delete(ids)
        history.drop_deleted()
        assert mine.exists()
        history.drop_deleted(older_than_s=-1)
        assert not mine.exists()
        assert foreign.exists(), "only what lies among the kept clips is ours to delete"


def test_many_threads_log_at_once(paths: Paths) -> None:
    Catalog.open(paths).close()
    errors: list[BaseException] = []

    def log() -> None:
        try:
            with Catalog.open(paths) as catalog:
                for _ in range(20):
                    History(catalog).add(Play(0.0, 1.0))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=log) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    with Catalog.open(paths) as catalog:
        assert History(catalog).count() == 80


def exported(plays: list[Play], fmt: str, **options: str) -> str:
    out = io.StringIO()
    export_plays(plays, out, fmt, **options)
    return out.getvalue()


def test_csv_reads_back_and_runs_no_formulas() -> None:
    rows = list(csv.DictReader(io.StringIO(exported(PLAYS[::-1], "csv"))))
    assert [row["title"] for row in rows] == ["Hyperballad", "Кино", 'Say "hi"']
    assert rows[2]["artist"] == "'=1+1"
    assert rows[2]["favourite"] == "yes"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d", rows[0]["started_at"])


def test_json_is_a_list_of_objects() -> None:
    rows = json.loads(exported(PLAYS, "json"))
    assert [row["title"] for row in rows] == [play.title for play in PLAYS]
    assert rows[0]["path"] == "/m/a b.flac"
    assert rows[1]["path"] is None


def test_cue_times_count_from_the_first_play() -> None:
    sheet = exported(PLAYS, "cue", recording='my "set".wav')
    assert sheet.splitlines()[1] == "FILE \"my 'set'.wav\" WAVE"
    assert re.findall(r"INDEX 01 (\S+)", sheet) == ["00:00:00", "05:00:00", "116:40:00"]
    assert "TITLE \"Say 'hi'\"" in sheet
    assert exported([], "cue").startswith("FILE")


ANY_PATH = st.binary(min_size=1, max_size=40).map(
    lambda name: Path(os.fsdecode(b"/music/" + name.replace(b"\0", b"").replace(b"/", b"_")))
)


@given(st.lists(st.tuples(ANY_PATH, st.text(max_size=30)), max_size=6))
def test_a_playlist_leads_back_to_every_file(items: list[tuple[Path, str]]) -> None:
    plays = [
        Play(float(n), n + 1.0, title=title, path=path) for n, (path, title) in enumerate(items)
    ]
    text = exported(plays, "m3u8")
    text.encode()
    lines = text.splitlines()
    assert lines[0] == "#EXTM3U"
    assert len(lines) == 1 + 2 * len(items)
    for (path, _), line in zip(items, lines[2::2], strict=True):
        name = line
        if line.startswith("file://"):
            name = os.fsdecode(urllib.parse.unquote_to_bytes(line[len("file://") :]))
        assert Path(name) == path


@pytest.mark.parametrize("fmt", FORMATS)
def test_export_to_a_file_is_whole_or_not_at_all(tmp_path: Path, fmt: str) -> None:
    target = tmp_path / "out"
    assert export_plays(PLAYS, target, fmt) == (1 if fmt == "m3u8" else 3)
    assert target.read_text(encoding="utf-8-sig").replace("\r\n", "\n").rstrip("\n") == exported(
        PLAYS, fmt
    ).replace("\r\n", "\n").rstrip("\n")
    with pytest.raises(CatalogError, match="can't be written"):
        export_plays(PLAYS, tmp_path / "no" / "such" / "folder", fmt)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_unknown_formats_are_refused() -> None:
    with pytest.raises(UsageError, match="csv"):
        exported([], "xls")
