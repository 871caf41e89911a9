"""Checks of what moves: a video's or DICOM series' tracks with keyframes, and its masks by frame."""

from __future__ import annotations

from collections.abc import Mapping

from prelabel.labelbox.checks import Json, Line, camel, join, one_of
from prelabel.labelbox.checks_answers import nested
from prelabel.labelbox.checks_drawn import (
    TOOLS,
    Limits,
    box_numbers,
    box_within,
    path_within,
    picture_limits,
    point_within,
    tool_of,
)
from prelabel.labelbox.checks_masks import address, color, composite
from prelabel.labelbox.ontology import ToolNode

GROUPS = ("axial", "sagittal", "coronal")
SHAPES = ("bbox", "point", "line", "polygon")
"""What a keyframe may hold. Labelbox has no polygons there; prelabel has."""
TRACK_KEYS = ("dataRow", "uuid", "name", "schemaId", "segments", "groupKey", "isBenchmarkReferenceLabel")
MASK_KEYS = ("dataRow", "uuid", "masks", "groupKey", "isBenchmarkReferenceLabel")


def track_row(line: Line) -> str:
    """A row with ``segments`` of keyframes.

    Returns:
        The tool's name.

    Raises:
        Wrong: something is not right.
    """
    body = line.body
    camel(body)
    _moving(line, "segments")
    for key in ("confidence", "customMetrics"):
        if key in body:
            raise line.wrong("UnknownKey", key, body[key], "has no place on a video object", f"Leave {key} out.")
    if body.pop("classifications", None):  # Labelbox's SDK writes an empty list
        remedy = "Put classifications into the keyframe from which on they hold."
        raise line.wrong("WrongPlace", "classifications", ..., "has no place on a whole track", remedy)
    line.keys(body, "", TRACK_KEYS)
    _group(line)
    shape = _first_shape(line)
    name, node = tool_of(line, TOOLS[shape])
    limits = picture_limits(line)
    for i, segment in enumerate(line.items(body["segments"], "segments", '{"keyframes": [...]}')):
        at = f"segments[{i}]"
        keyframes = line.record(segment, at, ("keyframes",))["keyframes"]
        seen: set[int] = set()
        for j, keyframe in enumerate(line.items(keyframes, f"{at}.keyframes", "keyframes")):
            frame = _keyframe(line, keyframe, f"{at}.keyframes[{j}]", shape, node=node, limits=limits)
            if frame in seen:
                raise line.wrong(
                    "Repeated", f"{at}.keyframes[{j}].frame", frame, "is there twice", "Give one keyframe a frame."
                )
            seen.add(frame)
    return name


def _first_shape(line: Line) -> str:
    """What the track's keyframes hold: the row's tool must draw that."""
    segments = line.body["segments"]
    try:
        keyframe: Mapping[str, object] = segments[0]["keyframes"][0]
        return next(shape for shape in SHAPES if shape in keyframe)
    except StopIteration:
        at = "segments[0].keyframes[0]"
        remedy = "Give a frame and one of bbox, point or line."
        raise line.wrong("MissingKey", at, keyframe, "has nothing drawn in it", remedy) from None
    except (LookupError, TypeError):
        remedy = 'Give "segments": [{"keyframes": [{"frame": ..., "bbox": ...}]}], none of them empty.'
        raise line.wrong("TooFew", "segments", segments, "has no first keyframe", remedy) from None


def _keyframe(
    line: Line, keyframe: object, where: str, shape: str, *, node: ToolNode | None, limits: Limits | None
) -> int:
    if type(keyframe) is dict:
        for other in SHAPES:
            if other != shape and other in keyframe:
                said = f"is not the {shape} that this track began with"
                remedy = "Keep one kind in a track; send another row for the other."
                raise line.wrong("WrongTool", join(where, other), keyframe[other], said, remedy)
    keyframe = line.record(keyframe, where, ("frame", shape), ("classifications",))
    frame = frame_number(line, keyframe["frame"], f"{where}.frame")
    at, value = f"{where}.{shape}", keyframe[shape]
    if shape == "bbox":
        box_within(line, box_numbers(line, value, at), at, limits)
    elif shape == "point":
        point_within(line, value, at, limits)
    else:
        path_within(line, value, at, limits, shape)
    nested(line, keyframe, where, None if node is None else node.questions)
    return frame


