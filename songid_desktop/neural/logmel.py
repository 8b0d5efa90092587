"""Log-mel windows (report, section 2.3): the picture every learned identifier of ours looks at.

The same NumPy arithmetic makes them in training and in use. A window is exactly `window_s` of
sound; its frames are centred in it and what lies outside counts as silence, so that a picture
depends on nothing but its window's samples. Only the few frames at its two ends reach outside: all
others are shared between the overlapping windows of a stream, which is what makes this cheap.
"""

from __future__ import annotations

import numpy as np

from songid_desktop.dsp.axis import FrequencyAxis
from songid_desktop.neural.config import FrontEnd
from songid_desktop.types import FloatArray

_TINY = np.float32(1e-20)
_LEAST_DEVIATION = np.float32(1e-3)
"""A window flatter than this is silence: it stays zero instead of blowing up its rounding."""
_BATCH_FRAMES = 512
"""Frames transformed at once: their spectra stay in the processor's cache."""


def windows(
    samples: FloatArray, front_end: FrontEnd, hop_s: float, phase_s: float = 0.0
) -> FloatArray:
    """Overlapping windows of a clip, as a view.

    Returns
    -------
    float32 array, shape (n, n_samples)
        Window i begins at ``phase_s + i * hop_s``; none where the clip is too short for one.
    """
    hop = round(hop_s * front_end.sample_rate)
    first = round(phase_s * front_end.sample_rate)
    if len(samples) - first < front_end.n_samples:
        return np.zeros((0, front_end.n_samples), np.float32)
    view = np.lib.stride_tricks.sliding_window_view(samples[first:], front_end.n_samples)
    return view[::hop]


