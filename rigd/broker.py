"""A broker on loopback, for a bench that has none."""
