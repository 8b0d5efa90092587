"""Whatever a file holds, decoding gives samples or one error with a reason and a sentence."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from songid_desktop.audio.decode import decode, open_audio, probe
from songid_desktop.errors import AudioFileError
from songid_desktop.types import FileProblem
from tests.support.soundfiles import FORMATS, tune, write

SECONDS = 6.0
BY_NAME = {form.name: form for form in FORMATS}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sound")
    for form in FORMATS:
        write(folder / f"{form.name}{form.suffix}", np.stack([tune(SECONDS, form.rate)] * 2), form)
    return folder


def source(folder: Path, name: str) -> bytes:
    form = BY_NAME[name]
    return (folder / f"{form.name}{form.suffix}").read_bytes()


def problem_of(path: Path) -> FileProblem:
    with pytest.raises(AudioFileError) as caught:
        decode(path)
    sentence = str(caught.value)
    assert sentence[0].isupper()
    assert sentence.endswith(".")
    assert "Error" not in sentence
    return caught.value.problem


def png(width: int = 8) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        crc = zlib.crc32(kind + data)
        return len(data).to_bytes(4, "big") + kind + data + crc.to_bytes(4, "big")

    head = width.to_bytes(4, "big") * 2 + bytes([8, 2, 0, 0, 0])
    rows = zlib.compress(b"".join(b"\0" + bytes(3 * width) for _ in range(width)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


# A playlist and a list of files: libav must not follow them.
HLS = b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nhttp://192.0.2.1/a.ts\n#EXT-X-ENDLIST\n"
CONCAT = b"ffconcat version 1.0\nfile /etc/passwd\n"


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("empty.mp3", b"", FileProblem.EMPTY),
        ("text.mp3", b"Dear diary,\nno music today.\n" * 50, FileProblem.NOT_AUDIO),
        ("text.wav", "Über allen Gipfeln".encode() * 20, FileProblem.NOT_AUDIO),
        ("page.ogg", b"<!DOCTYPE html><html></html>", FileProblem.NOT_AUDIO),
        ("list.m3u8", HLS, FileProblem.NOT_AUDIO),
        ("list.mp3", CONCAT, FileProblem.NOT_AUDIO),
        ("picture.mp3", png(), FileProblem.NOT_AUDIO),
        ("picture.png", png(), FileProblem.NOT_AUDIO),
        ("archive.flac", b"PK\3\4" + bytes(200), FileProblem.NOT_AUDIO),
        ("zeros.mp3", bytes(100_000), FileProblem.CORRUPT),
        ("head.wav", b"RIFF\x24\0\0\0WAVE", FileProblem.CORRUPT),
        ("head.flac", b"fLaC\0\0\0\x22", FileProblem.CORRUPT),
        ("head.m4a", b"\0\0\0\x18ftypM4A \0\0\0\0M4A mp42isom", FileProblem.CORRUPT),
        ("one.mp3", b"\xff", FileProblem.CORRUPT),
    ],
)
def test_what_is_no_sound_says_so(
    tmp_path: Path, name: str, content: bytes, problem: FileProblem
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert problem_of(path) is problem


def test_a_video_without_sound_is_no_audio(tmp_path: Path) -> None:
    import av

    path = tmp_path / "silent film.mp4"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 32
        stream.pix_fmt = "yuv420p"
        for _ in range(5):
            out.mux(stream.encode(av.VideoFrame(32, 32, "yuv420p")))
        out.mux(stream.encode(None))
    assert problem_of(path) is FileProblem.NOT_AUDIO


def test_a_wav_without_samples_is_corrupt(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", tune(1.0, 44_100), BY_NAME["pcm_s16le.wav"])
    raw = path.read_bytes()
    at = raw.index(b"data")
    path.write_bytes(raw[: at + 4] + bytes(4))
    assert problem_of(path) is FileProblem.CORRUPT


@pytest.mark.parametrize("rate", [0, 1, 7, 0xFFFFFFFF])
def test_an_impossible_rate_is_corrupt(tmp_path: Path, rate: int) -> None:
    path = write(tmp_path / "a.wav", tune(1.0, 44_100), BY_NAME["pcm_s16le.wav"])
    raw = bytearray(path.read_bytes())
    raw[24:28] = rate.to_bytes(4, "little")
    path.write_bytes(raw)
    assert problem_of(path) is FileProblem.CORRUPT


def test_no_channels_are_corrupt_and_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", tune(1.0, 44_100), BY_NAME["pcm_s16le.wav"])
    raw = bytearray(path.read_bytes())
    raw[22:24] = bytes(2)
    path.write_bytes(raw)
    with pytest.raises(AudioFileError, match="no channels") as caught:
        probe(path)
    assert caught.value.problem is FileProblem.CORRUPT


def test_what_is_not_there_or_no_file(tmp_path: Path) -> None:
    assert problem_of(tmp_path / "missing.mp3") is FileProblem.NOT_AUDIO
    assert problem_of(tmp_path) is FileProblem.NOT_AUDIO
    assert problem_of(Path("a\0b.mp3")) is FileProblem.NOT_AUDIO
    assert problem_of(tmp_path / ("x" * 300)) is FileProblem.CORRUPT
    pipe = tmp_path / "pipe.mp3"
    os.mkfifo(pipe)
    assert problem_of(pipe) is FileProblem.NOT_AUDIO  # opening it would wait for ever
    assert problem_of(Path("/dev/zero")) is FileProblem.NOT_AUDIO


_AS_NOBODY = """
import os, sys
import av
from songid_desktop.audio.decode import decode
from songid_desktop.errors import AudioFileError
os.setgid(65534)
os.setuid(65534)
try:
    decode(sys.argv[1])
