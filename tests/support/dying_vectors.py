"""A process that changes an index of vectors and kills itself at a chosen step of doing so.

    python -m tests.support.dying_vectors FOLDER READERS STEP

READERS is a pickled list of what the catalog holds from one save to the next. STEP counts what the
process does to files in FOLDER: opening, renaming, removing and making them last. It says `done`
when it lived to the end.
"""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

from songid_desktop.neural.index import Limits, VectorIndex
from tests.support.dying_index import die_at
from tests.support.vector_library import DIGEST, DIM, NAME

LIMITS = Limits(exact_vectors=150, tail_vectors=60)


def main(folder: str, readers: str, step: int) -> None:
    states = pickle.loads(Path(readers).read_bytes())
    if step:
        die_at(step, folder)
    for reader in states:
        index = VectorIndex(Path(folder), NAME, DIGEST, DIM, LIMITS)
        index.open(reader)
        index.save()
        index.close()
    sys.stdout.write("done")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
