"""Two more identifiers beside the landmarks: one that can run here, at the price of a checksum, and
one that is not installed. They come in where the registry hands identifiers out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from songid_desktop.identify import registry
from songid_desktop.identify.registry import IdentifierInfo
from songid_desktop.paths import Paths
from songid_desktop.types import (
    AudioBlock,
    CancelToken,
    Fingerprint,
    Fingerprinter,
    FingerprintReader,
    Identification,
    Identifier,
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
    """What the registry offers: the landmarks, and whatever a test adds."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.infos = [each for each in registry.every() if each.name in ("landmark", "report")]
        self.prints = CheckSum(name="cnn", config_digest="weights-1")
        self._real_fingerprinter, self._real_create = registry.fingerprinter, registry.create
        for name in ("every", "fingerprinter", "create", "config_digests"):
            monkeypatch.setattr(registry, name, getattr(self, name))
        wording.identifier.cache_clear()

    def add_others(self) -> None:
        """Offer a CNN that is ready, and AST that is not installed."""
        self.infos += [CNN, AST]

    # As the registry's own

    def every(self) -> tuple[IdentifierInfo, ...]:
        return tuple(self.infos)

    def fingerprinter(self, name: str) -> Fingerprinter:
        return self.prints if name == CNN.name else self._real_fingerprinter(name)

    def create(self, name: str, paths: Paths) -> Identifier:
        if name == CNN.name:
            return SecondIdentifier(self.prints)
        return self._real_create(name, paths)

    def config_digests(self) -> dict[str, str]:
        return {name: self.fingerprinter(name).config_digest for name in registry.installed_names()}

    def retrain(self) -> None:
        """Other weights: what was enrolled with the old ones counts no more."""
        self.prints = CheckSum(name="cnn", config_digest="weights-2")

    def install(self, name: str, *, is_installed: bool = True) -> None:
        """Put a model in, or take it away."""
        self.infos = [
            replace(info, is_installed=is_installed) if info.name == name else info
            for info in self.infos
        ]
