"""Open-loop and closed-loop load.

An open loop sends on a schedule, independently of the service, and measures latency from the time at which a request
was due: a pause of one second shows in every request that was due during it. A closed loop sends the next request after
the response to the one before, as many benchmarks do; it measures the throughput, and hides pauses (coordinated
omission). Slow links are simulated in an open loop only: in a closed one their transfers would take the clients' time.
"""

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from ssl import SSLCertVerificationError
from time import process_time
from typing import Final

from lab.core.address import Address
from lab.load.client_state import ClientState, Redirect
from lab.load.http1 import NO_RESPONSE, Connection, PendingRequest, encode
from lab.load.load_model import ClosedLoop, LoadModel, OpenLoop, Phase
from lab.load.recording import TIMED_OUT, Recording
from lab.traffic.traffic import Request

SPIN_S: Final = 0.002
"""Timers of an event loop are accurate to 1 or 2 ms; the time before a send is polled."""
MAX_CONNECTIONS: Final = 500
RECONNECT_S: Final = 0.05
"""Delay of a closed loop after a request without a response."""
HIT: Final = b"flightdeck; hit"
MISS: Final = b"flightdeck; fwd=uri-miss"
MAX_REDIRECTS: Final = 5
"""Of one request; further ones are its response."""
NOT_SENT: Final = "not sent, too many in flight"


@dataclass(slots=True, eq=False, kw_only=True)
class SentRequest(PendingRequest):
    request: Request
    target: str
    is_measured: bool
    is_resent: bool = False
    path: str = ""
    """Where the last redirect led; empty before the first."""
    redirects: int = 0


async def drive(
    address: Address, requests: Iterator[Request], model: LoadModel, phase: Phase, *, state: ClientState, seed: int = 0
) -> Recording:
    """Send the requests by the load model and return the recording; `seed` determines the arrivals."""
    driver = Driver(address, requests, phase, state)
    cpu = process_time()
    try:
        if isinstance(model, OpenLoop):
            await driver.run_open(model.arrivals_within(phase.warm_up_s + phase.duration_s, seed))
        else:
            await driver.run_closed(model)
    finally:
        await driver.close()
    driver.recording.generator_cpu_s = process_time() - cpu
    return driver.recording


