"""rigd: the daemon of a focus-stacking rig. It decides; `drivers` does; `stackcore` computes."""

__version__ = "0.1.0"
