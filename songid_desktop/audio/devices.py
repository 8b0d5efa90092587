"""Where live sound can come from: microphones, and what the computer plays.

On Linux the sound server (PipeWire or PulseAudio) knows them by stable names; elsewhere, and
without a server, PortAudio does.
"""

from __future__ import annotations

from songid_desktop.types import Source


def list_sources() -> tuple[Source, ...]:
    """All sources at present, the default one marked, microphones first.

    Takes about a tenth of a second (keep it off the GUI thread) and does not disturb a running
    stream.

    Raises
    ------
    DeviceError
        When there is none, or none can be asked for; the sentence says why and what to do.
    """
    raise NotImplementedError
