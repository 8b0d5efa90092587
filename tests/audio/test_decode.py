"""Decoding gives back what was encoded, in place, in parts and in bounded memory."""

from __future__ import annotations

import itertools
import os
import struct
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from songid_desktop.audio import packets
from songid_desktop.audio.decode import SUPPORTED_SUFFIXES, decode, open_audio, probe
from songid_desktop.errors import Cancelled
from songid_desktop.types import FileProblem
from tests.support import soundfiles
from tests.support.soundfiles import FORMATS, Format, tune, write

WAV = next(form for form in FORMATS if form.name == "pcm_s16le.wav")
MP3 = next(form for form in FORMATS if form.name == "libmp3lame.mp3")
SECONDS = 4.0


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One tune in every format."""
    folder = tmp_path_factory.mktemp("formats")
    return {
        form.name: write(
            folder / f"{form.name}{form.suffix}", np.stack([tune(SECONDS, form.rate)] * 2), form
        )
        for form in FORMATS
    }


def lag_of(heard: np.ndarray, original: np.ndarray) -> int:
    """How many samples later `heard` has what `original` has."""
    size = 1 << (len(heard) + len(original) - 1).bit_length()
    spectrum = np.fft.rfft(heard, size) * np.conj(np.fft.rfft(original, size))
    lag = int(np.argmax(np.fft.irfft(spectrum, size)))
    return lag if lag < size // 2 else lag - size


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
def test_a_round_trip_gives_the_tune_back(form: Format, files: dict[str, Path]) -> None:
    original = tune(SECONDS, form.rate)
    with open_audio(files[form.name]) as reader:
        heard = np.concatenate([block.samples for block in reader])
        assert not reader.warnings
        assert reader.decoded_s == len(heard) / form.rate
    assert heard.dtype == np.float32
    assert abs(len(heard) / form.rate - SECONDS) <= form.slack_s
    lag = lag_of(heard, original)
    assert abs(lag / form.rate) <= form.slack_s
    overlap = slice(max(0, lag) + 3000, min(len(heard), len(original) + lag) - 3000)
    error = heard[overlap] - original[overlap.start - lag : overlap.stop - lag]
    assert error.std() / original.std() < form.noise


@pytest.mark.parametrize("seek_beyond_s", [30.0, 0.5])
@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
def test_a_part_is_the_same_as_cut_from_the_whole(
    form: Format, files: dict[str, Path], seek_beyond_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packets, "SEEK_BEYOND_S", seek_beyond_s)
    path = files[form.name]
    for rate in (None, 8_000):
        whole = decode(path, rate)
        for start_s, length_s in ((0.0, 0.7), (0.31, 1.0), (1.777, 1.5), (3.0, 5.0)):
            part = decode(path, rate, start_s=start_s, length_s=length_s)
            assert part.start_sample == round(start_s * whole.sample_rate)
            expected = whole.samples[part.start_sample :][: round(length_s * whole.sample_rate)]
            assert abs(len(part.samples) - len(expected)) <= form.place_s * part.sample_rate
            lag = lag_of(part.samples, expected)
            assert abs(lag / part.sample_rate) <= form.place_s
            if form.noise < 0.01 and not lag:
                assert np.allclose(part.samples, expected, atol=2e-4)


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
def test_the_header_tells_what_is_inside(form: Format, files: dict[str, Path]) -> None:
    info = probe(files[form.name])
    assert info.sample_rate == form.rate
    assert info.channels == 2
    assert info.duration_s == pytest.approx(SECONDS, abs=0.3)
    assert form.suffix in SUPPORTED_SUFFIXES


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(
    block_s=st.floats(0.01, 5.0),
    rate=st.sampled_from([None, 8_000, 22_050, 48_000]),
    start_s=st.floats(0, 5.0),
)
def test_blocks_join_without_a_seam(
    files: dict[str, Path], block_s: float, rate: int | None, start_s: float
) -> None:
    with open_audio(files[MP3.name], rate, block_s=block_s, start_s=start_s) as reader:
        blocks = list(reader)
    for block, following in itertools.pairwise(blocks):
        assert following.start_sample == block.start_sample + len(block.samples)
        assert len(block.samples) == round(block_s * reader.sample_rate)
    joined = np.concatenate([block.samples for block in blocks]) if blocks else np.zeros(0)
    assert np.array_equal(joined, decode(files[MP3.name], rate, start_s=start_s).samples)


def test_a_start_beyond_the_end_gives_nothing(files: dict[str, Path]) -> None:
    for form in FORMATS:
        assert len(decode(files[form.name], start_s=60.0).samples) == 0


def test_channels_become_their_mean(tmp_path: Path) -> None:
    left, right = tune(1.0, 44_100, seed=1), tune(1.0, 44_100, seed=2)
    path = write(tmp_path / "stereo.wav", np.stack([left, right]), WAV)
    assert np.allclose(decode(path).samples, (left + right) / 2, atol=1e-4)
    with open_audio(path) as reader:
        stereo = np.concatenate([samples for samples, _ in reader.stereo_pieces()])
    assert np.allclose(stereo, np.stack([left, right], axis=1), atol=1e-4)


def test_surround_becomes_the_mean_too(tmp_path: Path) -> None:
    form = Format(".flac", "flac", "s16", rate=48_000)
    sides = np.stack([tune(1.0, 48_000, seed) for seed in range(6)])
    path = write(tmp_path / "surround.flac", sides, form)
    assert probe(path).channels == 6
    assert np.allclose(decode(path).samples, sides.mean(axis=0), atol=1e-4)


def test_the_wav_that_calls_itself_extensible(tmp_path: Path) -> None:
    samples = (tune(1.0, 44_100) * 32767).astype("<i2")
    guid = bytes.fromhex("0100000000001000800000aa00389b71")
    form = struct.pack("<HHIIHHHHI", 0xFFFE, 1, 44_100, 88_200, 2, 16, 22, 16, 4) + guid
    data = samples.tobytes()
    body = b"WAVE" + b"fmt " + struct.pack("<I", len(form)) + form
    body += b"data" + struct.pack("<I", len(data)) + data
    path = tmp_path / "extensible.wav"
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    assert np.allclose(decode(path).samples, samples / 32768, atol=1e-6)


@pytest.mark.parametrize(
    "name",
    [
        "песня 音楽 🎵.wav",
        "a'b\"c $(x) %s \\ .wav",
        "concat:a|b.wav",
        "http:__x.wav",
        "no ending",
        "x" * 240 + ".wav",
        os.fsdecode(b"not utf-8 \xff\xfe.wav"),
    ],
)
def test_any_name_will_do(tmp_path: Path, name: str) -> None:
    source = write(tmp_path / "plain.wav", tune(1.0, 44_100), WAV)
    path = source.rename(tmp_path / name)
    assert len(decode(path).samples) == 44_100
    assert len(decode(str(path)).samples) == 44_100


def test_long_paths_will_do(tmp_path: Path) -> None:
    folder = tmp_path
    while len(str(folder)) < 3_000:
        folder = folder / ("d" * 200)
    folder.mkdir(parents=True)
    path = write(tmp_path / "plain.wav", tune(1.0, 44_100), WAV).rename(folder / "song.wav")
    assert len(decode(path).samples) == 44_100


def test_cover_art_is_no_video(tmp_path: Path) -> None:
    from mutagen.flac import FLAC, Picture
    from mutagen.id3 import APIC, ID3

    png = bytes.fromhex(
        "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154789c63f8"
        "cfc0000003010100c9fe92ef0000000049454e44ae426082"
    )
    mp3 = write(tmp_path / "cover.mp3", tune(1.0, 44_100), MP3)
    tags = ID3()
    tags.add(APIC(mime="image/png", type=3, data=png))
    tags.save(mp3)
    flac = write(tmp_path / "cover.flac", tune(1.0, 44_100), Format(".flac", "flac", "s16"))
    song = FLAC(flac)
    picture = Picture()
    picture.data, picture.mime, picture.type = png, "image/png", 3
    song.add_picture(picture)
    song.save()
    for path in (mp3, flac):
        with open_audio(path) as reader:
            assert sum(len(block.samples) for block in reader) == 44_100
            assert not reader.warnings


def test_samples_that_are_not_numbers_count_as_silence(tmp_path: Path) -> None:
    sound = tune(1.0, 48_000)
    sound[100], sound[200], sound[300], sound[400] = np.nan, np.inf, -np.inf, 1e30
    form = next(form for form in FORMATS if form.name == "pcm_f32le.wav")
    data = sound.tobytes()
    path = write(tmp_path / "floats.wav", tune(1.0, 48_000), form)
    raw = path.read_bytes()
    path.write_bytes(raw[: len(raw) - len(data)] + data)
    with open_audio(path) as reader:
        samples = np.concatenate([block.samples for block in reader])
        assert [problem for problem, _ in reader.warnings] == [FileProblem.CORRUPT]
        assert "4 samples" in reader.warnings[0][1]
    assert not samples[[100, 200, 300, 400]].any()
    assert np.isfinite(samples).all()


def test_louder_than_full_scale_is_kept(tmp_path: Path) -> None:
    form = next(form for form in FORMATS if form.name == "pcm_f32le.wav")
    path = write(tmp_path / "loud.wav", tune(1.0, 48_000) * 40, form)
    with open_audio(path) as reader:
        assert max(float(np.abs(block.samples).max()) for block in reader) > 2.0
        assert not reader.warnings


def test_cancelling_ends_it_at_once(files: dict[str, Path]) -> None:
    cancel = threading.Event()
    with open_audio(files[MP3.name], block_s=0.1, cancel=cancel) as reader:
        blocks = iter(reader)
        next(blocks)
        cancel.set()
        with pytest.raises(Cancelled):
            list(blocks)


def test_an_hour_takes_no_more_memory_than_a_minute(tmp_path: Path) -> None:
    import resource

    quiet = np.zeros(16_000 * 60, "<i2").tobytes()
    header = struct.pack("<HHIIHH", 1, 1, 16_000, 32_000, 2, 16)
    path = tmp_path / "hour.wav"
    with path.open("wb") as out:
        out.write(b"RIFF" + struct.pack("<I", 36 + 60 * len(quiet)) + b"WAVEfmt ")
        out.write(struct.pack("<I", 16) + header + b"data" + struct.pack("<I", 60 * len(quiet)))
        for _ in range(60):
            out.write(quiet)
    with open_audio(path, 8_000) as reader:
        blocks = iter(reader)
        next(blocks)
        before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for _ in blocks:
            pass
        after_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        assert reader.decoded_s == pytest.approx(3600.0)
    assert after_kb - before_kb < 20_000


def test_no_file_stays_open(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", tune(1.0, 44_100), WAV)
    (tmp_path / "b.wav").write_bytes(b"RIFF\0\0\0\0WAVEnonsense")

    def open_files() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    decode(path)
    before = open_files()
    for _ in range(30):
        decode(path, 8_000, length_s=0.2)
        with pytest.raises(Exception, match="damaged"):
            decode(tmp_path / "b.wav")
        with open_audio(path):
            pass
    assert open_files() <= before


def test_reading_on_after_closing_gives_nothing(files: dict[str, Path]) -> None:
    with open_audio(files[MP3.name], block_s=0.5) as reader:
        blocks = iter(reader)
        next(blocks)
    assert sum(len(block.samples) for block in blocks) < 44_100
    with pytest.raises(ValueError, match="closed"):
        next(iter(reader))


def test_every_format_is_tried() -> None:
    assert {form.suffix for form in soundfiles.FORMATS} <= SUPPORTED_SUFFIXES
    assert all(suffix == suffix.lower() and suffix[0] == "." for suffix in SUPPORTED_SUFFIXES)
