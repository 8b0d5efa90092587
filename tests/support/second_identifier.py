"""Two more identifiers beside the landmarks: one that can run here, at the price of a checksum, and
one that is not installed. They come in where the registry hands identifiers out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from songid_desktop.identify import registry
from songid_desktop.identify.registry import IdentifierInfo
from songid_desktop.types import (
    AudioBlock,
    CancelToken,
    Fingerprint,
    FingerprintReader,
    Identification,
    Verdict,
)
from songid_desktop.ui import wording
from tests.support.catalog import CheckSum

CNN = IdentifierInfo("cnn", "CNN", "Learned fingerprints of short pieces.", is_installed=True)
AST = IdentifierInfo(
    "ast", "AST", "A transformer over spectrograms.", is_installed=False, needs="Install its model."
)


class SecondIdentifier:
    """Knows how many tracks there are, and finds none of them."""

    def __init__(self, prints: CheckSum) -> None:
        self.prints = prints
        self.name, self.config_digest = prints.name, prints.config_digest
        self.sample_rate = prints.sample_rate
        self.track_count = 0
        self._reader: FingerprintReader | None = None

    def fingerprint(
        self, blocks: Iterable[AudioBlock], cancel: CancelToken | None = None
    ) -> Fingerprint:
        return self.prints.fingerprint(blocks, cancel)

    def open(self, reader: FingerprintReader) -> None:
        self._reader = reader
        self.refresh()

    def refresh(self) -> bool:
        assert self._reader is not None
        before = self.track_count
        self.track_count = self._reader.fingerprint_count(self.name, self.config_digest)
        return self.track_count != before

    def save(self) -> None: ...

    def close(self) -> None: ...

    def add(self, _track_id: int, _fingerprint: Fingerprint) -> None: ...

    def remove(self, _track_id: int) -> None: ...

    def identify(
        self, _audio: AudioBlock, _top: int = 5, _cancel: CancelToken | None = None
    ) -> Identification:
        return Identification(Verdict.NO_MATCH, self.name)


class Offered:
    """What the registry offers now; a test may change it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.infos = [*registry.available(), CNN, AST]
        names = [info.name for info in self.infos]
        # What this version really offers under these names stands back for the test.
        self.infos = [
            info for at, info in enumerate(self.infos) if info.name not in names[at + 1 :]
        ]
        self.prints = CheckSum(name="cnn", config_digest="weights-1")
        real_fingerprinter, real_create = registry.fingerprinter, registry.create
        monkeypatch.setattr(registry, "every", lambda *_args: tuple(self.infos))
        monkeypatch.setattr(
            registry,
            "fingerprinter",
            lambda name, *more: self.prints if name == "cnn" else real_fingerprinter(name, *more),
        )
        monkeypatch.setattr(
            registry,
            "create",
            lambda name, paths: (
                SecondIdentifier(self.prints) if name == "cnn" else real_create(name, paths)
            ),
        )
        wording.identifier.cache_clear()

    def retrain(self) -> None:
        """Other weights: what was enrolled with the old ones counts no more."""
        self.prints = CheckSum(name="cnn", config_digest="weights-2")

    def install(self, name: str, *, is_installed: bool = True) -> None:
        """Put a model in, or take it away."""
        self.infos = [
            replace(info, is_installed=is_installed) if info.name == name else info
            for info in self.infos
        ]
