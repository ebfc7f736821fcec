"""A PostgreSQL primary and its streaming replica for one drill, with the flights loaded."""

import asyncio
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from lab.arms.ports import free_ports
from lab.drills.run.context import DrillContext
from lab.drills.run.errors import ProcessFailed
from lab.drills.run.executable import executable_path
from lab.drills.run.process import START_S

PACKAGE: Final = "postgresql"
DIRECTORIES: Final = ("/usr/lib/postgresql/*/bin",)
EXECUTABLES: Final = ("initdb", "postgres", "pg_basebackup", "pg_isready", "psql")
OWNER: Final = "postgres"
POLL_S: Final = 0.1
SETTINGS: Final = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    "wal_keep_size": "1GB",
}
"""Without fsync, because the data does not outlive the drill; with log enough for a replica that was stopped."""


class Cluster:
    """Both servers: `open` creates and starts them, the drill's context stops them."""

    def __init__(self, context: DrillContext) -> None:
        self._directory = context.directory / "postgres"
        self._executables = {
            name: executable_path(name, package=PACKAGE, directories=DIRECTORIES) for name in EXECUTABLES
        }
        # PostgreSQL does not run as root.
        self._as_owner = ["setpriv", f"--reuid={OWNER}", f"--regid={OWNER}", "--init-groups"] if _is_root() else []
        self._ports = dict(zip(("primary", "replica"), free_ports(2), strict=True))
        self.primary, self.replica = (context.process(f"the {role}", self._server(role)) for role in self._ports)

    def url(self, role: str) -> str:
        return f"postgresql://{OWNER}@127.0.0.1:{self._ports[role]}/flightdeck"

    async def open(self) -> None:
        """Start the primary, load the flights, and start a replica of it."""
        self._directory.mkdir()
        if _is_root():
            for folder in (self._directory.parent.parent, self._directory.parent):
                folder.chmod(0o711)
            shutil.chown(self._directory, OWNER, OWNER)
        data = self._directory / "primary"
        await self._run("initdb", "-D", str(data), "-U", OWNER, "-A", "trust", "-E", "UTF8", "--no-sync")
        await self.start("primary")
        load = [sys.executable, "-m", "flightdeck", "data", "load"]
        await run_command("flightdeck data load", load, {"DATABASE_URL": self.url("primary")})
        source = f"host=127.0.0.1 port={self._ports['primary']} user={OWNER}"
        backup = ["-D", str(self._directory / "replica"), "-R", "-X", "stream", "--checkpoint=fast", "--no-sync"]
        await self._run("pg_basebackup", *backup, "-d", source)
        await self.start("replica")

    async def start(self, role: str) -> None:
        """Start the primary or the replica, and wait until it accepts connections."""
        server = self.primary if role == "primary" else self.replica
        await server.start()
        is_ready = [self._executables["pg_isready"], "-q", "-h", "127.0.0.1", "-p", str(self._ports[role])]
        try:
            async with asyncio.timeout(START_S):
                while await (await asyncio.create_subprocess_exec(*is_ready, cwd="/")).wait():
                    if not server.running:
                        raise ProcessFailed(server.name, "exited during its start", server.log())
                    await asyncio.sleep(POLL_S)
        except TimeoutError:
            raise ProcessFailed(server.name, f"was not ready after {START_S:.0f} s", server.log()) from None

    async def execute_on_replica(self, statement: str) -> None:
        await self._run("psql", "-X", "-q", "-d", self.url("replica"), "-c", statement)

    def _server(self, role: str) -> list[str]:
        settings = SETTINGS | {"port": str(self._ports[role])}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return [*self._as_owner, self._executables["postgres"], "-D", str(self._directory / role), *options]

    async def _run(self, name: str, *arguments: str) -> None:
        await run_command(name, [*self._as_owner, self._executables[name], *arguments], {})


def _is_root() -> bool:
    return os.geteuid() == 0


async def run_command(name: str, command: Sequence[str], environment: Mapping[str, str]) -> None:
    """Run a command until it exits; raise `ProcessFailed` with the end of its output if it fails."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=None if environment else Path("/"),
        env={**os.environ, **environment},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise ProcessFailed(name, f"exited with code {process.returncode}", output.decode(errors="replace")[-4000:])