def mel_filters(front_end: FrontEnd, pitch: float = 1.0) -> FloatArray:
    """Triangular filters on the mel scale, each with a peak of 1.

    Parameters
    ----------
    front_end : FrontEnd
    pitch : float
        Every filter at so many times its frequency: what sounds higher by that factor gives the
        picture that it would give as it was.

    Returns
    -------
    float32 array, shape (n_fft // 2 + 1, n_mels)
    """
    axis = FrequencyAxis("mel", front_end.f_min, front_end.f_max, front_end.n_mels)
    bins_hz = np.arange(front_end.n_fft // 2 + 1) * (front_end.sample_rate / front_end.n_fft)
    edges_hz = axis.hz_of(np.arange(-1, front_end.n_mels + 1)) * pitch
    low, centre, high = edges_hz[:-2], edges_hz[1:-1], edges_hz[2:]
    rising = (bins_hz[:, None] - low) / (centre - low)
    falling = (high - bins_hz[:, None]) / (high - centre)
    filters: FloatArray = np.maximum(0.0, np.minimum(rising, falling)).astype(np.float32)
    return filters


class LogMel:
    """Log-mel pictures of windows of sound.

    Parameters
    ----------
    front_end : FrontEnd
        Of kind ``logmel``.
    pitch : float
        Of the sound, as a factor that the picture is to be rid of; see `mel_filters`.
    """

    def __init__(self, front_end: FrontEnd, pitch: float = 1.0) -> None:
        self.front_end = front_end
        self._filters = mel_filters(front_end, pitch)
        hann = np.hanning(front_end.frame_samples + 1)[:-1].astype(np.float32)
        starts = np.arange(front_end.n_frames) * front_end.hop - front_end.pad_samples
        inside = starts[:, None] + np.arange(front_end.frame_samples)
        is_inside = (inside >= 0) & (inside < front_end.n_samples)
        self._starts = starts
        self._hann = hann
        self._edge = np.flatnonzero(~is_inside.all(axis=1))
        """Frames that reach outside their window …"""
        self._edge_hann = hann * is_inside[self._edge]
        """… and their analysis windows, cut off where it ends; shape (edges, frame_samples)."""
        self._inner = np.flatnonzero(is_inside.all(axis=1))

    def of_windows(self, samples: FloatArray) -> FloatArray:
        """Pictures of single windows.

        Parameters
        ----------
        samples : float32 array, shape (n, n_samples)

        Returns
        -------
        float32 array, shape (n, n_mels, n_frames)
        """
        front = self.front_end
        if samples.ndim != 2 or samples.shape[1] != front.n_samples:
            raise ValueError(f"windows of shape {samples.shape}, not (n, {front.n_samples})")
        power = np.empty((len(samples), front.n_frames, front.n_mels), np.float32)
        step = max(1, _BATCH_FRAMES // front.n_frames)
        for first in range(0, len(samples), step):
            part = self._padded(samples[first : first + step])
            frames = np.lib.stride_tricks.sliding_window_view(part, front.frame_samples, axis=1)
            at = self._starts + max(front.pad_samples, 0)
            mel = self._mel_power((frames[:, at] * self._hann).reshape(-1, front.frame_samples))
            power[first : first + step] = mel.reshape(-1, front.n_frames, front.n_mels)
        return self._normalised(power)

    def of_stream(self, samples: FloatArray, step_samples: int) -> FloatArray:
        """Pictures of a clip's overlapping windows: what `of_windows` gives for each, faster.

        Parameters
        ----------
        samples : float32 array, shape (m,)
        step_samples : int
            From one window to the next.

        Returns
        -------
        float32 array, shape (n, n_mels, n_frames)
            n = (m - n_samples) // step_samples + 1, at least 0.
        """
        front = self.front_end
        if len(samples) < front.n_samples:
            return np.zeros((0, front.n_mels, front.n_frames), np.float32)
        is_apart = step_samples >= front.n_samples or not len(self._inner)
        if is_apart or step_samples % front.hop:
            view = np.lib.stride_tricks.sliding_window_view(samples, front.n_samples)
            return self.of_windows(view[::step_samples])
        n_windows = (len(samples) - front.n_samples) // step_samples + 1
        step_frames = step_samples // front.hop
        power = np.empty((n_windows, front.n_frames, front.n_mels), np.float32)
        power[:, self._inner] = self._shared(samples, n_windows, step_frames)
        power[:, self._edge] = self._at_edges(samples, n_windows, step_samples)
        return self._normalised(power)

    def _shared(self, samples: FloatArray, n_windows: int, step_frames: int) -> FloatArray:
        """Mel power of the frames that lie inside their windows, each transformed once; shape
        (n_windows, inner frames, n_mels)."""
        front = self.front_end
        n_inner = len(self._inner)
        first = int(self._starts[self._inner[0]])
        count = (n_windows - 1) * step_frames + n_inner
        frames = np.lib.stride_tricks.sliding_window_view(samples[first:], front.frame_samples)[
            :: front.hop
        ][:count]
        mel = np.empty((count, front.n_mels), np.float32)
        for at in range(0, count, _BATCH_FRAMES):
            mel[at : at + _BATCH_FRAMES] = self._mel_power(
                frames[at : at + _BATCH_FRAMES] * self._hann
            )
        shared = np.lib.stride_tricks.sliding_window_view(mel, n_inner, axis=0)[::step_frames]
        return shared.transpose(0, 2, 1)

    def _at_edges(self, samples: FloatArray, n_windows: int, step_samples: int) -> FloatArray:
        """Mel power of the frames that reach outside their windows; shape (n_windows, edge frames,
        n_mels)."""
        front = self.front_end
        n_edges = len(self._edge)
        mel = np.empty((n_windows, n_edges, front.n_mels), np.float32)
        if not n_edges:
            return mel
        padded = self._padded(samples[None])[0]
        frames = np.lib.stride_tricks.sliding_window_view(padded, front.frame_samples)
        at = self._starts[self._edge] + max(front.pad_samples, 0)
        step = max(1, _BATCH_FRAMES // n_edges)
        for first in range(0, n_windows, step):
            last = min(first + step, n_windows)
            rows = (np.arange(first, last) * step_samples)[:, None] + at
            cut = (frames[rows] * self._edge_hann).reshape(-1, front.frame_samples)
            mel[first:last] = self._mel_power(cut).reshape(-1, n_edges, front.n_mels)
        return mel

    def _padded(self, samples: FloatArray) -> FloatArray:
        pad = max(self.front_end.pad_samples, 0)
        return np.pad(samples, ((0, 0), (pad, pad + 1)))

    def _mel_power(self, frames: FloatArray) -> FloatArray:
        """Power of windowed frames (k, frame_samples) in each mel band; shape (k, n_mels)."""
        from scipy.fft import rfft

        spectrum = rfft(frames, self.front_end.n_fft, axis=1, overwrite_x=True)
        power = np.square(spectrum.real)
        power += np.square(spectrum.imag)
        mel: FloatArray = power @ self._filters
        return mel

    def _normalised(self, power: FloatArray) -> FloatArray:
        """Logarithm above the window's own floor, standardised; (n, frames, mels) in,
        (n, mels, frames) out, contiguous."""
        front = self.front_end
        # In this order in memory for the encoder, and so that every pass runs along it.
        mel = np.ascontiguousarray(power.transpose(0, 2, 1))
        mean_power = mel.mean(axis=(1, 2), keepdims=True)
        mel += np.maximum(mean_power * np.float32(front.floor), _TINY)
        np.log(mel, out=mel)
        if not front.standardise:
            mel -= np.float32(front.mean)
            mel /= np.float32(front.deviation)
            return mel
        mel -= mel.mean(axis=(1, 2), keepdims=True)
        flat = mel.reshape(len(mel), front.n_mels * front.n_frames)
        deviation = np.sqrt(np.einsum("ij,ij->i", flat, flat) / np.float32(flat.shape[1]))
        mel /= np.maximum(deviation, _LEAST_DEVIATION)[:, None, None]
        return mel
