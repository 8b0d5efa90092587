"""The database as a file: made, opened, shared, refused."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from songid_desktop.catalog import schema
from songid_desktop.catalog.catalog import Catalog, verify
from songid_desktop.catalog.database import open_database
from songid_desktop.catalog.history import History
from songid_desktop.catalog.ingest import Ingest
from songid_desktop.catalog.records import Play
from songid_desktop.catalog.stages import Examined, Fingerprinted
from songid_desktop.errors import CatalogBusy, CatalogDamaged, CatalogError, CatalogTooNew
from songid_desktop.paths import Paths
from songid_desktop.types import Fingerprint, Tags
from tests.support.catalog import CheckSum, enrol_here, titles, write_song


def small_library(paths: Paths, music: Path, count: int = 3) -> None:
    for seed in range(count):
        write_song(music / f"song {seed}.wav", seed)
    enrol_here(paths, music)


def test_an_absent_library_is_made_or_refused_as_asked(paths: Paths) -> None:
    with pytest.raises(CatalogError, match="no library"):
        Catalog.open(paths, create=False)
    assert not paths.data.exists()
    with Catalog.open(paths) as catalog:
        assert catalog.tracks() == []
        assert catalog.counts().tracks == 0
        assert catalog.verify() == []
        assert not catalog.is_read_only
    assert paths.catalog.exists()


def test_an_empty_file_is_an_empty_library(paths: Paths) -> None:
    paths.data.mkdir(parents=True)
    paths.catalog.touch()
    with Catalog.open(paths) as catalog:
        assert catalog.verify() == []


def test_two_that_make_the_library_at_once_both_succeed(paths: Paths) -> None:
    errors: list[BaseException] = []
    start = threading.Barrier(6)

    def make() -> None:
        start.wait()
        try:
            with Catalog.open(paths) as catalog:
                History(catalog).add(Play(0.0, 1.0))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=make) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    with Catalog.open(paths) as catalog:
        assert History(catalog).count() == 6


def test_a_newer_library_is_left_alone(paths: Paths, music: Path) -> None:
    small_library(paths, music)
    with sqlite3.connect(paths.catalog) as raw:
        raw.execute("PRAGMA user_version = 99")
    raw.close()
    before = paths.catalog.read_bytes()
    with pytest.raises(CatalogTooNew, match="newer version"):
        Catalog.open(paths)
    assert paths.catalog.read_bytes() == before


@pytest.mark.parametrize("kind", ["text", "cut", "zeros", "scribbled header", "other database"])
def test_a_damaged_library_is_told_and_never_overwritten(
    paths: Paths, music: Path, kind: str
) -> None:
    small_library(paths, music)
    whole = paths.catalog.read_bytes()
    if kind == "text":
        paths.catalog.write_bytes(b"This is not a database at all.\n" * 20)
    elif kind == "cut":
        paths.catalog.write_bytes(whole[: len(whole) // 2])
    elif kind == "zeros":
        paths.catalog.write_bytes(bytes(len(whole)))
    elif kind == "scribbled header":
        paths.catalog.write_bytes(whole[:100] + b"\xff" * 3996 + whole[4096:])
    else:
        paths.catalog.unlink()
        with sqlite3.connect(paths.catalog) as raw:
            raw.execute("CREATE TABLE bookmarks (url)")
        raw.close()
    before = paths.catalog.read_bytes()
    with pytest.raises(CatalogDamaged, match=r"verify.*rebuild.*backup"):
        Catalog.open(paths)
    assert verify(paths)
    with pytest.raises(CatalogDamaged):
        enrol_here(paths, music)
    assert paths.catalog.read_bytes() == before


def test_damage_in_the_middle_is_found_by_verify_and_told_when_met(
    paths: Paths, music: Path
) -> None:
    small_library(paths, music, 30)
    data = bytearray(paths.catalog.read_bytes())
    for page in range(8, len(data) // 4096 - 2):
        data[page * 4096 : page * 4096 + 200] = b"\xa5" * 200
    paths.catalog.write_bytes(data)

    def look_around() -> None:
        with Catalog.open(paths) as catalog:
            catalog.tracks()
            catalog.counts()
            list(catalog.reader().changes("checksum", "v1", 0))

    with pytest.raises(CatalogDamaged):
        look_around()
    assert verify(paths)


def test_a_flipped_fingerprint_is_noticed(paths: Paths, music: Path) -> None:
    small_library(paths, music)
    with sqlite3.connect(paths.catalog) as raw:
        raw.execute("UPDATE payloads SET bytes = x'00' WHERE payload_id = 2")
    raw.close()
    assert len(verify(paths)) == 1
    with Catalog.open(paths) as catalog, pytest.raises(CatalogDamaged):
        list(catalog.reader().changes("checksum", "v1", 0))


def test_a_migration_keeps_the_old_file_and_is_all_or_nothing(paths: Paths) -> None:
    with Catalog.open(paths) as catalog:
        History(catalog).add(Play(1.0, 2.0, title="kept"))

    def add_column(connection: sqlite3.Connection) -> None:
        connection.execute("ALTER TABLE tracks ADD COLUMN tempo REAL")

    def fail(connection: sqlite3.Connection) -> None:
        connection.execute("DROP TABLE history")
        raise sqlite3.OperationalError("no such luck")

    with pytest.raises(sqlite3.OperationalError):
        open_database(paths.catalog, create=True, migrations={1: add_column, 2: fail}, target=3)
    with Catalog.open(paths) as catalog:
        assert [play.title for play in History(catalog).search()] == ["kept"]
    database = open_database(
        paths.catalog, create=True, migrations={1: add_column, 2: lambda _: None}, target=3
    )
    assert database.rows("SELECT tempo FROM tracks") == []
    assert database.value("PRAGMA user_version") == 3
    database.close()
    kept = paths.catalog.with_name(paths.catalog.name + ".format1")
    assert kept.exists()
    with pytest.raises(CatalogTooNew):
        Catalog.open(paths)
    shutil.copy(kept, paths.catalog)
    with Catalog.open(paths) as catalog:
        assert History(catalog).count() == 1


def test_every_version_on_the_way_has_its_migration() -> None:
    assert set(schema.MIGRATIONS) == set(range(1, schema.SCHEMA_VERSION))


def test_a_second_writer_is_refused_by_name(paths: Paths) -> None:
    with Catalog.open(paths) as catalog, Catalog.open(paths) as other:
        with (
            catalog.writer("songid enroll /music"),
            pytest.raises(CatalogBusy) as caught,
            other.writer("another"),
        ):
            pass
        assert "songid enroll /music" in str(caught.value)
        assert f"process {os.getpid()}" in str(caught.value)
        assert " since 20" in str(caught.value)
        with other.writer("another"):
            pass


HOLDER = """
import sys, time
from pathlib import Path
from songid_desktop.paths import base_dir_paths
from songid_desktop.catalog.catalog import Catalog
with Catalog.open(base_dir_paths(Path(sys.argv[1]))) as catalog, catalog.writer("the other one"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_the_lock_holds_across_processes_and_dies_with_its_holder(
    paths: Paths, music: Path, tmp_path: Path
) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path / "instance")], stdout=subprocess.PIPE
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(CatalogBusy, match=f"the other one .process {holder.pid}"):
            enrol_here(paths, music)
        with Catalog.open(paths) as catalog:
            History(catalog).add(Play(0.0, 1.0))  # history needs no lock
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()
    write_song(music / "a.wav", 1)
    assert enrol_here(paths, music).added == 1


