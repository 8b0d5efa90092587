"""Collecting a data set: what is kept and left out, and going on after whatever went wrong."""

from __future__ import annotations

import csv
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from songid_desktop.errors import Cancelled, EnvironmentProblem, UsageError
from songid_desktop.train import jamendo, jamendo_api
from songid_desktop.train.dataset import read_rows
from songid_desktop.train.jamendo import Collected, Progress, Request, collect
from songid_desktop.train.jamendo_api import Listed, ServiceTrouble, is_web
from songid_desktop.types import CancelToken
from tests.support.jamendo_server import CLIENT_ID, JamendoServer, mp3, songs


@pytest.fixture
def server() -> Iterator[JamendoServer]:
    with JamendoServer(songs(12)) as running:
        yield running


def request(server: JamendoServer, folder: Path, **changes: object) -> Request:
    values: dict[str, object] = {
        "tracks": 8,
        "test_tracks": 2,
        "shortest_s": 3.0,
        "pause_s": 0.0,
        "timeout_s": 1.0,
        "first_wait_s": 0.01,
        "api_url": server.api_url,
    }
    return Request(folder, **{**values, **changes})  # type: ignore[arg-type]


def collected(server: JamendoServer, folder: Path, **changes: object) -> Collected:
    return collect(request(server, folder, **changes), CLIENT_ID)


def audio(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "audio").iterdir())


def test_tracks_are_kept_with_licence_and_source(server: JamendoServer, tmp_path: Path) -> None:
    found = collected(server, tmp_path)
    rows = read_rows(found.table)
    assert [row.track_id for row in rows] == [str(100 + n) for n in range(10)]
    assert found.splits == {"train": 6, "validation": 2, "test": 2}
    assert [row.split for row in rows[8:]] == ["test", "test"]
    assert found.is_complete
    first = rows[0]
    assert (first.title, first.artist, first.album) == ("Song 100", "Artist 0", "Album")
    assert first.genre == "rock; pop"
    assert first.licence == "http://creativecommons.org/licenses/by-nc/3.0/"
    assert first.source == "https://www.jamendo.com/track/100"
    assert first.duration_s == pytest.approx(4.0, abs=0.1)
    assert all((tmp_path / row.path).read_bytes()[:2] == mp3(4.0)[:2] for row in rows)
    assert found.licences == {first.licence: 10}


def test_the_service_is_asked_as_the_api_says(server: JamendoServer, tmp_path: Path) -> None:
    collected(server, tmp_path)
    (asked,) = (path for path in server.requests if "/tracks/" in path)
    for part in ("format=json", "limit=200", "offset=0", "order=id", "include=musicinfo"):
        assert part in asked
    assert f"client_id={CLIENT_ID}" in asked


def test_the_client_id_is_written_nowhere(server: JamendoServer, tmp_path: Path) -> None:
    collected(server, tmp_path)
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*.*") if path.is_file())
    assert CLIENT_ID.encode() not in written


def test_test_tracks_are_by_other_artists(tmp_path: Path) -> None:
    shelf = songs(12, artists=9)  # 108 … 110 are by artists 8, 0 and 1
    with JamendoServer(shelf) as server:
        rows = read_rows(collected(server, tmp_path, test_tracks=1).table)
        assert [row.track_id for row in rows if row.split == "test"] == ["108"]
        more = collected(server, tmp_path, test_tracks=5)
        assert more.splits["test"] == 1
        assert not more.is_complete


def test_what_cannot_be_used_is_left_out_with_its_reason(tmp_path: Path) -> None:
    shelf = songs(8)
    shelf[0].said = {"audiodownload": "", "audiodownload_allowed": False}
    shelf[1].duration_s = 1.0
    shelf[2].content = mp3(1.0)  # shorter than the list says
    shelf[3].content = b"<html>not found</html>" * 100
    shelf[4].said = {"audiodownload": "file:///etc/hostname"}
    shelf[5].said = {"audiodownload": "http://127.0.0.1:1/x", "audiodownload_allowed": "false"}
    with JamendoServer(shelf) as server:
        shelf[6].said = {"audiodownload": f"{server.root}/audio/999"}
        found = collected(server, tmp_path, test_tracks=0)
        assert found.left_out == {"no audio": 4, "too short": 1, "damaged": 2}
        assert audio(tmp_path) == ["107.mp3"]
        rows = list(csv.DictReader((tmp_path / "left_out.csv").read_text().splitlines()))
        assert [row["track_id"] for row in rows] == [str(n) for n in range(100, 107)]
        assert all(row["reason"] and row["message"] for row in rows)
        assert server.asked_for("/audio/102") == 2  # a damaged file is fetched once more
        before = len(server.requests)
        collected(server, tmp_path, test_tracks=0)
        assert [path for path in server.requests[before:] if "/audio/" in path] == []


