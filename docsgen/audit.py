"""The result of an audit of the requirements: clean only if the advisory database was queried for every package.

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
    audited: tuple[str, ...]
    vulnerable: Mapping[str, tuple[str, ...]]
    """Advisories by package."""
    skipped: tuple[str, ...]
    """Packages for which the database was not queried."""

    @classmethod
    def of(cls, report: Mapping[str, Any]) -> "Audit":
        """Return what pip-audit reported."""
        packages = report.get("dependencies", [])
        audited = [package for package in packages if "skip_reason" not in package]
        return cls(
            audited=tuple(package["name"] for package in audited),
            vulnerable={
                f"{package['name']} {package['version']}": tuple(advisory["id"] for advisory in package["vulns"])
                for package in audited
                if package.get("vulns")
            },
            skipped=tuple(package["name"] for package in packages if "skip_reason" in package),
        )

    @property
    def exit_status(self) -> int:
        if self.vulnerable:
            return 1
        return 2 if self.skipped or not self.audited else 0

    def __str__(self) -> str:
        lines = [f"{package}: {', '.join(advisories)}" for package, advisories in self.vulnerable.items()]
        if self.skipped or not self.audited:
            total = len(self.audited) + len(self.skipped)
            lines.append(
                f"NO RESULT: the advisory database was not queried for {len(self.skipped)} of {total} packages, "
                "which may be vulnerable. Run `make audit` where the public index can be reached; mirrors serve no "
                "advisories."
            )
        return "\n".join(lines) or f"no known vulnerability in {len(self.audited)} packages"


def main() -> int:
    report = Path(sys.argv[1])
    content = report.read_text("utf-8") if report.exists() else ""
    audit = Audit.of(json.loads(content) if content.strip() else {})
    sys.stdout.write(f"{audit}\n")
    return audit.exit_status


if __name__ == "__main__":
    sys.exit(main())
