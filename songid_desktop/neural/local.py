"""A model taken from this computer: a copy of an official checkpoint, a further backbone under a
name of its own, or what `songid train` made. Where it comes from is only read.

Where the folder says more, it is used: one that this program installed has a lock, and the cache of
the hub's own tools names the commit and keeps each file under its published checksum.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from songid_desktop.errors import Cancelled, UsageError
from songid_desktop.neural import layout, lockfile, official, staging
from songid_desktop.neural.card import card_path, read_card
from songid_desktop.neural.claim import claim
from songid_desktop.neural.download import READ_BYTES, FileDigest, WrongBytes, disk_trouble
from songid_desktop.neural.hub import BRANCH
from songid_desktop.neural.install import card_licence, seal
from songid_desktop.neural.lockfile import Lock, LockedFile
from songid_desktop.neural.official import is_good_name
from songid_desktop.neural.pace import Pace, Step, Tell
from songid_desktop.paths import Paths
from songid_desktop.types import CancelToken

LOCAL_SOURCE = "local folder"
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class _Source:
    """A folder with a model, and what is known of where it came from."""

    folder: Path
    files: dict[str, Path]
    """What is copied, by the names that it is installed under."""
    kind: str
    commit: str = ""
    branch: str = ""
    lock: Lock | None = None
    published: dict[str, str] = field(default_factory=dict)
    """File name to published checksum, as the lock writes it."""


def install_from(
    name: str,
    folder: Path,
    paths: Paths,
    *,
    holder: str,
    cancel: CancelToken | None = None,
    progress: Tell | None = None,
) -> Lock:
    """Copy a model and install it as `name`; no network is used.

    Parameters
    ----------
    folder : Path
        Folder of a checkpoint or of a training, or a weights file with its card beside it.

    Raises
    ------
    UsageError
        `name` is no name for a model, or there is none in `folder`.
    ModelBusy, WrongBytes, NotThisModel, NotConverted, EnvironmentProblem
    Cancelled
    """
    known = official.find(name)
    if known is None and not is_good_name(name):
        raise UsageError(
            f"“{name}” can't be a model's name: use letters, digits, points and dashes, up to 80,"
            " and no name of an identifier."
        )
    name = known.name if known is not None else name
    _only_spelling(name, paths)
    place, pace = staging.places(name, paths), Pace(progress)
    source = _source(folder.expanduser().absolute(), known.kind if known is not None else "")
    if place.final in (source.folder, *source.folder.parents):
        raise UsageError(f"{folder} is where {name} is installed already.")
    with claim(place.lock, holder, name):
        staging.recover(place)
        copying = _Copying(source, place.partial, pace, cancel)
        try:
            copying.run(name)
            staging.publish(place)
        except BaseException:
            with contextlib.suppress(OSError):
                copying.clear()
            raise
        pace.begin(Step.DONE)
        return lockfile.read(place.final)


def _only_spelling(name: str, paths: Paths) -> None:
    """Two names that differ in capitals alone are one folder on some disks."""
    for entry in official.installed_folders(paths):
        if entry.name.casefold() == name.casefold() and entry.name != name:
            raise UsageError(
                f"There is a model “{entry.name}” already. Install this one under that name, in its"
                " place, or choose another."
            )


class _Copying:
    """Fills the partial folder from the source."""

    def __init__(
        self, source: _Source, target: Path, pace: Pace, cancel: CancelToken | None
    ) -> None:
        self._source, self._target = source, target
        self._pace, self._cancel = pace, cancel

    def clear(self) -> None:
        """Take away what was copied. What a download has brought so far is not lost before the
        copy is in place."""
        if not self._target.exists():
            return
        parts = {path.name for path in self._target.glob("*.part")}
        staging.keep_only(self._target, parts | {staging.PLAN_NAME})
        if not any(self._target.iterdir()):
            self._target.rmdir()

    def run(self, name: str) -> None:
        source, target = self._source, self._target
        with disk_trouble(source.folder):
            sizes = {name: path.stat().st_size for name, path in source.files.items()}
        with disk_trouble(target.parent):
            self.clear()
            target.mkdir(parents=True, exist_ok=True)
        total = sum(sizes.values())
        staging.need_room(target, total + sizes.get(layout.PICKLED_WEIGHTS, 0))
        self._pace.begin(Step.COPYING, total)
        files, before = [], 0
        for file, size in sizes.items():
            self._pace.begin_file(file, before)
            files.append(self._copy(file))
            before += size
        said = source.lock
        lock = Lock(
            name,
            said.source if said is not None else LOCAL_SOURCE,
            source.branch,
            source.commit,
            _licence(target) or (said.licence if said is not None else ""),
            files=tuple(files),
            made_from=said.made_from if said is not None else None,
        )
        seal(target, lock, kind=source.kind, pace=self._pace, cancel=self._cancel)

    def _copy(self, name: str) -> LockedFile:
        """Copy one file and check it against what its folder says of it."""
        path, target = self._source.files[name], self._target / name
        with disk_trouble(path.parent):
            reader = path.open("rb")
        with reader, disk_trouble(target.parent), target.open("wb") as out:
            size, done = os.fstat(reader.fileno()).st_size, 0
            digest = FileDigest(size)
            for piece in iter(lambda: reader.read(READ_BYTES), b""):
                if self._cancel is not None and self._cancel.is_set():
                    raise Cancelled
                out.write(piece)
                digest.update(piece)
                done += len(piece)
                self._pace.arrived(done)
            out.flush()
            os.fsync(out.fileno())
        published = self._source.published.get(name, "")
        locked = self._source.lock.file(name) if self._source.lock is not None else None
        copied = LockedFile(name, size, digest.sha256, published)
        is_right = done == size and (locked is None or locked.sha256 == digest.sha256)
        if not is_right or not lockfile.is_as_published(digest, copied):
            raise WrongBytes(
                f"{path} is damaged: its checksum is not the one that its folder keeps for it."
                " Nothing was installed; fetch it again where it came from."
            )
        return copied


def _weights_name(folder: Path) -> str:
    for name in (layout.WEIGHTS, layout.PICKLED_WEIGHTS):
        if (folder / name).is_file():
            return name
    in_pieces = next(folder.glob("*.index.json"), None)
    if in_pieces is not None:
        raise layout.NotThisModel(
            f"The weights in {folder} are in several pieces ({in_pieces.name}); only models with"
            f" one {layout.WEIGHTS} can be used."
        )
    raise layout.NotThisModel(
        f"{folder} holds neither {layout.WEIGHTS} nor {layout.PICKLED_WEIGHTS}."
    )


def _licence(folder: Path) -> str:
    if layout.is_trained(folder):
        return str(read_card(folder / layout.WEIGHTS).details.get("licence", ""))[:200]
    return card_licence(folder)


def _files(folder: Path) -> dict[str, Path]:
    """What there is to copy from a checkpoint's folder."""
    names = (layout.CONFIG, *layout.OPTIONAL, _weights_name(folder))
    return {name: path for name in names if (path := folder / name).is_file()}


