"""The demo tunes: distinct, tagged, the same everywhere, quickly made."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from songid_desktop.audio.decode import decode, probe
from songid_desktop.catalog.tags import read_cover, read_tags
from songid_desktop.errors import Cancelled
from songid_desktop.evaluate.demo_tunes import (
    TUNE_RATE_HZ,
    TUNES,
    cover_png,
    render,
    tune_path,
    write_tunes,
)
from songid_desktop.types import CancelToken


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    begun = time.process_time()
    paths = write_tunes(tmp_path_factory.mktemp("tunes"))
    assert time.process_time() - begun < 6.0, "twice what it takes on a slow, shared core"
    return paths


def test_every_tune_is_30_to_40_s_and_says_what_it_is(written: list[Path]) -> None:
    assert len(written) == len(TUNES) == 8
    for path, tune in zip(written, TUNES, strict=True):
        info = probe(path)
        assert info.duration_s is not None
        assert 30 <= info.duration_s <= 40
        assert (info.sample_rate, info.channels, info.codec) == (TUNE_RATE_HZ, 2, "flac")
        tags = read_tags(path)
        assert (tags.title, tags.genre) == (tune.title, tune.genre)
        assert tags.artist
        assert tags.album
        assert read_cover(path) == cover_png(tune)


def test_the_file_holds_the_tune(written: list[Path]) -> None:
    sound = render(TUNES[2])
    decoded = decode(written[2])
    assert len(decoded.samples) == len(sound)
    assert np.abs(decoded.samples - sound.mean(axis=1)).max() < 1e-4


def test_the_same_on_every_run_and_unlike_each_other() -> None:
    assert np.array_equal(render(TUNES[0]), render(TUNES[0]))
    assert len({tune.title for tune in TUNES}) == len({tune.seed for tune in TUNES}) == len(TUNES)
    assert len({cover_png(tune) for tune in TUNES}) == len(TUNES)


def test_no_two_bars_are_alike() -> None:
    tune = TUNES[0]
    mono = render(tune).mean(axis=1).astype(np.float64)
    bar = round(4 * tune.beat_s * TUNE_RATE_HZ)
    bars = [mono[n * bar : (n + 1) * bar] for n in range(tune.bars)]
    unit = np.array([one / np.linalg.norm(one) for one in bars])
    likeness = unit @ unit.T - np.eye(len(bars))
    assert likeness.max() < 0.9


def test_loud_enough_and_never_clipped() -> None:
    for tune in TUNES:
        sound = render(tune)
        assert np.abs(sound).max() == pytest.approx(0.7, abs=1e-3)
        assert 0.05 < float(np.sqrt(np.mean(sound**2))) < 0.3


def test_what_stands_there_is_kept_and_what_is_missing_is_made(
    written: list[Path], tmp_path: Path
) -> None:
    for number in range(1, len(TUNES)):
        tune_path(tmp_path, number).write_bytes(b"kept")
    write_tunes(tmp_path)
    assert tune_path(tmp_path, 0).read_bytes() == written[0].read_bytes()
    assert tune_path(tmp_path, 1).read_bytes() == b"kept"
    assert len(list(tmp_path.iterdir())) == len(TUNES), "no drafts are left"


def test_cancel_leaves_nothing_half_made(tmp_path: Path) -> None:
    cancel = CancelToken()
    cancel.set()
    with pytest.raises(Cancelled):
        write_tunes(tmp_path / "new", cancel)
    assert list((tmp_path / "new").iterdir()) == []
