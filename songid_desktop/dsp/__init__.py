"""Pure functions over arrays: transforms, scales, display columns."""
