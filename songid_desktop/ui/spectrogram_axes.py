"""Words on the axes of the spectrogram: hertz, notes, decibels, seconds."""

from __future__ import annotations

import math

NOTE_NAMES = ("C", "C♯", "D", "D♯", "E", "F", "F♯", "G", "G♯", "A", "A♯", "B")
MINUS = "\u2212"
A4_HZ = 440.0
_A4_MIDI = 69


def hertz(value_hz: float) -> str:
    """A round frequency for a tick: 50 Hz, 2 kHz, 2.5 kHz."""
    if value_hz >= 1000:
        return f"{value_hz / 1000:g} kHz"
    return f"{value_hz:g} Hz"


def exact_hertz(value_hz: float) -> str:
    """A measured frequency, in whole hertz with thousands set apart."""
    return f"{value_hz:,.0f} Hz".replace(",", "\u202f")


def note(value_hz: float) -> str:
    """The nearest note of the tempered scale and the cents to it: ``A4 +12 ct``."""
    if value_hz <= 0:
        return ""
    midi = _A4_MIDI + 12 * math.log2(value_hz / A4_HZ)
    nearest = round(midi)
    cents = round((midi - nearest) * 100)
    name = f"{NOTE_NAMES[nearest % 12]}{nearest // 12 - 1}"
    return f"{name} {'+' if cents >= 0 else MINUS}{abs(cents)} ct"


def decibels(value_db: float | None) -> str:
    """A level in whole decibels with a real minus sign."""
    if value_db is None:
        return ""
    return f"{value_db:.0f} dB".replace("-", MINUS)


def ago(seconds: float) -> str:
    """A place left of now."""
    return f"{MINUS}{seconds:.1f} s" if seconds >= 0.05 else "now"


def time_marks(span_s: float, width_px: float) -> list[float]:
    """Seconds before now to label, oldest first, ends with 0; steps of 1, 2 or 5 with room for
    each label."""
    room = max(1, int(width_px // 72))
    step = next((s for s in (1.0, 2.0, 5.0, 10.0) if span_s / s <= room), span_s)
    count = int(span_s / step + 1e-6)
    return [step * i for i in range(count, -1, -1)]
