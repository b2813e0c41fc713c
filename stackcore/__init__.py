"""The pictures: arrays in, arrays out. Knows nothing of a rig."""

__version__ = "0.1.0"
