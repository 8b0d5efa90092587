"""SongID Desktop: names the music playing nearby from your own library."""

__version__ = "0.1.0"
