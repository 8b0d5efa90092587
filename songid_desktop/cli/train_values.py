"""What `songid train` was asked for: the values of a training, and its folders."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from songid_desktop.paths import Paths
    from songid_desktop.train.start import Places


def read_values(args: argparse.Namespace) -> tuple[dict[str, Any], dict[str, Any]]:
    """The training's values, and the places that a file may name beside them."""
    from songid_desktop.errors import UsageError
    from songid_desktop.train import config, presets, start

    given = {} if args.config is None else config.read(args.config)
    named: dict[str, Any] = {}
    for name in ("data", "out", "cache"):
        if name in given:
            named[name] = given.pop(name)
    asked = given.pop("preset", None) if args.preset is None else args.preset
    if args.resume and asked is None and not given:
        out = args.out or named.get("out")
        if out is None:
            raise UsageError("--resume needs --out, the folder of the training.")
        base: dict[str, Any] = start.own_values(Path(out))
    else:
        base = presets.preset(asked or args.kind)
    values = config.merged(base, given)
    values = with_options(values, args)
    name = values.get("model", {}).get("name", "cnn")
    if name != args.kind:
        raise UsageError(
            f"These values are of a training of “{name}”: “songid train {name}” is its command."
        )
    return values, named


def _assignment(text: str) -> dict[str, Any]:
    """``loss.alpha=0.25`` as nested groups; the value is JSON, or a word."""
    from songid_desktop.errors import UsageError

    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise UsageError(f"--set takes NAME=VALUE, not “{text}”.")
    try:
        worth: Any = json.loads(value)
    except json.JSONDecodeError:
        worth = value
    for part in reversed(name.strip().split(".")):
        worth = {part: worth}
    result: dict[str, Any] = worth
    return result


def with_options(values: dict[str, Any], args: argparse.Namespace) -> dict[str, Any]:
    """Values that have an option of their own, and those of ``--set``."""
    from songid_desktop.train.config import merged

    changes: dict[str, Any] = {}
    for text in args.set:
        changes = merged(changes, _assignment(text))
    if args.steps is not None:
        changes |= {"steps": args.steps, "epochs": 0.0}
    if args.epochs is not None:
        changes["epochs"] = args.epochs
    if args.tracks is not None:
        changes["most_tracks"] = args.tracks
    if args.seed is not None:
        changes["seed"] = args.seed
    return merged(values, changes)


def read_places(args: argparse.Namespace, named: dict[str, Any], paths: Paths) -> Places:
    from songid_desktop.errors import UsageError
    from songid_desktop.train.start import Places

    data = args.data or named.get("data")
    if data is None and args.resume and args.out is not None:
        data = _own_data(args.out)
    if data is None:
        raise UsageError("Name the folder with the music to learn from: --data DIR.")
    kind = getattr(args, "kind", "grid")
    out = Path(args.out or named.get("out") or paths.data / "training" / kind)
    cache = Path(args.cache or named.get("cache") or paths.data / "training" / "cache")
    return Places(
        Path(data),
        out,
        cache,
        args.noise_dir,
        args.rooms_dir,
        _start_from(getattr(args, "start_from", None), kind, paths),
    )


def _own_data(out: Path) -> str | None:
    """Where the training in a folder had its music from."""
    try:
        text = (out / "config.json").read_text("utf-8")
        found = json.loads(text).get("data")
    except (OSError, ValueError, AttributeError):
        return None
    return found if isinstance(found, str) else None


def _start_from(text: str | None, kind: str, paths: Paths) -> Path | None:
    if text is None:
        return None
    from songid_desktop.errors import UsageError

    if text != "official":
        if not Path(text).exists():
            raise UsageError(f"There is no file or folder {text} to begin with.")
        return Path(text)
    from songid_desktop.neural import official

    known = official.find(kind)
    if known is None:
        raise UsageError(f"There are no official weights of {kind}; they are of ast and mert.")
    folder = official.folder_of(known.name, paths)
    if not folder.is_dir():
        raise UsageError(
            f"{known.name} is not installed. “songid models install {known.kind}” fetches it."
        )
    return folder
