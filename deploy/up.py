"""Prints where the running stack is and what to look at first: the last words of `make up`."""

import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any, Final

PLACES: Final = (
    ("grafana", 3000, "Grafana", "the dashboards; **Start here** is the first one"),
    ("edge", 8080, "the service", "every technique on, behind Varnish; its page says what to try"),
    ("baseline", 8000, "baseline", "the same service with every technique off"),
    ("prometheus", 9090, "Prometheus", "queries, targets, rules"),
    ("alertmanager", 9093, "Alertmanager", "what fires"),
    ("receiver", 9095, "Receiver", "what was notified, with the runbooks"),
    ("bugsink", 8000, "Bugsink", "errors; log in as admin@flightdeck.example"),
    ("locust", 8089, "Locust", "the traffic that runs; change it here"),
    ("flower", 5555, "Flower", "the task queue"),
    ("rabbitmq", 15672, "RabbitMQ", "its queues; log in as flightdeck"),
)
FIRST: Final = (
    ("grafana", "{grafana}: five arms under the same traffic, one colour each, on the board Start here."),
    ("grafana", "A slow point on a latency panel: click it, and its trace opens; so do its logs from there."),
    ("bugsink", "{edge}: its page has a button that fails on purpose. {bugsink} shows the error, with the trace id."),
    ("receiver", "`docker compose stop optimized`: an alert fires on {prometheus}/alerts and arrives at {receiver}."),
)


def compose(*arguments: str) -> str:
    """Return what `docker compose` printed."""
    command = ["docker", "compose", *arguments]
    done = subprocess.run(command, check=True, text=True, capture_output=True)  # noqa: S603 the user's own docker
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
    """Print the links of what runs."""
    containers = [json.loads(line) for line in compose("ps", "--format=json").splitlines() if line]
    urls = published(containers)
    if not urls:
        sys.exit("nothing of the stack runs; `make up` starts it")
    lines = ["", f"{len(containers)} containers run."]
    shown = {}
    for service, port, name, what in PLACES:
        if url := urls.get((service, port)):
            shown[service] = url
            lines.append(f"  {name:<13} {url:<23} {what.replace('**', '')}")
    lines += ["", "Look first"]
    lines += [f"  - {text.format(**shown)}" for service, text in FIRST if service in shown]
    lines += ["", "Passwords are in the stack: docker compose exec rabbitmq cat /run/flightdeck/bugsink_password"]
    lines += ["  (bugsink_password, rabbitmq_password, grafana_password, write_token)", "`make down` ends all of it."]
    print("\n".join(lines))  # noqa: T201 this is a command


if __name__ == "__main__":
    main()
