"""Every choice of the landmark method in frozen values, and the digests that name them.

Three layers, because they cost differently to change: `PeakConfig` shapes what the catalog stores
(a change means enrolling again), `HashConfig` what the index holds (a change means rebuilding it
from the stored peaks), `SearchConfig` only how a clip is looked up (a change costs nothing).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field

FORMAT_VERSION = 2
"""Of the stored peaks and ridges; part of the digest, so a change of the code that moves them
counts too."""


@dataclass(frozen=True, slots=True)
class PeakConfig:
    """From sound to constellation. Frames are `hop_samples` apart, bins ``sample_rate / n_fft``
    hertz wide."""

    sample_rate: int = 8000
    n_fft: int = 1024
    hop_samples: int = 256
    low_bin: int = 8
    """First bin looked at (62 Hz): below lies rumble."""
    high_bin: int = 476
    """One past the last bin (3.7 kHz): above, the resampling filter has closed."""
    whiten_bins: int = 20
    """Half width, in bins, of the neighbourhood whose mean log power counts as the background."""
    whiten_frames: int = 31
    """Half width of the same in frames (1 s)."""
    floor: float = 1e-6
    """Power below this share of a frame's mean is as good as none (-60 dB)."""
    peak_bins: int = 10
    peak_frames: int = 3
    """A peak is the highest point within ± this many bins and frames."""
    density_hz: float = 30.0
    """Peaks a second kept for a track, strongest first, in any window of ± `rank_frames`."""
    rank_frames: int = 16

    @property
    def bin_hz(self) -> float:
        return self.sample_rate / self.n_fft

    @property
    def frame_s(self) -> float:
        return self.hop_samples / self.sample_rate

    @property
    def margin_frames(self) -> int:
        """Frames on either side that can have a say in whether a point is a kept peak."""
        return self.whiten_frames + self.peak_frames + self.rank_frames


@dataclass(frozen=True, slots=True)
class HashConfig:
    """From peaks to hashes: an anchor is paired with the next `fan` peaks of its target zone.

    The index's size is bounded by this, not by the music: `density_hz` peaks a second at most, each
    with at most `fan` hashes of four bytes. The fan trades bytes for recall (380 tracks, 59
    validation clips a cell; first among all, in rooms with background 5 dB above the music, and at
    0 dB; everything else as shipped):

    ====  ==========  =============  ============  ==============  ==============  ===============
    fan   postings/s  kB per minute  room-5, 2 s   room0, 2 s      room0, 5 s      CPU ms a clip
    ====  ==========  =============  ============  ==============  ==============  ===============
    2     59.6        26.8           88.1          96.6            100.0           8.2
    3     89.4        34.3           93.2          100.0           98.3            8.8
    4     119.2       41.4           93.2          100.0           98.3            9.0
    6     178.6       56.3           96.6          100.0           98.3            10.3
    8     237.7       70.5           98.3          98.3            98.3            10.3
    10    296.3       84.5           100.0         98.3            98.3            10.4
    14    411.0       113.3          98.3          98.3            98.3            11.0
    ====  ==========  =============  ============  ==============  ==============  ===============

    White noise at 0 dB and rooms of -5 dB at 5 s were all right from a fan of 2 on. Of the bytes,
    12.4 kB per minute are what verification reads (peaks and ridges) and most of the rest postings.
    """

    fan: int = 10
    min_frames: int = 1
    max_frames: int = 63
    """Target zone in time; needs `TIME_BITS` bits."""
    max_bins: int = 127
    """Target zone in frequency, up or down; needs `DELTA_BITS` bits."""


@dataclass(frozen=True, slots=True)
class SearchConfig:
    """How a clip is looked up: denser than what is stored, at several frame phases."""

    density_hz: float = 60.0
    fan: int = 20
    phases: int = 2
    """Frame grids the clip is analysed on, a fraction of a hop apart: where the track's own grid
    lay when it was enrolled is unknown. Four find nothing that two do not (118 validation clips of
    2 s in rooms and noise: equal to within one clip) and cost twice as much."""
    candidates: int = 300
    """(track, offset) pairs with most votes that are verified at least …"""
    candidate_s: float = 1500.0
    """… and more of them for a short clip, whose hashes propose less well but which is quick to
    verify: so many seconds in all. 1,000 instead of 300 for 2 s: 2 to 4 more clips of 100 named
    in rooms and noise far above the music."""
    hits: int = 60_000
    """Postings looked at for any clip …"""
    hits_per_s: int = 12_000
    """… and for each second of it. When a clip's hashes have more, those least worth it are left
    out: this bounds the time of a look-up whatever the library's size. More than doubling it names
    no more clips among 800 tracks (110 of 1, 2 and 5 s in rooms and noise 5 to 10 dB above the
    music)."""
    hits_tracks: int = 1000
    """Tracks up to which this holds. Beyond, it grows with a power of their number …"""
    hits_growth: float = 0.65
    hits_most: int = 1_500_000
    """… up to so many: a tenth of a second, however large the library."""
    candidate_tracks: int = 2000
    """Likewise the pairs that are verified: beyond so many tracks there are more of them …"""
    candidate_growth: float = 8.0
    """… up to this factor. At 100,000 tracks, eightfold pairs instead of fourfold, and twice the
    postings, name 15 more clips of 100 of 2 s in rooms at 0 dB, and 10 more of 5 s."""
    min_clip_s: float = 1.0
    window_s: float = 15.0
    """Longest stretch looked at in one go; of longer clips, several such stretches are."""

    def proposals(self, clip_s: float, tracks: int) -> int:
        """Pairs that are verified for a clip of this length in a library of this size."""
        growth = max(1.0, (tracks / self.candidate_tracks) ** 0.53)
        fewest = max(self.candidates, int(self.candidate_s / max(clip_s, self.min_clip_s)))
        return int(fewest * min(growth, self.candidate_growth))


@dataclass(frozen=True, slots=True)
class LandmarkConfig:
    """The whole method."""

    peaks: PeakConfig = field(default_factory=PeakConfig)
    hashes: HashConfig = field(default_factory=HashConfig)
    search: SearchConfig = field(default_factory=SearchConfig)

    def digest(self) -> str:
        """Name of what the catalog stores: equal exactly when stored peaks can be mixed."""
        return _digest({"format": FORMAT_VERSION, "peaks": asdict(self.peaks)})

    def index_digest(self) -> str:
        """Name of what the index holds."""
        return _digest({"peaks": self.digest(), "hashes": asdict(self.hashes)})


def _digest(values: dict[str, object]) -> str:
    text = json.dumps(values, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
