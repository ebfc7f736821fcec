"""Prometheus, Alertmanager and the receiver of the embedded drills, with accelerated rules and on free ports."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import httpx
import yaml

from lab.arms.ports import free_ports
from lab.drills.run.executable import executable_path
from lab.drills.run.process import Process

REPOSITORY: Final = Path(__file__).parents[3]
RULES: Final = REPOSITORY / "prometheus" / "accelerated"
ALERTMANAGER: Final = REPOSITORY / "prometheus" / "alertmanager"
PUBLISHED_RECEIVER: Final = "http://receiver:9095"
"""The receiver's URL in the committed configuration; here it is replaced."""

SCRAPE_S: Final = 1


class Monitoring:
    """The three processes; targets can be changed while they run."""

    def __init__(
        self,
        directory: Path,
        *,
        drill: str,
        jobs: Sequence[str] = ("service", "worker"),
        rules: Path = RULES,
        scrape_s: int = SCRAPE_S,
    ) -> None:
        self.directory = directory
        self._drill = drill
        self._jobs = jobs
        self._rules = rules
        self._scrape_s = scrape_s
        prometheus, alertmanager, receiver = free_ports(3)
        self.prometheus_url = f"http://127.0.0.1:{prometheus}"
        self.alertmanager_url = f"http://127.0.0.1:{alertmanager}"
        self.receiver_url = f"http://127.0.0.1:{receiver}"
        self.prometheus_config = directory / "prometheus.yml"
        self.alertmanager_config = directory / "alertmanager" / "alertmanager.yml"
        self.rules = directory / "rules"
        """Directory of additional rules, read at the next reload."""
        self._targets = directory / "targets"
        self.receiver = Process(
            "the receiver",
            [sys.executable, "-m", "flightdeck", "receiver", "--port", str(receiver)],
            ready_url=f"{self.receiver_url}/livez",
            cleanup=directory,
        )
        self.alertmanager = Process(
            "Alertmanager",
            [
                executable_path("prometheus-alertmanager", package="prometheus-alertmanager"),
                f"--config.file={self.alertmanager_config}",
                f"--storage.path={directory / 'alertmanager-data'}",
                f"--web.listen-address=127.0.0.1:{alertmanager}",
                "--cluster.listen-address=",
                "--log.level=warn",
            ],
            ready_url=f"{self.alertmanager_url}/-/ready",
            cleanup=directory,
        )
        self.prometheus = Process(
            "Prometheus",
            [
                executable_path("prometheus", package="prometheus"),
                f"--config.file={self.prometheus_config}",
                f"--storage.tsdb.path={directory / 'prometheus-data'}",
                f"--web.listen-address=127.0.0.1:{prometheus}",
                "--web.enable-lifecycle",
                "--enable-feature=exemplar-storage",
                "--rules.alert.resend-delay=1s",  # an accelerated minute, which is the default
                "--log.level=warn",
            ],
            ready_url=f"{self.prometheus_url}/-/ready",
            cleanup=directory,
        )

    def write_configuration(self) -> None:
        """Write the configuration files; from now on targets can be set."""
        self._targets.mkdir()
        self.rules.mkdir()
        self.alertmanager_config.parent.mkdir()
        self.alertmanager_config.write_text(self._alertmanager_yml(), "utf-8")
        self.prometheus_config.write_text(self._prometheus_yml(), "utf-8")

    async def start(self) -> None:
        for process in (self.receiver, self.alertmanager, self.prometheus):
            await process.start()

    async def stop(self) -> None:
        for process in (self.prometheus, self.alertmanager, self.receiver):
            await process.stop()

    def targets_dir(self, job: str) -> Path:
        """Return the directory in which processes of the job write their own target files."""
        return self._targets / job

    def set_targets(self, job: str, addresses: Sequence[str], **labels: str) -> None:
        """Replace the targets of the job and the arm; Prometheus reads the change within about a second."""
        self.set_labelled_targets(job, dict.fromkeys(addresses, labels), arm=labels.get("arm", ""))

    def set_labelled_targets(self, job: str, targets: Mapping[str, Mapping[str, str]], *, arm: str = "") -> None:
        """Do the same for addresses that have labels of their own."""
        groups = [{"targets": [address], "labels": dict(labels)} for address, labels in targets.items()]
        path = self._targets / f"{job}.{arm}.json"
        temporary = path.with_suffix(".tmp")
        temporary.write_text(json.dumps(groups), "utf-8")
        temporary.replace(path)

    def remove_targets(self, arm: str) -> None:
        for job in self._jobs:
            self.set_targets(job, [], arm=arm)

    async def reload(self, url: str) -> None:
        """Make Prometheus or Alertmanager reload its configuration; a failed reload is no error here."""
        async with httpx.AsyncClient(timeout=5.0) as client:
            await client.post(f"{url}/-/reload")

    def _alertmanager_yml(self) -> str:
        text = (ALERTMANAGER / "alertmanager.yml").read_text("utf-8").replace(PUBLISHED_RECEIVER, self.receiver_url)
        return text.replace("templates/*.tmpl", str(ALERTMANAGER / "templates" / "*.tmpl"))

    def _prometheus_yml(self) -> str:
        def static(url: str) -> dict[str, Any]:
            return {"static_configs": [{"targets": [url.removeprefix("http://")]}]}

        def file_sd(job: str) -> dict[str, Any]:
            files = [str(self._targets / f"{job}.*.json"), str(self.targets_dir(job) / "*.json")]
            return {"job_name": job, "file_sd_configs": [{"files": files, "refresh_interval": "1s"}]}

        return yaml.safe_dump(
            {
                "global": {
                    "scrape_interval": f"{self._scrape_s}s",
                    "evaluation_interval": f"{self._scrape_s}s",
                    "external_labels": {"drill": self._drill},
                },
                "rule_files": [
                    str(self._rules / "rules" / "*.yml"),
                    str(self._rules / "alerts" / "*.yml"),
                    str(self.rules / "*.yml"),
                ],
                "alerting": {"alertmanagers": [static(self.alertmanager_url)]},
                "scrape_configs": [
                    {"job_name": "prometheus", **static(self.prometheus_url)},
                    {"job_name": "alertmanager", **static(self.alertmanager_url)},
                    *map(file_sd, self._jobs),
                ],
            }
        )
