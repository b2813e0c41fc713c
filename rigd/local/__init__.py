"""The same messages over a Unix socket, for a bench without a broker."""
