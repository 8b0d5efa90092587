"""One SQLite database: tracks, tags, art, scan, enrol, history, export."""
