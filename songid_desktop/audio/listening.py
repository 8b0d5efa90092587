"""One stretch of listening, from `start` to `stop`: opens a source, watches it, and opens again.

Devices are lost in three ways that look quite different: the stream ends (the server died), it
falls silent (a stall), or it goes on with the sound of another device (servers re-route when one
is unplugged), which only the list of sources tells.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from songid_desktop.audio import devices
from songid_desktop.audio.feed import Feed, LossMeter
from songid_desktop.audio.portaudio import StreamSpec
from songid_desktop.audio.ring import Ring
from songid_desktop.audio.soundprocess import SoundProcess, SoundProcessLost
from songid_desktop.audio.soundserver import Survey
from songid_desktop.audio.sourcewatch import SourceWatch
from songid_desktop.audio.status import CaptureState
from songid_desktop.errors import DeviceError
from songid_desktop.types import Source, SourceKind

BLOCK_S = 0.02
_LATENCY_S = 0.04
_SHORTEST_STALL_S = 0.3
_STALL_BLOCKS = 4
"""PulseAudio can deliver in blocks of two seconds, so a stall is counted in blocks too."""
_REOPEN_AFTER_S = 3.0
_FIRST_RETRY_S = 0.1
_LONGEST_RETRY_S = 2.0
_TICK_S = 0.05
_BUSY_TICK_S = 0.02
_HELD_UP_S = 0.5
"""After a pause of this length between two steps it was we who stood still (Ctrl+Z, a machine that
swaps), and what was heard meanwhile is on its way from the sound process."""
_OTHER_RATES = (44_100, 96_000, 32_000, 16_000, 8_000)
_LONGEST_TRYING_S = 2.0
_AGAIN = "It is tried again by itself."

Publish = Callable[[CaptureState, Source | None, int | None, str, int], None]
"""Called with state, source in use, its rate (Hz), sentence, samples lost."""


class Listening:
    """State machine that the capture's thread steps; not for use from several threads.

    Parameters
    ----------
    ring : Ring
        Where the sound goes.
    wanted : str
        Stable name of the source; empty for the default.
    publish : callable
        Told of every change.
    sound : SoundProcess
        Where PortAudio is asked; stays when the stretch is over.
    """

    def __init__(self, ring: Ring, wanted: str, publish: Publish, sound: SoundProcess) -> None:
        self._ring = ring
        self._wanted = wanted
        self._publish = publish
        self._sound = sound
        self._stream: int | None = None
        self.feed: Feed | None = None
        self._loss: LossMeter | None = None
        self._source: Source | None = None
        self._labels: dict[str, str] = {}
        self._message = ""
        self._mute_message = ""
        self._lost_samples = 0
        self._heard_until: float | None = None
        self._opened_at = 0.0
        self._stepped_at = 0.0
        self._retry_at = 0.0
        self._retry_s = _FIRST_RETRY_S
        self._is_portaudio_stale = False
        self._watch: SourceWatch | None = None
        self._tell(CaptureState.OPENING)

    @property
    def is_steady(self) -> bool:
        """Whether a step is quick: the device is open, nothing is to be opened."""
        return self._stream is not None

    @property
    def tick_s(self) -> float:
        """How soon `step` wants to be called again (s)."""
        if self._stream is None:
            return max(0.0, self._retry_at - time.monotonic())
        if self.feed is not None and (self.feed.frames == 0 or not self.feed.is_direct):
            return _BUSY_TICK_S
        return _TICK_S

    def change(self, wanted: str) -> None:
        """Listen to another source from now on."""
        if wanted == self._wanted and self._stream is not None:
            return
        self._wanted = wanted
        self._let_go()
        self._source = None
        self._retry_at, self._retry_s = 0.0, _FIRST_RETRY_S
        self._message = self._mute_message = ""
        self._tell(CaptureState.OPENING)

    def close(self) -> None:
        """Close the device and the watch."""
        self._let_go()
        if self._watch is not None:
            self._watch.close()

    def step(self) -> None:
        """Do what is due now."""
        now = time.monotonic()
        if self._stream is None:
            if now >= self._retry_at:
                self._open(now)
            return
        was_held_up = now - self._stepped_at > _HELD_UP_S
        self._stepped_at = now
        if was_held_up:
            return
        self._supervise(now)
        if self._watch is None and self.feed is not None and self.feed.frames:
            self._watch = SourceWatch()  # after the first sound: its start would delay that
        if self._stream is not None and self._watch is not None and self._watch.is_due(now):
            self._compare_sources(now)

    # -- opening -----------------------------------------------------------------------------

    def _open(self, now: float, survey: Survey | None = None) -> None:
        try:
            self._sound.start()  # gets ready while the sources are listed
            survey = devices.survey() if survey is None else survey
            chosen = devices.choose(survey.sources, self._wanted)
            message = self._announce(chosen, survey.sources)
            if self._is_portaudio_stale:
                self._sound.refresh()
                self._is_portaudio_stale = False
            self._open_source(chosen)
        except DeviceError as error:
            self._is_portaudio_stale = True
            self._fail(str(error), now)
            return
        self._source, self._message = chosen, message
        self._mute_message = _mute_message(chosen, survey)
        self._opened_at = time.monotonic()
        if self._watch is not None:
            self._watch.renew()

    def _announce(self, chosen: Source, sources: tuple[Source, ...]) -> str:
        """The sentence about `chosen` not being what was asked for, or "". Remembers all labels."""
        was = self._source
        is_known = self._wanted in self._labels
        self._labels.update((source.name, source.description) for source in sources)
        if self._wanted and chosen.name != self._wanted:
            label = self._labels.get(self._wanted, self._wanted)
            what = "was unplugged" if is_known else "is not connected"
            return f"{label} {what}. Using {chosen.description} instead; it comes back by itself."
        if not self._wanted and chosen.kind is SourceKind.MONITOR:
            return "No microphone is connected, so this listens to what the computer plays."
        is_gone = was is not None and all(source.name != was.name for source in sources)
        if not self._wanted and was is not None and is_gone:
            return f"{was.description} was unplugged. Using {chosen.description} now."
        return ""

    def _open_source(self, source: Source) -> None:
        device = self._sound.find_device(source.name)
        rates: tuple[int, ...]
        channels: tuple[int, ...]
        if device is None:  # the sound server converts, so a refusal is not about the rate
            index, rates, channels = (
                _server_device(self._sound, source),
                (self._ring.sample_rate,),
                (1, 2),
            )
        else:
            index = device.index
            rates = (self._ring.sample_rate, device.rate, *_OTHER_RATES)
            channels = (1, min(2, device.inputs), device.inputs)
        deadline = time.monotonic() + _LONGEST_TRYING_S
        first_error: DeviceError | None = None
        for rate in dict.fromkeys(rates):
            for count in dict.fromkeys(channels):
                feed = Feed(self._ring, rate, count, self._heard_until)
                try:
                    spec = _spec(source, index, rate, count)
                    self._stream = self._sound.open_input(spec, feed)
                except SoundProcessLost:
                    raise  # it says nothing about the rate
                except DeviceError as error:
                    first_error = first_error or error
                else:
                    self.feed, self._loss = feed, LossMeter(feed)
                    return
            if time.monotonic() > deadline:
                break
        raise DeviceError(f"{source.description}: {first_error}")

    # -- while open --------------------------------------------------------------------------

    def _supervise(self, now: float) -> None:
        feed, loss, source = self.feed, self._loss, self._source
        assert feed is not None
        assert loss is not None
        assert source is not None
        self._lost_samples += feed.pump()
        self._lost_samples += round(loss.update(now) * self._ring.sample_rate / feed.rate)
        if self._stream is None or not self._sound.is_active(self._stream):
            self._is_portaudio_stale = True
            has_process = self._sound.pid is not None
            self._let_go()
            self._fail(
                "The sound server or the device stopped."
                if has_process
                else "The sound system broke down.",
                now,
            )
            return
        quiet_s = feed.silence_s(now) if feed.frames else now - self._opened_at
        if quiet_s > _REOPEN_AFTER_S:
            self._is_portaudio_stale = True
            self._let_go()
            self._fail(f"{source.description} is open but delivers no sound.", now)
        elif feed.frames == 0:
            return
        elif quiet_s > max(_SHORTEST_STALL_S, _STALL_BLOCKS * feed.last_frames / feed.rate):
            self._tell(CaptureState.STALLED, f"No sound arrives from {source.description}.")
        else:
            self._retry_s = _FIRST_RETRY_S
            self._tell(CaptureState.RUNNING)

    def _compare_sources(self, now: float) -> None:
        """Go over to another source when the one in use is gone or a better one is there."""
        try:
            survey = devices.survey()
        except DeviceError:
            return  # the stream's end or silence will say so, if it is so
        chosen = devices.choose(survey.sources, self._wanted)
        assert self._source is not None
        if chosen.name != self._source.name:
            self._let_go()
            self._open(now, survey)
        else:
            self._mute_message = _mute_message(chosen, survey)

    # -- helpers -----------------------------------------------------------------------------

    def _let_go(self) -> None:
        if self._stream is None:
            return
        assert self.feed is not None
        self.feed.is_live = False
        self._sound.close_stream()
        self._lost_samples += self.feed.pump()
        if self.feed.frames:
            self._heard_until = self.feed.last_at
        self._stream, self.feed, self._loss = None, None, None

    def _fail(self, reason: str, now: float) -> None:
        self._retry_at = now + self._retry_s
        self._retry_s = min(2 * self._retry_s, _LONGEST_RETRY_S)
        self._tell(CaptureState.LOST, f"{reason} {_AGAIN}")

    def _tell(self, state: CaptureState, message: str | None = None) -> None:
        is_open = self._stream is not None
        self._publish(
            state,
            self._source if is_open else None,
            self.feed.rate if self.feed is not None else None,
            " ".join(filter(None, (self._message, self._mute_message)))
            if message is None
            else message,
            self._lost_samples,
        )


def _mute_message(source: Source, survey: Survey) -> str:
    if source.name not in survey.muted:
        return ""
    return f"{source.description} is muted in the system's sound settings."


def _server_device(sound: SoundProcess, source: Source) -> int:
    """PortAudio's index of the way to the sound server."""
    if not devices.has_server():
        sound.refresh()
        device = sound.find_device(source.name)
        if device is None:
            raise DeviceError(f"{source.description} is not connected.")
        return device.index
    index = sound.find_server_device()
    if index is None:  # the server came after PortAudio had looked
        sound.refresh()
        index = sound.find_server_device()
    if index is None:
        raise DeviceError(
            "The way from ALSA to the sound server is missing. Install the package"
            " libasound2-plugins."
        )
    return index


def _spec(source: Source, device: int, rate: int, channels: int) -> StreamSpec:
    return StreamSpec(
        device=device,
        rate=rate,
        channels=channels,
        block_frames=round(BLOCK_S * rate),
        latency_s=_LATENCY_S,
        env={
            "PULSE_SOURCE": source.name,
            "PIPEWIRE_NODE": source.name,
            "PULSE_LATENCY_MSEC": "30",  # PulseAudio's own choice is two seconds
            "PULSE_PROP_OVERRIDE": "application.name='SongID Desktop'",
        },
    )
