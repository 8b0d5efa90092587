"""An official checkpoint brought from the hub and put in place: asked for, fetched, checked,
converted where it must be, locked, and only then there.

Interrupted anywhere (cancel, closed window, kill, power cut), the next call goes on with what has
arrived. Pieces are kept under their checksum, so they serve a newer commit too where it has the
same bytes.
"""

from __future__ import annotations

import re
import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path

from songid_desktop.neural import convert, hub, layout, lockfile, staging
from songid_desktop.neural.claim import claim
from songid_desktop.neural.download import (
    digest_of,
    disk_trouble,
    download,
    part_path,
)
from songid_desktop.neural.hub import HubError, HubFile, HubModel
from songid_desktop.neural.lockfile import Lock, LockedFile, MadeFrom
from songid_desktop.neural.official import Official
from songid_desktop.neural.pace import Pace, Step, Tell
from songid_desktop.neural.staging import Places, Plan
from songid_desktop.neural.transport import Patience
from songid_desktop.paths import Paths
from songid_desktop.types import CancelToken

_CARD_BYTES = 200_000
_READABLE = 0o644
_WEIGHTS_BYTES = 8_000_000_000
"""No checkpoint that fits this program is longer."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What the hub has, before anything is fetched: for a person who decides."""

    model: HubModel
    files: tuple[HubFile, ...]
    """Those that are needed; the weights come last."""

    @property
    def size_bytes(self) -> int:
        return sum(file.size_bytes for file in self.files)

    @property
    def plan(self) -> Plan:
        return Plan(self.model.commit, self.model.licence, self.files)


def ask(
    official: Official, cancel: CancelToken | None = None, patience: Patience | None = None
) -> Offer:
    """Ask the hub which commit, files and licence the model has now.

    Raises
    ------
    HubError
        It can't be reached, or has nothing that can be used.
    Cancelled
    """
    model = hub.look_up(official.name, cancel, patience=patience)
    weights = model.file(layout.WEIGHTS) or model.file(layout.PICKLED_WEIGHTS)
    config = model.file(layout.CONFIG)
    if weights is None or config is None:
        raise HubError(
            f"The hub's {official.name} holds no {layout.CONFIG} with {layout.WEIGHTS} or"
            f" {layout.PICKLED_WEIGHTS} any more. A copy can be installed from a local folder."
        )
    small = [config, *(file for name in layout.OPTIONAL if (file := model.file(name)))]
    if any(file.size_bytes > layout.CONFIG_BYTES for file in small) or (
        weights.size_bytes > _WEIGHTS_BYTES
    ):
        raise HubError(f"The files of {official.name} are far larger than such a model's can be.")
    return Offer(model, (*small, weights))


def install(
    official: Official,
    paths: Paths,
    *,
    holder: str,
    offer: Offer | None = None,
    cancel: CancelToken | None = None,
    progress: Tell | None = None,
    patience: Patience | None = None,
) -> Lock:
    """Install an official checkpoint, or go on installing it; gives its lock. One that is
    installed at the hub's present commit, and whole, is left as it is.

    Raises
    ------
    ModelBusy, HubError, WrongBytes, NotThisModel, NotConverted, EnvironmentProblem
        A sentence; what was installed before stays as it was, what has arrived is kept.
    Cancelled
    """
    place, pace = staging.places(official.name, paths), Pace(progress)
    with claim(place.lock, holder, official.name):
        staging.recover(place)
        pace.begin(Step.ASKING)
        found = offer or ask(official, cancel, patience)
        commit = found.model.commit
        if staging.is_finished(place.final, official.name, commit, cancel):
            shutil.rmtree(place.partial, ignore_errors=True)
        else:
            if not staging.is_finished(place.partial, official.name, commit, cancel):
                filling = _Filling(official, place, found, pace)
                filling.run(cancel, patience)
            staging.publish(place)
        pace.begin(Step.DONE)
        return lockfile.read(place.final)


