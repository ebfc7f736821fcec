"""What is observed of one request: its response, its statements, and its steps on the event loop."""

from collections.abc import Awaitable, Callable, Generator, Iterable
from time import perf_counter, thread_time
from typing import Any, Final

from starlette.types import Message, Send

from observability.core.internal_errors import record_internal_error

BLOCKING_S: Final = 0.005
"""A step of a task that takes longer makes other requests wait noticeably."""

MAX_STATEMENTS: Final = 1000
MAX_BODY_BYTES: Final = 4_000_000
"""Of a body that is kept for a trial until it is done."""

_GZIP: Final = b"\x1f\x8b"
_GZIP_HEADER: Final = 10
"""Bytes; they have the time of compression."""

StatementUse = tuple[str, int | None, float]
"""The text without values; the digest of a read statement with its parameters, None of another one; seconds."""


class Observation:
    """Wraps `send` and, as an awaitable, the application's work for one request.

    Most fields keep their default, so defaults are on the class.
    """

    work: Awaitable[None]
    """Of the application; awaiting the observation runs it."""
    digest: int = 0
    """Of the body so far, mixed into a secret; 0: it is not needed."""
    headers: Iterable[tuple[bytes, bytes]] = ()
    """Of the response."""
    parts: list[bytes] | None = None
    """The body, where a trial needs it."""
    size_bytes: int = 0
    is_opaque: bool = False
    """Whether the server reads the body from a file."""
    statements: list[StatementUse] | None = None
    measures_cpu: bool = False
    blocking_s: float = 0.0
    """Sum of the blocking steps, then that of their squares, and their CPU time if it is measured."""
    blocking_square_s: float = 0.0
    blocking_cpu_s: float = 0.0

    def __init__(self, send: Send, position: int, weight: int) -> None:
        self._send = send
        self.position = position
        """Of the URL, among those that are sampled."""
        self.weight = weight
        """Requests that this one stands for; 0: only its URL is sampled."""

    def send(self, message: Message) -> Awaitable[None]:
        """Observe a message and send it; not a coroutine function, which would create an object for each message."""
        try:
            kind = message["type"]
            if kind == "http.response.body":
                body = message.get("body")
                if body:
                    self._add(body)
            elif kind == "http.response.start":
                self.headers = message.get("headers", ())
            elif kind == "http.response.pathsend":
                self.is_opaque = True
        except Exception as error:  # noqa: BLE001 telemetry never breaks a response
            record_internal_error("whatif", error)
        return self._send(message)

    def _add(self, body: bytes) -> None:
        if self.digest:
            same = body[_GZIP_HEADER:] if not self.size_bytes and body.startswith(_GZIP) else body
            self.digest = hash((self.digest, same)) or 1
        self.size_bytes += len(body)
        if self.parts is not None:
            if self.size_bytes > MAX_BODY_BYTES:
                self.parts = None
            else:
                self.parts.append(body)

    def add_statement(self, text: str, key: int | None, seconds: float) -> None:
        """Add a statement of this request, from any thread."""
        if self.statements is None:
            self.statements = []
        if len(self.statements) < MAX_STATEMENTS:
            self.statements.append((text, key, seconds))

    def __await__(self) -> Generator[Any, Any, None]:
        """Run the work, and measure how long each step keeps the event loop."""
        steps: Any = self.work.__await__()
        if not hasattr(steps, "throw"):
            yield from steps
            return
        resume: Callable[[Any], Any] = steps.send
        argument: Any = None
        measures_cpu, cpu_s = self.measures_cpu, 0.0
        while True:
            if measures_cpu:  # it takes ten times as long as the rest
                cpu_s = thread_time()
            started = perf_counter()
            try:
                yielded = resume(argument)
            except StopIteration:
                return
            finally:
                seconds = perf_counter() - started
                if seconds >= BLOCKING_S:
                    self._blocked(seconds, thread_time() - cpu_s if measures_cpu else 0.0)
            try:
                argument, resume = (yield yielded), steps.send
            except GeneratorExit:
                steps.close()
                raise
            except BaseException as raised:  # noqa: BLE001 a cancellation too is for the application
                argument, resume = raised, steps.throw

    def _blocked(self, seconds: float, cpu_s: float) -> None:
        self.blocking_s += seconds
        self.blocking_square_s += seconds * seconds
        self.blocking_cpu_s += min(cpu_s, seconds)
