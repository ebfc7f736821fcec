"""The socket that a server listens on."""

import socket

from flightdeck.exits import fail


def bound_socket(host: str, port: int) -> socket.socket:
    """Return a socket bound to the address; exit with 2 if that is not possible, before anything else starts."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        fail(f"cannot listen on {host} port {port}: {error.strerror or error}")
    except UnicodeError:
        fail(f"cannot listen on {host}: not the name of a host")
    return listener


def base_url(listener: socket.socket) -> str:
    """Return the URL of a server on this socket."""
    address, port = listener.getsockname()[:2]
    return f"http://{f'[{address}]' if ':' in address else address}:{port}"
