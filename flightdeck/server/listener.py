"""The socket that a server listens on."""

import socket
from typing import Final

from flightdeck.exits import fail

BACKLOG: Final = 2048
"""As uvicorn's: connections that wait until the application has started."""


def listening_socket(host: str, port: int) -> socket.socket:
    """Return a socket that listens on the address; exit with 2 if that is not possible, before anything else starts.

    With `SO_REUSEADDR` two processes may bind a port of which neither listens yet, so that binding alone reserves
    nothing.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        fail(f"cannot listen on {host} port {port}: {error.strerror or error}")
    except UnicodeError:
        fail(f"cannot listen on {host}: not the name of a host")
    return listener


def base_url(listener: socket.socket) -> str:
    """Return the URL of a server on this socket."""
    address, port = listener.getsockname()[:2]
    return f"http://{f'[{address}]' if ':' in address else address}:{port}"
