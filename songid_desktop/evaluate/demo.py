"""The demo: the main job without microphone, library or network, with tunes made on the spot.

For the window's first run: `install_demo_tunes` puts the tunes into the user's own catalog,
`DemoFeed` plays one through a generated noisy room into the ring that a listening session reads,
`remove_demo_tunes` takes everything away again.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from songid_desktop.audio.ring import Ring
from songid_desktop.catalog.records import EnrolProgress, EnrolReport
from songid_desktop.errors import Cancelled, EnvironmentProblem
from songid_desktop.evaluate.demo_tunes import TUNES, tune_path, write_tunes
from songid_desktop.evaluate.rooms import Room, hear
from songid_desktop.identify.engine import Engine
from songid_desktop.identify.enrolment import enrol_library, save_indexes
from songid_desktop.identify.registry import DEFAULT_IDENTIFIER
from songid_desktop.identify.session import ListeningSession, Look
from songid_desktop.paths import Paths, base_dir_paths
from songid_desktop.types import AudioBlock, CancelToken, Track, Verdict

RING_RATE_HZ = 48_000

DEMO_SNR_DB = 6.0
"""Music over talkers (A-weighted): a lively café, and still a match within a few seconds."""

_BLOCK_S = 0.02
_STEP_S = 0.1


@dataclass(frozen=True, slots=True)
class DemoScene:
    """What is played: which tune, from where, and the sound as it arrives at the microphone."""

    title: str
    path: Path
    start_s: float
    audio: AudioBlock
    """float32 at the ring's 48,000 Hz, in the room, with the background."""


