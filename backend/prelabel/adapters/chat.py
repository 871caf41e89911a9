"""Answers of OpenAI's API and of servers that speak it: what the message says, as text or as the JSON in it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from prelabel import outputs as o
from prelabel.adapters.values import plain

if TYPE_CHECKING:
    from prelabel.adapters.reading import Reading

_FENCED = re.compile(r"^\s*```(?:json)?\s*\n(.*?)\n?\s*```\s*$", re.DOTALL)


def is_completion(given: Mapping[Any, Any]) -> bool:
    """A chat completion (``choices``; or one ``message``, as Ollama says it) or a response (``output``)."""
    message = given.get("message")
    if isinstance(message, Mapping) and "role" in message and "content" in message:
        return True
    choices = given.get("choices")
    if isinstance(choices, list | tuple) and choices:
        first = plain(choices[0])
        return isinstance(first, Mapping) and ("message" in first or "text" in first)
    return given.get("object") == "response" and isinstance(given.get("output"), list | tuple)


def completion(given: Mapping[Any, Any], reading: Reading) -> list[o.Output]:
    """The first choice: its parsed answer, the arguments of its tool call, or its content.

    Raises:
        OutputError: it was refused, or says nothing.
    """
    if "output" in given:
        parts = [part for item in given["output"] for part in plain(item).get("content") or ()]
        return said(_text_of(parts), reading, given)
    choice = plain(given["choices"][0]) if "choices" in given else given
    message = plain(choice.get("message")) or {"content": choice.get("text")}
    if message.get("parsed") is not None:
        return reading.outputs(message["parsed"])
    calls = message.get("tool_calls")
    if calls:
        return said(str(plain(plain(calls[0])["function"])["arguments"]), reading, given)
    if message.get("refusal"):
        raise reading.refuse(given, f"says that it will not answer: {str(message['refusal'])[:80]!r}")
    return said(_text_of(message.get("content")), reading, given)


def _text_of(content: Any) -> Any:
    """A message's text, which may stand in parts."""
    if not isinstance(content, list | tuple):
        return content
    return "".join(str(plain(part).get("text") or "") for part in content if isinstance(plain(part), Mapping))


def said(content: Any, reading: Reading, raw: Any) -> list[o.Output]:
    """Text, or the JSON that it is; an object with one list in it means that list."""
    if not isinstance(content, str) or not content.strip():
        raise reading.refuse(raw, "says nothing")
    found = parsed(content)
    if found is None:
        return reading.outputs(content.strip())
    if isinstance(found, dict) and len(found) == 1:
        ((name, inside),) = found.items()
        if isinstance(inside, list) and reading.config.control(name) is None:
            return reading.outputs(inside)
    return reading.outputs(found)


def parsed(text: str) -> dict[str, Any] | list[Any] | None:
    """The JSON object or list that ``text`` is, with or without a fence around it; None where it is none."""
    fenced = _FENCED.match(text)
    text = fenced[1] if fenced else text.strip()
    if not text.startswith(("{", "[")):
        return None
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict | list) else None
