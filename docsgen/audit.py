"""The result of auditing the requirements: clean only if the advisory database covered every package.

`python -m docsgen.audit REPORT` reads pip-audit's JSON. Exit status: 0 if no package has a known vulnerability, 1 if
one has, 2 if the database could not be queried for all of them.
"""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Audit:
    """The outcome for all packages."""

    audited: tuple[str, ...]
    vulnerable: Mapping[str, tuple[str, ...]]
    """By package, the advisories."""
    unknown: tuple[str, ...]
    """Packages that the database was not asked about, or could not be."""

    @classmethod
    def of(cls, report: Mapping[str, Any]) -> "Audit":
        """Return the outcome that pip-audit reported."""
        packages = report.get("dependencies", [])
        asked = [package for package in packages if "skip_reason" not in package]
        return cls(
            audited=tuple(package["name"] for package in asked),
            vulnerable={
                f"{package['name']} {package['version']}": tuple(advisory["id"] for advisory in package["vulns"])
                for package in asked
                if package.get("vulns")
            },
            unknown=tuple(package["name"] for package in packages if "skip_reason" in package),
        )

    @property
    def status(self) -> int:
        """The exit code."""
        if self.vulnerable:
            return 1
        return 2 if self.unknown or not self.audited else 0

    def __str__(self) -> str:
        lines = [f"{package}: {', '.join(advisories)}" for package, advisories in self.vulnerable.items()]
        if self.unknown or not self.audited:
            total = len(self.audited) + len(self.unknown)
            lines.append(
                f"NO RESULT: the advisory database could not be asked about {len(self.unknown)} of {total} packages. "
                "This says nothing about them. Run `make audit` where the public index itself can be reached: one that "
                "stands in for it does not pass on advisories."
            )
        return "\n".join(lines) or f"no known vulnerability in {len(self.audited)} packages"


def main() -> int:
    """Print what the report on the command line says; return the exit code."""
    report = Path(sys.argv[1])
    content = report.read_text("utf-8") if report.exists() else ""
    audit = Audit.of(json.loads(content) if content.strip() else {})
    sys.stdout.write(f"{audit}\n")
    return audit.status


if __name__ == "__main__":
    sys.exit(main())
