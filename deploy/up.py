"""Prints the addresses of the running stack, and what to look at first.

`make up` ends with it and reads what runs from Docker; `--in-container` is for the service `addresses` of the stack,
with which `docker compose up` ends.
"""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

ADDRESSES: Final = (
    ("grafana", 3000, "Grafana", "the dashboards; **Start here** is the first one"),
    ("edge", 8080, "the service", "every technique on, behind Varnish; its page has examples"),
    ("baseline", 8000, "baseline", "the same service with every technique off"),
    ("prometheus", 9090, "Prometheus", "queries, targets, rules"),
    ("alertmanager", 9093, "Alertmanager", "firing alerts"),
    ("receiver", 9095, "Receiver", "notifications, with the runbooks"),
    ("bugsink", 8000, "Bugsink", "errors; log in as admin@flightdeck.example"),
    ("locust", 8089, "Locust", "the traffic; can be changed here"),
    ("flower", 5555, "Flower", "the task queue"),
    ("rabbitmq", 15672, "RabbitMQ", "its queues; log in as flightdeck"),
)
"""Service, port in its container, name, what it is. The published port is the variable `SERVICE_PORT`."""
FIRST: Final = (
    ("grafana", "{grafana}: five arms under the same traffic, one colour each, on the board Start here."),
    ("grafana", "Click a slow dot on a latency panel: its trace opens, with its logs."),
    ("bugsink", "{edge}: its page has a button that raises an error. {bugsink} shows it, with the trace id."),
    (
        "receiver",
        "`docker compose stop optimized`: an alert fires ({prometheus}/alerts) and arrives at {receiver}.",
    ),
)
LAST: Final = "locust"
"""Starts after the service `addresses`."""

Urls = Mapping[tuple[str, int], str]
"""By service and port in its container."""


def compose(*arguments: str) -> str:
    """Return the output of `docker compose`; exit with its error if it fails."""
    command = ["docker", "compose", *arguments]
    done = subprocess.run(command, check=False, text=True, capture_output=True)  # noqa: S603 the user's own docker
    if done.returncode:
        sys.exit(done.stderr.strip() or f"{' '.join(command)} exited with code {done.returncode}")
    return done.stdout


def published(containers: list[Mapping[str, Any]]) -> Urls:
    """Return the URL of every port that a running container publishes."""
    return {
        (container["Service"], port["TargetPort"]): f"http://localhost:{port['PublishedPort']}"
        for container in containers
        for port in container["Publishers"] or []
        if port["PublishedPort"]
    }


def found_by_name(environ: Mapping[str, str]) -> Urls:
    """Return the URLs of the services whose containers run: those have a name in the network of the stack."""
    return {
        (service, port): f"http://localhost:{environ[f'{service.upper()}_PORT']}"
        for service, port, *_ in ADDRESSES
        if service == LAST or has_address(service)
    }


def has_address(service: str) -> bool:
    try:
        socket.gethostbyname(service)
    except OSError:
        return False
    return True


def described(urls: Urls) -> Iterator[str]:
    """Yield the lines that name the addresses and what to look at first."""
    shown = {}
    for service, port, name, what in ADDRESSES:
        if url := urls.get((service, port)):
            shown[service] = url
            yield f"  {name:<13} {url:<23} {what.replace('**', '')}"
    yield from ("", "Look first")
    yield from (f"  - {text.format(**shown)}" for service, text in FIRST if service in shown)
    yield ""
    yield "To print a password: docker compose exec rabbitmq cat /run/flightdeck/bugsink_password"
    yield "  (bugsink_password, rabbitmq_password, grafana_password, write_token)"
    yield "`make down` removes the stack and its data."


def main(arguments: Sequence[str]) -> None:
    if arguments == ["--in-container"]:
        urls, title = found_by_name(os.environ), "The stack is running."
    else:
        containers = [json.loads(line) for line in compose("ps", "--format=json").splitlines() if line]
        urls, title = published(containers), f"{len(containers)} containers are running."
        if not urls:
            sys.exit("the stack is not running; `make up` starts it")
    print("\n".join(["", title, *described(urls)]))  # noqa: T201 this is a command


if __name__ == "__main__":
    main(sys.argv[1:])
