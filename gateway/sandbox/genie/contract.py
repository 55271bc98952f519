"""The OpenAPI document as something that can be asked: does this content fit that operation?

Knows the document; must not know what follows from a violation.
"""

from collections.abc import Iterator
from functools import cache
from typing import Any

import jsonschema_rs
import yaml

from gateway import schemas


@cache
def document() -> dict[str, Any]:
    """The OpenAPI document."""
    path = schemas.directory().parent / "openapi" / "genie-provision.yaml"
    loaded: dict[str, Any] = yaml.safe_load(path.read_text("utf-8"))
    return loaded


@cache
def validator(component: str) -> jsonschema_rs.Draft202012Validator:
    """Compiled once: a validator costs milliseconds to build and microseconds to use."""
    schema = {"$ref": f"#/components/schemas/{component}", "components": document()["components"]}
    return jsonschema_rs.Draft202012Validator(schema, validate_formats=True)


def violation(component: str, content: object) -> str | None:
    """Where `content` breaks the schema and by which keyword, or None. Only names of the schema, no value."""
    if validator(component).is_valid(content):
        return None
    error = _innermost(next(validator(component).iter_errors(content)))
    place = "/".join(str(step) for step in error.instance_path)
    return f"at /{place}: {error.schema_path[-1]}"


def _innermost(error: jsonschema_rs.ValidationError) -> jsonschema_rs.ValidationError:
    """The reason inside the branch that was meant: 'oneOf' alone helps nobody."""
    for branch in _branches(error):
        if not any(reason.schema_path[-1] == "const" for reason in branch):
            return _innermost(branch[0])
    return error


def _branches(error: jsonschema_rs.ValidationError) -> Iterator[list[jsonschema_rs.ValidationError]]:
    context = getattr(error.kind, "context", None)
    return (branch for branch in context or () if branch)
