"""Errors for people. Each message says what happened, what still works and what to do.

`EnvironmentProblem` and its kin are the world's doing (disk, permissions, devices) and end a
command with
exit code 3; `UsageError` is the caller's (exit code 2). Anything else that surfaces is a bug.
"""

from __future__ import annotations

from songid_desktop.types import FileProblem


class SongIDError(Exception):
    """Base of every error we raise on purpose; `str(error)` is fit to be shown."""


class UsageError(SongIDError):
    """The request itself can't be carried out as given."""


class Cancelled(SongIDError):
    """The caller asked for an early end."""

    def __init__(self, message: str = "Cancelled.") -> None:
        super().__init__(message)


class EnvironmentProblem(SongIDError):
    """Something outside the program stands in the way: disk, permission, device, missing system
    library."""


class CatalogError(EnvironmentProblem):
    """The catalog can't be opened, read or written."""


class CatalogBusy(CatalogError):
    """Another process holds the catalog's writer lock; the message names it."""


class CatalogDamaged(CatalogError):
    """The database fails SQLite's own checks."""


class CatalogTooNew(CatalogError):
    """The database was written by a newer version of this program."""


class NothingEnrolled(EnvironmentProblem):
    """The chosen identifier has no tracks; the message carries the command that enrols some."""


class DeviceError(EnvironmentProblem):
    """No sound can be had from the chosen source at present."""


class AudioFileError(SongIDError):
    """A file can't be used as sound. `problem` is the reason code, the message the sentence
    beside it."""

    def __init__(self, problem: FileProblem, message: str) -> None:
        super().__init__(message)
        self.problem = problem

    def __reduce__(self) -> tuple[type[AudioFileError], tuple[FileProblem, str]]:
        # Exceptions with extra arguments do not survive the trip from a worker process alone.
        return (AudioFileError, (self.problem, str(self)))
