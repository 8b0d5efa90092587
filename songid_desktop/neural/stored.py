"""Vectors of tracks where they are stored: read from the catalog a few rows at a time.

The catalog's bytes are the only copy of the vectors. A score needs those of a few seconds of some
tracks; whole tracks are read where a reader can't do better.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from songid_desktop.neural.vectors import HEAD_BYTES, unpack
from songid_desktop.types import FingerprintReader

_KEPT_TRACKS = 32


@runtime_checkable
class PartialReader(Protocol):
    """What a reader of fingerprints may offer beyond `types.FingerprintReader`."""

    def payload_part(
        self, identifier: str, config_digest: str, track_id: int, start: int, length: int
    ) -> bytes | None:
        """Some bytes of a stored fingerprint, fewer where it ends; None where there is none."""
        ...


class StoredVectors:
    """The vectors of one identifier in one catalog."""

    def __init__(self, reader: FingerprintReader, identifier: str, digest: str) -> None:
        self._reader = reader
        self._identifier = identifier
        self._digest = digest
        self._partial = reader if isinstance(reader, PartialReader) else None
        self._kept: OrderedDict[int, tuple[int, npt.NDArray[np.int8] | None]] = OrderedDict()

    def rows(
        self, track_id: int, revision: int, dim: int, first: int, count: int
    ) -> npt.NDArray[np.int8]:
        """Rows `first` … ``first + count`` of a track, int8 (up to count, dim); fewer, or none,
        where the catalog has changed since."""
        if self._partial is not None:
            data = self._partial.payload_part(
                self._identifier, self._digest, track_id, HEAD_BYTES + first * dim, count * dim
            )
            data = data or b""
            return np.frombuffer(data, np.int8, len(data) // dim * dim).reshape(-1, dim)
        whole = self._whole(track_id, revision)
        if whole is None or whole.shape[1] != dim:
            return np.zeros((0, dim), np.int8)
        return whole[first : first + count]

    def _whole(self, track_id: int, revision: int) -> npt.NDArray[np.int8] | None:
        known = self._kept.get(track_id)
        if known is not None and known[0] == revision:
            self._kept.move_to_end(track_id)
            return known[1]
        values = None
        # Its own change is the first one after the one before it.
        changes = self._reader.changes(self._identifier, self._digest, revision - 1)
        change = next(iter(changes), None)
        if change is not None and change.fingerprint is not None and change.track_id == track_id:
            try:
                values = unpack(change.fingerprint.payload).values
            except ValueError:
                values = None
        self._kept[track_id] = revision, values
        while len(self._kept) > _KEPT_TRACKS:
            self._kept.popitem(last=False)
        return values
