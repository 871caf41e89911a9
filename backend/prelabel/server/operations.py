"""What an endpoint takes and answers, described once: requests are read by it, the OpenAPI document is made of it."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ParamSpec, TypeVar

from flask import request
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from prelabel.errors import RequestError

MOST_LISTED = 1000
"""Largest page."""
LARGEST = 2**63 - 1
"""Largest number that the registry's columns hold."""

P = ParamSpec("P")
R = TypeVar("R")


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("has signs that cannot be printed")
    return text


def _storable(text: str) -> str:
    if "\0" in text:
        raise ValueError("holds the sign NUL, which PostgreSQL cannot store")
    return text


def _plain(value: Any) -> Any:
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        raise ValueError("holds NaN or Infinity, which is not JSON") from None
    return value


Word = Annotated[str, StringConstraints(min_length=1, max_length=255), AfterValidator(_printable)]
"""A name: 1 to 255 printable signs."""
Text = Annotated[str, AfterValidator(_storable)]
Json = Annotated[Any, AfterValidator(_plain)]
Object = Annotated[dict[str, Any], AfterValidator(_plain)]
Place = Annotated[int, Field(ge=0, le=LARGEST)]


class Query(BaseModel):
    """Base of an endpoint's query parameters; others than the fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Body(BaseModel):
    """Base of JSON bodies and of lines of NDJSON; others than the fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, strict=True)


class Answer(BaseModel):
    """Base of answers; also made from the attributes of what the registry hands out."""

    model_config = ConfigDict(frozen=True, from_attributes=True, protected_namespaces=())


AnyQuery = TypeVar("AnyQuery", bound=Query)
AnyBody = TypeVar("AnyBody", bound=Body)
Schema = type[BaseModel] | Mapping[str, Any]
"""A class that reads or writes the JSON, or its JSON schema."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One endpoint in the OpenAPI document.

    Attributes:
        summary: what it does, in one line.
        query: its query parameters.
        body: its JSON body; ``body_required`` says whether it may be missing.
        lines: its NDJSON body: what each line is.
        answer: the JSON of its answer; None: there is none.
        files: media types of the file that it answers instead.
        status: of its answer.
        errors: statuses of refusals, beside 401 where credentials are asked for.
    """

    summary: str
    query: type[Query] | None = None
    body: Schema | None = None
    body_required: bool = True
    lines: Schema | None = None
    answer: Schema | None = None
    files: tuple[str, ...] = ()
    status: int = 200
    errors: tuple[int, ...] = (400,)


def operation(described: Operation) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Describe a view. One without query parameters refuses all of them."""

    def decorate(view: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(view)
        def checked(*args: P.args, **kwargs: P.kwargs) -> R:
            if described.query is None and request.args:
                read_query(Query)
            return view(*args, **kwargs)

        checked.operation = described  # type: ignore[attr-defined]  # read by `operation_of`
        return checked

    return decorate


def operation_of(view: Callable[..., Any]) -> Operation | None:
    """What `operation` said of a view."""
    found: Operation | None = getattr(view, "operation", None)
    return found


def read_query(kind: type[AnyQuery]) -> AnyQuery:
    """The request's query parameters.

    Raises:
        RequestError: one is unknown, missing or malformed.
    """
    given = {name: value for name, value in request.args.items() if value != ""}
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        known = ", ".join(kind.model_fields)
        raise RequestError(
            explain(error), hint=f"The query parameters are {known}." if known else "There are no query parameters."
        ) from error


def read_body(kind: type[AnyBody]) -> AnyBody:
    """The request's JSON body.

    Raises:
        RequestError: it is no JSON object, or a field is unknown, missing or malformed.
    """
    return parsed(kind, request.get_data(cache=False))


def parsed(kind: type[AnyBody], raw: bytes) -> AnyBody:
    """A JSON body, or a line of one; see `read_body`."""
    try:
        return kind.model_validate_json(raw)
    except ValidationError as error:
        raise RequestError(explain(error), hint=f"The fields are {', '.join(kind.model_fields)}.") from error


def explain(error: ValidationError) -> str:
    """The first thing wrong, in one sentence."""
    first = error.errors(include_url=False)[0]
    name = ".".join(map(str, first["loc"]))
    said = first["msg"].removeprefix("Value error, ").rstrip(".")
    if first["type"] == "json_invalid":
        return f"the body is not JSON: {said.removeprefix('Invalid JSON: ')}."
    if first["type"] == "extra_forbidden":
        return f"{name!r} means nothing here."
    if first["type"] == "missing":
        return f"{name!r} is missing."
    if not name:
        return f"the body cannot be read: {said[0].lower()}{said[1:]}."
    return f"{name!r}: {said[0].lower()}{said[1:]}."
