"""The filesystem transport writes atomically, with any number of readers and writers."""

import os
import threading
from pathlib import Path
from queue import Empty
from typing import Any

import pytest
from kombu import Connection
from kombu.transport import filesystem

from service.exports.broker import worker_app
from tests.servers.arm import arm_settings

MESSAGES = 300


def connection(data_dir: Path) -> Any:
    return worker_app(arm_settings("all", data_dir)).connection()


def test_no_reader_receives_an_incomplete_message(tmp_path: Path) -> None:
    received: list[int] = []
    failures: list[Exception] = []
    complete = threading.Event()

    def write() -> None:
        with connection(tmp_path) as broker, broker.SimpleQueue("numbers") as queue:
            for number in range(MESSAGES):
                queue.put({"number": number, "padding": "x" * 10_000})
        complete.set()

    def read() -> None:
        with connection(tmp_path) as broker, broker.SimpleQueue("numbers") as queue:
            while True:
                was_complete = complete.is_set()
                try:
                    message = queue.get_nowait()
                except Empty:
                    if was_complete:
                        return
                except Exception as error:  # noqa: BLE001 whatever an incomplete message causes
                    failures.append(error)
                else:
                    received.append(message.payload["number"])
                    message.ack()

    threads = [threading.Thread(target=work) for work in (write, read, read)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert failures == []
    assert sorted(received) == list(range(MESSAGES))


def test_the_table_of_an_exchange_is_never_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    lock = filesystem.lock

    def recorded_lock(file: Any, flags: int) -> None:
        sizes.append(os.fstat(file.fileno()).st_size)
        lock(file, flags)

    monkeypatch.setattr(filesystem, "lock", recorded_lock)
    for name in ("numbers", "letters"):
        with connection(tmp_path) as broker, broker.SimpleQueue(name):
            pass

    assert sizes
    assert min(sizes) > 0, "a reader could have found it empty"


def test_the_broker_of_a_data_directory_is_inside_it(tmp_path: Path) -> None:
    with connection(tmp_path) as broker, broker.SimpleQueue("numbers") as queue:
        assert isinstance(broker, Connection)
        queue.put({"number": 1})
        assert len(list((tmp_path / "broker" / "messages").iterdir())) == 1
