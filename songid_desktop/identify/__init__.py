"""Identifiers behind one protocol, calibration, the listening session and its worker."""
