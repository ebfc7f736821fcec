"""kombu's filesystem transport with files that appear whole.

kombu writes a message under its final name, so a worker that looks at the wrong moment takes a part of it, can not read
it, and stops; the table of an exchange is there empty for a moment, too. Here both are written elsewhere first. What
kombu does with a message that was taken stays: it is gone at once, acknowledged or not, and a killed worker takes it
along. The job's row knows, and is sent again.
"""

import os
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

from kombu.transport import filesystem, virtual
from kombu.utils.json import dumps


class Channel(filesystem.Channel):
    """A channel over folders, which it makes."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for folder in (self.data_folder_in, self.data_folder_out, self.control_folder):
            Path(folder).mkdir(parents=True, exist_ok=True)

    def _put(self, queue: str, payload: Any, **_: Any) -> None:  # type: ignore[override]  # kombu disagrees with itself
        """Put a message into a queue."""
        name = f"{time.time_ns()}_{uuid.uuid4()}.{queue}.msg"
        hidden = Path(self.control_folder) / name
        hidden.write_text(dumps(payload), encoding="utf-8")
        hidden.rename(Path(self.data_folder_out) / name)

    def _queue_bind(self, exchange: str, routing_key: str | None, pattern: str | None, queue: str | None) -> None:
        """Add a queue to the table of an exchange."""
        table = Path(self._exchange_file(exchange))  # type: ignore[attr-defined]  # younger than the types of kombu
        if not table.exists():
            empty = table.with_name(f"{uuid.uuid4()}.empty")
            empty.write_text("[]", encoding="utf-8")
            with suppress(FileExistsError):  # another process was first, and may have added to it already
                os.link(empty, table)
            empty.unlink()
        super()._queue_bind(exchange, routing_key or "", pattern, queue or "")


class Transport(filesystem.Transport):
    """The transport, for `broker_transport`; each connection has bindings of its own, as each has its own folder."""

    Channel = Channel

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.state = virtual.BrokerState()
