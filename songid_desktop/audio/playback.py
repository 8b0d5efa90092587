"""Plays a local file from any offset."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path


class Player:
    """Plays one file at a time through the default output.

    Parameters
    ----------
    on_end : callable or None
        Called on the player's own thread with "" when a track came to its end, or with a sentence
        when it could not be played (on). Not called after `stop`, nor for a track that another
        `play` replaced.
    """

    def __init__(self, on_end: Callable[[str], None] | None = None) -> None:
        raise NotImplementedError

    @property
    def playing(self) -> Path | None:
        """The file being played."""
        raise NotImplementedError

    @property
    def position_s(self) -> float:
        """Where in the track what is heard now stands (s); 0.0 when nothing plays."""
        raise NotImplementedError

    def play(self, path: Path, start_s: float = 0.0) -> None:
        """Play `path` from `start_s`, instead of what plays now. Returns at once."""
        raise NotImplementedError

    def stop(self) -> None:
        """Fall silent within 100 ms."""
        raise NotImplementedError

    def close(self) -> None:
        """Stop and end the player's threads; may be called twice."""
        raise NotImplementedError
