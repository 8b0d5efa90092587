"""What the window's enrolment can be asked for, and what it says when that fails."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from songid_desktop.errors import SongIDError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class EnrolRequest:
    """Something to enrol: files and folders, the demo tunes, or what the library has already and
    another identifier lacks."""

    roots: tuple[Path, ...] = ()
    identifiers: tuple[str, ...] = ("landmark",)
    jobs: int = 0
    is_demo: bool = False
    is_preparation: bool = False


def describe_failure(error: Exception) -> str:
    """A sentence fit to be shown: what happened, what still works, what to do."""
    if isinstance(error, SongIDError):
        return str(error)
    log.error("The enrolment failed.", exc_info=error)
    if isinstance(error, OSError):
        what = error.strerror or str(error)
        return (
            f"Enrolment stopped: {what}. The tracks added so far are kept; mend that and try again."
        )
    return (
        "Enrolment stopped because of a fault in this program. The tracks added so far are kept; "
        "the log says more."
    )
