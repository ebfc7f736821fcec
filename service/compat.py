"""Every use of a private name of another library; each has a public fallback, chosen at import.

Methods that a library documents for subclasses, such as `_put` of kombu's channels, are not private in this sense.
"""

from pathlib import Path

from kombu.transport import filesystem

_HAS_EXCHANGE_FILE = hasattr(filesystem.Channel, "_exchange_file")


def exchange_file(channel: filesystem.Channel, exchange: str) -> Path:
    """Return the file of an exchange's bindings; kombu's method also validates the name. Its path is documented."""
    if _HAS_EXCHANGE_FILE:
        return Path(channel._exchange_file(exchange))  # type: ignore[attr-defined]  # missing in the stubs of kombu
    return Path(channel.control_folder) / f"{exchange}.exchange"
