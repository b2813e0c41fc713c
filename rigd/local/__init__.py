"""The same messages over a Unix socket, for a bench without a broker."""

from rigd.local.place import SocketError, socket_path
from rigd.local.server import LocalServer

__all__ = ["LocalServer", "SocketError", "socket_path"]
