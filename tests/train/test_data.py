"""The music of a training: only what may be learned from is opened, once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from songid_desktop.errors import EnvironmentProblem, UsageError
from songid_desktop.train.data import Music, load_music, read_collection
from tests.support.training import RATE, make_collection, tune, write_tune


def test_only_training_and_validation_tracks_are_listed(collection: Path) -> None:
    items = read_collection(collection)
    assert {item.role for item in items} == {"train", "validation"}
    assert "query.wav" not in {item.path for item in items}
    assert {item.group for item in items} == {"album0", "album1"}


def test_a_listed_data_set_is_honoured(tmp_path: Path) -> None:
    write_tune(tmp_path / "a.wav", tune(1))
    (tmp_path / "metadata.csv").write_text(
        "path,split,album\na.wav,train,x\nb.wav,test,x\nc.wav,validation,\n", "utf-8"
    )
    items = read_collection(tmp_path)
    assert [(item.path, item.role) for item in items] == [
        ("a.wav", "train"),
        ("c.wav", "validation"),
    ]


def test_a_plain_folder_is_divided_the_same_way_every_time(tmp_path: Path) -> None:
    for number in range(40):
        write_tune(tmp_path / f"{number}.wav", tune(number, 0.2))
    first, again = read_collection(tmp_path), read_collection(tmp_path)
    assert first == again
    roles = [item.role for item in first]
    assert 2 <= roles.count("validation") <= 16
    assert len(roles) == 40


def test_samples_are_those_of_the_track(music: Music, collection: Path) -> None:
    from songid_desktop.audio.decode import decode

    track = music.part("train")[2]
    wanted = decode(collection / track.path, RATE).samples
    found = music.of(track).astype(np.float64)
    assert track.count == len(wanted)
    similarity = found @ wanted / np.linalg.norm(found) / np.linalg.norm(wanted)
    assert similarity > 0.9999


def test_decoding_happens_once(collection: Path, cache: Path, music: Music) -> None:
    files = {path: path.stat().st_mtime_ns for path in cache.iterdir()}
    again = load_music(collection, RATE, cache)
    assert again.digest == music.digest
    assert {path: path.stat().st_mtime_ns for path in cache.iterdir()} == files


def test_what_is_no_sound_is_left_out(tmp_path: Path) -> None:
    folder = make_collection(tmp_path / "music", train=3, validation=1)
    (folder / "tune0.wav").write_bytes(b"broken")
    write_tune(folder / "tune1.wav", np.zeros(4 * RATE, np.float32))
    music = load_music(folder, RATE, tmp_path / "cache")
    assert [track.path for track in music.part("train")] == ["tune2.wav"]


@pytest.mark.parametrize("kind", ["missing", "empty", "broken", "short"])
def test_a_folder_with_no_usable_audio_is_a_sentence(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "music"
    if kind != "missing":
        folder.mkdir()
    if kind == "broken":
        (folder / "a.mp3").write_bytes(b"x" * 500)
    if kind == "short":
        write_tune(folder / "a.wav", tune(1, 1.0))
        write_tune(folder / "d.wav", tune(1, 1.0))
    with pytest.raises(UsageError) as raised:
        load_music(folder, RATE, tmp_path / "cache")
    assert str(folder) in str(raised.value)
    assert not list((tmp_path / "cache").glob("*")) or kind in ("broken", "short")


def test_a_cut_cache_is_noticed_and_made_again(tmp_path: Path) -> None:
    folder = make_collection(tmp_path / "music", train=2, validation=1)
    cache = tmp_path / "cache"
    whole = load_music(folder, RATE, cache).digest
    (sound,) = cache.glob("*.i16")
    sound.write_bytes(sound.read_bytes()[:1000])
    with pytest.raises(EnvironmentProblem, match="damaged"):
        load_music(folder, RATE, cache)
    assert load_music(folder, RATE, cache).digest == whole


def test_fewer_tracks_of_each_part_can_be_asked_for(collection: Path, cache: Path) -> None:
    small = load_music(collection, RATE, cache, most_tracks=2)
    assert len(small.part("train")) == len(small.part("validation")) == 2