class _Filling:
    """Brings the partial folder to where it can be published."""

    def __init__(self, official: Official, place: Places, offer: Offer, pace: Pace) -> None:
        self._official, self._folder, self._final = official, place.partial, place.final
        self._offer, self._pace = offer, pace
        self._weights = offer.files[-1]

    def run(self, cancel: CancelToken | None, patience: Patience | None) -> None:
        folder, offer = self._folder, self._offer
        staging.write_plan(folder, offer.plan)
        with disk_trouble(folder):
            files = {file.name for file in offer.files}
            parts = {part_path(folder, file).name for file in offer.files}
            staging.keep_only(folder, files | parts | {staging.PLAN_NAME})
            made = self._reuse_installed(cancel)
        if made is None:
            missing = offer.size_bytes - staging.arrived(folder, offer.plan)
            is_pickled = self._weights.name == layout.PICKLED_WEIGHTS
            staging.need_room(folder, missing + (self._weights.size_bytes if is_pickled else 0))
        files_here = self._fetch(cancel, patience, skip_weights=made is not None)
        model = offer.model
        seal(
            folder,
            Lock(
                self._official.name,
                model.endpoint,
                model.branch,
                model.commit,
                card_licence(folder) or model.licence,
                files=(*files_here, *([made.files[-1]] if made is not None else [])),
                made_from=made.made_from if made is not None else None,
            ),
            kind=self._official.kind,
            pace=self._pace,
            cancel=cancel,
        )

    def _reuse_installed(self, cancel: CancelToken | None) -> Lock | None:
        """Take over what the installed version has in common with this one. Gives the converted
        weights as a lock of one file, where those were made from the very file that is offered."""
        try:
            lock = lockfile.read(self._final)
        except lockfile.LockDamaged:
            return None
        same = [
            file.name
            for file in self._offer.files
            if (known := lock.file(file.name)) and known.published == lockfile.published(file)
        ]
        made, origin = lock.file(layout.WEIGHTS), lock.made_from
        is_made = (
            made is not None
            and origin is not None
            and origin.published == lockfile.published(self._weights)
            and not lockfile.fault(self._final / layout.WEIGHTS, made, cancel)
        )
        for name in [*same, *([layout.WEIGHTS] if is_made else [])]:
            if not (self._folder / name).exists() and (self._final / name).is_file():
                _share(self._final / name, self._folder / name)
        return Lock(lock.name, "", files=(made,), made_from=origin) if is_made and made else None

    def _fetch(
        self, cancel: CancelToken | None, patience: Patience | None, *, skip_weights: bool
    ) -> list[LockedFile]:
        self._pace.begin(Step.DOWNLOADING, self._offer.size_bytes)
        here: list[LockedFile] = []
        before = 0
        for file in self._offer.files:
            if file is self._weights:
                # Before the long part: is it what it should be?
                layout.check_config(self._folder, self._official.kind)
                if skip_weights:
                    break
            self._pace.begin_file(file.name, before)
            checked = download(
                self._offer.model,
                file,
                self._folder,
                cancel=cancel,
                arrived=self._pace.arrived,
                waits=self._pace.waits,
                patience=patience,
            )
            here.append(
                LockedFile(
                    checked.name, checked.size_bytes, checked.sha256, lockfile.published(file)
                )
            )
            before += file.size_bytes
        return here


def _share(source: Path, target: Path) -> None:
    """The same file in two folders; a copy where the file system has no links. Neither is ever
    written to again."""
    try:
        target.hardlink_to(source)
    except OSError:
        shutil.copyfile(source, target)


def seal(folder: Path, lock: Lock, *, kind: str, pace: Pace, cancel: CancelToken | None) -> None:
    """Convert the weights where they are pickled, check that they are what they should be, and
    write the lock: after this the folder can be published.

    Raises
    ------
    NotConverted, NotThisModel, EnvironmentProblem, Cancelled
    """
    pickled = lock.file(layout.PICKLED_WEIGHTS)
    with disk_trouble(folder):
        if pickled is not None:
            pace.begin(Step.CONVERTING, pickled.size_bytes)
            target = folder / layout.WEIGHTS
            fresh = folder / f".{layout.WEIGHTS}.tmp"
            convert.to_safetensors(folder / pickled.name, fresh, cancel)
            fresh.chmod(_READABLE)  # safetensors makes files that only their owner can read
            fresh.replace(target)
            sha256 = digest_of(target, cancel).sha256
            made = LockedFile(layout.WEIGHTS, target.stat().st_size, sha256)
            lock = replace(
                lock,
                files=(*(file for file in lock.files if file is not pickled), made),
                made_from=MadeFrom(
                    pickled.name, pickled.size_bytes, pickled.sha256, pickled.published
                ),
            )
        pace.begin(Step.CHECKING)
        layout.check(folder, kind)
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        lockfile.write(folder, replace(lock, installed_at=now))


def card_licence(folder: Path) -> str:
    """The licence that a model card's head names; empty where there is no card or no licence."""
    try:
        with (folder / "README.md").open("rb") as source:
            text = source.read(_CARD_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""
    head = re.match(r"---[ \t]*\r?\n(.*?)\r?\n---", text.lstrip("\ufeff"), re.DOTALL)
    if head is None:
        return ""
    lines = head[1].splitlines()
    said: dict[str, str] = {}
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        key, colon, value = line.partition(":")
        if colon and key in ("license", "license_name"):
            said[key] = value.strip() or following.strip().removeprefix("-")
    licence = said.get("license", "").strip(" \t\"'[]")
    if licence == "other":
        licence = said.get("license_name", "").strip(" \t\"'") or licence
    return licence[:200]
