"""The OpenAPI document describes every response."""

from pathlib import Path
from typing import Any

import pytest
from fastapi.routing import APIRoute, iter_route_contexts

from service.api.openapi import Problem
from service.api.parameters import Parameters
from service.app import create_app
from tests.servers.arm import QUIET, arm_settings

ALWAYS = {"422", "500", "503"}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return create_app(arm_settings("all", Path("missing")), telemetry=QUIET).openapi()


def operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        f"{method.upper()} {path}": operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def test_every_route_documents_its_problems(document: dict[str, Any]) -> None:
    for name, operation in operations(document).items():
        responses = operation["responses"]
        assert set(responses) >= ALWAYS, name
        for status, response in responses.items():
            if int(status) >= 400:
                content = response["content"]["application/problem+json"]
                assert list(response["content"]) == ["application/problem+json"], name
                assert content["schema"] == {"$ref": "#/components/schemas/Problem"}
                for example in content["examples"].values():
                    assert Problem.model_validate(example["value"]).status == int(status)


def test_every_response_has_a_schema_with_an_example(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for name, operation in operations(document).items():
        if name == "POST /error":
            continue
        responses = {
            status: response for status, response in operation["responses"].items() if status in {"200", "201", "202"}
        }
        assert responses or "204" in operation["responses"], name
        for response in responses.values():
            for media_type, content in response["content"].items():
                if media_type == "application/json":
                    assert content["schema"]["$ref"].rpartition("/")[2] in schemas, name
    assert "Problem" in schemas
    assert "HTTPValidationError" not in schemas


def test_every_route_has_a_name_a_summary_and_a_tag(document: dict[str, Any]) -> None:
    found = operations(document)

    identifiers = [operation["operationId"] for operation in found.values()]
    assert len(set(identifiers)) == len(identifiers)
    for name, operation in found.items():
        assert operation["summary"], name
        assert operation["tags"], name
        assert all(parameter.get("description") for parameter in operation.get("parameters", [])), name


def test_every_route_rejects_unknown_parameters() -> None:
    app = create_app(arm_settings("all", Path("missing")), telemetry=QUIET)

    routes = [context.route for context in iter_route_contexts(app.routes)]
    ours = [route for route in routes if isinstance(route, APIRoute)]
    assert len(ours) > 10
    for route in ours:
        models = [parameter.field_info.annotation for parameter in route.dependant.query_params]
        assert len(models) == 1, route.path
        assert isinstance(models[0], type)
        assert issubclass(models[0], Parameters), route.path


def test_every_route_that_requires_the_token_documents_its_problems(document: dict[str, Any]) -> None:
    secured = {name: operation for name, operation in operations(document).items() if "security" in operation}

    assert len(secured) > 1
    for name, operation in secured.items():
        assert {"401", "403"} <= set(operation["responses"]), name


def test_the_write_is_behind_the_token(document: dict[str, Any]) -> None:
    found = operations(document)["PATCH /flights/{flight_id}/status"]

    assert found["security"] == [{"write token": []}]
    assert {"400", "401", "403", "404", "409", "413", "415"} <= set(found["responses"])
    assert found["responses"]["401"]["headers"] == {"WWW-Authenticate": {"schema": {"type": "string"}}}
    assert found["requestBody"]["required"] is True


def test_304_is_documented_where_it_can_happen() -> None:
    def statuses(techniques: str) -> set[str]:
        app = create_app(arm_settings(techniques, Path("missing")), telemetry=QUIET)
        return set(app.openapi()["paths"]["/flights"]["get"]["responses"])

    assert statuses("http_cache") - statuses("none") == {"304"}
