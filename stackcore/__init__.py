"""The pictures: arrays in, arrays out. Knows nothing of a rig."""
