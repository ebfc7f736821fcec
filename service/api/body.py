"""JSON request bodies: their type, their size, their content."""

from typing import Any, Final, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError

from service.api.violations import violations_of
from service.errors import BodyTooLarge, BodyTooSlow, InvalidRequest, MalformedBody, UnsupportedMediaType

JSON: Final = "application/json"

BODY_PROBLEMS: Final = (MalformedBody, BodyTooLarge, BodyTooSlow, UnsupportedMediaType)

Model = TypeVar("Model", bound=BaseModel)


async def json_body(request: Request, model: type[Model]) -> Model:
    """Return the body as the model; raise the problem that says why it is none.

    A route reads its body by this call instead of a parameter, so that who may not write is told so first.
    """
    sent = request.headers.get("content-type", "")
    if (
        sent.partition(";")[0].strip().lower() != JSON
        or request.headers.get("content-encoding", "identity") != "identity"
    ):
        raise UnsupportedMediaType(sent)
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
    """Return what `openapi_extra` says about a body that a route reads itself."""
    schema = model.model_json_schema()
    definitions = schema.pop("$defs", {})

    def complete(node: Any) -> Any:
        """Put each definition where it is referred to: references lead nowhere inside of an OpenAPI document."""
        if isinstance(node, list):
            return [complete(one) for one in node]
        if not isinstance(node, dict):
            return node
        referred = definitions[node["$ref"].rpartition("/")[2]] if "$ref" in node else {}
        return {key: complete(value) for key, value in (referred | node).items() if key != "$ref"}

    return {"requestBody": {"required": True, "content": {JSON: {"schema": complete(schema)}}}}
