"""How Home Assistant finds a rig: one discovery message, made from what the rig can do."""
