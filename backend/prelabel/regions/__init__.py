"""Outputs and a labeling config to Label Studio's result regions: percent, RLE, offsets, ids, parents.

One bad output never costs the others: what cannot be sent is left out and explained in `Conversion.dropped`. Bounds
are checked here, because Label Studio's validator accepts boxes outside the image and spans beyond the text, and drops
a whole prediction without a word for others.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from os import urandom
from typing import Any

from prelabel.errors import OutputError
from prelabel.labeling import ControlTag, LabelingConfig, fold
from prelabel.outputs import (
    Box,
    Boxes,
    Ellipse,
    FrameSpan,
    Keypoint,
    Mask,
    Output,
    ParagraphSpan,
    Polygon,
    Polyline,
    Raw,
    Regions,
    Relation,
    Segment,
    SeriesSegment,
    Span,
    Track,
    VectorTrack,
)
from prelabel.regions import boxes, image, ready, text, time, video
from prelabel.regions.answers import KEYS, merged
from prelabel.regions.target import NO_OBJECT, Shape, Target, Unfit
from prelabel.tasks import Facts

__all__ = ["Conversion", "to_regions"]

SHAPES: Mapping[type[Output], Callable[[Any, Target], Shape]] = {
    Span: text.span,
    ParagraphSpan: text.paragraph_span,
    Box: image.box,
    Ellipse: image.ellipse,
    Polygon: image.polygon,
    Keypoint: image.keypoint,
    Polyline: image.polyline,
    Mask: image.mask,
    Segment: time.segment,
    SeriesSegment: time.series_segment,
    FrameSpan: video.frame_span,
    Track: video.track,
    VectorTrack: video.vector_track,
}
"""What makes the geometry of each kind of output."""
LABEL_KEYS: Mapping[str, str] = {"videovectorlabels": "labels", "labels": "labels"}
"""Where a control keeps its labels, when not under its own name in lower case."""
REGION_TYPES: Mapping[str, str] = {"chat": "chatmessage"}
"""A region's type, when it is not the control's name in lower case."""


@dataclass(frozen=True, slots=True)
class Conversion:
    """What became of outputs.

    Attributes:
        result: regions, JSON-ready.
        dropped: one sentence for each output (or part of one) that was left out.
        distributed: classes of the whole task that state their distribution, by the id of the region they became.
    """

    result: list[dict[str, Any]]
    dropped: list[str]
    distributed: Mapping[str, Output] = field(default_factory=dict)


def to_regions(
    outputs: Iterable[Output],
    config: LabelingConfig,
    facts: Mapping[str, Facts] | None = None,
    label_map: Mapping[str, str] | None = None,
) -> Conversion:
    """Label Studio's result for what a model said of one task.

    Args:
        outputs: in any order; answers about a region (``of``) and relations are put behind the regions they name.
        config: the project's labeling config.
        facts: what is known of the data, by object tag name; sizes turn pixels into percent, lengths bound spans.
        label_map: the model's label names to the config's, before anything else is tried.

    Raises:
        OutputError: pixel coordinates on an image whose size is not in ``facts``; a mask that is no mask; something
            in ``outputs`` that is no output.
    """
    draft = _Draft(config, facts or {}, label_map)
    later: list[Output] = []
    for output in boxes.gathered(list(outputs)):
        if not isinstance(output, Output):
            raise OutputError(
                f"an output must be one of prelabel's outputs, got {type(output).__name__}.",
                hint="See docs/outputs.md for the classes, such as Choice, Span or Box.",
            )
        if output.of is not None or isinstance(output, Relation):
            later.append(output)
        else:
            draft.add(output)
    draft.add_answers()
    if later:
        for output in later:
            if not isinstance(output, Relation):
                draft.add(output)
        draft.add_answers()
        for output in later:
            if isinstance(output, Relation):
                draft.add(output)
    return Conversion(draft.result, draft.dropped, draft.distributed)


@dataclass(slots=True)
class _Draft:
    """The result while it is being written."""

    config: LabelingConfig
    facts: Mapping[str, Facts]
    label_map: Mapping[str, str] | None
    result: list[dict[str, Any]] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    shapes: dict[str, Shape] = field(default_factory=dict)
    """Geometry by region id: what answers about that region copy."""
    answers: dict[tuple[str, str | None], list[tuple[Output, Target, Any]]] = field(default_factory=dict)
    """Answers by control and region, until `add_answers` merges those of one control."""
    targets: dict[tuple[object, ...], Target] = field(default_factory=dict)
    distributed: dict[str, Output] = field(default_factory=dict)

    def add(self, output: Output) -> None:
        try:
            if isinstance(output, Raw):
                self._raw(output)
            elif isinstance(output, Regions):
                self._ready(output)
            elif isinstance(output, Relation):
                self._relation(output)
            elif type(output) in KEYS:
                self._answer(output)
            elif isinstance(output, Boxes):
                self._boxes(output)
            elif isinstance(output, Mask):
                self._mask(output)
            else:
                self._region(output)
        except Unfit as reason:
            self.dropped.append(f"{_name(output)}: {reason}.")

    # --- where an output goes
    def _target(self, output: Output) -> Target:
        label = getattr(output, "label", None)
        key = (type(output), output.control, label, output.of is None, getattr(output, "text", None) is None)
        known = self.targets.get(key) if label is not None else None
        if known is not None:
            return known
        try:
            control = self.config.find_control(output, self.label_map)
        except OutputError as error:
            raise Unfit(error.message.rstrip(".")) from error
        shown = (self.config.object(control.to_name[0]) if control.to_name else None) or NO_OBJECT
        target = Target(self.config, control, shown, self.facts, self.label_map)
        self.targets[key] = target
        return target

    # --- regions with a geometry
    def _mask(self, output: Mask) -> None:
        """A mask; where only polygons take it, one for each of its parts, the smaller ones under the largest."""
        target = self._target(output)
        if not target.control.tag.startswith("Polygon"):
            return self._region(output)
        first, *others = image.outlines(output, target)
        region_id = output.id or _new_id()
        self._region(replace(output, id=region_id), first)
        for part in others:
            self._region(replace(output, id=None, of=output.of or region_id), part)
        return None

    def _boxes(self, output: Boxes) -> None:
        """All boxes of one control together; those that need more than one region each, one by one."""
        corners, labels, scores = boxes.columns(output)
        if output.of is not None:
            raise Unfit("only a single Box can lie below another region")
        places: dict[str | None, boxes.Place | Unfit | None] = {}
        for label in dict.fromkeys(labels):
            places[label] = self._place(output, label)
        goes = {label: place.control if isinstance(place, boxes.Place) else "" for label, place in places.items()}
        for control in dict.fromkeys(goes.values()):
            chosen: Any = slice(None)
            if len(set(goes.values())) > 1:
                chosen = [at for at, label in enumerate(labels) if goes[label] == control]
            some = [labels[at] for at in chosen] if isinstance(chosen, list) else labels
            sure = [scores[at] for at in chosen] if isinstance(chosen, list) else scores
            if not control:
                self._boxes_one_by_one(output, corners[chosen].tolist(), some, sure, places)
                continue
            known = {label: place for label, place in places.items() if isinstance(place, boxes.Place)}
            target = next(known[label].target for label in known if goes[label] == control)
            stored = {label: place.label for label, place in known.items()}
            made, lost = boxes.regions_of(output, corners[chosen], sure, [stored[one] for one in some], target)
            self.result += made
            self.dropped += [f"{_name(Box(0, 0, 0, 0, some[at]))}: {why}." for at, why in lost]

    def _place(self, output: Boxes, label: str | None) -> boxes.Place | Unfit | None:
        """Where boxes with that label go; None where one box becomes more than one region; or why they go nowhere."""
        one = Box(0, 0, 1, 1, label, control=output.control, page=output.page)
        try:
            return self._place_of(one, self._target(one))
        except Unfit as reason:
            return reason

    def _place_of(self, one: Box, target: Target) -> boxes.Place | None:
        holder = self.config.label_control(target.control)
        if target.control.tag not in {"RectangleLabels", "Rectangle"}:
            return None
        if holder is not target.control and (holder is not None or one.label is not None):
            return None  # two regions each; or a label that is lost, which is said for each
        return boxes.Place(target, self._label(one, target)[0])

    def _boxes_one_by_one(
        self,
        output: Boxes,
        corners: list[list[float]],
        labels: list[str | None],
        scores: list[float | None],
        places: Mapping[str | None, object],
    ) -> None:
        common: dict[str, Any] = {"control": output.control, "meta": output.meta, "unit": output.unit}
        for (x1, y1, x2, y2), label, score in zip(corners, labels, scores, strict=True):
            box = Box.from_xyxy(x1, y1, x2, y2, label, score=score, page=output.page, **common)
            reason = places[label]
            if isinstance(reason, Unfit):
                self.dropped.append(f"{_name(box)}: {reason}.")
            else:
                self.add(box)

    def _region(self, output: Output, shape: Shape | None = None) -> None:
        target = self._target(output)
        region_id = output.id or _new_id()
        if region_id in self.shapes:
            raise Unfit(f"another output has the id {region_id!r} already")
        tag = target.control.tag.lower()
        label, holder = self._label(output, target)
        shape = shape or SHAPES[type(output)](output, target)
        self.shapes[region_id] = shape
        value = shape.value
        if label is not None and holder is target.control:
            value = {**value, LABEL_KEYS.get(tag, tag): [label]}
        elif label is not None and tag.startswith("video"):
            value, holder = {**value, "labels": [label]}, None
        extra = shape.extra if output.of is None else {**shape.extra, "parentID": output.of}
        self._emit(output, target.control, target, region_id, value, extra)
        if holder is not None and holder is not target.control:
            self._emit(output, holder, target, region_id, {**shape.value, "labels": [label]}, shape.extra)
        said: str | None = getattr(output, "text", None)
        if said and tag != "ocrlabels":
            control = self.config.region_text_control(target.control)
            if control is None:
                raise Unfit(f"the region was kept, but its text {said[:40]!r} has no per-region TextArea to go to")
            self._emit(output, control, target, region_id, {**shape.value, "text": [said]}, shape.extra)

    def _label(self, output: Output, target: Target) -> tuple[str | None, ControlTag | None]:
        """The label as the config knows it, and the control that holds it: the shape's own or a ``Labels`` beside it.

        A region without a label takes the only one that its control has.
        """
        said: str | None = getattr(output, "label", None)
        holder = self.config.label_control(target.control)
        if holder is None:
            if said is not None:
                self.dropped.append(f"{_name(output)}: the region was kept, but no control takes its label.")
            return None, None
        if said is not None:
            return target.label(said, holder), holder
        if holder is not target.control:
            return None, None
        if len(holder.labels) == 1:
            return holder.labels[0], holder
        raise Unfit(f"it has no label, and control {holder.name!r} needs one")

    # --- answers
    def _answer(self, output: Output) -> None:
        if output.of is not None and output.of not in self.shapes:
            raise Unfit(f"there is no region {output.of!r} that it could belong to")
        target = self._target(output)
        value = KEYS[type(output)][1](output, target)
        self.answers.setdefault((target.control.name, output.of), []).append((output, target, value))

    def add_answers(self) -> None:
        """Write the answers collected so far, one region for each control (and region)."""
        for (_, of), said in self.answers.items():
            first, target, value = said[0]
            key, score = KEYS[type(first)][0], first.score
            if key == "choices" and target.control.tag == "Taxonomy":
                key = "taxonomy"
            if key == "chatmessage":
                for output, _, message in said:
                    self._emit(output, target.control, target, output.id or _new_id(), {key: message}, {})
                continue
            if len(said) > 1 or key in {"choices", "taxonomy"}:
                value, score, left_out = merged(key, [(one, output.score) for output, _, one in said], target)
                self.dropped += [f"{_name(first)} for control {target.control.name!r}: {one}." for one in left_out]
            shape = self.shapes[of] if of is not None else Shape({})
            region_id = of or first.id or _new_id()
            if of is None and getattr(first, "distribution", None):
                self.distributed[region_id] = first
            self._emit(first, target.control, target, region_id, {**shape.value, key: value}, shape.extra, score=score)
        self.answers.clear()

    # --- the rest
    def _raw(self, output: Raw) -> None:
        region = _as_json(output.region)
        if region.get("type") != "relation":
            region.setdefault("id", output.id or _new_id())
            value = region.get("value")
            extra = {key: region[key] for key in _GEOMETRY_EXTRAS if key in region}
            self.shapes.setdefault(str(region["id"]), Shape(dict(value) if isinstance(value, Mapping) else {}, extra))
        if output.score is not None:
            region.setdefault("score", _clamp(output.score))
        self.result.append(region)

    def _ready(self, output: Regions) -> None:
        """Finished regions of an existing model; they are known to relations and answers like all others."""
        regions = [_as_json(one) if isinstance(one, Mapping) else one for one in output.regions]
        made, lost = ready.checked(regions, self.config, self.facts, self.label_map)
        self.result += made
        self.dropped += [*lost, *output.left_out]

    def _relation(self, output: Relation) -> None:
        for end in (output.source, output.target):
            if end not in self.shapes:
                raise Unfit(f"there is no region {end!r}")
        region: dict[str, Any] = {
            "from_id": output.source,
            "to_id": output.target,
            "type": "relation",
            "direction": output.direction,
        }
        known = {fold(label): label for label in self.config.relation_labels}
        labels = [known[fold(label)] for label in output.labels if fold(label) in known]
        self.dropped += [
            f"Relation: the relation was kept, but the labeling config has no <Relation value={label!r}/>."
            for label in output.labels
            if fold(label) not in known
        ]
        if labels:
            region["labels"] = labels
        self.result.append(region)

    def _emit(  # noqa: PLR0917 (a region's parts in the order in which Label Studio lists them)
        self,
        output: Output,
        control: ControlTag,
        target: Target,
        region_id: str,
        value: dict[str, Any],
        extra: dict[str, Any],
        *,
        score: float | None = None,
    ) -> None:
        tag = control.tag.lower()
        region = {
            **extra,
            "id": region_id,
            "from_name": control.name,
            "to_name": target.control.to_name[0] if target.control.to_name else control.name,
            "type": REGION_TYPES.get(tag, tag),
            "value": value,
        }
        score = output.score if score is None else score
        if score is not None and math.isfinite(score):
            region["score"] = _clamp(score)
        if output.meta:
            region["meta"] = dict(output.meta)
        self.result.append(region)


_GEOMETRY_EXTRAS = ("original_width", "original_height", "image_rotation", "item_index", "original_length")


def _clamp(score: float) -> float:
    return min(max(float(score), 0.0), 1.0)


def _as_json(region: Mapping[str, Any]) -> dict[str, Any]:
    """A region of the model's own as JSON can carry it: NumPy's numbers and arrays become Python's."""
    foreign = []

    def known(value: Any) -> Any:
        foreign.append(value)
        if type(value).__module__ == "numpy" and hasattr(value, "tolist"):
            return value.tolist()
        raise TypeError(f"{type(value).__name__} is no type of JSON")

    try:
        written = json.dumps(region, default=known, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise OutputError(
            f"the model's region of type {region.get('type')!r} cannot be written as JSON: {error}.",
            hint="Give it plain numbers, strings, lists and dicts.",
        ) from error
    said: dict[str, Any] = json.loads(written) if foreign else dict(region)
    return said


def _new_id() -> str:
    return urandom(5).hex()


def _name(output: Output) -> str:
    label = getattr(output, "label", None)
    return type(output).__name__ + (f" {label!r}" if label is not None else "")
