"""Pickled weights (`pytorch_model.bin`) made into safetensors, once, in a process of its own.

A pickle can name anything to be run; torch's weights-only reader refuses all but tensors, and the
process that reads it may use a bounded amount of memory and time, ends with us, and leaves nothing
but a file that is checked afterwards. The pickle is never read again.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from songid_desktop.errors import Cancelled, EnvironmentProblem
from songid_desktop.types import CancelToken

ARGUMENT = "--convert-worker"
WITHIN_S = 300.0
"""A 380 MB file takes about 4 s of one core; a slow disk may take far longer."""
_FREE_BYTES = 1 << 30
"""What torch needs for itself (220 MB measured), and room above it."""
_TIMES_FILE = 4
"""The file mapped privately, its tensors, and one copy while they are written."""
_EXIT_REFUSED = 3
_EXIT_DISK = 4
_BOOTSTRAP = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]);"
    " from songid_desktop.neural.convert import serve; serve(*sys.argv[2:])"
)


class NotConverted(EnvironmentProblem):
    """The pickled weights could not be made into safetensors; nothing of them was run."""


def to_safetensors(
    source: Path, target: Path, cancel: CancelToken | None = None, within_s: float = WITHIN_S
) -> None:
    """Write the tensors of `source` to `target`, in a child process.

    Raises
    ------
    NotConverted
        `source` holds more than tensors, is damaged, or takes too much memory or time.
    EnvironmentProblem
        No process can be started, torch is missing, or the disk is full.
    Cancelled
    """
    limit = _FREE_BYTES + _TIMES_FILE * source.stat().st_size
    with tempfile.TemporaryFile() as said:
        try:
            process = subprocess.Popen(
                [sys.executable, *_arguments(source, target, limit)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=said,
                env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONUTF8": "1"},
                start_new_session=True,  # Ctrl+C in a terminal is for us
                creationflags=_creation_flags(),
            )
        except OSError as error:
            raise EnvironmentProblem(
                f"No process can be started to convert the weights ({error.strerror or error})."
                " Close other programs and try again; what has arrived is kept."
            ) from error
        try:
            _wait(process, cancel, time.monotonic() + within_s, source)
        except BaseException:
            target.unlink(missing_ok=True)
            raise
        finally:
            process.kill()
            process.wait()
            if process.stdin is not None:
                process.stdin.close()
        if process.returncode != 0:
            target.unlink(missing_ok=True)
            said.seek(0)
            raise _explain(process.returncode, said.read(4000).decode("utf-8", "replace"), source)


def _arguments(source: Path, target: Path, limit: int) -> list[str]:
    what = [str(source), str(target), str(limit)]
    if getattr(sys, "frozen", False):  # a frozen program is its own interpreter, see __main__
        return [ARGUMENT, *what]
    search_path = [str(Path(entry).absolute()) for entry in sys.path]
    return ["-c", _BOOTSTRAP, json.dumps(search_path), *what]


def _creation_flags() -> int:
    if sys.platform == "win32":
        return subprocess.CREATE_NO_WINDOW
    return 0


def _wait(
    process: subprocess.Popen[bytes], cancel: CancelToken | None, deadline: float, source: Path
) -> None:
    while True:
        if cancel is not None and cancel.is_set():
            raise Cancelled
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.05)
            return
        if time.monotonic() > deadline:
            raise NotConverted(
                f"Converting {source.name} took too long and was ended. Nothing was installed."
            )


def _explain(code: int, said: str, source: Path) -> EnvironmentProblem:
    last = said.strip().splitlines()[-1:] or [""]
    if code == _EXIT_DISK:
        return EnvironmentProblem(
            f"The converted weights can't be written: {last[0]}. Free some room, then go on; what"
            " has arrived is kept."
        )
    if code == _EXIT_REFUSED and last[0]:
        return NotConverted(f"{source.name} was not converted: {last[0]} Nothing was installed.")
    return NotConverted(
        f"{source.name} could not be converted: it needed too much memory, or is damaged. Nothing"
        " was installed."
    )


# -- in the child ---------------------------------------------------------------------------------


def serve(source: str, target: str, limit: str) -> None:
    """Convert, and leave by the exit code."""
    threading.Thread(target=_end_with_the_starter, daemon=True).start()
    _bound_memory(int(limit))
    code, sentence = _convert(Path(source), Path(target))
    sys.stderr.write(sentence + "\n")
    sys.stderr.flush()
    os._exit(code)


def _end_with_the_starter() -> None:
    # The pipe closes when whoever started us ends, however it ends.
    with contextlib.suppress(OSError):
        os.read(0, 1)
    os._exit(1)


def _bound_memory(limit: int) -> None:
    if sys.platform == "win32":
        return
    import resource

    # What a process allocates and maps privately; its address space would count shared libraries.
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


class _Refused(Exception):
    """Leaves with an exit code and a sentence."""

    def __init__(self, code: int, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


def _convert(source: Path, target: Path) -> tuple[int, str]:
    """Exit code and sentence."""
    try:
        _write(_read(source), target)
    except _Refused as refusal:
        return refusal.code, str(refusal)
    except ImportError as error:
        return _EXIT_REFUSED, f"{error.name} is missing; see: songid doctor."
    return 0, ""


def _read(source: Path) -> dict[str, Any]:
    import pickle
    import zipfile

    import torch

    torch.set_num_threads(1)
    try:
        loaded = torch.load(
            source, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(source)
        )
    except pickle.UnpicklingError:
        raise _Refused(
            _EXIT_REFUSED, "it is damaged, or holds more than weights, which would have to be run."
        ) from None
    except Exception:  # noqa: BLE001 - torch, zipfile and pickle each have errors of their own
        raise _Refused(
            _EXIT_REFUSED, "it is damaged, cut short, or too large for this computer."
        ) from None
    if isinstance(loaded, dict) and isinstance(loaded.get("state_dict"), dict):
        loaded = loaded["state_dict"]
    if not isinstance(loaded, dict) or not all(
        isinstance(name, str) and isinstance(tensor, torch.Tensor)
        for name, tensor in loaded.items()
    ):
        raise _Refused(_EXIT_REFUSED, "it is no list of named tensors.")
    return loaded


def _write(loaded: dict[str, Any], target: Path) -> None:
    from safetensors.torch import save_file

    try:
        # Clones, for two names may share one storage, which safetensors does not write.
        tensors = {name: tensor.detach().clone().contiguous() for name, tensor in loaded.items()}
        save_file(tensors, target, metadata={"format": "pt"})
    except Exception as error:  # noqa: BLE001 - safetensors has errors of its own kind
        lines = str(error).splitlines() or [type(error).__name__]
        raise _Refused(_EXIT_DISK, lines[0][:200]) from None
