"""Prints the addresses of the running stack, and what to look at first: the end of `make up`."""

import json
import subprocess
import sys
from collections.abc import Mapping
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
FIRST: Final = (
    ("grafana", "{grafana}: five arms under the same traffic, one colour each, on the board Start here."),
    ("grafana", "Click a slow dot on a latency panel: its trace opens, with its logs."),
    ("bugsink", "{edge}: its page has a button that raises an error. {bugsink} shows it, with the trace id."),
    (
        "receiver",
        "`docker compose stop optimized`: an alert fires ({prometheus}/alerts) and arrives at {receiver}.",
    ),
)


def compose(*arguments: str) -> str:
    """Return the output of `docker compose`; exit with its error if it fails."""
    command = ["docker", "compose", *arguments]
    done = subprocess.run(command, check=False, text=True, capture_output=True)  # noqa: S603 the user's own docker
    if done.returncode:
        sys.exit(done.stderr.strip() or f"{' '.join(command)} exited with code {done.returncode}")
    return done.stdout


def published(containers: list[Mapping[str, Any]]) -> dict[tuple[str, int], str]:
    """Return the URL of every port that a running container publishes, by service and port."""
    return {
        (container["Service"], port["TargetPort"]): f"http://localhost:{port['PublishedPort']}"
        for container in containers
        for port in container["Publishers"] or []
        if port["PublishedPort"]
    }


def main() -> None:
    containers = [json.loads(line) for line in compose("ps", "--format=json").splitlines() if line]
    urls = published(containers)
    if not urls:
        sys.exit("the stack is not running; `make up` starts it")
    lines = ["", f"{len(containers)} containers are running."]
    shown = {}
    for service, port, name, what in ADDRESSES:
        if url := urls.get((service, port)):
            shown[service] = url
            lines.append(f"  {name:<13} {url:<23} {what.replace('**', '')}")
    lines += ["", "Look first"]
    lines += [f"  - {text.format(**shown)}" for service, text in FIRST if service in shown]
    lines += ["", "To print a password: docker compose exec rabbitmq cat /run/flightdeck/bugsink_password"]
    lines += [
        "  (bugsink_password, rabbitmq_password, grafana_password, write_token)",
        "`make down` removes the stack and its data.",
    ]
    print("\n".join(lines))  # noqa: T201 this is a command


if __name__ == "__main__":
    main()
