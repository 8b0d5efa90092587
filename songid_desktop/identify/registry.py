"""Which identifiers there are, which of them can run here, and how to make one.

The front ends show `available()` as their chooser and never import a method by themselves; a
method that needs something more (weights, a library) is listed with what it needs. A hidden one is
for evaluation: it works wherever it is named, and is listed and counted in "all" nowhere.

The learned ones are named after their models: those that travel with the program, and, once they
are installed in the folders that `look_in` was told of, published checkpoints and the user's own.
What their vectors are called is read from small files beside the weights, so that a start never
imports torch.
"""

from __future__ import annotations

import functools
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from songid_desktop.errors import UsageError
from songid_desktop.paths import Paths
from songid_desktop.types import Fingerprinter, Identifier

if TYPE_CHECKING:
    from songid_desktop.neural.models import ModelPlace

DEFAULT_IDENTIFIER = "landmark"
ALL = "all"


@dataclass(frozen=True, slots=True)
class IdentifierInfo:
    """One entry of the chooser. `needs` says in a sentence what is missing where it can't run."""

    name: str
    label: str
    description: str
    is_installed: bool
    needs: str = ""
    is_hidden: bool = False
    """For evaluation only: never offered, never part of "all"."""


_LANDMARK = IdentifierInfo(
    name="landmark",
    label="Landmark",
    description="Fingerprints of spectral peaks: exact recordings, in noise and over a "
    "loudspeaker, with the position to a few hundredths of a second.",
    is_installed=True,
)
_REPORT = IdentifierInfo(
    name="report",
    label="Report",
    description="The report's own landmark configuration, the baseline of evaluations.",
    is_installed=True,
    is_hidden=True,
)


_LEARNED = {
    "cnn": (
        "CNN",
        (
            "A convolutional network that was trained to know a second of music again in noise "
            "and in rooms: exact recordings, also where a loudspeaker and a room blur the peaks."
        ),
    ),
    "ast": (
        "AST",
        (
            "An audio spectrogram transformer, trained like the CNN: patches of the spectrogram "
            "instead of convolutions."
        ),
    ),
    "mert": (
        "MERT",
        (
            "The encoder of MERT and HuBERT, trained like the CNN: a transformer over the course "
            "of the sound."
        ),
    ),
}
_NEEDED_LIBRARIES = {"torch": "PyTorch", "faiss": "FAISS", "safetensors": "safetensors"}
_places: list[Paths] = []


def look_in(paths: Paths) -> None:
    """Offer what is installed in these folders from now on, in place of others named before."""
    _places[:] = [paths]


def looked_in() -> Paths | None:
    """What `look_in` was told last: for worker processes, which begin without it."""
    return _places[0] if _places else None


def every() -> tuple[IdentifierInfo, ...]:
    """Every identifier this version knows, hidden ones too, the default first."""
    return (_LANDMARK, *map(_learned_info, _learned_places()), _REPORT)


def _learned_places() -> list[ModelPlace]:
    """The shipped models whether they are there or not, and installed ones."""
    from songid_desktop.neural import models
    from songid_desktop.paths import default_paths

    everywhere = models.every(_places[0] if _places else default_paths())
    return [
        place
        for place in everywhere
        if place.origin == "shipped" or (_places and place.is_installed and place.name)
    ]


def _learned_info(place: ModelPlace) -> IdentifierInfo:
    label, description = _LEARNED[place.name]
    if place.origin == "official":
        label = place.label
        description = f"The published checkpoint, as its authors trained it ({place.path.name})."
    elif place.origin == "local":
        description = f"A model of your own, “{place.label}”: {label} with other weights."
        label = place.label
    needs = place.needs or _missing_library() or _fault(place)
    return IdentifierInfo(place.key, label, description, is_installed=not needs, needs=needs)


def _missing_library() -> str:
    """What this computer lacks to run a model, as a sentence."""
    for module, name in _NEEDED_LIBRARIES.items():
        if importlib.util.find_spec(module) is None:
            return (
                f"It needs {name}, which is not installed here; there is no build of it for every "
                "computer. Landmark works without it."
            )
    return ""


