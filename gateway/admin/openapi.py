"""The OpenAPI 3.1 document of the admin side, made of the route table and the types of its bodies.

https://spec.openapis.org/oas/v3.1.0 ; schemas are JSON Schema 2020-12, as `msgspec` writes them.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from gateway import __version__
from gateway.admin.endpoint import Endpoint, Parameter
from gateway.admin.shapes import ErrorView

PATH = "/admin/openapi.json"
_REFERENCE = "#/components/schemas/{name}"
_KEYS: list[dict[str, list[str]]] = [{"bearer": []}, {"x-api-key": []}]

Object = dict[str, Any]


def document(routes: Iterable[Endpoint]) -> Object:
    """The whole document as JSON-ready values."""
    endpoints = list(routes)
    shapes = {shape: None for endpoint in endpoints for shape in (endpoint.answer, endpoint.body) if shape is not None}
    schemas, components = msgspec.json.schema_components([*shapes, ErrorView], ref_template=_REFERENCE)
    references = dict(zip([*shapes, ErrorView], schemas, strict=True))
    paths: dict[str, Object] = {}
    for endpoint in endpoints:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint, references)
    paths[PATH] = {"get": _own_operation()}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Tollway admin API",
            "version": __version__,
            "description": "Health, metrics, keys, spend and configuration of a Tollway gateway. "
            "Admin keys stand under admin.keys in the configuration; each has a role.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "x-api-key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
            },
        },
    }


def _operation(endpoint: Endpoint, references: Mapping[type[msgspec.Struct], Object]) -> Object:
    refused = {"application/json": {"schema": references[ErrorView]}}
    content: Object = {media: {} for media in endpoint.media}
    if endpoint.answer is not None:
        content = {"application/json": {"schema": references[endpoint.answer]}, **content}
    responses: Object = {str(endpoint.status): {"description": "Done.", "content": content}}
    for status in endpoint.same_shape:
        responses[str(status)] = {"description": "As the success, with what is wrong.", "content": content}
    refusals = dict(endpoint.refusals)
    if endpoint.permission is not None:
        refusals[401] = "No admin key was sent, or a wrong one."
        refusals[403] = "The key's role does not allow this, or no admin keys are configured."
    for status in sorted(refusals):
        responses[str(status)] = {"description": refusals[status], "content": refused}
    made: Object = {
        "operationId": endpoint.handler.__name__,
        "summary": endpoint.summary,
        "responses": responses,
        "security": [] if endpoint.permission is None else _KEYS,
    }
    if endpoint.parameters:
        made["parameters"] = [_parameter(parameter) for parameter in endpoint.parameters]
    if endpoint.body is not None:
        made["requestBody"] = {
            "required": endpoint.body_required,
            "content": {"application/json": {"schema": references[endpoint.body]}},
        }
    return made


def _parameter(parameter: Parameter) -> Object:
    schema: Object = {"type": "string"}
    if parameter.choices:
        schema["enum"] = list(parameter.choices)
    if parameter.default is not None:
        schema["default"] = parameter.default
    if parameter.repeated:
        schema = {"type": "array", "items": schema}
    return {
        "name": parameter.name,
        "in": parameter.where,
        "required": parameter.where == "path",
        "description": parameter.description,
        "schema": schema,
    }


def _own_operation() -> Object:
    return {
        "operationId": "openapi",
        "summary": "This document.",
        "security": [],
        "responses": {"200": {"description": "Done.", "content": {"application/json": {}}}},
    }
