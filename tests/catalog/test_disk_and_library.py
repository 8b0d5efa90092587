"""Whatever happens to the files between two rescans, the library says what is on the disk."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from songid_desktop.catalog.catalog import Catalog
from songid_desktop.paths import base_dir_paths
from songid_desktop.types import FingerprintChange
from tests.support.catalog import CheckSum, enrol_here, write_song

# Few names and few sounds, so that they meet often.
FOLDERS = ["a", "a/deep"]
NAMES = st.builds("{}/{}.wav".format, st.sampled_from(FOLDERS), st.sampled_from(["x", "\u97f3"]))
GARBAGE = -1


class DiskAndLibrary(RuleBasedStateMachine):
    """A model of the disk: path → number of the sound it holds, or GARBAGE."""

    def __init__(self) -> None:
        super().__init__()
        self.base = Path(tempfile.mkdtemp(prefix="songid-disk-"))
        self.paths = base_dir_paths(self.base / "instance")
        self.music = self.base / "music"
        self.masters = self.base / "masters"
        self.disk: dict[Path, int] = {}
        self.ever: set[int] = set()
        self.clock_ns = 1_700_000_000_000_000_000
        self.is_unplugged = False
        self.index: dict[int, bytes] = {}
        self.revision = 0
        self.ids: dict[int, int] = {}
        """Sound → its track, of those that were there at the last rescan."""
        for folder in FOLDERS:
            (self.music / folder).mkdir(parents=True)

    def teardown(self) -> None:
        shutil.rmtree(self.base)

    def touch(self, path: Path) -> None:
        """A new time for every change, as on a real clock."""
        self.clock_ns += 1_000_000_000
        os.utime(path, ns=(self.clock_ns, self.clock_ns))

    def write(self, path: Path, sound: int, _: Path) -> None:
        master = self.masters / f"{sound}.wav"
        if not master.exists():
            write_song(master, sound, 1.0 + sound / 10)
        shutil.copyfile(master, path)
        self.touch(path)
        self.disk[path] = sound

    def spoil(self, path: Path, _: int, __: Path) -> None:
        path.write_bytes(b"spoilt " * 99)
        self.touch(path)
        self.disk[path] = GARBAGE

    def retag(self, path: Path, _: int, __: Path) -> None:
        """Tags at the end of the file: the sound is the same."""
        if self.disk.get(path, GARBAGE) != GARBAGE:
            with path.open("ab") as file:
                file.write(b"TAG" + bytes(125))
            self.touch(path)

    def delete(self, path: Path, _: int, __: Path) -> None:
        if self.disk.pop(path, None) is not None:
            path.unlink()

    def move(self, path: Path, _: int, goal: Path) -> None:
        if path in self.disk and path != goal:
            path.rename(goal)  # keeps the file's time
            self.disk[goal] = self.disk.pop(path)

    def swap(self, path: Path, _: int, other: Path) -> None:
        if path in self.disk and other in self.disk and path != other:
            spare = path.rename(path.with_suffix(".spare"))
            other.rename(path)
            spare.rename(other)
            self.disk[path], self.disk[other] = self.disk[other], self.disk[path]

    @rule(
        changes=st.lists(
            st.tuples(
                # Writing comes twice: the rest needs something to work on.
                st.sampled_from(["write", "write", "spoil", "retag", "delete", "move", "swap"]),
                NAMES,
                st.integers(0, 2),
                NAMES,
            ),
            min_size=1,
            max_size=4,
        )
    )
    def change_and_rescan(self, changes: list[tuple[str, str, int, str]]) -> None:
        for what, name, sound, other in changes:
            getattr(self, what)(self.music / name, sound, self.music / other)
        self.rescan()

    @precondition(lambda self: self.ever)
    @rule()
    def rescan_while_unplugged(self) -> None:
        away = self.music.rename(self.base / "away")
        self.is_unplugged = True
        self.rescan()
        self.library_says_what_is_there()
        away.rename(self.music)
        self.is_unplugged = False
        self.rescan()

    def good(self) -> dict[Path, int]:
        """Path → sound of what can be enrolled now."""
        if self.is_unplugged:
            return {}
        return {path: sound for path, sound in self.disk.items() if sound != GARBAGE}

    def rescan(self) -> None:
        report = enrol_here(self.paths, self.music)
        if set(self.good().values()) <= set(self.ids):
            assert report.audio_s == 0.0, "sound that was here last time was decoded again"
        good = self.good()
        self.ever |= set(good.values())
        # Whatever the order of events, each good file was counted as exactly one thing.
        counted = report.added + report.unchanged + report.updated + report.moved + report.copies
        assert counted == len(good)
        assert len(report.failed) == (
            0 if self.is_unplugged else sum(s == GARBAGE for s in self.disk.values())
        )
        assert (report.missing_roots != ()) == self.is_unplugged
        again = enrol_here(self.paths, self.music)
        assert again.unchanged == len(good)
        assert again.added == again.updated == again.moved == again.copies == 0
        assert again.missing == report.missing
        assert again.audio_s == 0.0

    @invariant()
    def library_says_what_is_there(self) -> None:
        with Catalog.open(self.paths) as catalog:
            assert catalog.verify() == []
            tracks = catalog.tracks()
            owners = {path: track for track in tracks for path in track.locations}
            good = self.good()
            # Every good file belongs to the one track of its sound.
            by_sound: dict[int, set[int]] = {}
            for path, sound in good.items():
                assert not owners[path].is_missing
                by_sound.setdefault(sound, set()).add(owners[path].track_id)
            assert all(len(ids) == 1 for ids in by_sound.values())
            assert len(set().union(*by_sound.values())) == len(by_sound)
            now = {sound: min(ids) for sound, ids in by_sound.items()}
            for sound in now.keys() & self.ids.keys():
                assert now[sound] == self.ids[sound], "a known sound became another track"
            if not self.is_unplugged:
                self.ids = now
            # What is not there is missing, not deleted; and nothing else is missing.
            for track in tracks:
                assert track.is_missing == (track.track_id not in set().union(*by_sound.values()))
                assert track.locations
            assert len(tracks) <= len(self.ever)
            problems = {problem.path for problem in catalog.problems()}
            if not self.is_unplugged:
                assert problems == {p for p, s in self.disk.items() if s == GARBAGE}
            assert catalog.counts().enrolled == {"checksum": len(tracks)} or not tracks
            self.follow(catalog, {track.track_id for track in tracks})

    def follow(self, catalog: Catalog, ids: set[int]) -> None:
        """An index that only takes in the changes holds what one built anew would."""
        reader = catalog.reader()
        newest = self.revision
        for change in reader.changes("checksum", "v1", self.revision):
            assert change.revision > newest
            newest = change.revision
            self.take(change)
        self.revision = newest
        assert newest <= reader.revision()
        fresh = {
            change.track_id: change.fingerprint.payload
            for change in reader.changes("checksum", "v1", 0)
            if change.fingerprint is not None
        }
        assert self.index == fresh
        assert set(fresh) == ids
        assert reader.fingerprint_count("checksum", CheckSum().config_digest) == len(fresh)

    def take(self, change: FingerprintChange) -> None:
        if change.fingerprint is None:
            self.index.pop(change.track_id, None)
        else:
            self.index[change.track_id] = change.fingerprint.payload


TestDiskAndLibrary = DiskAndLibrary.TestCase
TestDiskAndLibrary.settings = settings(max_examples=25, stateful_step_count=8, deadline=None)
