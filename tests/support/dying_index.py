"""A process that changes an index and kills itself at a chosen step of doing so.

    python -m tests.support.dying_index FOLDER READERS STEP

READERS is a pickled list of what the catalog holds from one save to the next; at the end the index
is compacted. STEP counts what the process does to files in FOLDER: opening, renaming, removing and
making them last. It says `done` when it lived to the end.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import sys
from pathlib import Path

from songid_desktop.landmark import index as index_module
from songid_desktop.landmark.compaction import compact
from songid_desktop.landmark.config import LandmarkConfig
from songid_desktop.landmark.index import LandmarkIndex


def die_at(step: int, folder: str) -> None:
    """Kill this process, as nothing can be kept from happening, at the given step."""
    left = step

    def count(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal left
        if event not in {"open", "os.rename", "os.remove"}:
            return
        if folder not in str(arguments[0]):
            return
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)
    last = os.fsync

    def fsync(handle: int) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        last(handle)

    setattr(os, "fsync", fsync)  # noqa: B010 - its own type is wider


def main(folder: str, readers: str, step: int) -> None:
    states = pickle.loads(Path(readers).read_bytes())
    if step:
        die_at(step, folder)
    # So that something is left to compact.
    setattr(index_module, "SAVE_WEIGHT", 0)  # noqa: B010 - a constant otherwise
    index = None
    for reader in states:
        index = LandmarkIndex(Path(folder), "landmark", LandmarkConfig())
        index.open(reader)
        index.save()
        index.close()
    assert index is not None
    compact(Path(folder), index.scheme, contextlib.nullcontext)
    sys.stdout.write("done")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
