"""Whether an index was made from a catalog, as that catalog is now."""

from __future__ import annotations

import zlib

from songid_desktop.neural.contents import Contents
from songid_desktop.types import FingerprintReader

_COMPARED = 5
"""Tracks compared with the catalog."""


def is_of(
    reader: FingerprintReader,
    tracks: tuple[str, str],
    revision: int,
    contents: Contents,
    *,
    is_whole: bool,
) -> bool:
    """Whether a few fingerprints of the catalog, old and new, are those the index holds.

    Parameters
    ----------
    tracks : (str, str)
        Identifier and configuration that the reader is asked for.
    revision : int
        Of the catalog, up to which the index goes.
    is_whole : bool
        Whether the index must hold all of them; parts of it may have been set aside.
    """
    for part in range(_COMPARED):
        change = next(iter(reader.changes(*tracks, revision * part // _COMPARED)), None)
        if change is None or change.fingerprint is None or change.revision > revision:
            continue
        known = contents.origin(change.track_id)
        if known is None:
            if change.track_id not in contents.unreadable and is_whole:
                return False
        elif known != (change.revision, zlib.crc32(change.fingerprint.payload)):
            return False
    return True
