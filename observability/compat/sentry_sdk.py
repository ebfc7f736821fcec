"""sentry_sdk: the moment in which its transport sends an envelope."""

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from sentry_sdk.envelope import Envelope
from sentry_sdk.transport import HttpTransport

OBSERVES_SENDING: Final = hasattr(HttpTransport, "_send_envelope")
"""Whether `send()` is called; without it a transport knows of queued and of lost envelopes only."""


class SendingTransport(HttpTransport):
    """The SDK's transport; subclasses override `send`, which its thread calls for each envelope."""

    def send(self, envelope: Envelope, send: Callable[[], Any]) -> None:  # noqa: ARG002 for subclasses
        send()

    def _send_envelope(self, envelope: Envelope) -> None:
        self.send(envelope, partial(super()._send_envelope, envelope))