class Driver:
    """One phase of load, with its connections and its recording."""

    def __init__(
        self,
        address: Address,
        requests: Iterator[Request],
        phase: Phase,
        state: ClientState,
        *,
        max_in_flight: int | None = None,
    ) -> None:
        self.recording = Recording(duration_s=phase.duration_s)
        self._max_in_flight = max_in_flight
        self._address = address
        self._tls = address.tls()
        self._requests = requests
        self._phase = phase
        self._state = state
        self._loop = asyncio.get_running_loop()
        self._begin = self._loop.time() + phase.warm_up_s
        self._end = self._begin + phase.duration_s
        self._idle: list[Connection] = []
        self._connections: set[Connection] = set()
        self._opening: set[asyncio.Task[None]] = set()
        self._queue: deque[SentRequest] = deque()
        self._pending: set[SentRequest] = set()
        self._drained = asyncio.Event()
        self._completed = asyncio.Event()
        self._remaining: int | None = None
        self._is_closed_loop = False
        self._has_unsent = False
        self._is_over = False  # not derived from the time: a loop's timers may be early, and its time outdated
        self._is_closed = False

    @property
    def in_flight(self) -> int:
        return len(self._pending)

    def take_recording(self) -> Recording:
        """Return the recording since the last call."""
        recording, self.recording = self.recording, Recording(duration_s=0)
        return recording

    async def run_open(self, arrivals: Iterator[float]) -> None:
        """Send requests when they are due, in seconds from the start; then wait for the last responses."""
        started = self._begin - self._phase.warm_up_s
        due = (started + arrival for arrival in arrivals)
        self._has_unsent = True
        self._tick(next(due, None), due)
        await self._finish()

    async def run_closed(self, model: ClosedLoop) -> None:
        """Keep one request per client in flight until the end, or until all are complete; wait for the responses."""
        self._is_closed_loop = True
        self._remaining = model.requests
        for _ in range(model.clients):
            self._send_next()
        if model.requests is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._phase.duration_s):
                    await self._completed.wait()
            self.recording.duration_s = 0.0  # as long as it took
            self._end = self._loop.time()
        await self._finish()

    async def close(self) -> None:
        """Close all connections and open no more."""
        self._is_closed = True
        self.recording.connections = len(self._connections)
        for task in self._opening:
            task.cancel()
        await asyncio.gather(*self._opening, return_exceptions=True)
        for connection in self._connections:
            connection.close()
        await asyncio.sleep(0)  # transports close in the next iteration of the loop

    async def _finish(self) -> None:
        await asyncio.sleep(self._end - self._loop.time())
        self._is_over = True
        self.recording.backlog = sum(sent.is_measured and sent.bytes_per_s is None for sent in self._pending)
        if self._pending or self._has_unsent:
            try:
                async with asyncio.timeout(self._phase.drain_s):
                    await self._drained.wait()
            except TimeoutError:
                self._record_timeouts()

    def _record_timeouts(self) -> None:
        """Record the pending requests with the time since they were due; omitting them would bias the latencies."""
        now = self._loop.time()
        for sent in self._pending:
            if sent.is_measured:
                self._record(sent, now, TIMED_OUT)
        self._pending.clear()

    def _tick(self, due: float | None, arrivals: Iterator[float]) -> None:
        if self._is_closed:
            return
        now = self._loop.time()
        while due is not None and due <= now:
            self._send(next(self._requests), due)
            due = next(arrivals, None)
        if due is None:
            self._has_unsent = False
            self._set_if_drained()
            return
        if due - now > SPIN_S:
            self._loop.call_later(due - now - SPIN_S, self._tick, due, arrivals)
        else:
            self._loop.call_soon(self._tick, due, arrivals)

    def _send(self, request: Request, intended: float) -> bool:
        """Send the request; return False if it was not sent."""
        if self._max_in_flight is not None and len(self._pending) >= self._max_in_flight:
            self.recording.failures[NOT_SENT] += 1
            return False
        target = self._state.target(request)
        if self._state.has_response(request, target):
            if self._begin <= intended < self._end:
                self.recording.not_needed[request.kind] += 1
                self.recording.busy_s = max(self.recording.busy_s, self._loop.time() - self._begin)
            return False
        sent = SentRequest(
            data=encode(
                request.method,
                self._address,
                target,
                self._state.headers(request, target),
                self._state.body(request),
            ),
            intended=intended,
            keeps_body=self._state.needs_body(request),
            bytes_per_s=None if self._is_closed_loop else request.client.link_bytes_per_s,
            request=request,
            target=target,
            is_measured=self._begin <= intended < self._end,
        )
        self._pending.add(sent)
        if sent.is_measured:
            self.recording.lateness.record(self._loop.time() - intended)
        self._send_on_connection(sent)
        return True

    def _send_on_connection(self, sent: SentRequest) -> None:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open:
                connection.start(sent)
                return
            self._connections.discard(connection)
        if len(self._connections) + len(self._opening) >= MAX_CONNECTIONS:
            self._queue.append(sent)
        else:
            self._send_on_new_connection(sent)

    def _send_on_new_connection(self, sent: SentRequest) -> None:
        task = self._loop.create_task(self._connect(sent))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _connect(self, sent: SentRequest) -> None:
        try:
            _, connection = await self._loop.create_connection(
                lambda: Connection(self._finished),
                self._address.host,
                self._address.port,
                ssl=self._tls,
            )
        except SSLCertVerificationError as error:
            self._complete(sent, f"no connection: certificate not trusted, {error.verify_message}")
            return
        except OSError as error:
            self._complete(sent, f"no connection: {type(error).__name__}")
            return
        self._connections.add(connection)
        connection.start(sent)

    def _finished(self, connection: Connection, pending: PendingRequest) -> None:
        if not isinstance(pending, SentRequest):  # pragma: no cover  # connections of a driver carry nothing else
            raise TypeError(pending)
        if not connection.is_open:
            self._connections.discard(connection)
        elif self._queue:
            connection.start(self._queue.popleft())
        else:
            self._idle.append(connection)
        if self._is_closed:
            return
        was_idle_too_long = pending.status == NO_RESPONSE and not pending.received_bytes and connection.completed > 1
        if was_idle_too_long and not pending.is_resent and pending.request.method == "GET":
            pending.is_resent = True  # the service closed the idle connection
            self._send_on_new_connection(pending)
        elif (redirect := self._redirect(pending)) is not None:
            self._follow(pending, redirect)
        else:
            self._complete(pending, pending.error)

    def _redirect(self, sent: SentRequest) -> Redirect | None:
        location = sent.headers.get(b"location")
        if location is None or sent.redirects >= MAX_REDIRECTS or sent not in self._pending:
            return None
        path = sent.path or f"{self._address.prefix}{sent.target}"
        return self._state.redirect(sent.request, path, sent.status, location.decode("latin-1"))

    def _follow(self, sent: SentRequest, redirect: Redirect) -> None:
        """Send the request again where the response leads; its latency ends with the last response."""
        self._update(sent)
        is_same = redirect.method == sent.request.method
        origin = replace(self._address, prefix="")
        headers = self._state.headers(sent.request, redirect.path)
        if not is_same:
            headers = [(name, value) for name, value in headers if name != "content-type"]
        body = self._state.body(sent.request) if is_same else b""
        sent.data = encode(redirect.method, origin, redirect.path, headers, body)
        sent.path = redirect.path
        sent.redirects += 1
        sent.status, sent.headers, sent.body = NO_RESPONSE, {}, bytearray()
        self._send_on_connection(sent)

    def _complete(self, sent: SentRequest, error: str) -> None:
        if sent not in self._pending:
            return  # timed out before
        self._pending.remove(sent)
        now = self._loop.time()
        if sent.is_measured:
            self._record(sent, now, error)
        if sent.status != NO_RESPONSE:
            self._update(sent)
        if self._is_closed_loop and now < self._end and not self._is_over:
            delay = RECONNECT_S if sent.status == NO_RESPONSE else 0
            self._loop.call_later(delay, self._send_next)
        else:
            self._set_if_drained()

    def _update(self, sent: SentRequest) -> None:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in sent.headers.items()}
        target = sent.path or sent.target
        self._state.update(sent.request, target, status=sent.status, headers=headers, body=bytes(sent.body))

    def _set_if_drained(self) -> None:
        if self._is_over and not self._pending and not self._has_unsent:
            self._drained.set()

    def _send_next(self) -> None:
        if self._is_over:
            return
        if self._remaining is not None:
            if not self._remaining:
                if not self._pending:
                    self._completed.set()
                return
            self._remaining -= 1
        if not self._send(next(self._requests), self._loop.time()):
            self._loop.call_soon(self._send_next)  # the client has the response already

    def _record(self, sent: SentRequest, now: float, error: str) -> None:
        recording, kind = self.recording, sent.request.kind
        recording.count(kind, status=sent.status, received_bytes=sent.received_bytes, error=error)
        recording.busy_s = max(recording.busy_s, now - self._begin)
        if not self._state.is_expected(sent.request, sent.status):
            recording.unexpected[f"{kind}: {sent.status or error}"] += 1
        if sent.status != NO_RESPONSE or error == TIMED_OUT:  # a refused connection is fast, and not a response
            latencies = recording.latencies[kind] if sent.bytes_per_s is None else recording.slow_link
            latencies.record(now - sent.intended)
            cache_status = sent.headers.get(b"cache-status", b"")
            if sent.bytes_per_s is None and HIT in cache_status:
                recording.hits.record(now - sent.intended)
            elif sent.bytes_per_s is None and MISS in cache_status:
                recording.misses.record(now - sent.intended)