except AudioFileError as error:
    print(error.problem, error)
"""


def test_a_file_that_may_not_be_read(tmp_path: Path, project: Path) -> None:
    path = write(tmp_path / "secret.wav", tune(1.0, 44_100), BY_NAME["pcm_s16le.wav"])
    path.chmod(0)
    if os.geteuid() != 0:
        assert problem_of(path) is FileProblem.NO_PERMISSION
        return
    # root reads everything, so somebody else has to try
    public = Path("/tmp") / f"songid-secret-{os.getpid()}.wav"
    path.rename(public)
    try:
        done = subprocess.run(
            [sys.executable, "-c", _AS_NOBODY, str(public)],
            env={**os.environ, "PYTHONPATH": str(project)},
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        public.unlink()
    assert done.stdout.startswith("no_permission The file may not be read"), done.stderr


def test_protected_files_are_named_as_such(tmp_path: Path, folder: Path) -> None:
    m4p = bytearray(source(folder, "aac.m4a"))
    at = m4p.index(b"stsd")
    entry = m4p.index(b"mp4a", at)
    m4p[entry : entry + 4] = b"drms"
    wma = bytearray(source(folder, "wmav2.wma"))
    # in place of some other object of the header, of the same size
    codec_list = bytes.fromhex("4052d1861d31d011a3a400a0c90348f6")
    at = wma.index(codec_list)
    wma[at : at + 16] = bytes.fromhex("fbb3112223bdd211b4b700a0c955fc6e")
    aax = b"\0\0\0\x18ftypaax \0\0\0\1M4A mp42isom" + bytes(100)
    for name, content in (("a.m4p", m4p), ("a.wma", wma), ("a.aax", aax)):
        path = tmp_path / name
        path.write_bytes(content)
        assert problem_of(path) is FileProblem.DRM


CUT = [
    "pcm_s16le.wav", "pcm_s16be.aiff", "flac.flac", "libmp3lame.mp3", "wmav2.wma", "vorbis.ogg",
    "libopus.opus", "wavpack.wv", "tta.tta",
]  # fmt: skip


# caf keeps the sizes of its packets at the end, so a cut one can't be decoded at all.
@pytest.mark.parametrize("name", CUT)
def test_half_a_file_is_half_the_music_and_a_warning(
    tmp_path: Path, folder: Path, name: str
) -> None:
    whole = source(folder, name)
    path = tmp_path / f"half{BY_NAME[name].suffix}"
    # A cut between two Ogg pages leaves no trace; odd places lie inside of one.
    path.write_bytes(whole[: len(whole) // 2 + 17])
    with open_audio(path, 8_000) as reader:
        heard = sum(block.duration_s for block in reader)
        assert 0.3 * SECONDS < heard < 0.75 * SECONDS
        assert [problem for problem, _ in reader.warnings] == [FileProblem.TRUNCATED]
        assert "0:0" in reader.warnings[0][1]


@pytest.mark.parametrize("name", ["libmp3lame.mp3", "flac.flac", "vorbis.ogg", "aac.aac"])
def test_a_hole_in_the_middle_costs_only_itself(tmp_path: Path, folder: Path, name: str) -> None:
    form = BY_NAME[name]
    raw = bytearray(source(folder, name))
    middle = len(raw) // 2
    raw[middle : middle + 600] = os.urandom(600)
    path = tmp_path / f"hole{form.suffix}"
    path.write_bytes(raw)
    good = decode(folder / f"{form.name}{form.suffix}", 8_000).samples
    bad = decode(path, 8_000).samples
    assert len(bad) > 0.75 * len(good)
    assert np.allclose(bad[:16_000], good[:16_000], atol=0.02)


def test_an_mp3_that_states_no_length_is_not_called_cut_off(folder: Path, tmp_path: Path) -> None:
    raw = source(folder, "libmp3lame.mp3")
    first = raw.index(b"\xff\xfb")
    second = raw.index(b"\xff\xfb", first + 100)
    assert b"Info" in raw[first:second]  # the frame that states the length, and no sound
    path = tmp_path / "bare.mp3"
    path.write_bytes(raw[second : len(raw) // 2])
    with open_audio(path) as reader:
        assert sum(block.duration_s for block in reader) > 0.4 * SECONDS
        assert not reader.warnings


def test_errors_travel_between_processes(tmp_path: Path) -> None:
    (tmp_path / "a.mp3").write_bytes(b"")
    with pytest.raises(AudioFileError) as caught:
        probe(tmp_path / "a.mp3")
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (copy.problem, str(copy)) == (FileProblem.EMPTY, str(caught.value))


def judge(path: Path) -> None:
    """Decode; anything but samples or `AudioFileError` fails the test."""
    try:
        with open_audio(path, 8_000) as reader:
            for block in reader:
                assert np.isfinite(block.samples).all()
                if reader.decoded_s > 600:  # a header may lie about length, not about memory
                    break
    except AudioFileError:
        pass


@settings(
    max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(
    name=st.sampled_from([form.name for form in FORMATS]),
    seed=st.integers(0, 2**32 - 1),
    where=st.sampled_from(["anywhere", "head", "tail"]),
    count=st.integers(1, 60),
)
def test_random_damage_is_survived(
    *, tmp_path: Path, folder: Path, name: str, seed: int, where: str, count: int
) -> None:
    rng = np.random.default_rng(seed)
    raw = np.frombuffer(source(folder, name), np.uint8).copy()
    low, high = {"anywhere": (0, len(raw)), "head": (0, 400), "tail": (len(raw) - 4000, len(raw))}[
        where
    ]
    places = rng.integers(max(0, low), min(high, len(raw)), count)
    raw[places] = rng.integers(0, 256, count)
    path = tmp_path / f"damaged{BY_NAME[name].suffix}"
    path.write_bytes(raw.tobytes())
    judge(path)


@settings(
    max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(
    content=st.binary(max_size=4000),
    start=st.sampled_from([b"", b"RIFF", b"fLaC", b"OggS", b"ID3", b"\xff\xfb\x90\x00", b"FORM"]),
    suffix=st.sampled_from([".mp3", ".wav", ".flac", ".ogg", ".m4a", ".wma", ""]),
)
def test_random_bytes_are_survived(
    tmp_path: Path, content: bytes, start: bytes, suffix: str
) -> None:
    path = tmp_path / f"random{suffix}"
    path.write_bytes(start + content)
    judge(path)
