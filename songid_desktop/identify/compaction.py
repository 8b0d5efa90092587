"""Compaction of the indexes in a process of its own, while the window listens and answers.

It runs at low priority, ends with the process that started it, and may be killed at any instant.
It takes the catalog's writer lock only for the moment in which a finished merge is put in place,
and waits while somebody else is changing the library.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from songid_desktop.catalog.catalog import Catalog
from songid_desktop.catalog.lock import hold
from songid_desktop.errors import CatalogBusy, CatalogError
from songid_desktop.landmark.compaction import compact, needs_compaction
from songid_desktop.landmark.index import LandmarkIndex
from songid_desktop.landmark.merge import MergeStopped
from songid_desktop.paths import Paths

_log = logging.getLogger(__name__)

HOLDER = "compacting the index"
LOCK = "compaction.lock"
_NICENESS = 15
_ASK_AGAIN_S = 1.0
_BOOTSTRAP = (
    "import sys, json; sys.path[:] = json.loads(sys.argv[1]);"
    "from songid_desktop.identify.compaction import serve; serve(*sys.argv[2:])"
)


def compact_index(paths: Paths, name: str, stop: threading.Event | None = None) -> int:
    """Compact the index of one identifier; at once when another process is at it.

    Returns
    -------
    int
        Merges that were done.
    """
    index = saved_index(paths, name)
    if index is None or not index.directory.is_dir():
        return 0

    def look() -> None:
        if stop is not None and stop.is_set():
            raise MergeStopped

    @contextlib.contextmanager
    def writer_lock() -> Iterator[None]:
        while True:
            look()
            with contextlib.ExitStack() as held:
                try:
                    catalog = held.enter_context(Catalog.open(paths, create=False))
                    held.enter_context(catalog.writer(HOLDER))
                except CatalogBusy:
                    time.sleep(_ASK_AGAIN_S)
                    continue
                yield
                return

    try:
        with hold(index.directory / LOCK, HOLDER):
            return compact(index.directory, index.scheme, writer_lock, look)
    except (MergeStopped, CatalogBusy):
        return 0
    except (CatalogError, OSError) as error:
        _log.info("The %s index is not compacted: %s", name, error)
        return 0


def saved_index(paths: Paths, name: str) -> LandmarkIndex | None:
    """The index of an identifier, not opened; None for one without such an index."""
    from songid_desktop.identify import registry

    found = getattr(registry.create(name, paths), "index", None)
    return found if isinstance(found, LandmarkIndex) else None


def is_due(paths: Paths, name: str) -> bool:
    """Whether a compaction would have something to do."""
    index = saved_index(paths, name)
    return index is not None and needs_compaction(index.directory, index.scheme)


class BackgroundCompaction:
    """At most one compacting process for a library, ended with its owner."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self, names: Sequence[str]) -> bool:
        """Start where one of these indexes is due; False when there is nothing to do."""
        if self.is_running or not any(is_due(self._paths, name) for name in names):
            return False
        folders = (self._paths.data, self._paths.config, self._paths.runtime)
        arguments = [*map(str, folders), *names]
        if getattr(sys, "frozen", False):  # the app is its own interpreter
            start = ["--compaction-worker", *arguments]
        else:
            start = ["-c", _BOOTSTRAP, json.dumps(sys.path), *arguments]
        try:
            self._process = subprocess.Popen(
                [sys.executable, *start],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        except OSError as error:
            _log.info("The index is not compacted: %s", error)
            return False
        return True

    def wait(self, timeout_s: float) -> bool:
        """Until it is through; False when the time is up."""
        if self._process is None:
            return True
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def close(self) -> None:
        """End it, whatever it is doing."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            if self._process.stdin is not None:
                self._process.stdin.close()
            self._process = None


def serve(data: str, config: str, runtime: str, *names: str) -> None:
    """Compact, at low priority, until all is done or the starter is gone."""
    if hasattr(os, "nice"):
        os.nice(_NICENESS)
    stop = threading.Event()

    def listen() -> None:
        # The pipe closes when the starter ends, however it ends.
        while os.read(0, 64):
            pass
        stop.set()

    threading.Thread(target=listen, name="starter watch", daemon=True).start()
    paths = Paths(Path(data), Path(config), Path(runtime))
    for name in names:
        compact_index(paths, name, stop)
