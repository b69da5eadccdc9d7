"""The socket that a process listens on, bound before anything else is started; and what serves HTTP on it."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Generator

import uvicorn

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


class HttpServer(uvicorn.Server):
    """Leaves signals to the process: uvicorn's own would close the port at SIGTERM before the work that runs has ended,
    and take Ctrl-C away from whoever has a server beside other things."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield
