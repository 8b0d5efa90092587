"""What the window says of a model and offers to do with it: state in, words and buttons out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from songid_desktop.neural.pace import InstallProgress, Step
from songid_desktop.neural.state import State
from songid_desktop.ui.wording import one_line, time_left

if TYPE_CHECKING:
    from songid_desktop.neural.install import Offer
    from songid_desktop.neural.roster import Listed

SHOWN_DIGITS = 12
"""Of a commit or checksum; the whole one is in the hint."""


class Doing(StrEnum):
    """What the window is doing with a model."""

    NOTHING = "nothing"
    ASKING = "asking"
    OFFERING = "offering"
    INSTALLING = "installing"
    VERIFYING = "verifying"
    CONFIRMING = "confirming"
    """Whether it is really to be removed."""
    REMOVING = "removing"


@dataclass(frozen=True, slots=True)
class Activity:
    """What is going on with one model in this window, and how the last thing ended."""

    doing: Doing = Doing.NOTHING
    offer: Offer | None = None
    progress: InstallProgress | None = None
    trouble: str = ""
    """A sentence, when the last thing failed."""
    is_right: bool | None = None
    """What the last check found."""
    is_ending: bool = False
    """It was asked to end."""


@dataclass(frozen=True, slots=True)
class Action:
    """A button or an entry of the row's menu: what it asks for, its words and its hint."""

    key: str
    label: str
    hint: str
    icon: str = ""
    role: str = ""
    """Of the button, as in `stylesheet`."""


@dataclass(frozen=True, slots=True)
class RowView:
    """Everything a row shows."""

    words: str
    role: str = "muted"
    buttons: tuple[Action, ...] = ()
    menu: tuple[Action, ...] = ()
    share: float | None = None
    """Of the work, 0 … 1; None where no bar is shown, below 0 where the share is not known."""
    marks: str = ""
    """Commit and checksum, shortened."""
    marks_hint: str = ""


def megabytes(size_bytes: float) -> str:
    """A size as people read it."""
    if size_bytes < 1e6:
        return f"{size_bytes / 1e3:.0f} kB"
    if size_bytes < 1e7:
        return f"{size_bytes / 1e6:.1f} MB"
    return f"{size_bytes / 1e6:,.0f} MB"


def licence_words(licence: str) -> str:
    """The model card's licence, said as the card's."""
    if not licence:
        return "its model card states no licence"
    limits = ", no commercial use" if "-nc" in licence.casefold() else ""
    return f"licence {one_line(licence)}{limits}"


_ASK = Action("ask", "Install…", "Ask the model hub for its size and licence; you decide then")
_RESUME = Action("install", "Resume", "Go on where it stopped; what has arrived is used")
_AGAIN = Action("install", "Try again", "Try once more; what has arrived is used")
_REPAIR = Action("ask", "Install again…", "Fetch it again from the model hub")
_CANCEL = Action("cancel", "Cancel", "End this now; what has arrived is kept")
_FROM = Action("from", "From a folder…", "Install it from a folder on this computer", "folder")
_VERIFY = Action("verify", "Check", "Compare every byte with what was installed", "check")
_UPDATE = Action("ask", "Look for a newer version…", "Ask the model hub", "refresh")
_REMOVE = Action("confirm", "Remove…", "Delete it from this computer", "trash")
_DISCARD = Action("confirm", "Remove what has arrived…", "Delete the pieces", "trash")


def view(model: Listed, activity: Activity) -> RowView:
    """How a model's row looks now."""
    marks, hint = _marks(model)
    busy = _BUSY.get(activity.doing)
    if busy is not None:
        return replace(busy(model, activity), marks=marks, marks_hint=hint)
    words, role = _words(model), "muted"
    if model.state is State.DAMAGED or (model.origin == "shipped" and model.message):
        role = "warn"
    if activity.trouble:
        words, role = one_line(activity.trouble), "warn"
    elif activity.is_right:
        words, role = f"As installed: every byte was checked. {words}", "ok"
    is_failed = bool(activity.trouble) and model.state is not State.INSTALLED
    buttons, menu = _offered(model, is_failed=is_failed)
    return RowView(words, role, buttons, menu, _share_here(model), marks, hint)


def _offered(model: Listed, *, is_failed: bool) -> tuple[tuple[Action, ...], tuple[Action, ...]]:
    """Buttons and menu of a model that nothing is being done with."""
    if model.origin == "shipped":
        return (), (_VERIFY,) if model.path is not None else ()
    fetches = model.origin == "official"
    buttons: dict[State, tuple[Action, ...]] = {
        State.DAMAGED: (_REPAIR,) if fetches else (),
        State.PARTIAL: (_AGAIN if is_failed else _RESUME,),
        State.ABSENT: (_AGAIN_ASKING if is_failed else _ASK,) if fetches else (_CLOSE,),
    }
    menu: dict[State, tuple[Action, ...]] = {
        State.INSTALLED: (_VERIFY, *((_UPDATE, _FROM) if fetches else ()), _REMOVE),
        State.DAMAGED: (*((_FROM,) if fetches else ()), _REMOVE),
        State.PARTIAL: (_FROM, _DISCARD),
        State.ABSENT: (_FROM,),
    }
    return buttons.get(model.state, ()), menu.get(model.state, ())


_CLOSE = Action("leave", "Close", "Close this message; nothing was installed")
_AGAIN_ASKING = Action("ask", "Try again", "Ask the model hub once more")


def _share_here(model: Listed) -> float | None:
    if model.state is not State.PARTIAL or not model.size_bytes:
        return None
    return model.arrived_bytes / model.size_bytes


def _words(model: Listed) -> str:
    """A model's state in a line."""
    size = megabytes(model.size_bytes)
    if model.message:
        return one_line(model.message)
    if model.state is State.SHIPPED:
        licence = f" · {licence_words(model.licence)}" if model.licence else ""
        return f"Comes with the program · {size}{licence}"
    if model.state is State.INSTALLED:
        return f"Installed · {size} · {licence_words(model.licence)}"
    if model.state is State.PARTIAL:
        licence = f" · {licence_words(model.licence)}" if model.licence else ""
        return f"{megabytes(model.arrived_bytes)} of {size} are here{licence}"
    if model.state is State.BUSY:
        return "Another program is changing it at this moment."
    return f"Not installed · about {size}"


def _marks(model: Listed) -> tuple[str, str]:
    """Where it comes from and its checksum; short, and whole for the hint."""
    pairs = [("commit", model.commit), ("SHA-256", model.sha256)]
    known = [(name, value) for name, value in pairs if value]
    short = " · ".join(f"{name} {value[:SHOWN_DIGITS]}" for name, value in known)
    long = [f"{name} {value}" for name, value in known]
    where = [str(model.path)] if model.path is not None else []
    return one_line(short), "\n".join([model.name, *long, *where])


# -- while something is being done ----------------------------------------------------------------


def _asking(_model: Listed, activity: Activity) -> RowView:
    words = "Ending…" if activity.is_ending else "Asking the model hub…"
    return RowView(words, buttons=(_CANCEL,), share=-1.0)


def _offering(model: Listed, activity: Activity) -> RowView:
    offer = activity.offer
    assert offer is not None
    if model.state is State.INSTALLED and offer.model.commit == model.commit:
        words = f"This is the newest version. {_words(model)}"
        return RowView(words, "ok", (Action("leave", "OK", "Close this message"),))
    size, licence = megabytes(offer.size_bytes), licence_words(offer.model.licence)
    said = licence[0].upper() + licence[1:]
    said += ", as its model card says" if offer.model.licence else ""
    here = f", {megabytes(model.arrived_bytes)} of it are here" if model.arrived_bytes else ""
    return RowView(
        f"{size}{here}. {said}. Version {offer.model.commit[:SHOWN_DIGITS]}.",
        "",
        (
            Action("install", "Download", f"Fetch {size} from the model hub"),
            Action("leave", "Not now", "Leave it as it is"),
        ),
    )


def _installing(_model: Listed, activity: Activity) -> RowView:
    progress = activity.progress
    cancel = (_CANCEL,)
    if activity.is_ending:
        return RowView("Ending…", buttons=cancel, share=-1.0)
    if progress is None or progress.step is Step.ASKING:
        return RowView("Asking the model hub…", buttons=cancel, share=-1.0)
    if progress.step is Step.CONVERTING:
        return RowView("Converting the weights, once…", buttons=cancel, share=-1.0)
    if progress.step in (Step.CHECKING, Step.DONE):
        return RowView("Checking…", buttons=cancel, share=-1.0)
    total = max(1, progress.total_bytes)
    parts = [f"{megabytes(progress.done_bytes)} of {megabytes(total)}"]
    if progress.waits_for:
        parts.append(f"waiting to try again: {progress.waits_for}")
    if progress.rate_bytes_s > 0:
        parts.append(f"{progress.rate_bytes_s / 1e6:.1f} MB/s")
    if progress.rate_bytes_s > 0 or progress.eta_s is not None:
        parts.append(time_left(progress.eta_s))
    return RowView(" · ".join(parts), buttons=cancel, share=progress.done_bytes / total)


def _verifying(_model: Listed, activity: Activity) -> RowView:
    progress = activity.progress
    share = progress.done_bytes / max(1, progress.total_bytes) if progress is not None else -1.0
    return RowView("Checking every byte…", buttons=(_CANCEL,), share=share)


def _confirming(model: Listed, _activity: Activity) -> RowView:
    size = megabytes(model.arrived_bytes if model.state is State.PARTIAL else model.size_bytes)
    again = "fetched" if model.origin == "official" else "copied"
    return RowView(
        f"Delete {size} from this computer? To use it later it has to be {again} again.",
        "",
        (
            Action("remove", "Remove", "Delete it now", role="danger"),
            Action("leave", "Keep", "Leave it as it is"),
        ),
    )


def _removing(_model: Listed, _activity: Activity) -> RowView:
    return RowView("Removing…", share=-1.0)


_BUSY = {
    Doing.ASKING: _asking,
    Doing.OFFERING: _offering,
    Doing.INSTALLING: _installing,
    Doing.VERIFYING: _verifying,
    Doing.CONFIRMING: _confirming,
    Doing.REMOVING: _removing,
}