def _fault(place: ModelPlace) -> str:
    """Why a model that is there can't be used; empty where nothing is known against it."""
    return _digest_or_fault(place)[1]


def _digest_or_fault(place: ModelPlace) -> tuple[str, str]:
    """What a model's vectors are called, and why it can't be used: one of the two. Its description
    is read again when it has changed."""
    return _read(place, (_stamp(place.described), _stamp(place.lock)))


def _stamp(path: Path) -> tuple[int, int]:
    """Changes with a file."""
    try:
        status = path.stat()
    except OSError:
        return 0, 0
    return status.st_mtime_ns, status.st_size


@functools.lru_cache(maxsize=128)
def _read(place: ModelPlace, stamp: tuple[tuple[int, int], ...]) -> tuple[str, str]:
    from songid_desktop.neural.config import ModelError

    del stamp
    try:
        return place.digest(), ""
    except (ModelError, OSError) as error:
        return "", str(error)


def _place(name: str) -> ModelPlace | None:
    """Where the model of an identifier lies; None for one that needs none."""
    return next((place for place in _learned_places() if place.key == name), None)


def available() -> tuple[IdentifierInfo, ...]:
    """The identifiers to offer, the default first. Cheap: imports no method."""
    return tuple(info for info in every() if not info.is_hidden)


def installed_names() -> tuple[str, ...]:
    """Names of the identifiers to offer that can run here."""
    return tuple(info.name for info in available() if info.is_installed)


def describe(name: str) -> IdentifierInfo:
    """The entry called `name`, hidden or not.

    Raises
    ------
    UsageError
        When there is none, or it can't run here; the message lists those that can.
    """
    for info in every():
        if info.name == name:
            if not info.is_installed:
                raise UsageError(f"The identifier “{name}” can't run here: {info.needs}")
            return info
    known = ", ".join(installed_names())
    raise UsageError(f"There is no identifier called “{name}”. Installed: {known}.")


def resolve_names(text: str) -> tuple[str, ...]:
    """Turn ``"landmark,cnn"`` or ``"all"`` into names, each once, in the order given.

    Raises
    ------
    UsageError
        For an unknown name or an empty list.
    """
    if text.strip() == ALL:
        return installed_names()
    names: list[str] = []
    for part in text.split(","):
        name = part.strip()
        if name and name not in names:
            describe(name)
            names.append(name)
    if not names:
        raise UsageError(f"No identifier was named. Installed: {', '.join(installed_names())}.")
    return tuple(names)


def create(name: str, paths: Paths) -> Identifier:
    """A new identifier whose index lives below `paths.index`; not opened yet."""
    if not _places:
        look_in(paths)
    describe(name)
    if name == _REPORT.name:
        from songid_desktop.identify.report import ReportIdentifier

        return ReportIdentifier(paths.index / name)
    place = _place(name)
    if place is not None:
        from songid_desktop.identify.neural import NeuralIdentifier

        return NeuralIdentifier(name, paths.index / name, place)
    from songid_desktop.identify.landmark import LandmarkIdentifier

    return LandmarkIdentifier(paths.index / name)


def fingerprinter(name: str) -> Fingerprinter:
    """The half of an identifier that enrolment sends to its worker processes.

    Raises
    ------
    ModelError
        The weights of a learned one are not those of its card.
    """
    describe(name)
    place = _place(name)
    if place is not None:
        from songid_desktop.identify.neural_fingerprinter import NeuralFingerprinter

        made = NeuralFingerprinter(name, place)
        made.check()
        return made
    if name == _REPORT.name:
        from songid_desktop.identify.report import report_fingerprinter

        return report_fingerprinter()
    from songid_desktop.identify.landmark import landmark_fingerprinter

    return landmark_fingerprinter()


def config_digests() -> dict[str, str]:
    """Name and present configuration digest of every identifier to offer: what the catalog needs
    to tell enrolled tracks from those that wait for a newer configuration."""
    found = {place.key: place for place in _learned_places()}
    return {
        name: _digest_or_fault(found[name])[0]
        if name in found
        else fingerprinter(name).config_digest
        for name in installed_names()
    }
