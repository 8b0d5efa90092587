"""The last seconds of live sound, written by one thread and read by any number of others.

Sequence-lock style: the writer announces how far it is about to write, copies, then announces how
far it has written. A reader copies first and looks afterwards at what the writer announced
meanwhile; whatever may have been overwritten under its hands is left out. Nobody ever waits.
"""

from __future__ import annotations

import numpy as np

from songid_desktop.types import AudioBlock, FloatArray

_SPARE_S = 1.0
"""Room beyond the promised seconds, so that a reader of all of them is not overrun while it
copies."""


class Ring:
    """Mono float32 sound of the last `seconds`, addressed by absolute sample position.

    Positions count the samples ever written; they only grow, over `clear` too.

    Parameters
    ----------
    sample_rate : int
        Hertz.
    seconds : float
        How much is kept.
    """

    def __init__(self, sample_rate: int, seconds: float = 30.0) -> None:
        if sample_rate <= 0 or seconds <= 0:
            raise ValueError(
                f"sample_rate and seconds must be positive, not {sample_rate}, {seconds}"
            )
        self.sample_rate = sample_rate
        self._kept_samples = max(1, round(seconds * sample_rate))
        self._size = self._kept_samples + round(_SPARE_S * sample_rate)
        self._data = np.zeros(self._size, np.float32)
        self._written = 0
        self._announced = 0
        self._floor = 0

    @property
    def position(self) -> int:
        """Samples ever written."""
        return self._written

    @property
    def capacity_samples(self) -> int:
        """How many samples are kept."""
        return self._kept_samples

    @property
    def oldest(self) -> int:
        """Position of the oldest sample that can be read."""
        return max(self._floor, self._written - self._kept_samples, 0)

    def write(self, samples: FloatArray) -> None:
        """Append `samples` (float32, shape (n,)). One thread at a time; never waits, allocates no
        buffers."""
        count = len(samples)
        end = self._written + count
        self._announced = end
        if count > self._size:
            samples = samples[count - self._size :]
            count = self._size
        at = (end - count) % self._size
        first = min(count, self._size - at)
        self._data[at : at + first] = samples[:first]
        if first < count:
            self._data[: count - first] = samples[first:]
        self._written = end

    def write_silence(self, count: int) -> None:
        """Append `count` zeros: a gap of known length, so that what follows stays in its place."""
        end = self._written + count
        self._announced = end
        count = min(count, self._size)
        at = (end - count) % self._size
        first = min(count, self._size - at)
        self._data[at : at + first] = 0.0
        self._data[: count - first] = 0.0
        self._written = end

    def clear(self) -> None:
        """Forget what was heard so far; positions go on counting. Safe from any thread."""
        self._floor = self._written

    def latest(self, seconds: float) -> AudioBlock:
        """The newest `seconds`, or as much of them as there is."""
        end = self._written
        return self.between(end - round(seconds * self.sample_rate), end)

    def since(self, position: int) -> tuple[AudioBlock, int]:
        """Everything from `position` on, and how many samples of that were overwritten before they
        were read.

        What `clear` put away does not count as lost.
        """
        block = self.between(position, self._written)
        lost = block.start_sample - max(position, self._floor)
        return block, max(0, lost)

    def between(self, start_sample: int, end_sample: int) -> AudioBlock:
        """Samples of ``start_sample <= position < end_sample``, as far as they are still kept.

        ``start_sample`` of the result says where it really begins.
        """
        end = min(end_sample, self._written)
        start = min(max(start_sample, self.oldest), end) if end > 0 else 0
        count = max(0, end - start)
        at = start % self._size
        first = min(count, self._size - at)
        copy = np.empty(count, np.float32)
        copy[:first] = self._data[at : at + first]
        copy[first:] = self._data[: count - first]
        # What the writer had announced by now may lie over the beginning of what was copied.
        overrun = min(count, max(0, self._announced - self._size - start))
        return AudioBlock(copy[overrun:], self.sample_rate, start + overrun)