class DemoFeed:
    """Plays a scene into a ring from its own thread, as a microphone would.

    Nothing else may write the ring meanwhile: stop the capture first.

    Parameters
    ----------
    ring : Ring
        48,000 Hz.
    scene : DemoScene
    speed : float
        1 is real time, 4 four times as fast.
    on_end : callable, optional
        Called on the feed's thread when the scene is over (not when stopped).
    """

    def __init__(
        self,
        ring: Ring,
        scene: DemoScene,
        *,
        speed: float = 1.0,
        on_end: Callable[[], None] | None = None,
    ) -> None:
        if ring.sample_rate != scene.audio.sample_rate:
            raise ValueError(
                f"ring runs at {ring.sample_rate} Hz, the scene at {scene.audio.sample_rate} Hz"
            )
        if not speed > 0:
            raise ValueError(f"speed must be positive, not {speed}")
        self._ring = ring
        self._scene = scene
        self._speed = speed
        self._on_end = on_end
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to play; may be called once."""
        if self._thread is not None:
            raise RuntimeError("A feed plays once; make another.")
        self._thread = threading.Thread(target=self._run, name="demo feed", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End at once and join the thread. Safe to call twice, or before `start`."""
        self._stop.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    @property
    def is_running(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def _run(self) -> None:
        samples, rate = self._scene.audio.samples, self._scene.audio.sample_rate
        begun, written = time.monotonic(), 0
        while written < len(samples):
            if self._stop.wait(_BLOCK_S / self._speed):
                return
            due = int((time.monotonic() - begun) * self._speed * rate)
            # A machine that slept does not get the whole time at once.
            due = min(due, written + rate, len(samples))
            if due > written:
                self._ring.write(samples[written:due])
                written = due
        if self._on_end is not None and not self._stop.is_set():
            self._on_end()


def install_demo_tunes(
    paths: Paths,
    *,
    progress: Callable[[EnrolProgress], None] | None = None,
    cancel: CancelToken | None = None,
    holder: str = "demo tunes",
) -> EnrolReport:
    """Write the tunes to `paths.demo_tunes` and enrol them; a second call changes nothing.

    Raises
    ------
    EnvironmentProblem
        When the tunes or the catalog can't be written.
    Cancelled
        When `cancel` was set while the tunes were written.
    """
    try:
        write_tunes(paths.demo_tunes, cancel)
    except OSError as error:
        raise EnvironmentProblem(
            f"The demo tunes can't be written to {paths.demo_tunes}: {error.strerror or error}. "
            "Free some space or choose another folder."
        ) from error
    # Eight short tunes are through before worker processes have started.
    return enrol_library(
        paths,
        [paths.demo_tunes],
        progress=progress,
        cancel=cancel,
        holder=holder,
        in_process=True,
    )


def are_demo_tunes_installed(paths: Paths) -> bool:
    """True when all tunes stand in the demo folder (a few stats; asks no catalog)."""
    return all(tune_path(paths.demo_tunes, number).exists() for number in range(len(TUNES)))


def remove_demo_tunes(paths: Paths, *, holder: str = "demo tunes") -> int:
    """Take the tunes out of the catalog and delete their folder; returns how many tracks went.

    Raises
    ------
    CatalogBusy
        When another process is changing the library; nothing was removed.
    """
    from songid_desktop.catalog.catalog import Catalog

    removed = 0
    if paths.catalog.exists():
        with Catalog.open(paths, create=False) as catalog:
            before = catalog.track_count()
            with catalog.writer(holder) as writer:
                writer.remove_folder(paths.demo_tunes)
            removed = before - catalog.track_count()
        if removed:
            save_indexes(paths, (DEFAULT_IDENTIFIER,), holder=holder)
    shutil.rmtree(paths.demo_tunes, ignore_errors=True)
    return removed


def make_scene(folder: Path, *, seed: int | None = None, length_s: float = 15.0) -> DemoScene:
    """Choose a tune of `folder` and a place in it (at random, or by `seed`) and put it into the
    room. About half a second of work: not for the GUI thread.

    Raises
    ------
    AudioFileError
        When the chosen tune is not there.
    """
    from songid_desktop.audio.decode import decode

    rng = np.random.default_rng(seed)
    number = int(rng.integers(len(TUNES)))
    path = tune_path(folder, number)
    tune = decode(path, RING_RATE_HZ)
    # At least 8 s are left to hear, and the last, fading second is not where it begins.
    last_s = max(0.0, tune.duration_s - max(8.0, min(length_s, 12.0)) - 1.0)
    start = int(rng.uniform(0.0, last_s) * RING_RATE_HZ)
    # A second of the tune's own past, so that the reverberation is true from the first sample.
    lead = min(start, RING_RATE_HZ)
    end = min(len(tune.samples), start + round(length_s * RING_RATE_HZ))
    room = Room(snr_db=DEMO_SNR_DB, seed=int(rng.integers(2**31)))
    heard = hear(tune.samples[start - lead : end], RING_RATE_HZ, room)[lead:]
    return DemoScene(
        title=TUNES[number].title,
        path=path,
        start_s=start / RING_RATE_HZ,
        audio=AudioBlock(np.ascontiguousarray(heard), RING_RATE_HZ),
    )


@dataclass(frozen=True, slots=True)
class DemoResult:
    """How a demo went. `final` is the last look, `named` the track it named."""

    scene: DemoScene
    final: Look | None
    named: Track | None
    is_right: bool
    elapsed_s: float


def run_demo(
    *,
    seed: int | None = None,
    on_step: Callable[[str], None] | None = None,
    on_scene: Callable[[DemoScene], None] | None = None,
    on_look: Callable[[Look, Engine], None] | None = None,
    cancel: CancelToken | None = None,
) -> DemoResult:
    """The whole demo in a throw-away instance that is gone afterwards.

    The scene goes into the ring as fast as the looks can follow, in steps of a tenth of a second.

    Raises
    ------
    Cancelled
        When `cancel` was set; nothing is left behind then either.
    EnvironmentProblem
        When no temporary folder can be written.
    """
    begun = time.monotonic()
    cancel = cancel or CancelToken()
    tell = on_step or (lambda _text: None)
    with contextlib.ExitStack() as stack:
        try:
            base = stack.enter_context(
                tempfile.TemporaryDirectory(prefix="songid-demo-", ignore_cleanup_errors=True)
            )
        except OSError as error:
            raise EnvironmentProblem(f"No temporary folder can be made: {error}") from error
        paths = base_dir_paths(Path(base))
        tell(f"Making and enrolling {len(TUNES)} tunes…")
        report = install_demo_tunes(paths, cancel=cancel)
        if report.was_cancelled:
            raise Cancelled
        tell(f"Enrolled {report.added} tunes, {report.audio_s:.0f} s of music.")
        scene = make_scene(paths.demo_tunes, seed=seed)
        if on_scene is not None:
            on_scene(scene)
        with Engine(paths) as engine:
            final = _listen(engine, scene, on_look, cancel)
            best = None if final is None else final.best
            named = None if best is None else engine.track(best.track_id)
        is_match = final is not None and final.identification.verdict is Verdict.MATCH
        is_right = is_match and named is not None and named.path.name == scene.path.name
    return DemoResult(scene, final, named, is_right, time.monotonic() - begun)


def _listen(
    engine: Engine,
    scene: DemoScene,
    on_look: Callable[[Look, Engine], None] | None,
    cancel: CancelToken,
) -> Look | None:
    """Feed the scene to a session and answer its looks; the last one."""
    ring = Ring(RING_RATE_HZ)
    session = ListeningSession(ring, limit_s=scene.audio.duration_s)
    samples = scene.audio.samples
    step = round(_STEP_S * RING_RATE_HZ)
    for begin in range(0, len(samples), step):
        ring.write(samples[begin : begin + step])
        audio = session.due()
        if audio is None:
            continue
        found = engine.identify(audio, cancel=cancel)
        if cancel.is_set():
            raise Cancelled
        look = session.take(found, audio)
        if on_look is not None:
            on_look(look, engine)
        if session.is_done:
            break
    return session.last_look
