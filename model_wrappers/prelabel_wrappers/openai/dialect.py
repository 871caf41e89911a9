"""In which form a server takes a request: how it is told the schema, how the limit on tokens is called."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from prelabel_wrappers.http_calls import RefusedError
from prelabel_wrappers.openai.prompt import Message

Form = Literal["schema", "json", "text"]
_SIMPLER: Mapping[Form, Form] = {"schema": "json", "json": "text"}
_NOT_TAKEN = frozenset({400, 415, 422, 501})
"""Statuses with which servers answer what they do not know."""


@dataclass(frozen=True)
class Dialect:
    """``form``: the answer's schema as ``json_schema``, any JSON object, or nothing but the prompt.

    ``settled``: the user chose the form. ``limit`` is the name of the field with the most tokens of an answer.
    """

    form: Form = "schema"
    settled: bool = False
    limit: str = "max_tokens"
    temperature: bool = True

    def body(
        self, messages: Sequence[Message], schema: Mapping[str, Any], most: int, temperature: float | None
    ) -> dict[str, Any]:
        """What of a request depends on the dialect."""
        body: dict[str, Any] = {self.limit: most}
        if self.temperature and temperature is not None:
            body["temperature"] = temperature
        if self.form == "schema":
            told = {"name": "labels", "strict": True, "schema": dict(schema)}
            body["response_format"] = {"type": "json_schema", "json_schema": told}
        else:
            if self.form == "json":
                body["response_format"] = {"type": "json_object"}
            rule = f"The JSON object must follow this JSON schema:\n{json.dumps(schema, ensure_ascii=False)}"
            messages = [{**messages[0], "content": f"{messages[0]['content']}\n{rule}"}, *messages[1:]]
        return {**body, "messages": list(messages)}

    def simpler(self, error: RefusedError) -> Dialect | None:
        """What to try after a refusal; None where the dialect is not to blame, or there is nothing simpler."""
        if error.http_status not in _NOT_TAKEN:
            return None
        if self.limit == "max_tokens" and "max_completion_tokens" in error.said:
            return replace(self, limit="max_completion_tokens")
        if self.temperature and "temperature" in error.said:
            return replace(self, temperature=False)
        if self.settled or self.form not in _SIMPLER:
            return None
        return replace(self, form=_SIMPLER[self.form])
