"""Label Studio's interactive context to typed prompts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from prelabel import outputs as o
from prelabel.errors import RequestError
from prelabel.labeling.elements import fold
from prelabel.prompts import (
    BoxPrompt,
    BrushPrompt,
    EllipsePrompt,
    PointPrompt,
    PolygonPrompt,
    Prompt,
    Prompts,
    TextPrompt,
)
from prelabel.regions.reading import to_outputs

if TYPE_CHECKING:
    from prelabel.labeling import LabelingConfig
    from prelabel.model import Item

Region = Mapping[str, Any]

NEGATIVE_LABELS = frozenset({"background", "negative"})
"""Labels of a smart keypoint that mean "not here", where no other control has them."""
MOST_PIXELS = 1 << 28
"""Largest image of which a brush stroke is decoded."""
_MADE = frozenset({"keypoint", "rectangle", "ellipse", "polygon", "brush", "bitmask", "text", "hypertext"})
"""What smart tools draw: types of regions, without ``labels``."""


def prompts_of(item: Item) -> Prompts:
    """The prompts of an item's interactive context; none where it has none.

    Raises:
        RequestError: the context is not as Label Studio's editor writes it.
    """
    context = item.context
    if context is None:
        return Prompts()
    given = context.get("result")
    if given is None:
        return Prompts(context=context)
    if not isinstance(given, list):
        raise _malformed(f"'result' must be a list, got {type(given).__name__}")
    regions: dict[str, list[Region]] = {}
    for number, region in enumerate(given):
        if not isinstance(region, Mapping) or not isinstance(region.get("value"), Mapping):
            raise _malformed(f"region {number} is no object with a 'value'")
        regions.setdefault(str(region.get("id") or f"#{number}"), []).append(region)
    prompts: list[Prompt] = []
    others: list[o.Output] = []
    for place, parts in enumerate(regions.values()):
        is_last = place == len(regions) - 1
        prompt = None if parts[0].get("origin") == "prediction" and not is_last else _prompt(parts, item)
        if prompt is not None and item.page not in {None, prompt.page}:
            continue  # it is on a page that the model is not asked about
        if prompt is not None:
            prompts.append(prompt)
        else:
            others += to_outputs(parts)
    return Prompts(tuple(prompts), tuple(others), context)


def _prompt(parts: Sequence[Region], item: Item) -> Prompt | None:
    """One region's prompt. It may be told in two parts of one id: a shape, and a ``Labels`` beside it."""
    region = next((part for part in parts if _kind(part) in _MADE), None)
    if region is None:
        return None
    sized, size = _sized(region, item)
    try:
        output = to_outputs([sized])[0]
        labels = (_label(part) for part in (region, *parts))
        return _made(output, region, size, next((label for label in labels if label), None), item)
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        raise _malformed(f"a region of the type {region.get('type')!r} cannot be read: {error}") from error


def _kind(region: Region) -> str:
    kind = str(region.get("type") or "")
    if kind == "labels":  # of a text; beside a shape it only says the label
        return "text" if "start" in region["value"] and "x" not in region["value"] else kind
    return kind.removesuffix("labels")


def _label(region: Region) -> str | None:
    """The label under the region's own type, or under ``labels``, where a smart keypoint has it too."""
    value = region["value"]
    said = value.get(str(region.get("type"))) or value.get("labels")
    return str(said[0]) if isinstance(said, list) and said else None


def _sized(region: Region, item: Item) -> tuple[Region, tuple[int, int]]:
    """The region in percent of the image that the model gets, and that image's size; of text 0 x 0."""
    if _kind(region) in {"text", "hypertext"}:
        return region, (0, 0)
    if _number(region.get("image_rotation") or 0) % 360:
        raise RequestError(
            "the image is turned in the editor, and prompts on turned images are not understood.",
            hint="Turn it back, and click again.",
        )
    said = region.get("original_width"), region.get("original_height")
    size = _size_of(item, region) or tuple(int(_number(side)) for side in said if side is not None)
    if len(size) != 2 or min(size) < 1 or max(size) > MOST_PIXELS or math.prod(size) > MOST_PIXELS:
        raise _malformed(f"a region on an image of {said[0]} x {said[1]} pixels")
    if _kind(region) in {"brush", "bitmask"}:  # its pixels are counted by its own size
        height = int(_number(said[1] or size[1]))
        width = int(_number(said[0] or size[0]))
        if not 0 < width * height <= MOST_PIXELS:
            raise _malformed(f"a stroke on an image of {width} x {height} pixels")
        return {**region, "original_width": width, "original_height": height}, (size[0], size[1])
    return {**region, "original_width": size[0], "original_height": size[1]}, (size[0], size[1])


