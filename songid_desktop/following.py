"""An index that follows a catalog: it holds what the catalog holds, and is never the only copy.

What it saved is adopted when it is sound, of this configuration and made from this catalog; what
the catalog holds beyond that is taken in; whatever is missing, damaged or of another catalog is
made again from the stored fingerprints. What an index is made of is the business of the room it
stands in (`landmark.index`, `neural.index`).
"""

from __future__ import annotations

import logging
import zlib
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from songid_desktop.manifest import ManifestDamaged, Mark, mark
from songid_desktop.types import FingerprintChange, FingerprintReader

log = logging.getLogger(__name__)

_ATTEMPTS = 3
"""To read what a writer may be replacing at that moment."""
_COMPARED = 5
"""Tracks compared with the catalog to tell whether the index was made from it."""

Contents = TypeVar("Contents")


@dataclass(frozen=True, slots=True)
class Saved(Generic[Contents]):
    """What was found on disk.

    Attributes
    ----------
    catalog : str
        Name of the catalog it was made from.
    revision : int
        Of that catalog, up to which it goes.
    contents
        What can be used of it.
    faults : sequence of str
        What is wrong with the rest.
    unreadable : tuple of int
        Tracks whose fingerprints could not be used.
    """

    catalog: str
    revision: int
    contents: Contents
    faults: Collection[str]
    unreadable: tuple[int, ...] = ()


