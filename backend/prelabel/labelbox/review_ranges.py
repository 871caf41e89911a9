"""Regions on a video's timeline or an audio's wave to rows with frames or milliseconds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prelabel.labelbox.config_reading import Asked
from prelabel.labelbox.review_answers import entry_of, path_of, written
from prelabel.labelbox.review_indexed import MILLISECONDS
from prelabel.labelbox.review_notes import metrics_of, notes_of, row_uuid
from prelabel.labelbox.rows import DataRowRef

Region = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RangeRow:
    """What both need: how a row begins, and where to say what was taken and what was left out."""

    base: Callable[[str | None, str | None], dict[str, Any]]
    data_row: DataRowRef
    taken: set[int]
    dropped: list[str]


# --- audio
def heard_row(asked: Asked, regions: Sequence[Region], context: RangeRow) -> list[dict[str, Any]]:
    """One row for a question's regions of an audio, in milliseconds; such rows have no uuid and no confidence."""
    answer = _heard(asked, regions, None, context)
    return [{**context.base(None, asked.node.name), "answer": answer}] if answer else []


def _heard(
    asked: Asked, regions: Sequence[Region], parents: Sequence[Region] | None, context: RangeRow
) -> list[dict[str, Any]]:
    mine = [one for one in _marked(asked, regions, context) if _is_inside(one, parents)]
    mine.sort(key=_milliseconds)  # the editor changes their order
    options: dict[str, list[Region]] = {}
    for region in mine:
        context.taken.add(id(region))
        value = region.get("value") or {}
        if region.get("score") is not None:
            context.dropped.append(
                f"region {region.get('id')}: its score {region['score']} was left out: answers in time have none."
            )
        if asked.node.text_like():
            said = [written(value) or ""]
        else:
            said = ["/".join(path_of(one)) for one in value.get("labels") or value.get("choices") or ()]
        for one in said:
            options.setdefault(one, []).append(region)
    found: list[dict[str, Any]] = []
    for option, those in options.items():
        entry: dict[str, Any] = {
            "value" if asked.node.text_like() else "name": option,
            "frames": [dict(zip(("start", "end"), _milliseconds(one), strict=True)) for one in those],
        }
        nested = []
        for below in asked.below.get(option, ()):
            inner = _heard(below, regions, those, context)
            if inner:
                nested.append({"name": below.node.name, "answer": inner})
        if nested:
            entry["classifications"] = nested
        found.append(entry)
    return found


def _marked(asked: Asked, regions: Sequence[Region], context: RangeRow) -> list[Region]:
    """The regions that hold a question's answers; of a text that stands beside its label, the text."""
    mine = [one for one in regions if one.get("from_name") == asked.control.name]
    if asked.range_control is None:
        return mine
    texts = {str(one.get("id")): one for one in mine}
    found: list[Region] = []
    for region in regions:
        labels = (region.get("value") or {}).get("labels") or ()
        if region.get("from_name") != asked.range_control.name or asked.range_label not in labels:
            continue
        context.taken.add(id(region))
        if str(region.get("id")) in texts:
            found.append(texts[str(region.get("id"))])
        else:
            context.dropped.append(f"region {region.get('id')}: nothing was written in it.")
    return found


def _milliseconds(region: Region) -> tuple[int, int]:
    value = region.get("value") or {}
    return round(float(value["start"]) * MILLISECONDS), round(float(value["end"]) * MILLISECONDS)


def _is_inside(region: Region, parents: Sequence[Region] | None) -> bool:
    """Whether a region belongs to one of ``parents``: by its ``parentID``, else by lying within its time."""
    if parents is None:
        return True
    if region.get("parentID"):
        return any(parent.get("id") == region["parentID"] for parent in parents)
    start, end = _milliseconds(region)
    return any(first <= start and end <= last for first, last in map(_milliseconds, parents))


# --- video
@dataclass(frozen=True, slots=True)
class _Seen:
    """One answer of a video's range."""

    option: str
    start: int
    end: int
    region: Region
    nested: list[dict[str, Any]]