def _size_of(item: Item, region: Region) -> tuple[int, int] | None:
    """Width and height of the image that was read for this region, a Pillow image or an array; else None."""
    image = item.values.get(str(region.get("to_name")), item.value)
    if isinstance(image, list):
        page = region.get("item_index") or 0
        if not isinstance(page, int) or not 0 <= page < len(image):
            raise _malformed(f"there is no page {page}")
        image = image[page]
    shape = getattr(image, "shape", None)
    if isinstance(shape, tuple):
        return (int(shape[1]), int(shape[0])) if len(shape) >= 2 else None
    width, height = getattr(image, "width", None), getattr(image, "height", None)
    return (width, height) if isinstance(width, int) and isinstance(height, int) else None


def _made(output: o.Output, region: Region, size: tuple[int, int], label: str | None, item: Item) -> Prompt:  # noqa: PLR0911 (one return a kind)
    common: dict[str, Any] = {
        "label": label,
        "control": str(region.get("from_name") or ""),
        "id": output.id,
        "page": getattr(output, "page", None) or 0,
        "region": region,
    }
    _check_finite(output)
    width, height = size
    if isinstance(output, o.Keypoint):
        return PointPrompt(
            min(max(output.x, 0.0), math.nextafter(width, 0.0)),
            min(max(output.y, 0.0), math.nextafter(height, 0.0)),
            _positive(region, label, item.config),
            **common,
        )
    if isinstance(output, o.Box):
        if output.rotation:
            return BoxPrompt(output.x, output.y, output.width, output.height, output.rotation, **common)
        left, top = min(max(output.x, 0.0), width), min(max(output.y, 0.0), height)
        right, bottom = min(output.x + output.width, width), min(output.y + output.height, height)
        return BoxPrompt(left, top, max(right - left, 0.0), max(bottom - top, 0.0), **common)
    if isinstance(output, o.Ellipse):
        return EllipsePrompt(output.x, output.y, output.radius_x, output.radius_y, output.rotation, **common)
    if isinstance(output, o.Polygon):
        return PolygonPrompt(output.points, **common)
    if isinstance(output, o.Mask):
        from prelabel import masks  # noqa: PLC0415 (NumPy is imported by those who have masks)

        return BrushPrompt(masks.resize(masks.binary(output.array), width=width, height=height), **common)
    if isinstance(output, o.Span):
        text = item.values.get(str(region.get("to_name")), item.value)
        start, end = max(output.start, 0), output.end
        shown = text[start:end] if isinstance(text, str) else str(region["value"].get("text") or "")
        return TextPrompt(start, min(end, len(text)) if isinstance(text, str) else end, shown, **common)
    raise ValueError(f"its value has {', '.join(map(str, region['value'])) or 'nothing'}")


def _check_finite(output: o.Output) -> None:
    for each in fields(output):
        value = getattr(output, each.name)
        flat = [side for point in value for side in point] if each.name == "points" else [value]
        if any(isinstance(one, float) and not math.isfinite(one) for one in flat):
            raise ValueError(f"{each.name} is {value}")


def _positive(region: Region, label: str | None, config: LabelingConfig) -> bool:
    said = region.get("is_positive")
    if said is not None and not said:
        return False
    if label is None or fold(label) not in NEGATIVE_LABELS:
        return True
    return any(control.find(label) for control in config.controls if not control.tag.startswith("KeyPoint"))


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise _malformed(f"{value!r} stands where a number belongs")
    return float(value)


def _malformed(what: str) -> RequestError:
    return RequestError(f"the interactive context is malformed: {what}.", hint="Send it as Label Studio's editor does.")


def clicked_page(context: Mapping[str, Any] | None) -> int | None:
    """The page of a multi-page image on which was just drawn; None where the context does not say. Never raises."""
    given = context.get("result") if context is not None else None
    last = given[-1] if isinstance(given, list) and given else None
    page = last.get("item_index") if isinstance(last, Mapping) else None
    return page if isinstance(page, int) and not isinstance(page, bool) and page >= 0 else None


def chosen(context: Mapping[str, Any]) -> tuple[str | None, str]:
    """Label and control of what was just drawn; None and "" where the context does not say. Never raises."""
    given = context.get("result")
    if not isinstance(given, list) or not given:
        return None, ""
    last = given[-1]
    if not isinstance(last, Mapping) or not isinstance(last.get("value"), Mapping):
        return None, ""
    parts = [part for part in given if isinstance(part, Mapping) and isinstance(part.get("value"), Mapping)]
    same = [part for part in parts if part is last or (last.get("id") and part.get("id") == last.get("id"))]
    label = next((label for label in map(_label, reversed(same)) if label), None)
    return label, str(last.get("from_name") or "")
