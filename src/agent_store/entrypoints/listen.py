"""The socket that a process listens on, bound before anything else is started."""

from __future__ import annotations

import socket

from agent_store.kernel.errors import Conflict


def bind(host: str, port: int) -> socket.socket:
    """Raises Conflict when the port is taken: before anything else is started."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise Conflict(f"cannot listen on {host}:{port} ({error.strerror}): give another --port") from error
    return listener
