"""Plays as rows of the history."""

from __future__ import annotations

from pathlib import Path

import pytest

from songid_desktop.catalog.catalog import Catalog
from songid_desktop.catalog.history import History
from songid_desktop.identify.history_log import PlayRecorder
from songid_desktop.paths import Paths
from songid_desktop.types import Tags, Track, Verdict
from tests.support.identifying import look

M, N = Verdict.MATCH, Verdict.NO_MATCH


def track(track_id: int) -> Track:
    return Track(
        track_id=track_id,
        path=Path(f"/music/{track_id}.flac"),
        tags=Tags(title=f"Title {track_id}", artist="Artist", album="Album"),
        duration_s=300.0,
    )


def rows(paths: Paths) -> list[tuple[str, float, float]]:
    with Catalog.open(paths) as catalog:
        plays = History(catalog).search()
    return [(play.title, play.started_at, play.ended_at) for play in reversed(plays)]


def test_one_row_a_play_kept_up_to_date(paths: Paths) -> None:
    recorder = PlayRecorder(paths, track)
    recorder.source = "A microphone"
    troubles = []
    for step in range(200):
        playing = 1 if step < 100 else 2
        began_at = 1000.0 if playing == 1 else 1050.0
        troubles += recorder.take(look(1005 + step * 0.5, M, playing, began_at=began_at))
        if step == 50:
            ((title, _started, ended),) = rows(paths)
            assert title == "Title 1"
            assert ended > 1020, "a row is brought up to date while its play goes on"
    troubles += recorder.finish()
    assert troubles == []
    first, second = rows(paths)
    assert first == ("Title 1", 1000.0, 1054.5)
    assert second[0] == "Title 2"
    assert second[2] == pytest.approx(1104.5)
    assert recorder.count == 2


def test_nothing_heard_makes_no_catalog(paths: Paths) -> None:
    recorder = PlayRecorder(paths, track)
    assert recorder.take(look(5, N)) == []
    assert recorder.finish() == []
    assert not paths.catalog.exists()


def test_a_history_that_can_not_be_written_is_told_once(tmp_path: Path) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where a folder should be")
    paths = Paths(data=blocked / "data", config=tmp_path, runtime=tmp_path)
    recorder = PlayRecorder(paths, track)
    (trouble,) = recorder.take(look(1005, M, 1, began_at=1000))
    assert "history" in trouble
    assert recorder.take(look(1025, M, 1, began_at=1000)) == []
    assert recorder.finish() == []
    assert recorder.count == 1
