"""Which tracks are the same recording: groups fixed before anything is asked.

The rule: two stretches of 12 s of every track that is asked for (the liveliest of each half) are
laid over every place of every track, as they are and up to 6 % faster and slower, and compared by
how the levels of twenty frequency bands change (`repeats.envelopes`, five a second). Pairs with a
correlation of `PERHAPS_ALIKE` are compared again ten times a second and at finer speeds; one of
`TWIN_ALIKE` or more makes twins. Nothing of an identifier takes part.

On tracks to develop with, other recordings came to 0.59 at most (100 against 257; elsewhere up to
0.72 was seen), and copies through a 12 kbit/s codec, over a phone, cut, or at another speed or
tempo to 0.66 at least, nine of ten to 0.78 (120 of 12 tracks). The bound errs on the strict side:
a twin that is missed counts against the identifier.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from songid_desktop.errors import AudioFileError
from songid_desktop.evaluate.repeats import BANDS, RATE_HZ, envelopes
from songid_desktop.types import FloatArray

PERHAPS_ALIKE, TWIN_ALIKE = 0.45, 0.75
FRAME_S = 0.1
_SPEEDS = (0.94, 0.97, 1.0, 1.03, 1.06)
_FINE_SPEEDS = tuple(1.0 + step / 100.0 for step in range(-7, 8))
_STRETCH_S = 12.0
_STRETCHES = 2
_TOGETHER = 2
"""Frames taken together for the first look at every pair."""
_ENVELOPES_A_FRAME = 2
"""Envelopes taken together, so that nothing falls between frames."""
_SLOW_FRAMES = 21
"""Changes over longer than this are left out."""
_RANGE_DB = 45.0
_LEAST_SPREAD_DB = 1.5
"""Steadier sound (a drone, silence) is like too much else to tell a twin by."""
_AT_ONCE = 16_000_000


def track_changes(path: Path, longest_s: float = 1800.0) -> FloatArray | None:
    """How a track's bands change, dB, float32, shape (frames, BANDS); None when it can't be
    read."""
    from songid_desktop.audio.decode import decode

    try:
        samples = decode(path, RATE_HZ, length_s=longest_s).samples
    except AudioFileError:
        return None
    return changes(samples)


def changes(samples: FloatArray) -> FloatArray:
    """Levels of the bands without what changes slowly: fades and endings are alike in all music.

    Parameters
    ----------
    samples : float32 array, shape (n,)
        At `repeats.RATE_HZ`.
    """
    levels = _joined(envelopes(samples, FRAME_S / _ENVELOPES_A_FRAME), _ENVELOPES_A_FRAME)
    if not len(levels):
        return levels
    levels = np.maximum(levels, levels.max() - _RANGE_DB)
    half = _SLOW_FRAMES // 2
    sums = np.cumsum(np.pad(levels, ((half + 1, half), (0, 0)), mode="edge"), axis=0)
    return np.asarray(levels - (sums[_SLOW_FRAMES:] - sums[:-_SLOW_FRAMES]) / _SLOW_FRAMES)


def _joined(frames: FloatArray, count: int) -> FloatArray:
    """Means of `count` frames each."""
    whole = len(frames) // count
    return np.asarray(frames[: whole * count].reshape(whole, count, -1).mean(axis=1), np.float32)


@dataclass(frozen=True, slots=True)
class Likeness:
    """The highest correlation of a stretch of `one` with any place of `other`."""

    one: str
    other: str
    alike: float


def find_likenesses(
    asked: Sequence[str],
    known: Mapping[str, FloatArray],
    against: Sequence[str],
    *,
    at_least: float = TWIN_ALIKE,
    progress: Callable[[int, int], None] | None = None,
) -> list[Likeness]:
    """Pairs of tracks alike, each once a direction.

    Parameters
    ----------
    asked : sequence of str
        Tracks whose stretches are looked for.
    known : mapping of str to float32 array, shape (frames, BANDS)
        From `changes`.
    against : sequence of str
        Tracks that they are looked for in.
    """
    stretches = {name: _stretches(known[name]) for name in asked}
    found = []
    for one, other in _perhaps(stretches, known, against, progress):
        fine = np.array(
            [
                _played(stretch, speed, FRAME_S, shift)
                for stretch in stretches[one]
                for speed in _FINE_SPEEDS
                for shift in (0.0, 0.5)
            ]
        )
        size = _transform_size(len(known[other]) + fine.shape[1])
        alike = float(_compare(fine, [known[other]], size).max(initial=-1.0))
        if alike >= at_least:
            found.append(Likeness(one, other, alike))
    return found


def _perhaps(
    stretches: Mapping[str, Sequence[FloatArray]],
    known: Mapping[str, FloatArray],
    against: Sequence[str],
    progress: Callable[[int, int], None] | None,
) -> list[tuple[str, str]]:
    """Pairs worth a closer look."""
    owners = [name for name, own in stretches.items() for _ in own for _ in _SPEEDS]
    patterns = np.array(
        [
            _played(_joined(stretch, _TOGETHER), speed, FRAME_S * _TOGETHER)
            for own in stretches.values()
            for stretch in own
            for speed in _SPEEDS
        ]
    )
    if not owners:
        return []
    coarse = {name: _joined(known[name], _TOGETHER) for name in against}
    usable = [name for name in against if len(coarse[name]) >= patterns.shape[1]]
    pairs: dict[tuple[str, str], None] = {}
    done = 0
    for size, names in _by_size(usable, coarse, patterns.shape[1]):
        highest = _compare(patterns, [coarse[name] for name in names], size)
        for row, column in zip(*np.nonzero(highest >= PERHAPS_ALIKE), strict=True):
            if owners[int(row)] != names[int(column)]:
                pairs[owners[int(row)], names[int(column)]] = None
        done += len(names)
        if progress is not None:
            progress(done, len(usable))
    return list(pairs)


def groups_of(likenesses: Sequence[Likeness]) -> dict[str, int]:
    """Group number of every track that has a twin."""
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        while parent.setdefault(name, name) != name:
            name = parent[name]
        return name

    for pair in likenesses:
        one, other = root(pair.one), root(pair.other)
        parent[max(one, other)] = min(one, other)
    numbers: dict[str, int] = {}
    return {name: numbers.setdefault(root(name), len(numbers)) for name in sorted(parent)}


def _stretches(track: FloatArray) -> list[FloatArray]:
    """The liveliest places of a track, long enough for every speed: one in each half."""
    width = round(_STRETCH_S * max(_FINE_SPEEDS) / FRAME_S) + 2
    halves = np.array_split(track, _STRETCHES) if len(track) >= _STRETCHES * width else [track]
    found: list[FloatArray] = []
    for half in halves:
        if len(half) < width:
            continue
        starts = np.arange(0, len(half) - width + 1, 10)
        # Their mean size, not their power: one clap in silence is not lively.
        spread = [float(np.abs(half[start : start + width]).mean()) for start in starts]
        best = int(np.argmax(spread))
        if spread[best] >= _LEAST_SPREAD_DB:
            found.append(half[starts[best] : starts[best] + width])
    return found


def _played(stretch: FloatArray, speed: float, frame_s: float, shift: float = 0.0) -> FloatArray:
    """`_STRETCH_S` of a stretch played so much faster and begun a little later (frames), every
    band's mean taken out."""
    place = np.minimum(np.arange(round(_STRETCH_S / frame_s)) * speed + shift, len(stretch) - 1)
    whole = np.arange(len(stretch))
    played = np.stack([np.interp(place, whole, band) for band in stretch.T], axis=1)
    return np.asarray(played - played.mean(axis=0), np.float32)


