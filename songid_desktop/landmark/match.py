"""Looking a clip up: hashes vote for (track, offset), the best of these are verified on the
spectrogram itself (`verify`), and what remains is ranked.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from songid_desktop.landmark.clip import Clip, analyse
from songid_desktop.landmark.config import LandmarkConfig, SearchConfig
from songid_desktop.landmark.index import Part
from songid_desktop.landmark.lookup import count_votes, starts_in, worth_it
from songid_desktop.landmark.verify import (
    Candidate,
    among_best,
    score_beside,
    score_elsewhere,
    verify,
)

__all__ = [
    "Candidate",
    "Clip",
    "Votes",
    "analyse",
    "most_votes",
    "score_beside",
    "score_elsewhere",
    "search",
]

IntArray = npt.NDArray[np.int64]

_SPARE = 3
"""Times as many bins are looked through for those that are verified, of which one track may have
one in `_REPEATS`."""
_REPEATS = 8


@dataclass(frozen=True, slots=True)
class Votes:
    """Votes of one part: bins of one frame, the clip's beginning on the part's line, in order."""

    part: Part
    frame: IntArray
    count: IntArray
    total: IntArray
    """`count` with what the neighbours have."""

    def near(self, line_frame: int, reach: int) -> tuple[IntArray, IntArray]:
        """Bins within ± `reach` frames, relative to `line_frame`, and their counts."""
        low, high = np.searchsorted(self.frame, [line_frame - reach, line_frame + reach + 1])
        return self.frame[low:high] - line_frame, self.count[low:high]


def postings_budget(config: SearchConfig, clip_s: float, tracks: int) -> int:
    """Postings that a look-up may cost: with the library's size it grows slower than that."""
    usual = config.hits + config.hits_per_s * clip_s
    grown = usual * (tracks / config.hits_tracks) ** config.hits_growth
    return int(max(usual, min(grown, config.hits_most)))


def search(
    parts: Sequence[Part], clip: Clip, config: LandmarkConfig
) -> tuple[list[Candidate], list[Votes]]:
    """Candidates, best first, every track once; and all the votes."""
    clip_s = clip.n_frames * config.peaks.frame_s
    tracks = sum(int(part.alive.sum()) for part in parts)
    budget = postings_budget(config.search, clip_s, tracks)
    all_votes = _vote(parts, clip, budget)
    proposed = _proposed(all_votes, config.search.proposals(clip_s, tracks))
    return verify(proposed, clip), all_votes


def most_votes(
    all_votes: Sequence[Votes], first: Candidate, others: Collection[int]
) -> tuple[int, int]:
    """Most votes for any place of a candidate's track, and for any place of any other track that
    is not among `others`."""
    own = rest = 0
    for votes in all_votes:
        part, frame = votes.part, votes.frame
        is_rest = np.ones(len(frame), np.bool_)
        if not part.alive.all():
            is_rest = part.alive[part.segment.track_at(frame)]
        for track_id in {first.track_id, *others}:
            row = part.row_of(track_id)
            if row is None:
                continue
            low, high = np.searchsorted(frame, part.segment.place_of(row))
            is_rest[low:high] = False
            if track_id == first.track_id and part is first.part:
                own = max(own, int(votes.total[low:high].max(initial=0)))
        rest = max(rest, int(votes.total.max(initial=0, where=is_rest)))
    return own, rest


def _vote(parts: Sequence[Part], clip: Clip, budget: int) -> list[Votes]:
    """Let the hashes of the clip that are worth their postings vote for where it begins."""
    # The same hash often comes from both frame phases.
    is_new = np.ones(len(clip.keys), np.bool_)
    np.not_equal(clip.keys[1:], clip.keys[:-1], out=is_new[1:])
    own, every = clip.keys[is_new], np.cumsum(is_new) - 1
    found = [part.segment.buckets(own) for part in parts]
    ranges = [(low[every], high[every]) for low, high in found]
    chosen = np.flatnonzero(worth_it(ranges, clip.key_rank, budget))
    back = -(-clip.key_step[chosen] // clip.steps_per_frame)
    counted = [
        count_votes(starts_in(part.segment, low[chosen], high[chosen], back))
        for part, (low, high) in zip(parts, ranges, strict=True)
    ]
    return [
        Votes(part, frame, count, _summed_with_neighbours(frame, count))
        for part, (frame, count) in zip(parts, counted, strict=True)
    ]


def _proposed(all_votes: list[Votes], wanted: int) -> list[tuple[Part, IntArray, IntArray]]:
    """Bins with most votes of every part, and these votes; not all of one track that repeats
    itself."""
    totals = [votes.total for votes in all_votes]
    few = []
    for votes, total, best in zip(
        all_votes, totals, _shortlist(totals, _SPARE * wanted), strict=True
    ):
        row = votes.part.segment.track_at(votes.frame[best])
        few.append(best[among_best(row, total[best], wanted // _REPEATS)])
    kept = [total[best] for total, best in zip(totals, few, strict=True)]
    return [
        (votes.part, votes.frame[best[some]], total[some])
        for votes, total, best, some in zip(
            all_votes, kept, few, _shortlist(kept, wanted), strict=True
        )
    ]


def _summed_with_neighbours(frame: IntArray, count: IntArray) -> IntArray:
    """A true offset falls between bins, so each bin is given what its neighbours got."""
    total = count.copy()
    adjacent = np.diff(frame) == 1
    total[:-1] += np.where(adjacent, count[1:], 0)
    total[1:] += np.where(adjacent, count[:-1], 0)
    return total


def _shortlist(totals: list[IntArray], wanted: int) -> list[IntArray]:
    """Positions of the bins with most votes over all parts, `wanted` in all."""
    joined = np.concatenate([*totals, np.zeros(0, np.int64)])
    if len(joined) > wanted:
        threshold = np.partition(joined, len(joined) - wanted)[len(joined) - wanted]
    else:
        threshold = np.int64(0)
    chosen = []
    room = wanted - int((joined > threshold).sum())
    for total in totals:
        sure = np.flatnonzero(total > threshold)
        even = np.flatnonzero(total == threshold)[: max(0, room)]
        room -= len(even)
        chosen.append(np.sort(np.concatenate([sure, even])))
    return chosen
