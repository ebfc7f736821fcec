"""A stub of a collector and an error server that counts the received bytes."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


class CollectorStub:
    """Receives the telemetry of a benchmark."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.size_bytes: Counter[str] = Counter()
        """Received bytes by name."""

    def url(self, name: str) -> str:
        """Return the base URL for the telemetry of this name."""
        return f"http://127.0.0.1:{self._port}/{name}"


@contextmanager
def collector_stub() -> Iterator[CollectorStub]:
    """Run a stub on a free loopback port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            size = int(self.headers["content-length"])
            self.rfile.read(size)
            stub.size_bytes[self.path.split("/")[1]] += size
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        stub = CollectorStub(server.server_port)
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield stub
        finally:
            server.shutdown()
            thread.join()
