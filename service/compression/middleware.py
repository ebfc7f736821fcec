"""Compression as ASGI middleware: zstd, br or gzip, negotiated with the client."""

from functools import partial

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from observability.request.server_timing import add_timing
from observability.saturation.threads import InstrumentedThreadPool
from service.compression.codings import BY_NAME, Stream
from service.compression.compressor import Compressor
from service.compression.eligible import Eligibility, eligibility, varies
from service.compression.headers import with_encoding, with_vary
from service.compression.metrics import CompressionMeter, count_as
from service.http.cache_model.entry import entry_of
from service.http.negotiation import IDENTITY, Acceptance, accept_encoding_of, acceptance


class CompressionMiddleware:
    """Compresses response bodies of at least `minimum_bytes`, and streamed ones part by part."""

    def __init__(
        self, app: ASGIApp, *, meter: CompressionMeter, threads: InstrumentedThreadPool, minimum_bytes: int = 1000
    ) -> None:
        self.app = app
        self._meter = meter
        self._minimum_bytes = minimum_bytes
        self._compressor = Compressor(meter=meter, threads=threads)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        accepted = acceptance(accept_encoding_of(scope["headers"]))
        response = _Response(scope, send, accepted, self._compressor, self._meter, self._minimum_bytes)
        await self.app(scope, receive, response.send)


class _Response:
    def __init__(
        self,
        scope: Scope,
        send: Send,
        accepted: Acceptance,
        compressor: Compressor,
        meter: CompressionMeter,
        minimum_bytes: int,
    ) -> None:
        self._scope = scope
        self._send = send
        self._accepted = accepted
        self._compressor = compressor
        self._meter = meter
        self._minimum_bytes = minimum_bytes
        self._held: Message | None = None
        self._stream: Stream | None = None
        self._before_bytes = self._after_bytes = 0
        self._seconds = 0.0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            await self._send_start(message)
        elif message["type"] == "http.response.body" and self._stream is not None:
            await self._send_part(self._stream, message)
        elif self._held is None:
            await self._send(message)
        elif message["type"] != "http.response.body":
            held, self._held = self._held, None
            await self._send(held)
            await self._send(message)
        elif message.get("more_body", False):
            held, self._held = self._held, None
            await self._send_part(await self._open_stream(held), message)
        else:
            held, self._held = self._held, None
            await self._send_whole(held, message)

    async def _send_start(self, message: Message) -> None:
        headers = [(name.lower(), value) for name, value in message.get("headers", ())]
        eligible = eligibility(message["status"], headers)
        message = {**message, "headers": headers}
        if message["status"] == 304 or (message["status"] == 206 and varies(dict(headers).get(b"content-type", b""))):
            await self._send({**message, "headers": with_vary(headers)})
        elif not eligible.may_change:
            await self._send(message)
        elif not self._compresses(eligible):
            if eligible.is_compressible:
                message["headers"] = with_vary(headers)
            await self._send(message)
        elif self._scope["method"] == "HEAD":
            await self._send({**message, "headers": with_encoding(headers, self._accepted.preferred, None)})
        elif eligible.size_bytes is None:
            await self._open_stream(message)
        else:
            # The whole body follows at once, so holding the start back delays no client.
            self._held = message

    def _compresses(self, eligible: Eligibility) -> bool:
        if self._accepted.preferred == IDENTITY:
            size = eligible.size_bytes
            if eligible.is_compressible and size is not None and size >= self._minimum_bytes:
                self._meter.observe(encoding=IDENTITY, before_bytes=size, after_bytes=size, seconds=0.0)
                count_as(self._scope, IDENTITY)
            return False
        if not self._accepted.identity:
            return True
        return eligible.is_compressible and (eligible.size_bytes is None or eligible.size_bytes >= self._minimum_bytes)

    async def _send_whole(self, start: Message, message: Message) -> None:
        body: bytes = message.get("body", b"")
        coding = self._accepted.preferred
        entry = entry_of(self._scope)
        if entry is not None and body is entry.body:
            compressed = await self._compressor.variant(entry, coding)
        else:
            compressed = await self._compressor.compress(body, coding)
        count_as(self._scope, IDENTITY if compressed is body else coding)
        if compressed is body:
            await self._send({**start, "headers": with_vary(start["headers"])})
            await self._send(message)
            return
        await self._send({**start, "headers": with_encoding(start["headers"], coding, len(compressed))})
        await self._send({"type": "http.response.body", "body": compressed})

    async def _open_stream(self, start: Message) -> Stream:
        coding = self._accepted.preferred
        self._stream = BY_NAME[coding].stream()
        await self._send({**start, "headers": with_encoding(start["headers"], coding, None)})
        return self._stream

    async def _send_part(self, stream: Stream, message: Message) -> None:
        body: bytes = message.get("body", b"")
        is_last = not message.get("more_body", False)
        if not body and not is_last:
            return
        compress = partial(stream.part, is_last=is_last)
        part, seconds = await self._compressor.timed(compress, body, self._accepted.preferred)
        self._before_bytes += len(body)
        self._after_bytes += len(part)
        self._seconds += seconds
        await self._send({"type": "http.response.body", "body": part, "more_body": not is_last})
        if is_last:
            add_timing("compress", self._seconds)
            self._meter.observe(
                encoding=self._accepted.preferred,
                before_bytes=self._before_bytes,
                after_bytes=self._after_bytes,
                seconds=self._seconds,
            )
