"""One line while it is checked: where it stands, what is known of its data row, and how a mistake is told."""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any, TypeVar

from prelabel.labelbox.ontology import ClassificationNode, Ontology, ToolNode
from prelabel.labelbox.ontology_json import ID_LENGTH
from prelabel.labelbox.rows import DataRowFacts, RowError

SHOWN = 80
"""Characters of a value that an error shows."""
LARGEST = 2**53
"""Whole numbers above it are not exact as JSON numbers."""
SNAKES = (("schema_id", "schemaId"), ("custom_metrics", "customMetrics"))
"""Keys that Labelbox's SDK writes in snake case below answers, and what they must be."""
Node = TypeVar("Node", ToolNode, ClassificationNode)
Json = dict[str, Any]


class Wrong(Exception):  # noqa: N818 (never leaves the package: it carries what is wrong to the line's verdict)
    """One mistake."""

    def __init__(self, error: RowError) -> None:
        super().__init__(error.message)
        self.error = error


@dataclass(slots=True)
class Line:
    """A line on its way through the checks, which bring ``body`` into normal form in place."""

    number: int
    body: Json
    ontology: Ontology
    strict_ids: bool = False
    uuid: str = ""
    facts: DataRowFacts = DataRowFacts()  # noqa: RUF009 (frozen)
    notes: list[RowError] = field(default_factory=list)
    errors: list[RowError] = field(default_factory=list)

    def attempt(self, check: Callable[..., object], *values: object) -> None:
        """Run one of a row's checks that do not depend on each other, and keep what it finds for the verdict."""
        try:
            check(*values)
        except Wrong as wrong:
            self.errors.append(wrong.error)

    def error(self, name: str, where: str, value: object, said: str, remedy: str) -> RowError:
        """A mistake in the form that is told; ``value`` is ... where nothing stood there."""
        shown = "" if value is ... else shorten(value)
        row = f"line {self.number}, uuid {self.uuid or 'not given'}"
        at = f"{where or 'the row'}{' ' + shown if shown else ''}"
        return RowError(name, f"{row}: {at} {said}.", where, shown, remedy)

    def wrong(self, name: str, where: str, value: object, said: str, remedy: str) -> Wrong:
        """The same, to be raised."""
        return Wrong(self.error(name, where, value, said, remedy))

    # --- JSON
    def record(self, value: object, where: str, required: Collection[str], optional: Collection[str] = ()) -> Json:
        """``value`` as an object that has all ``required`` keys and none beside the ``optional``; nulls are taken out.

        Raises:
            Wrong: it is not.
        """
        if type(value) is not dict:
            want = ", ".join(f'"{key}"' for key in required)
            raise self.wrong("WrongType", where, value, "is not an object", f"Give an object with {want}.")
        drop_nulls(value)
        for key in required:
            if key not in value:
                raise self.wrong("MissingKey", join(where, key), ..., "is missing", f'Give "{key}".')
        if len(value) > len(required):
            self.keys(value, where, (*required, *optional))
        return value

    def keys(self, value: Json, where: str, allowed: Collection[str]) -> None:
        """Look whether ``value`` has only keys that belong there.

        Raises:
            Wrong: ``value`` has a key that is not allowed.
        """
        for key in value:
            if key not in allowed:
                near = difflib.get_close_matches(key, allowed, 1, 0.7)
                remedy = f'Did you mean "{near[0]}"?' if near else f"Leave it out; known here: {', '.join(allowed)}."
                raise self.wrong("UnknownKey", join(where, key), value[key], "is no key that belongs here", remedy)

    def items(self, value: object, where: str, what: str, least: int = 1) -> list[Any]:
        """``value`` as a list.

        Raises:
            Wrong: ``value`` is not a list, or has fewer than ``least`` entries.
        """
        if type(value) is not list:
            raise self.wrong("WrongType", where, value, "is not a list", f"Give a list of {what}.")
        if len(value) < least:
            raise self.wrong("TooFew", where, value, f"has {len(value)} entries", f"Give at least {least} {what}.")
        return value

    def string(self, value: object, where: str, remedy: str) -> str:
        """``value`` as a string.

        Raises:
            Wrong: ``value`` is no string, or an empty one.
        """
        if type(value) is not str or not value:
            raise self.wrong("WrongType", where, value, "is not a string with something in it", remedy)
        return value

    def number_at(self, value: Any, where: str) -> None:
        """Look whether ``value`` is a number.

        Raises:
            Wrong: ``value`` is not a finite number.
        """
        if not is_number(value):
            raise self.wrong("NotANumber", where, value, "is not a finite number", "Give a finite number.")

    def whole(self, value: object, where: str, least: int, remedy: str) -> int:
        """``value`` as a whole number.

        Raises:
            Wrong: ``value`` is not a whole number from ``least`` on.
        """
        if type(value) is not int or not least <= value < LARGEST:
            raise self.wrong("OutOfRange", where, value, f"is not a whole number from {least} on", remedy)
        return value

    # --- confidence and custom metrics
    def scores(self, value: Json, where: str) -> None:
        """``confidence`` and ``customMetrics`` of a row, an answer or a nested text.

        Raises:
            Wrong: one of them is malformed.
        """
        if "confidence" in value:
            said = value["confidence"]
            if not is_number(said) or not 0 <= said <= 1:
                at = join(where, "confidence")
                raise self.wrong("OutOfRange", at, said, "is not a number from 0 to 1", "Give a number from 0 to 1.")
        if "customMetrics" in value:
            self._metrics(value, join(where, "customMetrics"))

    def _metrics(self, value: Json, where: str) -> None:
        seen: set[str] = set()
        if value["customMetrics"] == []:
            del value["customMetrics"]
            return
        for i, one in enumerate(self.items(value["customMetrics"], where, '{"name": ..., "value": ...}')):
            at = f"{where}[{i}]"
            metric = self.record(one, at, ("name", "value"))
            name = self.string(metric["name"], f"{at}.name", "Give the metric's name.")
            self.number_at(metric["value"], f"{at}.value")
            if name in seen:
                raise self.wrong("Repeated", f"{at}.name", name, "stands there twice", "Give each metric one value.")
            seen.add(name)

    # --- the ontology
    def same(self, node: Node, value: Json, where: str) -> Node:
        """``node``, which the line named by ``schemaId``, after its ``name`` beside it was compared.

        Raises:
            Wrong: they name two different features.
        """
        if "name" in value and value["name"] != node.name:
            said = f"is not the name of schemaId {value['schemaId']}, which is {node.name!r}"
            raise self.wrong("UnknownFeature", join(where, "name"), value["name"], said, "Leave one of the two out.")
        return node

    def named(self, value: Json, where: str) -> tuple[str | None, str | None]:
        """What a row, nested classification or answer gives of ``name`` and ``schemaId``: at least one.

        Raises:
            Wrong: it gives none, or a malformed one.
        """
        name, schema_id = value.get("name"), value.get("schemaId")
        if schema_id is not None and (type(schema_id) is not str or len(schema_id) != ID_LENGTH):
            raise self.wrong(
                "WrongType", join(where, "schemaId"), schema_id, f"has not {ID_LENGTH} characters",
                "Give the ontology's featureSchemaId, or the name instead.",
            )  # fmt: skip
        if name is None and schema_id is None:
            raise self.wrong(
                "MissingKey",
                join(where, "name"),
                ...,
                "is missing",
                'Give "name" or "schemaId" as the ontology has it.',
            )
        if name is not None and (type(name) is not str or not name):
            raise self.wrong("WrongType", join(where, "name"), name, "is no name", "Give the name as a string.")
        return name, schema_id

    def foreign(self, schema_id: str, where: str) -> None:
        """Note a feature that is named only by an id which the ontology does not have.

        Raises:
            Wrong: ids are checked strictly.
        """
        error = self.error(
            "UnknownSchemaId", join(where, "schemaId"), schema_id,
            "is not in the ontology: its answers were checked in form only",
            "Use names, or import the ontology with Labelbox's featureSchemaIds.",
        )  # fmt: skip
        if self.strict_ids:
            raise Wrong(error)
        self.notes.append(error)