class CatalogFollower(ABC, Generic[Contents]):
    """Follows one identifier's fingerprints in one catalog. One thread at a time.

    Parameters
    ----------
    directory : Path
        Where the index may lie.
    identifier, digest : str
        Whose fingerprints the reader is asked for.
    """

    def __init__(self, directory: Path, identifier: str, digest: str) -> None:
        self.directory = directory
        self._identifier = identifier
        self._digest = digest
        self._reader: FingerprintReader | None = None
        self._adopted: Mark | None = None
        self._revision = 0
        self._catalog = ""
        self._incomplete = False
        self.rebuilt_because = ""
        """Why the stored index, or a part of it, was set aside at the last `open` or `refresh`;
        empty normally."""

    # -- what each kind of index does in its own way --------------------------------------------

    @abstractmethod
    def _drop(self) -> None:
        """Hold nothing, and look at no files."""

    @abstractmethod
    def _read(self) -> Saved[Contents]:
        """What lies on disk.

        Raises
        ------
        ManifestDamaged
        """

    @abstractmethod
    def _use(self, saved: Saved[Contents]) -> None:
        """Hold what was read."""

    def _let_go(self, contents: Contents) -> None:
        """Close what was read and is not used."""
        del contents

    @abstractmethod
    def _damage(self) -> list[str]:
        """Set aside what a check has found damaged since the last call; and what that was."""

    def _look_around(self) -> None:
        """What there is to do at every `refresh` beside following the catalog."""

    @abstractmethod
    def _checksum(self, track_id: int, revision: int) -> int | None:
        """CRC-32 of the bytes a track was taken from, 0 where that is not known; None where the
        track is not held, -1 where it is held from another revision."""

    @abstractmethod
    def _is_unreadable(self, track_id: int) -> bool:
        """Whether a track's fingerprint could not be used."""

    @abstractmethod
    def _take(self, change: FingerprintChange, payload: bytes) -> None:
        """Make a track findable, or remember that it is unreadable."""

    @abstractmethod
    def remove(self, track_id: int) -> None:
        """Make a track unfindable; unknown numbers are fine."""

    def _settle(self) -> None:
        """After a number of changes."""

    @property
    @abstractmethod
    def track_count(self) -> int:
        """Tracks that can be found."""

    @property
    @abstractmethod
    def _unreadable_count(self) -> int: ...

    # -- following ------------------------------------------------------------------------------

    @property
    def revision(self) -> int:
        """The catalog's revision that is taken in."""
        return self._revision

    def open(self, reader: FingerprintReader) -> None:
        """Map what is on disk, check it, and take in what the catalog holds beyond it."""
        self._reader = reader
        self._load()
        self._catch_up()

    def refresh(self) -> bool:
        """Take in changes of the catalog, adopting what another process saved meanwhile; whether
        there were any."""
        if self._reader is None:
            return False
        if faults := self._damage():
            self._report_faults(faults)
            self._catch_up()
            return True
        self._look_around()
        if self._reader.revision() == self._revision:
            return False
        if mark(self.directory) != self._adopted:
            self._load()
        self._catch_up()
        return True

    def close(self) -> None:
        """Let go of files and memory."""
        self._forget()
        self._reader = None

    def _forget(self) -> None:
        self._drop()
        self._revision = 0
        self._catalog = ""
        self._incomplete = False

    def _start_over(self, reason: str) -> None:
        log.info("The %s index is being rebuilt: %s.", self._identifier, reason)
        self.rebuilt_because = reason
        self._forget()

    def _report_faults(self, faults: Iterable[str]) -> None:
        self.rebuilt_because = "; ".join(faults)
        self._incomplete = True
        log.info(
            "Part of the %s index is being rebuilt: %s.", self._identifier, self.rebuilt_because
        )

    def _follow_up(self) -> None:
        """Before saving: begin again from what somebody else has saved since, if so; what this
        process maps may have no name any more."""
        if self._reader is not None and mark(self.directory) != self._adopted:
            self._load()
            self._catch_up()

    def _load(self) -> None:
        self.rebuilt_because = ""
        self._forget()
        # A writer may take files away between the manifest and them; then there is a newer one.
        for attempt in range(1, _ATTEMPTS + 1):
            self._adopted = mark(self.directory)
            if self._adopted is None:
                return
            is_last = attempt == _ATTEMPTS
            try:
                saved = self._read()
            except ManifestDamaged as problem:
                if is_last or mark(self.directory) == self._adopted:
                    self._start_over(str(problem))
                    return
                continue
            if saved.faults and not is_last and mark(self.directory) != self._adopted:
                self._let_go(saved.contents)
                continue
            self._revision, self._catalog = saved.revision, saved.catalog
            self._use(saved)
            if saved.faults:
                self._report_faults(saved.faults)
            return

    def _catch_up(self) -> None:
        reader = self._reader
        assert reader is not None
        catalog = reader.catalog_id()
        is_other = bool(self._catalog and catalog) and self._catalog != catalog
        if is_other or reader.revision() < self._revision or not self._is_of(reader):
            self._start_over("the catalog is another one, or an older copy of it")
        self._catalog = catalog
        if self._incomplete:
            self._restore(reader)
        self._take_changes(reader)
        expected = reader.fingerprint_count(self._identifier, self._digest)
        is_settled = reader.revision() == self._revision  # else there is more to take in anyway
        if is_settled and expected != self.track_count + self._unreadable_count:
            # Only a catalog that was exchanged under the index can lead here.
            self._start_over("it does not fit the catalog")
            self._catalog = catalog
            self._take_changes(reader)

    def _is_of(self, reader: FingerprintReader) -> bool:
        """Whether a few fingerprints of the catalog, old and new, are those the index holds."""
        for part in range(_COMPARED):
            since = self._revision * part // _COMPARED
            change = next(iter(reader.changes(self._identifier, self._digest, since)), None)
            if change is None or change.fingerprint is None or change.revision > self._revision:
                continue
            known = self._checksum(change.track_id, change.revision)
            if known is None:
                # A part that was set aside may have held it.
                if not (self._is_unreadable(change.track_id) or self._incomplete):
                    return False
            elif known and known != zlib.crc32(change.fingerprint.payload):
                return False
        return True

    def _restore(self, reader: FingerprintReader) -> None:
        """Take tracks from the catalog that were in a part which had to be set aside."""
        for change in reader.changes(self._identifier, self._digest, 0):
            if change.revision > self._revision or change.fingerprint is None:
                continue  # comes with the changes
            is_there = self._checksum(change.track_id, change.revision) is not None
            if not (is_there or self._is_unreadable(change.track_id)):
                self._take(change, change.fingerprint.payload)
        self._incomplete = False
        self._settle()

    def _take_changes(self, reader: FingerprintReader) -> None:
        newest = reader.revision()
        if newest == self._revision:
            return
        for change in reader.changes(self._identifier, self._digest, self._revision):
            if change.fingerprint is None:
                self.remove(change.track_id)
            else:
                self._take(change, change.fingerprint.payload)
        self._revision = newest
        self._settle()
