"""The models by name, and where each lies: those that travel with the program, the official
checkpoints that may be installed, what the user installed beside them, and any file or folder.

Looks at file names and small JSON alone; torch is never imported. A further model is one more row
here, or a path.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from songid_desktop.neural import geometry, layout, lockfile, official
from songid_desktop.neural.card import card_path, read_card
from songid_desktop.neural.config import Model, ModelError
from songid_desktop.paths import Paths, resource

Origin = Literal["shipped", "official", "local"]


@dataclass(frozen=True, slots=True)
class ModelPlace:
    """Where a model lies, and what a person wants to know of it."""

    key: str
    """What it is asked for by: an identifier's name, or a path."""
    name: str
    """The identifier that runs it: cnn, ast or mert; empty where a local one can't say."""
    label: str
    origin: Origin
    path: Path
    """Of the weights file, or of the checkpoint's folder."""
    about_bytes: int = 0
    """Of a checkpoint that is not installed, about."""

    @property
    def weights(self) -> Path:
        return self.path / layout.WEIGHTS if self.path.suffix != ".safetensors" else self.path

    @property
    def is_installed(self) -> bool:
        """Whether its files are there; whether they are whole is seen when they are opened."""
        try:
            return self.weights.is_file() and self.described.is_file()
        except OSError:
            return False

    @property
    def described(self) -> Path:
        """The file that says what it is."""
        return self.path / layout.CONFIG if self._is_folder else card_path(self.path)

    @property
    def lock(self) -> Path:
        """The file that an installation leaves beside it."""
        return self.weights.parent / lockfile.LOCK_NAME

    @property
    def size_bytes(self) -> int:
        try:
            return self.weights.stat().st_size
        except OSError:
            return self.about_bytes

    @property
    def licence(self) -> str:
        """As its card or the lock file of its installation says; empty where neither does."""
        try:
            if self._is_folder:
                return lockfile.read(self.path).licence
            return str(read_card(self.path).details.get("licence", ""))
        except (ModelError, lockfile.LockDamaged):
            return ""

    @property
    def needs(self) -> str:
        """What to do where it is not installed, in a sentence; empty where it is."""
        if self.is_installed:
            return ""
        if self.origin == "official":
            return f"It needs to be installed first: songid models install {self.name}."
        if self.origin == "shipped":
            return (
                f"Its weights ({self.path.name}) are missing from this installation. Install the"
                f" program again, or train some: songid train {self.name}."
            )
        return f"There is no model at {self.path}."

    def model(self) -> Model:
        """What it is, from its card or configuration.

        Raises
        ------
        ModelError
        """
        self._check_is_there()
        return geometry.describe(self.path) if self._is_folder else read_card(self.path).model

    def digest(self) -> str:
        """Name of what it enrols: equal exactly when vectors can be mixed. Of a checkpoint it
        takes a moment, where no lock file says its checksum.

        Raises
        ------
        ModelError
        """
        self._check_is_there()
        if not self._is_folder:
            return read_card(self.path).digest
        return self.model().digest(_checksum(self.path))

    @property
    def _is_folder(self) -> bool:
        return self.path.suffix != ".safetensors"

    def _check_is_there(self) -> None:
        if not self.is_installed:
            raise ModelError(f"The model “{self.label}” is not there. {self.needs}")


_SHIPPED = (
    ("cnn", "CNN"),
    ("ast", "AST"),
    ("mert", "MERT"),
)


def every(paths: Paths) -> tuple[ModelPlace, ...]:
    """The shipped ones, then the official ones, installed or not, then further installed ones."""
    shipped = tuple(
        ModelPlace(name, name, label, "shipped", resource("models", f"{name}.safetensors"))
        for name, label in _SHIPPED
    )
    published = tuple(
        ModelPlace(
            f"{each.kind}-official",
            each.kind,
            each.label,
            "official",
            official.folder_of(each.name, paths),
            about_bytes=each.about_bytes,
        )
        for each in official.OFFICIAL
    )
    return (*shipped, *published, *map(_installed, official.installed_folders(paths)))


def _installed(folder: Path) -> ModelPlace:
    """A further model that was installed under a name of its own; of no kind where it is not whole,
    or can't be looked at."""
    path, kind = folder, ""
    try:
        if layout.is_trained(folder):
            path = folder / layout.WEIGHTS
        if lockfile.looks_whole(folder):
            kind = layout.kind_of(folder)
    except (ModelError, OSError):
        kind = ""
    return ModelPlace(folder.name, kind, folder.name, "local", path)


def find(name: str, paths: Paths) -> ModelPlace | None:
    """The model of a name: cnn, ast, mert (shipped); ast-official, mert-official or the name that
    their authors published them under; that of a further installed one; or the path of a weights
    file or a checkpoint's folder.
    None where nothing is called so."""
    known = every(paths)
    for place in known:
        if place.key == name:
            return place
    for place in known:
        if place.key.casefold() == name.casefold():
            return place
    for each in official.OFFICIAL:
        if each.name.casefold() == name.casefold():
            return find(f"{each.kind}-official", paths)
    path = Path(name).expanduser()
    is_model = (path / layout.CONFIG).is_file() or (
        path.suffix == ".safetensors" and path.is_file()
    )
    return _local(path.absolute()) if name and is_model else None


def _local(path: Path) -> ModelPlace:
    try:
        if path.suffix == ".safetensors":
            kind = read_card(path).model.name
        else:
            kind = geometry.describe(path).name
    except ModelError:
        return ModelPlace(str(path), "", path.stem, "local", path)
    return ModelPlace(str(path), kind, path.stem, "local", path)


def _checksum(folder: Path) -> str:
    """SHA-256 of a checkpoint's weights: of the lock file where it has one."""
    try:
        locked = lockfile.read(folder).file(layout.WEIGHTS)
    except lockfile.LockDamaged:
        locked = None
    if locked is not None:
        return locked.sha256
    import hashlib

    try:
        with (folder / layout.WEIGHTS).open("rb") as source:
            return hashlib.file_digest(source, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(f"The weights in {folder} can't be read: {error.strerror}.") from error