def is_number(value: object) -> bool:
    """Whether it is a finite number, and no bool."""
    kind = type(value)
    if kind is float:
        return math.isfinite(value)  # type: ignore[arg-type]  # a float
    return kind is int and -LARGEST < value < LARGEST  # type: ignore[operator]  # an int


def drop_nulls(value: Json) -> None:
    """Take out keys whose value is null, which is to say nothing."""
    if None in value.values():
        for key in [key for key, one in value.items() if one is None]:
            del value[key]


def camel(value: Json) -> None:
    """The keys that Labelbox's SDK writes in snake case, in camel case."""
    for snake, right in SNAKES:
        if snake in value and right not in value:
            value[right] = value.pop(snake)


def join(where: str, key: str) -> str:
    """The path of a key."""
    return f"{where}.{key}" if where else key


def shorten(value: object) -> str:
    """A value as JSON, cut."""
    try:
        text = json.dumps(value, ensure_ascii=False, default=repr)
    except (TypeError, ValueError, RecursionError):
        text = type(value).__name__
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"


def one_of(names: Collection[str], least: str = "") -> str:
    """A remedy that lists what could stand there, the nearest first."""
    listed = sorted(dict.fromkeys(names))
    near = difflib.get_close_matches(least, listed, 1, 0.7) if least else []
    listed = [*near, *(name for name in listed if name not in near)]
    more = f" and {len(listed) - 8} more" if len(listed) > 8 else ""
    return ", ".join(repr(name) for name in listed[:8]) + more if listed else "none"
