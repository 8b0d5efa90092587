"""Where live sound can come from: microphones, and what the computer plays.

On Linux the sound server (PipeWire or PulseAudio) knows them by stable names, monitors among them.
Elsewhere, and without a server, PortAudio lists inputs; what the computer plays is among them only
where the system offers it as one (Windows: the "[Loopback]" inputs of WASAPI; macOS: a virtual
device that the user installed).
"""

from __future__ import annotations

import sys

from songid_desktop.audio import portaudio, soundprocess, soundserver
from songid_desktop.audio.soundserver import Survey
from songid_desktop.errors import DeviceError
from songid_desktop.types import Source, SourceKind

_LOOPBACK = " [Loopback]"
_BEST_HOST_API = {"win32": "Windows WASAPI", "darwin": "Core Audio"}
"""Windows lists each device once per host API; one of them is enough."""


def has_server() -> bool:
    """Whether this kind of system is asked through a sound server first."""
    return sys.platform.startswith("linux")


def list_sources() -> tuple[Source, ...]:
    """All sources at present, microphones first, the default one marked.

    Takes about a tenth of a second at most (keep it off the GUI thread) and does not disturb a
    running stream.

    Raises
    ------
    DeviceError
        When there is none, or none can be asked for; the sentence says why and what to do.
    """
    return survey().sources


def survey() -> Survey:
    """As `list_sources`, with what is muted."""
    found = Survey(())
    reason: DeviceError | None = None
    if has_server():
        try:
            found = soundserver.survey()
        except (soundserver.NoServer, soundserver.NoPactl) as error:
            reason = error
            found = Survey(_listed_by_portaudio(reason))
    else:
        found = Survey(_listed_by_portaudio(None))
    if not found.sources:
        raise reason or DeviceError(
            "No microphone is connected, and no sound output to listen in on. Plug one in; it is"
            " found by itself."
        )
    return found


def _listed_by_portaudio(reason: DeviceError | None) -> tuple[Source, ...]:
    """Inputs that PortAudio knows. `reason` is what the server's absence was explained with; it
    says more than an empty list."""
    try:
        inputs = [device for device in soundprocess.list_devices() if device.inputs > 0]
    except portaudio.PortAudioMissing:
        raise
    except DeviceError:
        if reason is None:
            raise
        return ()
    if isinstance(reason, soundserver.NoServer):  # then the ways to it lead nowhere
        inputs = [device for device in inputs if device.label not in portaudio.SERVER_DEVICES]
    best = _BEST_HOST_API.get(sys.platform)
    if any(device.host_api == best for device in inputs):
        inputs = [device for device in inputs if device.host_api == best]
    return tuple(
        Source(
            device.name,
            _label(device),
            SourceKind.MONITOR if device.label.endswith(_LOOPBACK) else SourceKind.MICROPHONE,
            device.is_default_input,
        )
        for device in inputs
    )


def _label(device: portaudio.Device) -> str:
    if device.label.endswith(_LOOPBACK):
        return f"What the computer plays ({device.label.removesuffix(_LOOPBACK)})"
    if device.label in portaudio.SERVER_DEVICES:
        return "The system's default microphone"
    return device.label


def choose(sources: tuple[Source, ...], wanted: str) -> Source:
    """The one of at least one source to listen to: the wanted one, else the default one, else the
    first microphone, else what the computer plays."""
    by_name = next((source for source in sources if wanted and source.name == wanted), None)
    default = next((source for source in sources if source.is_default), None)
    return by_name or default or sources[0]
