"""What the genuine lgpio is made to do."""

JOGS = (400, -400, 80, -40, 1, -1, 700, -700)
"""Microsteps; the last two are stopped on the way."""
