"""What the Listen page says of an identifier that can't name anything yet, and what to do then.

Pure functions beside `answer_words`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from songid_desktop.ui.answer_words import Action, Words
from songid_desktop.ui.wording import plural

if TYPE_CHECKING:
    from songid_desktop.ui.identifiers import IdentifierStatus


def not_ready(status: IdentifierStatus | None) -> Words | None:
    """Why the chosen identifier can name nothing, though the library holds tracks; None where it
    can, and where the library is empty."""
    if status is None:
        return None
    if not status.info.is_installed:
        return not_installed(status)
    if not status.tracks or status.enrolled:
        return None
    return preparing(status) if status.is_preparing else unprepared(status)


def not_installed(status: IdentifierStatus) -> Words:
    """Its model is not on this computer."""
    return Words(
        f"{status.label} is not installed",
        status.info.needs or "Its model is not on this computer.",
        icon="info",
        action=Action.MODELS,
        is_idle=True,
    )


def unprepared(status: IdentifierStatus) -> Words:
    """It knows none of the tracks."""
    if not status.pending:  # it was tried, and made nothing of any of them
        return Words(
            f"{status.label} knows no track",
            "None of your tracks could be prepared for it. The Library page says why.",
            icon="warning",
            role="warn",
            action=Action.LIBRARY,
            is_idle=True,
        )
    return Words(
        f"{status.label} does not know your library yet",
        f"Your {plural(status.tracks, 'track')} can be prepared for it in the background.",
        icon="library",
        action=Action.PREPARE,
        is_idle=True,
    )


def preparing(status: IdentifierStatus) -> Words:
    """It is learning the first of them."""
    return Words(
        f"{status.label} is learning your library",
        f"The first of your {plural(status.tracks, 'track')} can be named in a moment.",
        icon="library",
        is_idle=True,
    )


def can_name(status: IdentifierStatus | None) -> str:
    """How much can be named, as a sentence; empty where it is not known."""
    if status is None or not status.tracks:
        return ""
    if status.enrolled >= status.tracks:
        return f"{plural(status.enrolled, 'track')} can be named."
    so_far = " so far" if status.is_preparing else ""
    return f"{status.enrolled:,} of {plural(status.tracks, 'track')} can be named{so_far}."