def frame_number(line: Line, value: object, where: str) -> int:
    """A frame; whether the first is 0 or 1 is not told, so both pass.

    Raises:
        Wrong: it is no frame of the video.
    """
    frame = line.whole(value, where, 0, "Give the frame's number.")
    limit = line.facts.frames_count
    if limit is not None and frame > limit:
        remedy = f"Give a frame up to {limit}."
        raise line.wrong("OutOfRange", where, frame, f"is beyond the last of {limit} frames", remedy)
    return frame


def masks_row(line: Line) -> str:
    """A row with ``masks``: composite images by frame, and the instances' colours.

    Returns:
        "", for it names its features in the instances.

    Raises:
        Wrong: something is not right.
    """
    body = line.body
    camel(body)
    _moving(line, "masks")
    for key in ("name", "schemaId"):
        if key in body:
            said = "has no place on a row of video masks"
            raise line.wrong("UnknownKey", key, body[key], said, "Give the name in each of masks.instances.")
    line.keys(body, "", MASK_KEYS)
    _group(line)
    masks = line.record(body["masks"], "masks", ("frames", "instances"))
    seen: set[int] = set()
    for i, one in enumerate(line.items(masks["frames"], "masks.frames", '{"index": ..., "instanceURI": ...}')):
        at = f"masks.frames[{i}]"
        source = "imBytes" if type(one) is dict and one.get("imBytes") is not None else "instanceURI"
        frame = line.record(one, at, ("index", source))
        index = frame_number(line, frame["index"], f"{at}.index")
        if index in seen:
            raise line.wrong("Repeated", f"{at}.index", index, "is there twice", "Give one image a frame.")
        seen.add(index)
        if source == "imBytes":
            composite(line, frame, at)
        else:
            address(line, frame[source], f"{at}.instanceURI")
    _instances(line, masks)
    return ""


def _instances(line: Line, masks: Json) -> None:
    colors: set[tuple[int, int, int]] = set()
    tools = TOOLS["mask"]
    names = [node.name for node in line.ontology.tools if node.tool in tools]
    for i, one in enumerate(line.items(masks["instances"], "masks.instances", '{"colorRGB": ..., "name": ...}')):
        at = f"masks.instances[{i}]"
        instance = line.record(one, at, ("colorRGB", "name"), ("schemaId", "featureSchemaId"))
        own = color(line, instance["colorRGB"], f"{at}.colorRGB")
        if own in colors:
            remedy = "Give each instance a colour of its own."
            raise line.wrong("InvalidColor", f"{at}.colorRGB", list(own), "is another instance's too", remedy)
        colors.add(own)
        name = instance["name"]
        if type(name) is not str or line.ontology.tool(name, tools=tools) is None:
            said, remedy = "is no mask of the ontology", f"Use one of {one_of(names, str(name))}."
            raise line.wrong("UnknownFeature", f"{at}.name", name, said, remedy)


def _moving(line: Line, key: str) -> None:
    if line.facts.asset not in {None, "video", "dicom"}:
        said = f"has no meaning for {line.facts.asset}"
        raise line.wrong("WrongAsset", key, ..., said, "Give bbox, polygon, point, line or mask without frames.")


def _group(line: Line) -> None:
    """``groupKey``, which a DICOM row must have and others must not."""
    asset, body = line.facts.asset, line.body
    if "groupKey" not in body:
        if asset == "dicom":
            raise line.wrong("MissingKey", "groupKey", ..., "is missing", f"Use one of {', '.join(GROUPS)}.")
    elif asset == "video":
        raise line.wrong("WrongAsset", "groupKey", body["groupKey"], "has no meaning for video", "Leave groupKey out.")
    elif body["groupKey"] not in GROUPS:
        raise line.wrong("WrongType", "groupKey", body["groupKey"], "is no group", f"Use one of {', '.join(GROUPS)}.")
