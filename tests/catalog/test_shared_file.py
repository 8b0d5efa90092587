"""One catalog file in several processes: nobody's locks are lost, everybody sees every change."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from songid_desktop.catalog.catalog import Catalog, verify
from songid_desktop.catalog.history import History
from songid_desktop.paths import base_dir_paths
from tests.support.catalog import enrol_here, write_song

_WRITE_A_ROW = """
import sys
from pathlib import Path
from songid_desktop.catalog.catalog import Catalog
from songid_desktop.catalog.history import History
from songid_desktop.catalog.records import Play
from songid_desktop.paths import base_dir_paths

with Catalog.open(base_dir_paths(Path(sys.argv[1]))) as catalog:
    History(catalog).add(
        Play(started_at=1.0, ended_at=2.0, track_id=None, title=sys.argv[2], artist="", album="",
             path=None, offset_s=0.0, confidence=0.5, identifier="landmark", verdict="match",
             source="test")
    )
"""


def test_opening_and_closing_again_keeps_what_others_write_in_sight(tmp_path: Path) -> None:
    """A second connection of this process comes and goes; another process then writes and, being
    the last one to close as far as it can tell, must still leave the log to the first."""
    base_dir = tmp_path / "instance"
    paths = base_dir_paths(base_dir)
    write_song(tmp_path / "music" / "a.wav", 1)
    enrol_here(paths, tmp_path / "music")
    with Catalog.open(paths) as mine:
        assert History(mine).search() == []
        for number in range(3):
            with Catalog.open(paths):
                pass
            subprocess.run(
                [sys.executable, "-c", _WRITE_A_ROW, str(base_dir), f"row {number}"], check=True
            )
            seen = [play.title for play in History(mine).search()]
            assert sorted(seen) == [f"row {each}" for each in range(number + 1)]
        assert paths.catalog.with_name(paths.catalog.name + "-wal").exists()
    assert verify(paths) == []
