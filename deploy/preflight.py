"""Checks the machine before `make up` starts the stack: versions of Docker and Compose, SELinux, ports."""

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

ENGINE: Final = (25, 0)
"""The first with `healthcheck.start_interval`."""
COMPOSE: Final = (2, 26)
ROOT: Final = Path(__file__).parents[1]
LABEL: Final = "container_file_t"
"""The SELinux type of files that containers may read."""


def docker(*arguments: str) -> str:
    """Return the output of `docker`, empty if it fails."""
    try:
        done = subprocess.run(["docker", *arguments], check=False, text=True, capture_output=True)  # noqa: S603, S607
    except FileNotFoundError:
        return ""
    return done.stdout.strip() if not done.returncode else ""


def version(text: str) -> tuple[int, ...]:
    """Return `v2.26.1-4` as (2, 26, 1)."""
    found = re.match(r"v?([0-9]+(?:\.[0-9]+)*)", text)
    return tuple(map(int, found[1].split("."))) if found else ()


def engine_problems() -> Iterator[str]:
    """Yield what is wrong with the engine and with Compose."""
    server = json.loads(docker("version", "--format", "{{json .Server}}") or "null")
    if not server:
        yield "no Docker engine responds: start it, and check `docker version`"
        return
    names = {component.get("Name", "") for component in server.get("Components") or ()}
    if "Podman Engine" in names:
        yield "the engine is Podman, which has no `healthcheck.start_interval`: use Docker Engine 25 or newer"
    elif version(server["Version"]) < ENGINE:
        yield f"Docker Engine {server['Version']} is too old: health checks with `start_interval` need 25.0 or newer"
    compose = docker("compose", "version", "--short")
    if version(compose) < COMPOSE:
        yield f"Docker Compose is {compose or 'missing'}: 2.26 or newer is needed, as the plugin `docker compose`"
    if "name=selinux" in docker("info", "--format", "{{.SecurityOptions}}") and not is_labelled():
        yield f"SELinux hides the files of this folder from containers: chcon --recursive --type {LABEL} ."


def is_labelled() -> bool:
    try:
        return LABEL in os.getxattr(ROOT / "docker-compose.yml", "security.selinux").decode()
    except (OSError, AttributeError):  # no label, or no Linux
        return False


def published() -> dict[int, str]:
    """Return the services by the ports of this machine that they will publish."""
    services: dict[str, Any] = json.loads(docker("compose", "config", "--format", "json") or "{}").get("services", {})
    return {int(port["published"]): name for name, one in services.items() for port in one.get("ports", ())}


def port_problems() -> Iterator[str]:
    """Yield the ports that another program uses; an engine on another machine is not checked."""
    if os.environ.get("DOCKER_HOST", "unix://").partition(":")[0] in {"tcp", "ssh"}:
        return
    running = [json.loads(line) for line in docker("compose", "ps", "--format", "json").splitlines()]
    own = {port["PublishedPort"] for container in running for port in container["Publishers"] or ()}
    variables = re.findall(r"^(\w+_PORT)=(\d+)", (ROOT / ".env").read_text("utf-8"), re.MULTILINE)
    names = {int(os.environ.get(name) or value): name for name, value in variables}
    for port, service in sorted(published().items()):
        if port not in own and is_taken(port):
            yield f"port {port} of `{service}` is taken by another program: set {names.get(port)} in .env"


def is_taken(port: int) -> bool:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def main() -> None:
    problems = list(engine_problems()) or list(port_problems())
    if problems:
        sys.exit("\n".join(["The stack cannot start here:", *(f"  - {problem}" for problem in problems)]))


if __name__ == "__main__":
    main()
