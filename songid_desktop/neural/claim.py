"""One process at a time changes a model's folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from songid_desktop import locks
from songid_desktop.errors import EnvironmentProblem

_PATIENCE_S = 0.15


class ModelBusy(EnvironmentProblem):
    """Another process, or another part of this one, is changing the model; the message names
    it."""


@contextmanager
def claim(path: Path, holder: str, what: str) -> Iterator[None]:
    """Hold the lock file `path` while the model called `what` is changed, or raise at once.

    On a file system without locks nothing keeps two apart: a model can be installed again.

    Raises
    ------
    ModelBusy
        Somebody else holds it.
    EnvironmentProblem
        The file can't be made.
    """
    with ExitStack() as held:
        try:
            held.enter_context(locks.hold(path, holder, patience_s=_PATIENCE_S, is_required=False))
        except locks.Held as refused:
            raise ModelBusy(
                f"{what} is being changed by {refused.holder}. Wait until that is done, or stop"
                " it; what has arrived is kept."
            ) from None
        except OSError as error:
            raise EnvironmentProblem(
                f"The models in {path.parent} can't be changed: {error.strerror or error}. What is"
                " installed works as before; make the folder writable, or name another with"
                " --base-dir."
            ) from error
        yield
