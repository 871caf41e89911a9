"""Annotation objects of Labelbox's SDK to NDJSON rows, through the SDK's own converter, with what it loses put back."""

from __future__ import annotations

import base64
import importlib
import json
from collections.abc import Hashable, Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Any

from prelabel.errors import RequestError, SettingsError
from prelabel.labelbox.checks import SNAKES

Label = Any  # labelbox.types.Label: the package is optional, and has no types
Json = dict[str, Any]
INLINE = "data:image/png;base64,"


def rows_of_objects(objects: Iterable[object]) -> Iterator[Json]:
    """NDJSON rows of labels, ready for `prelabel.labelbox.reading.read_rows`; the objects are not changed.

    Put right, compared with ``NDJsonConverter`` of labelbox 7.17: a confidence of 0.0 stays; keys below answers are in
    camel case; a video's tracks of one class stay apart (by ``extra["uuid"]``), frames that are no keyframes neither
    split nor break a segment, answers that differ between frames become rows of their own; tracks have a uuid;
    answers in time also name data rows by id; confidences on a classification (instead of on its text) stay.

    Args:
        objects: `labelbox.types.Label`s; dicts of a label's arguments, with the SDK's annotations in the list (as
            dicts, polygons and lines cannot be told apart); rows (dicts with ``dataRow``), which pass as they are.

    Raises:
        SettingsError: the package labelbox is not installed.
        RequestError: an object is none of these, or the SDK cannot write it.
    """
    for number, one in enumerate(objects, start=1):
        if isinstance(one, Mapping) and "dataRow" in one:
            yield dict(one)
            continue
        yield from _rows(one, number)


def _rows(one: object, number: int) -> Iterator[Json]:
    try:
        types = importlib.import_module("labelbox.types")
        serialize = importlib.import_module("labelbox.data.serialization").NDJsonConverter.serialize
    except ImportError as error:
        raise SettingsError(
            f"Labelbox's annotation objects need its package: {error}.", hint='pip install "labelbox[data]"'
        ) from error
    try:
        label = types.Label(**one) if isinstance(one, Mapping) else one
        if not isinstance(label, types.Label):
            raise _wrong(
                number,
                f"is no label, but a {type(one).__name__}",
                "Give Label objects of labelbox.types, dicts or rows.",
            )
        for part in _parts(label, types, number):
            for row in serialize([part]):
                yield _repaired(json.loads(json.dumps(row)), part, label)
    except (ValueError, TypeError, LookupError, AttributeError) as error:  # pydantic's errors are ValueErrors
        raise _wrong(number, f"cannot be written by Labelbox's SDK: {error}", "Correct the annotation.") from error


def _wrong(number: int, said: str, remedy: str) -> RequestError:
    return RequestError(f"object {number} {said}.", hint=remedy)


# --- before the SDK: labels that it writes rightly
def _parts(label: Label, types: Any, number: int) -> Iterator[Label]:
    """The label in parts with at most one track or one answer in time each; what the SDK changes is copied."""
    plain: list[Any] = []
    masks: list[list[Any]] = []
    tracks: dict[Hashable, list[Any]] = {}
    answers: dict[Hashable, list[Any]] = {}
    for one in label.annotations:
        feature = one.feature_schema_id or one.name if hasattr(one, "feature_schema_id") else None
        if isinstance(one, types.VideoObjectAnnotation):
            tracks.setdefault((feature, one.extra.get("uuid")), []).append(one)
        elif isinstance(one, types.VideoClassificationAnnotation):
            said = "" if isinstance(one.value, types.Text) else one.value.model_dump_json()
            answers.setdefault((feature, said), []).append(one.model_copy(update={"extra": dict(one.extra)}))
        elif isinstance(one, types.VideoMaskAnnotation):
            masks.append([one.model_copy(update={"frames": [_by_address(frame) for frame in one.frames]})])
        else:
            plain.append(one)
    data = label.data
    if data.global_key is None:  # the SDK's answers in time know no other key; `_repaired` puts the id in
        data = data.model_copy(update={"global_key": data.uid, "uid": None})
    groups = [plain] if plain else []
    groups += [_track(track, number) for track in tracks.values()]
    for group in (*groups, *masks, *answers.values()):
        yield label.model_copy(update={"annotations": group, "data": data})


def _by_address(frame: Any) -> Any:
    """A video mask's frame whose inline image is a data: address, as the SDK warns of its own inline images."""
    if not frame.im_bytes:
        return frame
    image = INLINE + base64.b64encode(frame.im_bytes).decode()
    return frame.model_copy(update={"im_bytes": None, "instance_uri": image})


def _track(annotations: list[Any], number: int) -> list[Any]:
    """One track's keyframes, each with the number of its segment."""
    ordered = sorted(annotations, key=lambda one: int(one.frame))
    name = ordered[0].name or ordered[0].feature_schema_id
    for one, following in pairwise(ordered):
        if one.frame == following.frame:
            raise _wrong(
                number,
                f"has {name!r} twice in frame {one.frame}",
                'Tell tracks apart by extra={"uuid": ...}, the same for all frames of one, or make a Label of each.',
            )
    told = [one.segment_index is not None for one in ordered]
    if any(told) and not all(told):
        remedy = "Give segment_index to all frames of a track, or to none."
        raise _wrong(number, f"has segment_index in some frames of {name!r} only", remedy)
    segment = 0
    found: list[Any] = []
    for i, one in enumerate(ordered):
        segment += bool(i) and one.frame != ordered[i - 1].frame + 1
        if one.keyframe:
            found.append(one if all(told) else one.model_copy(update={"segment_index": segment}))
    if not found:
        raise _wrong(number, f"has no keyframe of {name!r}", "Give at least one frame keyframe=True.")
    return found


# --- after it
def _repaired(row: Json, part: Label, label: Label) -> Json:
    if label.data.global_key is None and "globalKey" in row["dataRow"]:
        row["dataRow"] = {"id": row["dataRow"]["globalKey"]}
    for frame in row.get("masks", {}).get("frames", ()):
        if frame.get("instanceURI", "").startswith(INLINE):
            frame["imBytes"] = frame.pop("instanceURI").removeprefix(INLINE)
    for key in ("answer", "classifications", "segments"):
        _camel(row.get(key))
    if "segments" in row and not row.get("uuid"):
        row["uuid"] = str(part.annotations[0]._uuid)
    if "confidence" not in row and not {"segments", "masks", "relationship", "metricValue"} & row.keys():
        confidence = _confidence(_of(part, row.get("uuid")))
        if confidence is not None:
            row["confidence"] = confidence
    return row


def _of(part: Label, uuid: str | None) -> object:
    """The annotation that a row was made of."""
    return next((one for one in part.annotations if str(getattr(one, "_uuid", "")) == uuid), None)


def _confidence(annotation: object) -> float | None:
    """An object's, or that of a classification where it stands beside the answer."""
    for holder in (annotation, getattr(annotation, "value", None)):
        found = getattr(holder, "confidence", None)
        if found is not None:
            return float(found)
    return None


def _camel(value: object) -> None:
    """Camel case at every depth, in place."""
    if isinstance(value, list):
        for one in value:
            _camel(one)
    elif isinstance(value, dict):
        for snake, right in SNAKES:
            if snake in value:
                value.setdefault(right, value.pop(snake))
        for one in value.values():
            _camel(one)
