"""`songid models`: the models behind the learned identifiers; install, check and remove those that
do not come with the program."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from songid_desktop.cli import output
from songid_desktop.cli.interrupts import EXIT_INTERRUPTED, cancel_on_interrupt

if TYPE_CHECKING:
    from songid_desktop.neural.lockfile import Lock
    from songid_desktop.neural.pace import InstallProgress
    from songid_desktop.neural.roster import Listed
    from songid_desktop.paths import Paths

HOLDER = "songid models"
_DESCRIPTION = (
    "Models of the learned identifiers: those that come with the program, and the official"
    " pretrained checkpoints of AST and MERT for those who install them. Nothing is fetched unless"
    " it is asked for here; installed models work without a network."
)


def add_parser(verbs: Any) -> None:
    parser = verbs.add_parser(
        "models",
        help="models of the learned identifiers: list, install, verify, remove",
        description=_DESCRIPTION,
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    _action(actions, "list", _list, "every model: state, size, licence, checksum")
    installing = _action(
        actions,
        "install",
        _install,
        "install a model, or go on with one that was interrupted",
        "Install an official checkpoint from the model hub, or with --from any checkpoint of AST or"
        " HuBERT (MERT) or a model that songid train made, from this computer: each becomes an"
        " identifier of its own. The hub's branch is resolved to a commit, every file is"
        " checked against the checksum that the hub publishes for it, and both are written down for"
        " verify. Interrupted, the same command goes on where it was. HF_ENDPOINT names a mirror.",
    )
    installing.add_argument(
        "name",
        type=_name,
        metavar="NAME",
        help="ast-official, mert-official, or a name of your own with --from",
    )
    installing.add_argument(
        "--from",
        dest="source",
        type=output.path_argument,
        metavar="PATH",
        help="a folder with config.json and model.safetensors (or pytorch_model.bin), the folder of"
        " a training, or a weights file with its card; no network",
    )
    verifying = _action(
        actions,
        "verify",
        _verify,
        "check every byte against what was installed; exit 3 when something is wrong",
    )
    verifying.add_argument(
        "names", nargs="*", type=_name, metavar="NAME", help="default: all there are"
    )
    removing = _action(actions, "remove", _remove, "delete an installed model")
    removing.add_argument("names", nargs="+", type=_name, metavar="NAME")


def _name(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("the name is empty")
    return text


def _action(
    actions: Any, name: str, run: Any, text: str, description: str = ""
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(
        name, help=text, description=description or text
    )
    parser.add_argument("--json", action="store_true", help="as JSON, one object a line")
    parser.set_defaults(run=run)
    return parser


# -- list -----------------------------------------------------------------------------------------


def model_object(model: Listed) -> dict[str, Any]:
    """A model as JSON."""
    return {
        "name": model.name,
        "identifier": model.kind,
        "origin": model.origin,
        "state": model.state.value,
        "size_bytes": model.size_bytes,
        "size_is_exact": model.is_size_exact,
        "arrived_bytes": model.arrived_bytes,
        "licence": model.licence or None,
        "commit": model.commit or None,
        "sha256": model.sha256 or None,
        "path": None if model.path is None else output.path_text(model.path),
        "message": model.message or None,
    }


def _list(args: argparse.Namespace, paths: Paths) -> int:
    from songid_desktop.neural.roster import listed

    models = listed(paths)
    if args.json:
        for model in models:
            output.emit(model_object(model))
        return 0
    rows = [
        [
            output.one_line(model.name),
            model.kind,
            _state_text(model),
            _size_text(model),
            output.one_line(model.licence) or output.DASH,
            model.sha256[:12] or output.DASH,
            model.commit[:12] or output.DASH,
        ]
        for model in models
    ]
    output.table(rows, ["name", "for", "state", "size", "licence", "sha-256", "commit"])
    for model in models:
        if model.message:
            output.note(f"{output.one_line(model.name)}: {output.one_line(model.message)}")
    return 0


def _state_text(model: Listed) -> str:
    words = {
        "shipped": "comes along",
        "installed": "installed",
        "partial": f"{100 * model.arrived_bytes // max(1, model.size_bytes)} % here",
        "busy": "being changed",
        "damaged": "damaged",
        "absent": "missing" if model.origin == "shipped" else "not installed",
    }
    return words[model.state.value]


def _size_text(model: Listed) -> str:
    if not model.size_bytes:
        return output.DASH
    return ("" if model.is_size_exact else "about ") + megabytes(model.size_bytes)


def megabytes(size_bytes: float) -> str:
    """A size as people read it."""
    if size_bytes < 1e6:
        return f"{size_bytes / 1e3:.1f} kB"
    return f"{size_bytes / 1e6:.1f} MB"


# -- install --------------------------------------------------------------------------------------


def _install(args: argparse.Namespace, paths: Paths) -> int:
    from songid_desktop.errors import Cancelled, UsageError
    from songid_desktop.neural import install, local, official

    line = _Line()
    known = official.find(args.name)
    if known is None and args.source is None:
        names = " or ".join(each.key for each in official.OFFICIAL)
        raise UsageError(
            f"No model called “{output.one_line(args.name)}” can be fetched; {names} can. A further"
            " one is installed from this computer: --from PATH."
        )
    with cancel_on_interrupt() as interrupt:
        try:
            if args.source is not None:
                lock = local.install_from(
                    args.name,
                    args.source,
                    paths,
                    holder=HOLDER,
                    cancel=interrupt.token,
                    progress=line.show,
                )
            else:
                assert known is not None
                offer = install.ask(known, interrupt.token)
                _say_offer(offer)
                lock = install.install(
                    known,
                    paths,
                    holder=HOLDER,
                    offer=offer,
                    cancel=interrupt.token,
                    progress=line.show,
                )
        except Cancelled:
            line.end()
            output.note("Stopped. What has arrived is kept; the same command goes on from here.")
            return EXIT_INTERRUPTED
        finally:
            line.end()
    if args.json:
        output.emit(lock_object(lock))
    else:
        commit = f" at {lock.commit[:12]}" if lock.commit else ""
        licence = output.one_line(lock.licence) or "no licence stated"
        output.say(f"{lock.name} is installed{commit}: {megabytes(lock.size_bytes)}, {licence}.")
    return 0


def _say_offer(offer: Any) -> None:
    licence = output.one_line(offer.model.licence)
    output.note(
        f"{offer.model.repository} at {offer.model.commit[:12]}: {megabytes(offer.size_bytes)};"
        + (f" licence: {licence}." if licence else " its card states no licence.")
    )


def lock_object(lock: Lock) -> dict[str, Any]:
    """What was installed, as JSON."""
    return {
        "name": lock.name,
        "source": lock.source,
        "branch": lock.branch or None,
        "commit": lock.commit or None,
        "licence": lock.licence or None,
        "size_bytes": lock.size_bytes,
        "files": [
            {
                "name": file.name,
                "size_bytes": file.size_bytes,
                "sha256": file.sha256,
                "published": file.published or None,
            }
            for file in lock.files
        ],
        "converted_from": None if lock.made_from is None else lock.made_from.name,
    }


class _Line:
    """Progress of an install on stderr."""

    def __init__(self) -> None:
        self._line = output.ProgressLine()

    def show(self, progress: InstallProgress) -> None:
        text = progress_text(progress)
        if text:
            self._line.show(text, is_last=not progress.file)

    def end(self) -> None:
        self._line.end()


def progress_text(progress: InstallProgress) -> str:
    """A word from a running install as one line."""
    fixed = {
        "asking": "",
        "converting": "Converting the weights to safetensors",
        "checking": "Checking the checkpoint",
        "done": "",
    }
    if progress.step.value in fixed:
        return fixed[progress.step.value]
    if not progress.file or progress.done_bytes < 0.001 * progress.total_bytes:
        return ""
    parts = [
        f"{progress.file}: {progress.done_bytes / 1e6:,.1f} of {progress.total_bytes / 1e6:,.1f} MB"
    ]
    if progress.waits_for:
        parts.append(f"waiting to try again: {progress.waits_for}")
    if progress.rate_bytes_s > 0:
        parts.append(f"{progress.rate_bytes_s / 1e6:.1f} MB/s")
    if progress.eta_s is not None:
        parts.append(f"{output.clock(progress.eta_s)} left")
    return ", ".join(parts)


# -- verify and remove ----------------------------------------------------------------------------


def _verify(args: argparse.Namespace, paths: Paths) -> int:
    from songid_desktop.errors import Cancelled
    from songid_desktop.neural.roster import faults, find, to_verify

    models = [find(name, paths) for name in args.names] if args.names else to_verify(paths)
    if not models:
        output.note("No model is installed.")
        return 0
    is_good = True
    with cancel_on_interrupt() as interrupt:
        for model in models:
            try:
                wrong = faults(model, paths, cancel=interrupt.token)
            except Cancelled:
                output.note("Stopped.")
                return EXIT_INTERRUPTED
            is_good = is_good and not wrong
            if args.json:
                output.emit({"name": model.name, "ok": not wrong, "problems": wrong})
                continue
            output.say(f"{output.one_line(model.name)}: {'as installed' if not wrong else 'wrong'}")
            for sentence in wrong:
                output.note(f"  {output.one_line(sentence)}")
    return 0 if is_good else 3


def _remove(args: argparse.Namespace, paths: Paths) -> int:
    from songid_desktop.neural.roster import find, remove

    models = {model.name: model for model in (find(name, paths) for name in args.names)}
    for model in models.values():
        freed = remove(model, paths, holder=HOLDER)
        if args.json:
            output.emit({"removed": model.name, "freed_bytes": freed})
        else:
            output.say(f"{output.one_line(model.name)} is removed: {megabytes(freed)} are free.")
    return 0
