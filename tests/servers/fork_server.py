"""A process that has imported the service, the lab and their libraries once, and forks the processes of tests.

    python -m tests.servers.fork_server DESCRIPTOR

An import of the service takes 1.7 s of CPU, and the tests start hundreds of processes. A fork has the command's own
arguments, environment, directory, standard streams, session and exit code; only what the interpreter itself reads when
it starts is inherited, so commands for which that differs are started as usual.
"""

import atexit
import gc
import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import threading
import traceback
import warnings
from _posixsubprocess import fork_exec
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any, Final, NoReturn, Self

PRELOADED: Final = (
    *("service.app", "service.upstream.server", "service.exports.broker", "service.exports.task"),
    *("flightdeck.cli", "flightdeck.server.draining_server", "flightdeck.server.header_limits"),
    *("observability.celery.worker", "observability.doctor", "lab.receiver.app", "lab.load.load"),
    *("celery.bin.celery", "celery.apps.worker", "celery.concurrency.prefork", "celery.fixups.django"),
    *("kombu.transport.redis", "kombu.transport.pyamqp", "sqlalchemy.dialects.sqlite.aiosqlite"),
    *("sqlalchemy.dialects.postgresql.asyncpg", "uvicorn.main", "uvicorn.lifespan.on", "uvicorn.loops.uvloop"),
    *("uvicorn.protocols.http.httptools_impl", "uvicorn.protocols.websockets.auto"),
    *("opentelemetry.exporter.otlp.proto.http.trace_exporter", "rich.console", "rich.progress", "typer.rich_utils"),
)
COMMANDS: Final = frozenset({"flightdeck", "uvicorn", "celery"})
"""What `python -m` runs as a fork."""
GUARD: Final = ("flightdeck.module", "lab.arms.process_guard")
SCRIPT: Final = os.path.join(os.path.dirname(sys.executable), "flightdeck")  # noqa: PTH118, PTH120 compared as text
AT_START: Final = ("PYTHON", "LC_", "LANG", "TZ", "TERMINAL_WIDTH", "FORCE_COLOR", "NO_COLOR", "OTEL_PYTHON_")
AT_IMPORT: Final = ("OTEL_PROPAGATORS", "OTEL_SEMCONV", "PROMETHEUS_", "DISABLE_SQLALCHEMY")
"""Beginnings of the names of variables that the interpreter or an imported library reads before the program runs."""
NO_WARNINGS: Final = ("PYTHONWARNINGS", "ignore")
STANDARD_STREAMS: Final = 3
MAX_BYTES: Final = 2**20


@dataclass(frozen=True)
class Start:
    """A Python program, and how its process begins."""

    arguments: list[str]
    directory: str
    environment: dict[str, str]
    is_session: bool

    @classmethod
    def of(cls, call: Sequence[Any]) -> Self | None:
        """Return what the arguments of `fork_exec` start; None if it must be a new interpreter."""
        arguments = [os.fsdecode(argument) for argument in call[0]]
        directory, variables, identity = call[4], call[5], call[16:21]
        closes_descriptors, kept, session, prepare = call[2], call[3], call[15], call[21]
        environment = dict(os.environ if variables is None else map(_pair, variables))
        if (
            identity != (-1, None, None, None, -1)
            or prepare is not None
            or not closes_descriptors
            or set(kept) - {call[13]}  # the descriptor for errors of the start
            or not _is_command(arguments)
            or _read_at_start(environment) != _read_at_start(os.environ)
        ):
            return None
        return cls(arguments, os.path.abspath(directory or os.curdir), environment, bool(session))  # noqa: PTH100 one call

    def encode(self) -> bytes:
        return json.dumps(asdict(self)).encode()

    @property
    def is_guard(self) -> bool:
        """Whether it starts one more process."""
        return tuple(self.arguments[2:4]) == GUARD


def streams(call: Sequence[Any]) -> list[int]:
    """Return the descriptors of the standard streams that the arguments of `fork_exec` give to the process."""
    given = (call[6], call[9], call[11])
    return [own if one == -1 else one for own, one in enumerate(given)]


def _pair(variable: bytes) -> tuple[str, str]:
    name, _, value = os.fsdecode(variable).partition("=")
    return name, value


