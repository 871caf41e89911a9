"""What is said of a whole task, or of one region: choices, taxonomy, numbers, text, preference, ranking, chat."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from prelabel.outputs import (
    ChatMessage,
    Choice,
    Choices,
    DateTime,
    Number,
    Output,
    Preference,
    Ranking,
    Rating,
    Taxonomy,
    Text,
)
from prelabel.regions.target import Target, Unfit, attribute_number, finite, whole


def choices(output: Choice | Choices | Taxonomy, target: Target) -> list[str] | list[list[str]]:
    """Names as the control knows them, each once; whole paths where the control is a ``Taxonomy``."""
    if isinstance(output, Taxonomy):
        said: list[tuple[str, ...]] = [tuple(path) for path in output.paths if path]
    else:
        said = [(output.label,)] if isinstance(output, Choice) else [(label,) for label in output.labels]
    paths = list(dict.fromkeys(_path(labels, target) for labels in said))
    if not paths:
        raise Unfit("it names none")
    if target.control.tag == "Taxonomy":
        return [list(path) for path in paths]
    return list(dict.fromkeys(path[-1] for path in paths))


def _path(labels: tuple[str, ...], target: Target) -> tuple[str, ...]:
    """The stored path to one label, which may be said with or without its parents."""
    whole_path = target.config.map_path(target.control, "/".join(labels), target.label_map)
    if whole_path is not None:
        return whole_path if len(labels) == 1 or not target.control.dynamic else labels
    nodes = tuple(target.label(label) for label in labels)
    if any(entry.path == nodes for entry in target.control.entries):
        return nodes
    raise Unfit(f"{' / '.join(labels)!r} is no path in control {target.control.name!r}")


def rating(output: Rating, target: Target) -> int:
    """Stars between 1 and the control's ``maxRating`` (5 by default)."""
    stars = whole(output.value, "a rating")
    most = int(attribute_number(target.control.attributes, "maxRating") or 5)
    if not 1 <= stars <= most:
        raise Unfit(f"rating {stars} is not within 1 to {most}")
    return stars


def number(output: Number, target: Target) -> float | int:
    """A number between the control's ``min`` and ``max``, as exact as it came."""
    finite(output.value)
    low, high = (attribute_number(target.control.attributes, bound) for bound in ("min", "max"))
    if (low is not None and output.value < low) or (high is not None and output.value > high):
        raise Unfit(f"number {output.value} is not within {low} to {high}")
    value = float(output.value)
    return int(value) if value == int(value) else value


def moment(output: DateTime, target: Target) -> str:
    """A date or time in the control's ``format``; by default ISO, with the time unless ``only`` leaves it out."""
    value = output.value
    if isinstance(value, str):
        if not value.strip():
            raise Unfit("it is empty")
        return value
    only = target.attribute("only")
    if only == "time":
        form = "%H:%M"
    else:
        form = target.attribute("format") or ("%Y-%m-%dT%H:%M" if not only or "time" in only else "%Y-%m-%d")
    if isinstance(value, datetime):
        form = form.replace("%L", f"{value.microsecond // 1000:03d}")
    elif isinstance(value, date):
        value = datetime(value.year, value.month, value.day)  # noqa: DTZ001 (the control's format carries no zone)
    return value.strftime(form.replace("%L", "000"))


def texts(output: Text, target: Target) -> list[str]:
    """Strings that are not blank."""
    said = (output.text,) if isinstance(output.text, str) else tuple(output.text)
    kept = [one for one in said if one.strip()]
    if not kept:
        raise Unfit("the text is empty")
    return kept


def preference(output: Preference, target: Target) -> str:
    """Left or right."""
    if output.selected not in {"left", "right"}:
        raise Unfit(f"{output.selected!r} is neither 'left' nor 'right'")
    return output.selected


def ranking(output: Ranking, target: Target) -> dict[str, list[str]]:
    """Item ids by bucket; without buckets Label Studio uses the control's name as the only one."""
    if isinstance(output.order, Mapping):
        order = {str(bucket): [str(item) for item in items] for bucket, items in output.order.items()}
        for bucket in order:
            if target.control.labels and bucket not in target.control.labels:
                known = ", ".join(target.control.labels)
                raise Unfit(f"bucket {bucket!r} is not in control {target.control.name!r} ({known})")
    else:
        if target.control.labels:
            raise Unfit(f"control {target.control.name!r} has buckets: say which items go into {target.control.labels}")
        order = {target.control.name: [str(item) for item in output.order]}
    if not any(order.values()):
        raise Unfit("the ranking is empty")
    return order


def message(output: ChatMessage, target: Target) -> dict[str, Any]:
    """One chat message; Label Studio wants to know when it was written, in milliseconds since 1970."""
    roles = [role.strip() for role in target.attribute("messageroles").split(",") if role.strip()]
    if roles and output.role not in roles:
        raise Unfit(f"role {output.role!r} is not among the chat's roles ({', '.join(roles)})")
    written = time.time() if output.created is None else output.created.timestamp()
    return {"role": output.role, "content": output.content, "createdAt": int(written * 1000)}


KEYS: Mapping[type[Output], tuple[str, Any]] = {
    Choice: ("choices", choices),
    Choices: ("choices", choices),
    Taxonomy: ("choices", choices),
    Rating: ("rating", rating),
    Number: ("number", number),
    DateTime: ("datetime", moment),
    Text: ("text", texts),
    Preference: ("selected", preference),
    Ranking: ("ranker", ranking),
    ChatMessage: ("chatmessage", message),
}
"""Under which key of ``value`` each kind of answer stands (``Taxonomy`` controls: ``taxonomy``), and what makes it."""


def merged(key: str, said: Sequence[tuple[Any, float | None]], target: Target) -> tuple[Any, float | None, list[str]]:
    """One answer of several for the same control: Label Studio keeps one result a control (and region).

    Several choices, paths and texts become one list (its score is the lowest of theirs); of answers that exclude each
    other the surest stays, and the first where nothing is known of that. The third part says what was left out.
    """
    many = key == "text" or (key in {"choices", "taxonomy"} and target.control.multiple)
    if many:
        union: list[Any] = []
        for value, _ in said:
            union.extend(one for one in value if one not in union or key == "text")
        scores = [score for _, score in said if score is not None]
        return union, min(scores, default=None), []
    best, score = max(said, key=lambda one: one[1] if one[1] is not None else -1.0)
    left_out = [f"{_short(value)} (it takes one answer)" for value, _ in said if value is not best]
    if key in {"choices", "taxonomy"} and len(best) > 1:
        left_out.append(f"{_short(best[1:])} (it takes one choice)")
        best = best[:1]
    return best, score, left_out


def _short(value: Any) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= 60 else text[:57] + "..."
