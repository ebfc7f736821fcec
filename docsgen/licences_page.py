"""The licences of the pinned packages, from the metadata of the installed ones, and of the images of the stack."""

import re
from collections.abc import Mapping
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import Final

from docsgen.markdown import table

ROOT: Final = Path(__file__).parents[1]
REQUIREMENTS: Final = ROOT / "requirements.txt"
NAMES: Final = {
    "Apache": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD",
    "3-Clause BSD License": "BSD-3-Clause",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}
"""SPDX identifiers of the classifiers that older packages use."""

CONDITIONAL: Final = {
    "async-timeout": "Apache-2.0",
    "colorama": "BSD-3-Clause",
    "contourpy": "BSD-3-Clause",
    "deprecated": "MIT",
    "numpy": "BSD-3-Clause AND 0BSD AND MIT AND Zlib AND CC0-1.0",
    "py-spy": "MIT",
    "scipy": "BSD-3-Clause",
    "uvloop": "Apache-2.0 OR MIT",
}
"""Licences of packages that only some platforms or versions of Python need: they may not be installed here."""


UNSTATED: Final = {"promql-parser": "MIT"}
"""Licences of packages whose metadata has only the file."""


IMAGES: Final = {
    "python": "PSF-2.0",
    "postgres": "PostgreSQL",
    "redis": "AGPL-3.0-only OR SSPL-1.0 OR LicenseRef-RSALv2",
    "rabbitmq": "MPL-2.0",
    "varnish": "BSD-2-Clause",
    "otel/opentelemetry-collector-contrib": "Apache-2.0",
    "grafana/tempo": "AGPL-3.0-only",
    "grafana/loki": "AGPL-3.0-only",
    "grafana/grafana": "AGPL-3.0-only",
    "prom/prometheus": "Apache-2.0",
    "prom/alertmanager": "Apache-2.0",
    "bugsink/bugsink": "PolyForm-Shield-1.0.0",
    "prometheuscommunity/postgres-exporter": "Apache-2.0",
    "oliver006/redis_exporter": "MIT",
    "prom/node-exporter": "Apache-2.0",
}
"""Licences of the program in each image that `.env` names; an image also has an operating system."""


def pinned(*, conditional: bool) -> list[str]:
    """Return the pinned packages with a platform or version marker, or those without."""
    lines = re.findall(r"^([A-Za-z0-9._-]+)==\S+( ;)?", REQUIREMENTS.read_text("utf-8"), re.MULTILINE)
    return sorted({name for name, marker in lines if bool(marker) is conditional}, key=str.lower)


def licences() -> dict[str, tuple[str, str]]:
    """Return version and licence by package, of those that every platform needs."""
    installed = {name: distribution(name) for name in pinned(conditional=False)}
    return {name: (package.version, UNSTATED.get(name) or _licence(package)) for name, package in installed.items()}


def _licence(installed: Distribution) -> str:
    metadata = installed.metadata
    if "License-Expression" in metadata:
        return metadata["License-Expression"]
    marker = "License :: "
    classified = [
        one.rpartition(" :: ")[2]
        for one in metadata.get_all("Classifier", [])
        if one.startswith(marker) and one not in {"License :: OSI Approved", "License :: DFSG approved"}
    ]
    stated = classified or [metadata["License"].partition("\n")[0] if "License" in metadata else ""]
    return " OR ".join(NAMES.get(one, one) for one in stated)


def images() -> dict[str, str]:
    """Return the tags of the images that `.env` names, by their repository."""
    return dict(re.findall(r"^\w+_IMAGE=(\S+):(\S+)$", (ROOT / ".env").read_text("utf-8"), re.MULTILINE))


def licences_page() -> Mapping[str, str]:
    required = ([f"`{name}`", version, licence] for name, (version, licence) in licences().items())
    conditional = ([f"`{name}`", CONDITIONAL[name]] for name in pinned(conditional=True))
    return {
        "packages": table(["package", "version", "licence"], required),
        "images": table(["image", "tag", "licence"], ([name, tag, IMAGES[name]] for name, tag in images().items())),
        "conditional": table(["package", "licence"], conditional),
    }
