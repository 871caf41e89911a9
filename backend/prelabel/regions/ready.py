"""Regions that an existing model made itself, checked against the labeling config before Label Studio sees them.

Label Studio drops a whole prediction without a word for one region that its validator dislikes, and shows what it
cannot draw as nothing. So each region is looked at alone: what has one obvious meaning is put right (a missing type or
id, a label in other case, a box that reaches over the edge), the rest is left out with its reason.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from functools import lru_cache
from os import urandom
from typing import Any

from prelabel.adapters.values import is_number, plain
from prelabel.errors import PrelabelError
from prelabel.labeling import ControlTag, LabelingConfig
from prelabel.regions.target import Unfit
from prelabel.tasks import Facts

TYPES: Mapping[str, str] = {"chat": "chatmessage"}
"""A region's type, where it is not the control's name in lower case."""
PERCENT = 100.0


def checked(
    regions: Iterable[Any],
    config: LabelingConfig,
    facts: Mapping[str, Facts],
    label_map: Mapping[str, str] | None = None,
) -> tuple[list[dict[str, Any]], list[str]]:
    """Regions that Label Studio takes, and one sentence for each (or each label of one) that was left out.

    Args:
        regions: JSON-ready, as the model made them; they are not changed.
        config: the project's labeling config.
        facts: text by object tag name, where it is known: spans end with it.
        label_map: the model's label names to the config's.
    """
    found: list[tuple[int, dict[str, Any]]] = []
    lost: list[str] = []
    relations: list[tuple[int, dict[str, Any]]] = []
    taken: set[tuple[str, str]] = set()
    for number, given in enumerate(regions):
        if isinstance(given, Mapping) and given.get("type") == "relation":
            relations.append((number, dict(given)))
            continue
        try:
            region = _checked(given, config, facts, label_map, lost, number)
            place = (str(region["from_name"]), region["id"])
            if place in taken:
                region["id"] = urandom(5).hex()
            taken.add((place[0], region["id"]))
            found.append((number, region))
        except Unfit as why:
            lost.append(f"{_named(number, given)}: {why}.")
    refused = _refused([region for _, region in found], config)
    lost += [f"{_named(number, region)}: {why}." for (number, region), why in zip(found, refused, strict=True) if why]
    kept = [region for (_, region), why in zip(found, refused, strict=True) if not why]
    known = {region["id"] for region in kept}
    for number, relation in relations:
        ends = [str(relation.get(end)) for end in ("from_id", "to_id")]
        missing = [end for end in ends if end not in known]
        if missing:
            lost.append(f"{_named(number, relation)}: there is no region {missing[0]!r}.")
        else:
            kept.append({**relation, "from_id": ends[0], "to_id": ends[1]})
    return kept, lost


def _checked(  # noqa: PLR0917
    given: Any,
    config: LabelingConfig,
    facts: Mapping[str, Facts],
    label_map: Mapping[str, str] | None,
    lost: list[str],
    number: int,
) -> dict[str, Any]:
    if not isinstance(given, Mapping):
        raise Unfit(f"a region is an object, not {type(given).__name__}")
    control = config.control(str(given.get("from_name", "")))
    if control is None:
        has = ", ".join(each.name for each in config.controls) or "none"
        raise Unfit(f"the labeling config has no control {given.get('from_name')!r}, but {has}")
    shown = given.get("to_name")
    if shown is None or shown == ",".join(control.to_name):
        shown = control.to_name[0] if control.to_name else control.name
    if control.to_name and shown not in control.to_name:
        raise Unfit(f"{control} is on {' and '.join(control.to_name)}, not on {shown!r}")
    value = given.get("value")
    if not isinstance(value, Mapping):
        raise Unfit("it has no value")
    kind = _type(given.get("type"), control)
    labels, unknown = _labels(dict(value), kind, control, config, label_map)
    lost += [f"{_named(number, given)}: {one}." for one in unknown]
    region = {
        **given,
        "id": str(given["id"]) if given.get("id") not in (None, "") else urandom(5).hex(),
        "from_name": control.name,
        "to_name": str(shown),
        "type": kind,
        "value": _within(labels, control, str(shown), facts, config),
    }
    score = plain(region.pop("score", None))
    if is_number(score) and math.isfinite(score):
        region["score"] = min(max(float(score), 0.0), 1.0)
    return region


def _type(said: Any, control: ControlTag) -> str:
    """The type that Label Studio expects of a region of this control."""
    tag = control.tag.lower()
    expected = TYPES.get(tag, tag)
    if said is None or str(said).lower() == expected:
        return expected
    if tag == "labels" and str(said).lower().endswith("labels"):
        return str(said).lower()  # geometry and labels in one region, which the validator knows
    raise Unfit(f"its type is {said!r}, and regions of {control} are {expected!r}")


def _labels(
    value: dict[str, Any], kind: str, control: ControlTag, config: LabelingConfig, label_map: Mapping[str, str] | None
) -> tuple[dict[str, Any], list[str]]:
    """The value with its labels as the config stores them, and what was left out."""
    key = next((key for key in (kind, "labels") if key in value), None)
    if key is None or kind == "taxonomy" or isinstance(value[key], Mapping) or not control.has_labels:
        return value, []
    said = value[key]
    labels = [said] if isinstance(said, str) else list(said) if isinstance(said, list | tuple) else []
    stored = {str(label): config.map_label(control, str(label), label_map) for label in labels if label is not None}
    known = list(dict.fromkeys(label for label in stored.values() if label is not None))
    unknown = [f"label {label!r} is not in {control}" for label, found in stored.items() if found is None]
    if not known:
        has = ", ".join(control.labels[:6]) or "none"
        raise Unfit(f"{unknown[0]}, which has {has}" if unknown else f"it has no label of {control}, which has {has}")
    if kind == "choices" and len(known) > 1 and not control.multiple:
        unknown += [f"{control} takes one, and {known[0]!r} came before {label!r}" for label in known[1:]]
        known = known[:1]
    return {**value, key: known}, unknown


def _within(
    value: dict[str, Any], control: ControlTag, shown: str, facts: Mapping[str, Facts], config: LabelingConfig
) -> dict[str, Any]:
    """The value with its place inside what it is a place of."""
    sides = ("x", "y", "width", "height")
    tag = config.object(shown)
    if all(side in value for side in sides) and "frame" not in value:
        return _box(value, sides)
    if isinstance(value.get("points"), list | tuple) and "closed" not in value:
        return {**value, "points": [_point(point) for point in value["points"]]}
    if "x" in value and "y" in value:
        x, y = _point((value["x"], value["y"]))
        return {**value, "x": x, "y": y}
    if tag is not None and tag.tag == "Text" and "start" in value and "end" in value:
        return _span(value, _text(facts, shown))
    for side in ("start", "end"):
        number = plain(value.get(side))
        if is_number(number) and not math.isfinite(number):
            raise Unfit(f"its {side} is {number}")
    return value


def _box(value: dict[str, Any], sides: tuple[str, ...]) -> dict[str, Any]:
    x, y, width, height = (_percent(value[side], side) for side in sides)
    if not plain(value.get("rotation")):
        right, bottom = min(x + width, PERCENT), min(y + height, PERCENT)
        x, y = max(x, 0.0), max(y, 0.0)
        width, height = right - x, bottom - y
        if width <= 0 or height <= 0:
            raise Unfit("it lies outside of what it is drawn on")
    return {**value, "x": x, "y": y, "width": width, "height": height}


def _point(point: Any) -> list[float]:
    pair = plain(point)
    if not isinstance(pair, list | tuple) or len(pair) != 2:
        raise Unfit(f"{pair!r} is no point")
    return [min(max(_percent(part, "point"), 0.0), PERCENT) for part in pair]


def _percent(number: Any, what: str) -> float:
    number = plain(number)
    if not is_number(number) or not math.isfinite(number):
        raise Unfit(f"its {what} is {number!r}")
    return float(number)


def _span(value: dict[str, Any], text: str | None) -> dict[str, Any]:
    try:
        start, end = max(int(plain(value["start"])), 0), int(plain(value["end"]))
    except (TypeError, ValueError):
        raise Unfit(f"its place is {value['start']!r} to {value['end']!r}") from None
    if text is not None:
        end = min(end, len(text))
    if start >= end:
        raise Unfit(f"characters {value['start']} to {value['end']} are not in the text")
    told = {} if text is None or value.get("text") else {"text": text[start:end]}
    return {**value, "start": start, "end": end, **told}


def _text(facts: Mapping[str, Facts], shown: str) -> str | None:
    try:
        return facts[shown].text
    except (KeyError, PrelabelError):  # the model has read it by itself, and we cannot
        return None


def _refused(regions: list[dict[str, Any]], config: LabelingConfig) -> list[str]:
    """For each region why Label Studio's import would refuse it, in the validator's words; "" where it would not."""
    judge = _validator(config.xml)
    if judge is None:
        return [""] * len(regions)
    told = []
    for region in regions:
        known = config.control(region["from_name"]) in config.controls  # tags that are repeated are not, to it
        said = judge.validate_region(region, return_errors=True, context={"result": regions, "region": region})
        told.append(str(said[0]).removeprefix("Region 0: ").rstrip(".") if said and known else "")
    return told


@lru_cache(maxsize=32)
def _validator(xml: str) -> Any:
    """label-studio-sdk's view of a config; None where it cannot read it, and so refuses nothing."""
    from label_studio_sdk.label_interface.interface import LabelInterface  # noqa: PLC0415 (half a second)

    try:
        return LabelInterface(xml)
    except Exception:  # noqa: BLE001 (whatever it stumbles over, it is no reason to drop a prediction)
        return None


def _named(number: int, given: Any) -> str:
    kind = given.get("type") if isinstance(given, Mapping) else None
    return f"region {number + 1}" + (f" ({kind})" if isinstance(kind, str) else "")