def _transform_size(frames: int) -> int:
    return 1 << (frames - 1).bit_length()


def _by_size(
    names: Sequence[str], known: Mapping[str, FloatArray], pattern: int
) -> list[tuple[int, list[str]]]:
    """Tracks of about one length together: they share the size of their transform."""
    bins: dict[int, list[str]] = {}
    for name in names:
        bins.setdefault(_transform_size(len(known[name]) + pattern), []).append(name)
    batches = []
    for size, members in sorted(bins.items()):
        step = max(1, _AT_ONCE // (size * BANDS))
        batches += [(size, members[at : at + step]) for at in range(0, len(members), step)]
    return batches


def _compare(patterns: FloatArray, tracks: Sequence[FloatArray], size: int) -> FloatArray:
    """Highest correlation of every pattern with every track; shape (patterns, tracks)."""
    from scipy.fft import irfft, rfft

    frames = patterns.shape[1]
    padded = np.zeros((len(tracks), size, BANDS), np.float32)
    spread = np.full((len(tracks), size), np.inf, np.float32)
    for row, track in enumerate(tracks):
        if len(track) >= frames:
            padded[row, : len(track)] = track
            spread[row, : len(track) - frames + 1] = _spread(track, frames)
    transformed = np.ascontiguousarray(rfft(padded, axis=1).transpose(1, 2, 0))  # bins, bands, t
    highest = np.empty((len(patterns), len(tracks)), np.float32)
    step = max(1, _AT_ONCE // (size * len(tracks)))
    for at in range(0, len(patterns), step):
        some = patterns[at : at + step]
        spectrum = np.conj(rfft(some, size, axis=1)).transpose(1, 0, 2)  # bins, patterns, bands
        product = np.matmul(np.ascontiguousarray(spectrum), transformed)
        lagged = irfft(product, size, axis=0)  # places, patterns, tracks
        strength = np.sqrt((some**2).sum(axis=(1, 2)))
        scaled = lagged / np.maximum(spread.T[:, None, :] * strength[None, :, None], 1e-6)
        highest[at : at + step] = scaled.max(axis=0)
    return highest


def _spread(track: FloatArray, frames: int) -> FloatArray:
    """Norm of every place of a track with each band's mean taken out.

    A place that is steadier than any music counts as if it were not.
    """
    exact: npt.NDArray[np.float64] = track.astype(np.float64)
    first = np.cumsum(np.vstack([np.zeros((1, BANDS)), exact]), axis=0)
    second = np.cumsum(np.vstack([np.zeros((1, BANDS)), exact**2]), axis=0)
    sums, squares = first[frames:] - first[:-frames], second[frames:] - second[:-frames]
    norm = np.sqrt(np.maximum((squares - sums**2 / frames).sum(axis=1), 0.0))
    least = 0.5 * _LEAST_SPREAD_DB * np.sqrt(frames * BANDS)
    return np.asarray(np.maximum(norm, least), np.float32)
