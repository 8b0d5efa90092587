"""Every preference, declared once with its type and default; one small JSON file with a schema
version.

A value that is missing, of the wrong type or out of range falls back to its default, alone: one
bad line
never costs the others. A file of a newer schema is read as far as it is understood and kept aside
before it is overwritten.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

SCHEMA_VERSION = 1

PALETTES = ("magma", "viridis", "cividis", "grey", "print")
AXES = ("mel", "log", "linear")
THEMES = ("system", "light", "dark")


@dataclass(frozen=True, slots=True)
class Settings:
    """What the program remembers. Frozen: a change makes a new value, see `changed`."""

    identifier: str = "landmark"
    source: str = ""
    """Stable name of the chosen sound source; empty for the system's default."""
    continuous: bool = False
    theme: str = "system"
    palette: str = "magma"
    axis: str = "mel"
    range_low_db: float = -90.0
    range_high_db: float = -10.0
    show_constellation: bool = True
    keep_matched_clips: bool = False
    """Keep the sound of every match beside its history row; off: nothing recorded is kept unless
    asked."""
    enrol_jobs: int = 0
    """Worker processes of an enrolment; 0 means one per core."""
    prepare_in_background: bool = True
    """Fingerprint the library for the chosen identifier, and for those in use, in the
    background."""
    not_prepared: str = ""
    """Names of identifiers, with commas between, whose preparation was ended by hand: it does not
    begin again by itself."""
    first_run_done: bool = False
    window_geometry: str = ""
    """Qt's own saved geometry, base64."""
    last_folder: str = ""

    def changed(self, **values: Any) -> Settings:
        return _valid(replace(self, **values))


_CHOICES: dict[str, tuple[str, ...]] = {"theme": THEMES, "palette": PALETTES, "axis": AXES}
_RANGES: dict[str, tuple[float, float]] = {
    "range_low_db": (-140.0, -20.0),
    "range_high_db": (-100.0, 20.0),
    "enrol_jobs": (0, 64),
}


def _valid(settings: Settings) -> Settings:
    """`settings` with each impossible value replaced by its default."""
    defaults = Settings()
    repaired: dict[str, Any] = {}
    for item in fields(Settings):
        value, default = getattr(settings, item.name), getattr(defaults, item.name)
        if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
            try:
                value = float(value)
            except OverflowError:
                value = default
            repaired[item.name] = value
        low, high = _RANGES.get(item.name, (None, None))
        wrong = (
            type(value) is not type(default)
            or (item.name in _CHOICES and value not in _CHOICES[item.name])
            or (low is not None and high is not None and not low <= value <= high)
        )
        if wrong:
            repaired[item.name] = default
    result = replace(settings, **repaired)
    if result.range_high_db - result.range_low_db < 10.0:
        result = replace(
            result, range_low_db=defaults.range_low_db, range_high_db=defaults.range_high_db
        )
    return result


def load(path: Path) -> Settings:
    """Read settings; anything unreadable is as if it were not there."""
    try:
        stored = json.loads(path.read_text(encoding="utf-8", errors="surrogatepass"))
    except (OSError, ValueError, RecursionError):
        return Settings()
    if not isinstance(stored, dict):
        return Settings()
    version = stored.get("schema_version")
    if isinstance(version, int) and version > SCHEMA_VERSION:
        with contextlib.suppress(OSError):
            path.with_suffix(f".v{version}.json").write_bytes(path.read_bytes())
    known = {item.name for item in fields(Settings)}
    return _valid(
        replace(Settings(), **{key: value for key, value in stored.items() if key in known})
    )


def save(path: Path, settings: Settings) -> None:
    """Write settings so that a crash leaves either the old file or the new one.

    Raises
    ------
    OSError
        When the folder can't be written; the old file stays as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(
        {"schema_version": SCHEMA_VERSION, **asdict(settings)}, indent=1, ensure_ascii=False
    )
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".settings-", suffix=".tmp")
    try:
        # A folder's name may hold bytes that are no text; Python carries them as lone surrogates.
        with os.fdopen(handle, "w", encoding="utf-8", errors="surrogatepass") as out:
            out.write(text + "\n")
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