def _trained(weights: Path, kind: str) -> _Source:
    """Weights of our own training with the card beside them."""
    if kind:
        raise UsageError(
            f"{weights.name} was made by a training here; it can't stand in for the published"
            " model. Give it a name of its own."
        )
    files = {layout.CARD: card_path(weights), layout.WEIGHTS: weights}
    return _Source(weights.parent, files, layout.trained_kind(weights))


def _source(folder: Path, kind: str) -> _Source:
    """Find the model in `folder`, or in the hub tools' cache that it is; the official one of `kind`
    where one is meant."""
    with disk_trouble(folder):
        return _found_in(folder, kind)


def _found_in(folder: Path, kind: str) -> _Source:
    if folder.suffix == ".safetensors" and folder.is_file():
        return _trained(folder, kind)
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder. Name the one that holds {layout.CONFIG}.")
    best = folder / layout.TRAINED
    if best.is_file() and card_path(best).is_file():
        return _trained(best, kind)
    if layout.is_trained(folder):
        return _trained(folder / layout.WEIGHTS, kind)
    if (folder / layout.IN_TRAINING).is_file():
        raise UsageError(
            f"The training in {folder} has not been checked so far, so it has no weights to"
            " install."
        )
    folder = _snapshot(folder)
    kind = layout.check_config(folder, kind).kind
    source = _Source(folder, _files(folder), kind)
    if (folder / lockfile.LOCK_NAME).exists():
        lock = lockfile.read(folder)
        known = {file.name: file.published for file in lock.files}
        return replace(source, commit=lock.commit, branch=lock.branch, lock=lock, published=known)
    if folder.parent.name != "snapshots" or not _COMMIT.fullmatch(folder.name):
        return source
    return replace(source, commit=folder.name, branch=BRANCH, published=dict(_blobs(folder)))


def _snapshot(folder: Path) -> Path:
    """The newest snapshot where `folder` is a model's folder in the hub tools' cache."""
    reference = folder / "refs" / BRANCH
    if (folder / layout.CONFIG).exists() or not reference.is_file():
        return folder
    commit = reference.read_text(encoding="ascii", errors="replace").strip()
    snapshot = folder / "snapshots" / commit
    return snapshot if _COMMIT.fullmatch(commit) and snapshot.is_dir() else folder


def _blobs(snapshot: Path) -> Iterator[tuple[str, str]]:
    """Published checksums: the cache keeps each file under its own, behind a link."""
    for entry in snapshot.iterdir():
        blob = entry.readlink().name if entry.is_symlink() else ""
        if re.fullmatch(r"[0-9a-f]{64}", blob):
            yield entry.name, f"sha256:{blob}"
        elif _COMMIT.fullmatch(blob):
            yield entry.name, f"git-blob-sha1:{blob}"