def seen_rows(asked: Asked, regions: Sequence[Region], context: RangeRow) -> list[dict[str, Any]]:
    """Rows for a question's ranges of frames: those that were sent as one row come back as one.

    A person's ranges become one row for each option of a radio, and one for a checklist: with ``frames`` of the row
    where all options have the same, else with ``frames`` in each answer.
    """
    by_row: dict[str, list[_Seen]] = {}
    ranges = asked.range_control or asked.control
    mine = [region for region in regions if region.get("from_name") == ranges.name]
    for region in sorted(mine, key=_first_frame):  # the editor changes their order
        for seen in _seen(asked, region, regions, context):
            row = notes_of(region).get("row")
            key = str(row) if row else ("" if "checklist" in asked.node.type else seen.option)
            by_row.setdefault(key, []).append(seen)
    if asked.node.text_like():
        everything = [seen for one in by_row.values() for seen in one]
        answer = [
            {"value": option, "frames": [{"start": one.start, "end": one.end} for one in those]}
            for option, those in _by_option(everything).items()
        ]
        return [{**context.base(None, asked.node.name), "answer": answer}] if answer else []
    return [row for those in by_row.values() for row in _rows(asked, those, context)]


def _first_frame(region: Region) -> int:
    return min((int(one["start"]) for one in (region.get("value") or {}).get("ranges") or ()), default=0)


def _seen(asked: Asked, region: Region, regions: Sequence[Region], context: RangeRow) -> list[_Seen]:
    value = region.get("value") or {}
    answers = {str(one.get("from_name")): one for one in regions if one.get("id") == region.get("id")}
    labels = [str(label) for label in value.get("timelinelabels") or value.get("labels") or ()]
    found: list[_Seen] = []
    used: set[str] = set()
    for label in labels:
        if asked.range_control is not None:
            if label != asked.range_label:
                continue
            text = answers.get(asked.control.name)
            option = written(text.get("value") or {}) if text is not None else None
            used |= {asked.range_control.name, asked.control.name}
            if option is None:
                context.dropped.append(f"region {region.get('id')}: nothing was written in it.")
                continue
        else:
            used.add(asked.control.name)
            option = label
        nested = [
            entry for below in asked.below.get(option, ()) if (entry := entry_of(below, answers, used)) is not None
        ]
        found += [
            _Seen(option, int(one["start"]), int(one["end"]), region, nested) for one in value.get("ranges") or ()
        ]
    context.taken.update(id(answers[name]) for name in used if name in answers)
    return found


def _by_option(seen: Sequence[_Seen]) -> dict[str, list[_Seen]]:
    options: dict[str, list[_Seen]] = {}
    for one in seen:
        options.setdefault(one.option, []).append(one)
    return options


def _rows(asked: Asked, seen: Sequence[_Seen], context: RangeRow) -> list[dict[str, Any]]:
    options = _by_option(seen)
    many = "checklist" in asked.node.type
    if not many and len(options) > 1:
        return [row for those in options.values() for row in _rows(asked, those, context)]
    first = seen[0].region
    row = context.base(row_uuid(str(notes_of(first).get("row") or first.get("id", "")), context.data_row), None)
    row["name"] = asked.node.name
    frames = {option: [{"start": one.start, "end": one.end} for one in those] for option, those in options.items()}
    same = all(those == frames[seen[0].option] for those in frames.values())
    in_answers = notes_of(first).get("form") == "answer" or not same
    answer: list[dict[str, Any]] = []
    for option, those in options.items():
        entry: dict[str, Any] = {"name": option}
        score = those[0].region.get("score")
        if score is not None:
            entry["confidence"] = score
        metrics = metrics_of(those[0].region)
        if metrics:
            entry["customMetrics"] = metrics
        if any(one.nested != those[0].nested for one in those):
            context.dropped.append(
                f"row {row['uuid']}: what is nested below {option!r} differs between its ranges; the first was taken."
            )
        if those[0].nested:
            entry["classifications"] = those[0].nested
        if in_answers:
            entry["frames"] = frames[option]
        answer.append(entry)
    row["answer"] = answer if many else answer[0]
    if not in_answers:
        row["frames"] = frames[seen[0].option]
    return [row]
