"""The frames of a stream on their way into the ring, and the bookkeeping that notices when they
don't come."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from songid_desktop.audio.resample import StreamResampler
from songid_desktop.audio.ring import Ring

_SCRATCH_FRAMES = 16_384
_RAW_SECONDS = 4.0
_TOLERATED_S = 0.06
"""Later than the clock says: delivery in bursts of up to two server periods is no loss."""
_WINDOW_S = 1.0
_DRIFT_SHARE = 0.05
"""Of what remains after a window, taken as the device's clock running slow or fast."""


class Feed:
    """Carries the frames of one stream into a ring.

    At the ring's own rate it writes straight into it; else into a ring of its own, which `pump`
    resamples from on the supervisor's thread.

    Parameters
    ----------
    ring : Ring
        Where the sound ends up.
    rate, channels : int
        Of the stream.
    heard_until : float or None
        Monotonic time (s) of the last sound of the stream before; the gap since then is filled
        with silence, so that what follows keeps its place in time.
    """

    def __init__(
        self, ring: Ring, rate: int, channels: int, heard_until: float | None = None
    ) -> None:
        self.ring = ring
        self.rate = rate
        self.is_live = True
        self.frames = 0
        self.first_at = 0.0
        self.last_at = 0.0
        self.last_frames = 0
        self.overflows = 0
        self._heard_until = heard_until
        self.is_direct = rate == ring.sample_rate
        self._target = ring if self.is_direct else Ring(rate, _RAW_SECONDS)
        self._mono = np.zeros(_SCRATCH_FRAMES, np.float32)
        self._pumped = 0
        self._resampler = None if self.is_direct else StreamResampler(rate, ring.sample_rate)
        self._reduce = channels > 1

    def take(
        self, frames: npt.NDArray[np.float32], at: float, *, has_overflow: bool = False
    ) -> None:
        """Take `frames`, float32, shape (n, channels), which PortAudio handed over at monotonic
        time `at` (s), and says to have lost some before if `has_overflow`."""
        if not self.is_live:
            return
        count = len(frames)
        if self.frames == 0:
            self._begin(at, count)
        if self._reduce and count <= _SCRATCH_FRAMES:
            mono = self._mono[:count]
            np.mean(frames, axis=1, out=mono)
        else:
            mono = frames[:, 0]
        self._target.write(mono)
        self.frames += count
        self.last_frames = count
        self.last_at = at
        if has_overflow:
            self.overflows += 1

    def _begin(self, at: float, count: int) -> None:
        self.first_at = at - count / self.rate
        if self._heard_until is not None:
            gap_s = max(0.0, self.first_at - self._heard_until)
            # Beyond the ring's length everything older is gone anyway.
            self.ring.write_silence(
                min(round(gap_s * self.ring.sample_rate), self.ring.capacity_samples)
            )

    def pump(self) -> int:
        """Resample what came since the last call into the ring; the samples lost on the way."""
        if self._resampler is None:
            return 0
        block, lost = self._target.since(self._pumped)
        self._pumped = block.start_sample + len(block.samples)
        self.ring.write(self._resampler.push(block.samples))
        return round(lost * self.ring.sample_rate / self.rate)

    def silence_s(self, now: float) -> float:
        """Seconds since the last frames; since forever when there was none."""
        return now - self.last_at if self.frames else float("inf")


class LossMeter:
    """Counts frames that never came, against the monotonic clock.

    PortAudio's overflow flags do not fire through ALSA's plugins, so frames received are compared
    with time passed. Only what is missing over a whole window counts: a burst that comes late is
    no loss. What slowly accumulates is the device's clock differing from ours.
    """

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._baseline = 0.0
        self._smallest = float("inf")
        self._window_ends = 0.0

    def update(self, now: float) -> int:
        """Frames newly found missing, at the stream's rate."""
        feed = self._feed
        if feed.frames == 0:
            return 0
        if self._window_ends == 0.0:
            self._window_ends = now + _WINDOW_S
        last_at, frames = feed.last_at, feed.frames
        deficit = (last_at - feed.first_at) * feed.rate - frames
        self._smallest = min(self._smallest, deficit)
        if now < self._window_ends:
            return 0
        missing = self._smallest - self._baseline
        self._smallest = float("inf")
        self._window_ends = now + _WINDOW_S
        if missing > _TOLERATED_S * feed.rate:
            self._baseline += missing
            return round(missing)
        self._baseline += missing * (1.0 if missing < 0 else _DRIFT_SHARE)
        return 0
