"""The resource: attributes of this process that every span, log and error report has."""

import os
import socket
from importlib.metadata import version
from typing import Final
from uuid import uuid4

from opentelemetry.sdk.resources import Resource
from opentelemetry.semconv.attributes.service_attributes import SERVICE_NAME
from opentelemetry.semconv.attributes.telemetry_attributes import (
    TELEMETRY_SDK_LANGUAGE,
    TELEMETRY_SDK_NAME,
    TELEMETRY_SDK_VERSION,
)

from observability.core.semconv import SERVICE_INSTANCE_ID
from observability.core.settings import TelemetrySettings

DISTRIBUTION: Final = "telemetry.distro.name"
"""A tail sampler keeps traces with this attribute, because exemplars refer to them; a convention in development."""


def build_resource(settings: TelemetrySettings, *, title: str) -> Resource:
    """Return the resource of this process; each call generates a new `service.instance.id`, so call it once per worker.

    The service name is the configured one, else the application's title, else `unknown_service:python`.
    """
    return Resource(
        {
            TELEMETRY_SDK_LANGUAGE: "python",
            TELEMETRY_SDK_NAME: "opentelemetry",
            TELEMETRY_SDK_VERSION: version("opentelemetry-sdk"),
            DISTRIBUTION: "observability",
            "host.name": socket.gethostname(),
            "process.pid": os.getpid(),
            SERVICE_INSTANCE_ID: str(uuid4()),
            **settings.resource_attributes,
            SERVICE_NAME: settings.service_name
            or settings.resource_attributes.get(SERVICE_NAME)
            or title
            or "unknown_service:python",
        }
    )
