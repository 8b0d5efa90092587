"""Sound in and out, nothing musical: decode, capture, devices, ring, levels, playback."""