def _is_command(arguments: list[str]) -> bool:
    if arguments[0] == SCRIPT:
        return True
    if arguments[:2] != [sys.executable, "-m"]:
        return False
    if tuple(arguments[2:4]) == GUARD:
        return "--" in arguments and _is_command(arguments[arguments.index("--") + 1 :])
    return arguments[2] in COMMANDS


def _read_at_start(environment: Mapping[str, str]) -> set[tuple[str, str]]:
    found = {(name, value) for name, value in environment.items() if name.startswith((*AT_START, *AT_IMPORT))}
    return found - {NO_WARNINGS}  # which `_become` applies


def serve(connection: socket.socket) -> None:
    """Fork a process for every start that arrives with its standard streams, and reply with its id."""
    while True:
        message, descriptors, _, _ = socket.recv_fds(connection, MAX_BYTES, STANDARD_STREAMS)
        if not message:
            return
        start = Start(**json.loads(message))
        reading, writing = os.pipe()
        between = os.fork()
        if between == 0:
            _fork_orphan(start, descriptors, writing)
        os.close(writing)
        process_id = os.read(reading, 32)
        os.waitpid(between, 0)
        for descriptor in (reading, *descriptors):
            os.close(descriptor)
        connection.send(process_id)


def _fork_orphan(start: Start, descriptors: list[int], report_to: int) -> NoReturn:
    """Fork the process and end, so that the process gets a new parent; it begins when it has."""
    reading, writing = os.pipe()
    process_id = os.fork()
    if process_id == 0:
        os.close(writing)
        os.read(reading, 1)
        _become(start, descriptors)
    os.write(report_to, b"%d" % process_id)
    os._exit(0)


def _become(start: Start, descriptors: Sequence[int]) -> NoReturn:
    """Be the process, up to its end."""
    code = 1
    try:
        for stream, descriptor in enumerate(descriptors):
            os.dup2(descriptor, stream)
        os.closerange(STANDARD_STREAMS, os.sysconf("SC_OPEN_MAX"))
        if start.is_session:
            os.setsid()
        os.chdir(start.directory)
        os.environ.clear()
        os.environ.update(start.environment)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if NO_WARNINGS in start.environment.items():
            warnings.simplefilter("ignore")
        vars(subprocess)["_fork_exec"] = _fork_in_guard if start.is_guard else fork_exec
        code = _exit_code(start)
    except BaseException:  # noqa: BLE001 as the interpreter does
        traceback.print_exc()
    with suppress(BaseException):
        threading._shutdown()  # type: ignore[attr-defined]  # what the interpreter calls at its end
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def _exit_code(start: Start) -> int:
    """Run the program; return its exit code."""
    try:
        if start.arguments[0] == SCRIPT:
            sys.argv, sys.path[0] = start.arguments, os.path.dirname(SCRIPT)  # noqa: PTH120 as the interpreter does
            runpy.run_path(SCRIPT, run_name="__main__")
        else:
            sys.argv, sys.path[0] = start.arguments[2:], start.directory
            runpy.run_module(start.arguments[2], run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        if ended.code is None or isinstance(ended.code, int):
            return (ended.code or 0) & 0xFF
        print(ended.code, file=sys.stderr)  # noqa: T201 as the interpreter does
        return 1
    except KeyboardInterrupt:
        traceback.print_exc()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.raise_signal(signal.SIGINT)
    return 0


def _fork_in_guard(*call: Any) -> int:
    """Fork the process guard, which has one thread at that time and has changed nothing."""
    prepare = call[21]
    start = Start.of((*call[:21], None, *call[22:]))
    if start is None or threading.active_count() > 1:
        return fork_exec(*call)
    process_id = os.fork()
    if process_id == 0:
        if prepare is not None:
            prepare()
        _become(start, [os.dup(descriptor) for descriptor in streams(call)])
    return process_id


def _threads() -> Iterator[str]:
    return (thread.name for thread in threading.enumerate() if thread is not threading.main_thread())


def main(descriptor: int) -> None:
    for name in PRELOADED:
        importlib.import_module(name)
    if started := list(_threads()):
        raise RuntimeError(f"a process with threads cannot fork: {started}")
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.collect()
    gc.freeze()
    with socket.socket(fileno=descriptor) as connection:
        serve(connection)


if __name__ == "__main__":
    main(int(sys.argv[1]))