def test_changes_of_another_connection_show_in_the_counter(paths: Paths, music: Path) -> None:
    with Catalog.open(paths) as watching:
        before = watching.change_counter()
        small_library(paths, music)
        grown = watching.change_counter()
        assert grown > before
        assert len(watching.tracks()) == 3
        enrol_here(paths, music)
        assert watching.change_counter() == grown, "a scan that changes nothing is no change"
        with Catalog.open(paths) as other:
            History(other).add(Play(0.0, 1.0))
        assert watching.change_counter() == grown + 1


AS_NOBODY = """
import json, os, sys
from pathlib import Path
from songid_desktop.errors import CatalogError
from songid_desktop.paths import base_dir_paths
from songid_desktop.catalog.catalog import Catalog
os.setgid(65534), os.setuid(65534)  # after the imports: the interpreter may lie in a closed folder
with Catalog.open(base_dir_paths(Path(sys.argv[1]))) as catalog:
    said = {"read_only": catalog.is_read_only, "notice": catalog.notice,
            "tracks": len(catalog.tracks(search="song")), "faults": catalog.verify(),
            "prints": len(list(catalog.reader().changes("checksum", "v1", 0)))}
    try:
        with catalog.writer("me"):
            pass
    except CatalogError as error:
        said["refusal"] = str(error)
print(json.dumps(said))
"""


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="becomes another user")
@pytest.mark.parametrize("mode", ["folder", "file"])
def test_a_library_that_cannot_be_written_opens_for_reading(
    paths: Paths, music: Path, tmp_path: Path, mode: str
) -> None:
    import json

    small_library(paths, music)
    for folder in [*reversed(tmp_path.parents), tmp_path, tmp_path / "instance"]:
        if str(folder).startswith("/tmp/"):
            folder.chmod(0o755)
    paths.data.chmod(0o555 if mode == "folder" else 0o777)
    paths.catalog.chmod(0o666 if mode == "folder" else 0o444)
    done = subprocess.run(
        [sys.executable, "-c", AS_NOBODY, str(tmp_path / "instance")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["read_only"]
    assert said["tracks"] == said["prints"] == 3
    assert said["faults"] == []
    assert "can't be written" in said["notice"]
    assert "can't be written" in said["refusal"]


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="mounts a small disk")
def test_a_full_disk_is_told_and_loses_nothing(music: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip("this machine mounts nothing")
    try:
        paths = Paths(data=disk / "data", config=disk / "config", runtime=disk / "state")
        heavy = CheckSum(bytes_per_s=100_000)
        for seed in range(8):
            write_song(music / f"song {seed}.wav", seed)
        with pytest.raises(CatalogError, match=r"full|room"):
            enrol_here(paths, music, fingerprinters=[heavy])
        with Catalog.open(paths) as catalog:
            assert catalog.verify() == []
            kept = len(catalog.tracks())
        assert 1 <= kept < 8
        subprocess.run(["mount", "-o", "remount,size=16m", str(disk)], check=True)
        report = enrol_here(paths, music, fingerprinters=[heavy])
        assert report.added == 8 - kept
        assert report.unchanged == kept
        assert verify(paths) == []
    finally:
        subprocess.run(["umount", str(disk)], check=False)


def test_full_disk_when_the_library_is_made_is_a_sentence(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "mkdir", full)
    with pytest.raises(CatalogError, match="No space left"):
        Catalog.open(paths)


def test_a_thousand_tracks_open_without_reading_their_fingerprints(paths: Paths) -> None:
    count, payload_bytes = 1000, 100_000
    with Catalog.open(paths) as catalog:
        ingest = Ingest(catalog.database, [CheckSum()])
        ingest.declare()
        for number in range(count):
            ingest.add_track(
                Examined(
                    Path(f"/music/{number % 50}/{number}.flac"),
                    1,
                    number,
                    number.to_bytes(20, "big"),
                    Tags(f"Title {number}", f"Artist {number % 50}"),
                    None,
                ),
                Fingerprinted(
                    (Fingerprint("checksum", "v1", bytes(payload_bytes), 200.0),), (), 200.0, ""
                ),
            )
    assert paths.catalog.stat().st_size < count * (payload_bytes + 5000)
    began_s = time.process_time()
    with Catalog.open(paths) as catalog:
        assert catalog.counts().enrolled == {"checksum": count}
        assert len(catalog.tracks(search="title", limit=50)) == 50
        assert len(catalog.tracks()) == count
    took_s = time.process_time() - began_s
    print(f"opened, counted, searched and listed {count} tracks in {took_s * 1000:.0f} ms of CPU")
    assert took_s < 0.5


def test_titles_helper_sees_what_is_there(paths: Paths, music: Path) -> None:
    small_library(paths, music)
    assert titles(paths) == ["song 0", "song 1", "song 2"]
