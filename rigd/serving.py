"""A rig that can be reached: every way to command it and to watch it, on one open rig."""