def test_a_short_track_that_says_nothing_is_found_short(tmp_path: Path) -> None:
    shelf = songs(2)
    shelf[0].content, shelf[0].said = mp3(1.0), {"duration": None}
    with JamendoServer(shelf) as server:
        found = collected(server, tmp_path, tracks=2, test_tracks=0)
    assert found.left_out == {"too short": 1}


@pytest.mark.parametrize(
    "answers",
    [[(429, {})], [(429, {"Retry-After": "0"}), (500, {})], [(503, {}), (502, {}), (500, {})]],
)
@pytest.mark.parametrize("part", ["/tracks/", "/audio/103"])
def test_passing_errors_are_waited_out(
    server: JamendoServer, tmp_path: Path, part: str, answers: list[tuple[int, dict[str, str]]]
) -> None:
    server.faults.refuse[part] = list(answers)
    notes: list[Progress] = []
    found = collect(request(server, tmp_path), CLIENT_ID, progress=notes.append)
    assert sum(found.splits.values()) == 10
    waits = [note for note in notes if note.waiting_s]
    assert len(waits) == len(answers)
    assert all(note.note.startswith("Jamendo can't be used just now: ") for note in waits)


def test_its_own_rate_limit_and_unreadable_answers_are_waited_out(
    server: JamendoServer, tmp_path: Path
) -> None:
    server.faults.bodies = [b"<html>busy</html>", b"[]", b'{"headers": {}', b"\xff\xfe"]
    assert sum(collected(server, tmp_path).splits.values()) == 10
    server.faults.codes = [6, 6, 1]
    assert sum(collected(server, tmp_path / "b").splits.values()) == 10


def test_a_service_that_goes_on_failing_ends_in_a_sentence(
    server: JamendoServer, tmp_path: Path
) -> None:
    server.faults.bodies = [b"no json"] * 20
    with pytest.raises(ServiceTrouble, match=r"its answer can't be read\. .* goes on from here"):
        collected(server, tmp_path)


def test_a_long_pause_that_it_asks_for_is_not_sat_out(
    server: JamendoServer, tmp_path: Path
) -> None:
    server.faults.refuse["/tracks/"] = [(429, {"Retry-After": "3600"})]
    with pytest.raises(ServiceTrouble, match="pause of 60 minutes"):
        collected(server, tmp_path)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (5, "does not know this client id"),
        (11, "suspended"),
        (3, r"\(code 3\)\. It says: Client …"),
    ],
)
def test_a_refusal_is_said_at_once(
    server: JamendoServer, tmp_path: Path, code: int, words: str
) -> None:
    server.faults.codes = [code]
    with pytest.raises(ServiceTrouble, match=words) as caught:
        collected(server, tmp_path)
    assert isinstance(caught.value, EnvironmentProblem)
    assert CLIENT_ID not in str(caught.value)
    assert len(server.requests) == 1


def test_a_connection_that_breaks_off_is_gone_on_with(
    server: JamendoServer, tmp_path: Path
) -> None:
    server.faults.cut["/audio/102"] = [3000, 5000]
    assert sum(collected(server, tmp_path).splits.values()) == 10
    assert (tmp_path / "audio" / "102.mp3").read_bytes() == mp3(4.0, 2)
    assert [one for one in server.ranges if one] == ["bytes=3000-", "bytes=8000-"]


def test_a_server_that_knows_no_ranges_sends_it_whole(
    server: JamendoServer, tmp_path: Path
) -> None:
    server.faults.cut["/audio/102"] = [3000]
    server.faults.ignores_ranges = True
    collected(server, tmp_path)
    assert (tmp_path / "audio" / "102.mp3").read_bytes() == mp3(4.0, 2)


def test_a_part_longer_than_the_file_is_thrown_away(server: JamendoServer, tmp_path: Path) -> None:
    (tmp_path / "audio").mkdir()
    (tmp_path / "audio" / ".102.part").write_bytes(bytes(99_999))
    collected(server, tmp_path)
    assert (tmp_path / "audio" / "102.mp3").read_bytes() == mp3(4.0, 2)


def test_one_silent_file_is_passed_over_and_tried_again_next_time(
    server: JamendoServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jamendo_api, "_TRIES", 2)
    server.faults.hang = {"/audio/104"}
    found = collected(server, tmp_path, timeout_s=0.5)
    assert (found.unreachable, sum(found.splits.values()), found.left_out) == (1, 9, {})
    server.faults.hang.clear()
    before = server.asked_for("/audio/")
    again = collected(server, tmp_path)
    assert (again.unreachable, sum(again.splits.values())) == (0, 10)
    assert server.asked_for("/audio/") == before + 1


def test_a_network_that_is_gone_stops_it_and_keeps_what_there_is(tmp_path: Path) -> None:
    with JamendoServer(songs(12)) as server:
        answers = [(500, {})] * 100
        server.faults.refuse = {f"/audio/{n}": list(answers) for n in range(103, 112)}
        with pytest.raises(ServiceTrouble, match="5 files in a row"):
            collected(server, tmp_path, first_wait_s=0.001)
        assert audio(tmp_path)[-3:] == ["100.mp3", "101.mp3", "102.mp3"]
        assert len(read_rows(tmp_path / "metadata.csv")) == 3


