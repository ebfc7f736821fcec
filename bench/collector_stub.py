"""A collector and an error server in one, which take everything and keep nothing but how much it was."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


class CollectorStub:
    """Where a benchmark's telemetry goes."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.size_bytes: Counter[str] = Counter()
        """What came in, by the name that it came under."""

    def url(self, name: str) -> str:
        """Return a base URL under which this name's telemetry is counted."""
        return f"http://127.0.0.1:{self._port}/{name}"


@contextmanager
def collector_stub() -> Iterator[CollectorStub]:
    """Give a collector_stub that listens on loopback."""

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
            """Write nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        stub = CollectorStub(server.server_port)
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield stub
        finally:
            server.shutdown()
            thread.join()
