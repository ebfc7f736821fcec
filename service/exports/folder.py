"""kombu's filesystem transport with messages that appear whole.

kombu writes a message under its final name, so a worker that looks at the wrong moment takes a part of it, can not read
it, and stops. Here a message is written elsewhere and renamed. What kombu does with a message that was taken stays: it
is gone at once, acknowledged or not, and a killed worker takes it along. The job's row knows, and is sent again.
"""

import time
import uuid
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


class Transport(filesystem.Transport):
    """The transport, for `broker_transport`; each connection has bindings of its own, as each has its own folder."""

    Channel = Channel

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.state = virtual.BrokerState()
