"""Where things live: the platform's own folders, or everything below one base folder
(`--base-dir`)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import platformdirs

APP_NAME = "songid-desktop"


@dataclass(frozen=True, slots=True)
class Paths:
    """Folders of one instance. None of them need exist; whoever writes makes them.

    `data` holds what can't be made again (catalog, kept clips), `index` what can be rebuilt from
    it.
    """

    data: Path
    config: Path
    runtime: Path

    @property
    def catalog(self) -> Path:
        return self.data / "catalog.sqlite3"

    @property
    def writer_lock(self) -> Path:
        return self.data / "catalog.lock"

    @property
    def index(self) -> Path:
        return self.data / "index"

    @property
    def clips(self) -> Path:
        return self.data / "clips"

    @property
    def demo_tunes(self) -> Path:
        return self.data / "demo tunes"

    @property
    def settings(self) -> Path:
        return self.config / "settings.json"

    @property
    def log(self) -> Path:
        return self.runtime / "log.txt"


def default_paths() -> Paths:
    """Folders the platform sets aside for this program."""
    dirs = platformdirs.PlatformDirs(APP_NAME, appauthor=False)
    return Paths(
        data=Path(dirs.user_data_dir),
        config=Path(dirs.user_config_dir),
        runtime=Path(dirs.user_state_dir),
    )


def base_dir_paths(base_dir: Path) -> Paths:
    """Everything below `base_dir`: an instance of its own, gone when the folder is."""
    base = base_dir.expanduser().absolute()
    return Paths(data=base / "data", config=base / "config", runtime=base / "state")


def resolve(base_dir: Path | None) -> Paths:
    return default_paths() if base_dir is None else base_dir_paths(base_dir)


def resource(*parts: str) -> Path:
    """Path of a shipped file, e.g. ``resource("icons", "listen.svg")``.

    The wheel maps the project's `resources/` into the package; a checkout has it one level up.
    """
    package = Path(__file__).parent
    installed = package / "resources"
    root = installed if installed.is_dir() else package.parent / "resources"
    return root.joinpath(*parts)
