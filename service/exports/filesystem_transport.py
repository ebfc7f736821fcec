"""kombu's filesystem transport, with atomic writes.

kombu writes a message under its final name, so a worker can read an incomplete one, fails to parse it, and stops; the
table of an exchange exists empty for a moment, too. Here both are written to another name first. As in kombu, a message
is deleted when it is received, acknowledged or not, so a killed worker loses it; the job's row is then sent again.
"""

import os
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

from kombu.transport import filesystem, virtual
from kombu.utils.json import dumps

from service.compat import exchange_file


class Channel(filesystem.Channel):
    """A channel that creates its directories."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for directory in (self.data_folder_in, self.data_folder_out, self.control_folder):
            Path(directory).mkdir(parents=True, exist_ok=True)

    def _put(self, queue: str, payload: Any, **_: Any) -> None:  # type: ignore[override]  # kombu's base class has another signature
        """Write a message, then move it into the queue's directory."""
        name = f"{time.time_ns()}_{uuid.uuid4()}.{queue}.msg"
        temporary = Path(self.control_folder) / name
        temporary.write_text(dumps(payload), encoding="utf-8")
        temporary.rename(Path(self.data_folder_out) / name)

    def _queue_bind(self, exchange: str, routing_key: str | None, pattern: str | None, queue: str | None) -> None:
        """Add a queue to the table of an exchange, which is created complete."""
        table = exchange_file(self, exchange)
        if not table.exists():
            empty = table.with_name(f"{uuid.uuid4()}.empty")
            empty.write_text("[]", encoding="utf-8")
            with suppress(FileExistsError):  # created by another process meanwhile
                os.link(empty, table)
            empty.unlink()
        super()._queue_bind(exchange, routing_key or "", pattern, queue or "")


class Transport(filesystem.Transport):
    """For Celery's `broker_transport`; bindings are per connection, because directories are."""

    Channel = Channel

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.state = virtual.BrokerState()
