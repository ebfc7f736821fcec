"""JSON request bodies."""

from typing import Any, Final, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError

from service.api.violations import violations_of
from service.errors import BodyTooLarge, BodyTooSlow, InvalidRequest, MalformedBody, UnsupportedMediaType

JSON: Final = "application/json"

BODY_PROBLEMS: Final = (MalformedBody, BodyTooLarge, BodyTooSlow, UnsupportedMediaType)

Model = TypeVar("Model", bound=BaseModel)


async def json_body(request: Request, model: type[Model]) -> Model:
    """Return the validated body; raise one of `BODY_PROBLEMS` or `InvalidRequest`.

    Routes call this instead of declaring a body parameter, so that authorisation is checked before the body.
    """
    sent = request.headers.get("content-type", "")
    if sent.partition(";")[0].strip(" \t").lower() != JSON:
        raise UnsupportedMediaType(sent)
    codings = ",".join(request.headers.getlist("content-encoding"))
    if any(coding.strip(" \t").lower() not in {"", "identity"} for coding in codings.split(",")):
        raise UnsupportedMediaType(sent, coding=codings)
    body = await request.body()
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        problems = error.errors(include_url=False)
        if problems[0]["type"] == "json_invalid":
            raise MalformedBody(problems[0]["msg"], hint=f"send {JSON} in UTF-8") from error
        raise InvalidRequest(
            violations_of({**problem, "loc": ("body", *problem["loc"])} for problem in problems)
        ) from error


def body_documentation(model: type[BaseModel]) -> dict[str, Any]:
    """Return the `openapi_extra` of a route that reads its body with `json_body`."""
    schema = model.model_json_schema()
    definitions = schema.pop("$defs", {})

    def inlined(node: Any) -> Any:
        """Inline the definitions: their references are not valid in an OpenAPI document."""
        if isinstance(node, list):
            return [inlined(one) for one in node]
        if not isinstance(node, dict):
            return node
        definition = definitions[node["$ref"].rpartition("/")[2]] if "$ref" in node else {}
        return {key: inlined(value) for key, value in (definition | node).items() if key != "$ref"}

    return {"requestBody": {"required": True, "content": {JSON: {"schema": inlined(schema)}}}}
