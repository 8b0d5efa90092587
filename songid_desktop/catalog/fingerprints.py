"""Stored fingerprints as a stream of changes, for the indexes built from them."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from songid_desktop.catalog.database import Database, damaged
from songid_desktop.types import Fingerprint, FingerprintChange

_PAGE_ROWS = 256

# Net changes of one identifier: a fingerprint of another configuration is as good as none.
_CHANGES = """
SELECT revision, track_id, config_digest, duration_s, payload_id FROM fingerprints
 WHERE identifier = :identifier AND revision > :after
   AND (config_digest = :config OR :with_gone)
UNION ALL
SELECT revision, track_id, NULL, 0.0, NULL FROM tombstones
 WHERE identifier = :identifier AND revision > :after AND :with_gone
ORDER BY revision LIMIT :rows
"""


class CatalogReader:
    """Implements `types.FingerprintReader` on a connection of its own.

    No read transaction stays open between two changes, so a slow consumer does not hold up the
    database's log. A fingerprint that is replaced while the stream runs comes once, as the new
    one.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def close(self) -> None:
        self._database.close()

    def catalog_id(self) -> str:
        """Random name given to the database when it was made: an index built from another
        database must be rebuilt, whatever the revisions say."""
        return str(self._database.value("SELECT value FROM meta WHERE key = 'catalog_id'"))

    def revision(self) -> int:
        """Number of the newest change, over all identifiers."""
        return int(self._database.value("SELECT value FROM counters WHERE name = 'revision'"))

    def changes(
        self, identifier: str, config_digest: str, since_revision: int
    ) -> Iterator[FingerprintChange]:
        """Net changes after `since_revision` in growing order; 0 gives every stored fingerprint.

        Raises
        ------
        CatalogDamaged
            When a fingerprint is not what was stored.
        """
        after = since_revision
        while True:
            page = self._database.rows(
                _CHANGES,
                {
                    "identifier": identifier,
                    "config": config_digest,
                    "after": after,
                    "with_gone": since_revision > 0,
                    "rows": _PAGE_ROWS,
                },
            )
            for revision, track_id, config, duration_s, payload_id in page:
                after = revision
                if config != config_digest:
                    yield FingerprintChange(revision, track_id, None)
                    continue
                payload = self._payload(payload_id)
                if payload is not None:
                    fingerprint = Fingerprint(identifier, config, payload, duration_s)
                    yield FingerprintChange(revision, track_id, fingerprint)
            if len(page) < _PAGE_ROWS:
                return

    def _payload(self, payload_id: int) -> bytes | None:
        """The bytes, None when they were replaced or removed meanwhile (a later change tells)."""
        found = self._database.row(
            "SELECT bytes, checksum FROM payloads JOIN fingerprints USING (payload_id)"
            " WHERE payload_id = ?",
            (payload_id,),
        )
        if found is None:
            return None
        payload, checksum = found
        if zlib.crc32(payload) != checksum:
            raise damaged(self._database.path, "a fingerprint is not what was stored")
        return bytes(payload)

    def payload_part(
        self, identifier: str, config_digest: str, track_id: int, start: int, length: int
    ) -> bytes | None:
        """Some bytes of a stored fingerprint, fewer where it ends; None where there is none.

        Not compared with the checksum, which is that of the whole.
        """
        found = self._database.value(
            "SELECT substr(bytes, ?, ?) FROM payloads WHERE payload_id ="
            " (SELECT payload_id FROM fingerprints"
            "   WHERE track_id = ? AND identifier = ? AND config_digest = ?)",
            (start + 1, length, track_id, identifier, config_digest),
        )
        return None if found is None else bytes(found)

    def fingerprint_count(self, identifier: str, config_digest: str) -> int:
        """How many tracks are enrolled for this identifier and configuration."""
        return int(
            self._database.value(
                "SELECT count(*) FROM fingerprints WHERE identifier = ? AND config_digest = ?",
                (identifier, config_digest),
            )
        )
