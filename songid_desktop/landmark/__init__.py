"""The classical method, one file per box: peaks, hashes, index, match (report, Part I, section
1)."""