def test_cancel_comes_through_while_it_hangs(server: JamendoServer, tmp_path: Path) -> None:
    server.faults.hang = {"/audio/103"}
    cancel = CancelToken()
    ended: list[float] = []

    def work() -> None:
        with pytest.raises(Cancelled):
            collect(request(server, tmp_path, timeout_s=30.0), CLIENT_ID, cancel=cancel)
        ended.append(time.monotonic())

    thread = threading.Thread(target=work)
    thread.start()
    assert server.hanging.wait(10)
    begun = time.monotonic()
    cancel.set()
    thread.join(10)
    assert ended[0] - begun < 0.2
    assert len(read_rows(tmp_path / "metadata.csv")) == 3
    server.faults.hang.clear()
    assert sum(collected(server, tmp_path).splits.values()) == 10
    assert server.asked_for("/audio/100") == 1


def test_cancel_comes_through_while_it_waits(server: JamendoServer, tmp_path: Path) -> None:
    server.faults.refuse["/tracks/"] = [(503, {})] * 9
    cancel = CancelToken()
    begun = []

    def stop(progress: Progress) -> None:
        if progress.waiting_s:
            begun.append(time.monotonic())
            cancel.set()

    with pytest.raises(Cancelled):
        collect(
            request(server, tmp_path, first_wait_s=60.0), CLIENT_ID, progress=stop, cancel=cancel
        )
    assert time.monotonic() - begun[0] < 0.2


def test_a_killed_run_is_gone_on_with(server: JamendoServer, tmp_path: Path) -> None:
    collected(server, tmp_path, tracks=4, test_tracks=0)
    journal = tmp_path / ".collect" / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:3]) + lines[3][:20])  # cut in the middle of a line
    (tmp_path / "metadata.csv").unlink()
    (tmp_path / "audio" / "101.mp3").unlink()
    (tmp_path / "audio" / ".104.part").write_bytes(mp3(4.0, 0)[:4000])
    before = len(server.requests)
    assert sum(collected(server, tmp_path).splits.values()) == 10
    again = [path for path in server.requests[before:] if "/audio/" in path]
    assert again == [f"/audio/{n}" for n in (101, 103, 104, 105, 106, 107, 108, 109)]
    assert "bytes=4000-" in server.ranges
    assert all(json.loads(line) for line in journal.read_text().splitlines())


def test_pages_are_asked_for_once(
    server: JamendoServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jamendo, "PAGE_TRACKS", 4)
    first = collected(server, tmp_path)
    assert server.asked_for("/tracks/") == 3
    server.songs.insert(0, songs(1)[0])
    server.songs[0].number = 50  # what the service lists first by now
    assert collected(server, tmp_path) == first
    assert server.asked_for("/tracks/") == 3


def test_a_service_with_fewer_tracks_is_said(server: JamendoServer, tmp_path: Path) -> None:
    found = collected(server, tmp_path, tracks=50)
    assert (found.asked_for, found.is_complete) == (12, False)


def test_another_service_needs_another_folder(server: JamendoServer, tmp_path: Path) -> None:
    collected(server, tmp_path, tracks=1, test_tracks=0)
    with pytest.raises(UsageError, match="begun with another service"):
        collected(server, tmp_path, api_url="http://127.0.0.1:9/v3.0")


def test_two_at_once_are_kept_apart(server: JamendoServer, tmp_path: Path) -> None:
    from songid_desktop.neural.claim import claim

    with (
        claim(tmp_path / ".collect" / "lock", "another", "x"),
        pytest.raises(EnvironmentProblem, match="by another"),
    ):
        collected(server, tmp_path)


def test_a_folder_that_is_a_file_is_a_sentence(server: JamendoServer, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("")
    with pytest.raises(EnvironmentProblem, match="can't be written"):
        collected(server, tmp_path / "x")


@pytest.mark.parametrize(
    ("url", "is_one"),
    [
        ("https://example.invalid/a", True),
        ("http://127.0.0.1:80/a", True),
        ("file:///etc/passwd", False),
        ("ftp://example.invalid/a", False),
        ("https://", False),
        ("http://[bad", False),
        ("", False),
    ],
)
def test_only_web_addresses_are_asked(url: str, is_one: bool) -> None:
    assert is_web(url) is is_one


@pytest.mark.parametrize("number", ["../../x", "", "1/2", "abc", "٣", "9" * 13])
def test_a_track_number_is_a_number(number: str) -> None:
    assert Listed.read({"id": number}) is None


def test_odd_values_do_not_stop_it() -> None:
    listed = Listed.read(
        {"id": 7, "name": "a\nb", "duration": "long", "musicinfo": [], "audiodownload": 3}
    )
    assert listed is not None
    assert (listed.title, listed.duration_s, listed.genre, listed.audio_url) == ("a b", 0.0, "", "")
