"""Reading one plain Python value in the light of a labeling config."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

from prelabel import outputs as o
from prelabel.adapters import bare
from prelabel.adapters.chat import is_completion, parsed
from prelabel.adapters.drawn import between, drawn, made, renamed, stretch
from prelabel.adapters.menu import Menu
from prelabel.adapters.naming import listed, named, names_in
from prelabel.adapters.native import MANY, of_items, of_mapping, of_rows, reader_of
from prelabel.adapters.ocr import tesseract, tesseract_rows
from prelabel.adapters.values import as_plane, is_array, is_number, is_plane, numbers, plain
from prelabel.labeling import ControlTag

MULTIPLE_FROM = 0.5
"""Probability from which a class is chosen where several may be."""
_TOLD = (["s"], ["n", "s"])
"""What may stand beside a box, an outline or a mask in a tuple, in any order: a label, a score."""
LONGEST_RECORD = 6
"""Parts of the longest tuple that stands for one region: four corners, label, score."""
_TRUTH: Mapping[bool, Sequence[str]] = {True: ("True", "Yes"), False: ("False", "No")}
"""Classes that a bool means."""
_LETTERS: Mapping[type, str] = {str: "s", int: "n", float: "n", bool: "?", dict: "?", type(None): "?"}


class Reading(Menu):
    """Every form of plain Python, the scalars first."""

    __slots__ = ()

    def outputs(self, raw: Any) -> list[o.Output]:  # noqa: PLR0911 (one return a form)
        """What ``raw`` says. Raises OutputError where that is not clear."""
        if isinstance(raw, o.Output):
            return [raw if self.only is None or raw.control else dataclasses.replace(raw, control=self.only.name)]
        reader = reader_of(raw.__class__)
        if reader is not None:
            return reader(raw, self)
        value = plain(raw)
        if value is None:
            return []
        if isinstance(value, str):
            return self._string(str(value))
        if isinstance(value, bool) or is_number(value):
            return self._number(value)
        if isinstance(value, Mapping):
            return self._mapping(value)
        if isinstance(value, list | tuple):
            return self.sequence(value)
        if isinstance(value, set | frozenset) and all(isinstance(each, str) for each in value):
            return self._strings(sorted(value)) if value else []
        if is_plane(value):
            return bare.plane(value, self)
        if is_array(value):
            return bare.array(value, self)
        if isinstance(value, date) and self.takes(o.DateTime):
            return [o.DateTime(value, control=self.control_name)]
        raise self.refuse(raw)

    # -- what the config takes
    def _class_control(self, labels: Sequence[str], raw: Any) -> ControlTag | None:
        """The one control of classes meant by ``labels``: the only one, or the one that has most of them."""
        controls = self.takes(o.Choice)
        if len(controls) < 2:
            return controls[0] if controls else None
        known = [sum(self.knows(control, label) for label in labels) for control in controls]
        best = [control for control, count in zip(controls, known, strict=True) if count == max(known)]
        if len(best) > 1 and max(known):
            names = " and ".join(repr(control.name) for control in best)
            raise self.refuse(raw, f"fits {names} alike: name the control")
        return best[0]

    # -- scalars
    def _string(self, text: str) -> list[o.Output]:
        if text[:1] in ("{", "[", "`") and not any(self.takes(kind) for kind in (o.Text, o.DateTime, o.ChatMessage)):
            inside = parsed(text)
            if inside is not None:
                return self.outputs(inside)
        table = tesseract_rows(text) if "\t" in text[:100] else None
        if table is not None:
            return tesseract(table, self)
        if self.takes(o.Choice):
            return self._classes([text], text)
        found: list[o.Output] = []
        if self.takes(o.Text):
            found.append(o.Text(text, control=self.control_name))
        if self.takes(o.DateTime):
            found.append(o.DateTime(text, control=self.control_name))
        if self.takes(o.ChatMessage):
            found.append(o.ChatMessage(text, control=self.control_name))
        side = text.strip().lower()
        if self.takes(o.Preference) and side in ("left", "right"):
            found.append(o.Preference("left" if side == "left" else "right", control=self.control_name))
        if len(found) != 1:
            raise self.refuse(text)
        return found

    def _number(self, value: float) -> list[o.Output]:
        ratings, numbers = self.takes(o.Rating), self.takes(o.Number)
        if isinstance(value, bool) or not (ratings or numbers):
            labels = [str(value)] if not isinstance(value, bool) else _TRUTH[value]
            known = [each for each in labels if any(self.knows(control, each) for control in self.takes(o.Choice))]
            if len(known) == 1:
                return self._classes(known, value)
            if isinstance(value, bool) or not self.takes(o.Choice):
                raise self.refuse(value)
            return self._classes(named([value], None, self, value), value)
        if not math.isfinite(value) or len(ratings) + len(numbers) > 1:
            raise self.refuse(value)
        if numbers:
            return [o.Number(value, control=self.control_name)]
        return [o.Rating(round(value), control=self.control_name)]

    def _numbers(self, values: list[float], given: Any) -> list[o.Output]:
        """A rating or number in an array of its own; else a probability for each class that the model declares."""
        if len(values) == 1 and (self.takes(o.Rating) or self.takes(o.Number)):
            return self._number(values[0])
        if len(values) == len(self.names) and self.takes(o.Choice):
            return self.probabilities(dict(zip(self.names, values, strict=True)))
        raise self.refuse(given, "holds numbers without labels")

    # -- classes
    def _classes(self, labels: Sequence[str], raw: Any, score: float | None = None) -> list[o.Output]:
        control = self._class_control(labels, raw)
        if control is None:
            raise self.refuse(raw)
        if len(labels) > 1 and not control.multiple:
            raise self.refuse(raw, f"holds {len(labels)} classes and {control} takes one")
        if control.tag == "Taxonomy":
            return [o.Taxonomy(self._paths(labels, control), score=score, control=control.name)]
        if control.multiple:
            return [o.Choices(tuple(labels), score=score, control=control.name)]
        return [o.Choice(labels[0], score=score, control=control.name)]

    def _paths(self, labels: Iterable[str], control: ControlTag) -> tuple[tuple[str, ...], ...]:
        return tuple(self.config.map_path(control, label, self.label_map) or (label,) for label in labels)

    def probabilities(self, given: Mapping[Any, Any]) -> list[o.Output]:
        """Label to probability: the likeliest class, or every class from `MULTIPLE_FROM` on where several may be."""
        control = self._class_control([str(label) for label in given], given)
        if control is None:
            raise self.refuse(given)
        said = {str(label): self.share(share, given) for label, share in given.items()}
        if any(share is None for share in said.values()):
            raise self.refuse(given, "holds a score that is no number")
        shares = {label: share for label, share in said.items() if share is not None}
        best = max(shares, key=shares.__getitem__)
        if not control.multiple:
            chosen, score = [best], shares[best]
        else:
            chosen = [label for label, share in shares.items() if share >= MULTIPLE_FROM]
            score = min((shares[label] for label in chosen), default=1.0 - shares[best])
        if control.tag == "Taxonomy":
            paths = self._paths(chosen, control)
            return [o.Taxonomy(paths, score=score, distribution=shares, control=control.name)]
        if control.multiple:
            return [o.Choices(tuple(chosen), score=score, distribution=shares, control=control.name)]
        return [o.Choice(best, score=score, distribution=shares, control=control.name)]

    # -- mappings
    def _mapping(self, given: Mapping[Any, Any]) -> list[o.Output]:  # noqa: PLR0911, PLR0912 (one a form)
        if not given:
            return []
        if isinstance(given.get("result"), list | tuple):
            return [self._region_of_label_studio(each) for each in given["result"]]
        if _is_region_of_label_studio(given):
            return [self._region_of_label_studio(given)]
        if self.only is None and self._names_controls(given) and not is_completion(given):
            return self._by_control(given)
        native = of_mapping(given, self)
        if native is not None:
            return native
        scores = all(is_number(plain(value)) for value in given.values())
        if scores and any(all(self.knows(control, str(key)) for key in given) for control in self.takes(o.Choice)):
            return self.probabilities(given)
        region = drawn(given, self)
        found = [region] if region is not None else self._columns(given)
        if found is not None:
            return found
        if scores:
            return self.probabilities(given)
        values = [plain(value) for value in given.values()]
        if all(isinstance(value, bool) for value in values) and self.takes(o.Choice):
            chosen = [str(key) for key, value in given.items() if plain(value)]
            return self._classes(chosen, given) if chosen else []
        if all(is_plane(value) for value in values):
            pairs = zip(given, values, strict=True)
            return [o.Mask(as_plane(value), str(key), control=self.control_name) for key, value in pairs]
        if given.keys() == {"text"} and self.takes(o.Segment) and not self.takes(o.Text):
            raise self.refuse(given, "is speech without times (transformers: return_timestamps=True)")
        said = renamed(given)
        if "label" in said and set(said) <= {"label", "score"}:
            return self._classes([str(plain(said["label"]))], given, self.share(said.get("score"), given))
        if isinstance(said.get("text"), list | tuple) and "generated_text" in given:  # the whole of a chat
            return self.outputs({"message": said["text"][-1]}) if said["text"] else []
        if isinstance(said.get("text"), str) and self.takes(o.Text):
            return [o.Text(said["text"], score=self.share(said.get("score"), given), control=self.control_name)]
        if self.takes(o.Ranking) and all(isinstance(value, list | tuple) for value in values):
            return [o.Ranking({str(k): tuple(map(str, v)) for k, v in given.items()}, control=self.control_name)]
        raise self.refuse(given)

    def _columns(self, given: Mapping[Any, Any]) -> list[o.Output] | None:
        """Classes by column: labels and scores; None where ``given`` is none."""
        labels, scores = listed(given.get("labels")), listed(given.get("scores"))
        if labels is None or scores is None:
            return None
        if len(scores) != len(labels):
            raise self.refuse(given, "has columns of different lengths")
        said = named(labels, names_in(given), self, given)
        return self.probabilities(dict(zip(said, scores, strict=True))) if said else []

    def _names_controls(self, given: Mapping[Any, Any]) -> bool:
        return all(self.config.control(str(key)) is not None for key in given)

    def _by_control(self, given: Mapping[str, Any]) -> list[o.Output]:
        """A value for each of several controls, by name."""
        shares = [plain(value) for value in given.values()]
        if all(is_number(share) and 0 <= share <= 1 for share in shares):
            for control in self.takes(o.Choice):
                if all(self.knows(control, label) for label in given):
                    raise self.refuse(given, "names both controls and labels")
        found: list[o.Output] = []
        for name, value in given.items():
            found += Reading(self.config, self.label_map, self.config.control(name), self.names).outputs(value)
        return found

    def _region_of_label_studio(self, region: Any) -> o.Output:
        region = plain(region)
        if not isinstance(region, Mapping) or not _is_region_of_label_studio(region):
            raise self.refuse(region, "is no Label Studio region (from_name, to_name, type, value)")
        return o.Raw(region)

    # -- sequences
    def sequence(self, given: Sequence[Any]) -> list[o.Output]:  # noqa: PLR0911 (one a form)
        """A list or tuple of whatever."""
        if self.only is None and all(isinstance(each, o.Output) for each in given):
            return list(given)
        if len(given) >= MANY and isinstance(given[0], tuple | list) and isinstance(given[-1], tuple | list):
            boxes = of_rows(given, self) if all(isinstance(each, tuple | list) for each in given) else None
            if boxes is not None:
                return boxes
        items = [each if reader_of(each.__class__) else plain(each) for each in given]
        if not items:
            return []
        letters = set(map(_letter, items))
        if letters == {"s"}:
            return self._strings(items)
        native = of_items(items, given, self) if not letters & {"n", "s", "b"} else None
        if native is not None:
            return native
        if letters <= set("nsbmp") and letters & {"n", "s"}:
            record = self._record(given, items)
            if record is not None:
                return [record]
            if letters == {"n"}:
                return self._numbers(items, given)
        if all(isinstance(each, Mapping) for each in items):
            return self._mappings(items, given)
        return self._nested(given, items)

    def _strings(self, texts: list[str]) -> list[o.Output]:
        controls = self.takes(o.Choice)
        if controls:
            trees = [control for control in controls if control.tag == "Taxonomy"]
            for tree in trees if len(texts) > 1 else ():
                if any(entry.path == tuple(texts) for entry in tree.entries):
                    return [o.Taxonomy((tuple(texts),), control=tree.name)]
            return self._classes(texts, texts)
        if self.takes(o.Text):
            return [o.Text(tuple(texts), control=self.control_name)]
        if self.takes(o.Ranking):
            return [o.Ranking(tuple(texts), control=self.control_name)]
        raise self.refuse(texts)

    def _mappings(self, items: list[Mapping[Any, Any]], given: Any) -> list[o.Output]:
        if len(items) > 1 and any("result" in item for item in items):
            raise self.refuse(given, "holds several predictions for one item")
        if len(items[0]) <= 2:
            said = [renamed(item) for item in items]
            if all(item.keys() == {"label", "score"} for item in said):
                return self.probabilities({str(plain(item["label"])): item["score"] for item in said})
            if all(item.keys() == {"label"} for item in said):
                return self._strings([str(plain(item["label"])) for item in said])
        return [output for item in items for output in self._mapping(item)]

    def _nested(self, given: Any, items: list[Any]) -> list[o.Output]:
        if all(isinstance(each, list | tuple) for each in items):
            if _signature(items[0]) == "sn" and all(_signature(each) == "sn" for each in items):
                return self.probabilities(dict(items))
            words = [[plain(part) for part in each] for each in items if isinstance(plain(each[0] if each else 0), str)]
            if len(words) == len(items) and all(isinstance(part, str) for each in words for part in each):
                trees = [control for control in self.takes(o.Taxonomy) if control.tag == "Taxonomy"]
                if trees:
                    return [o.Taxonomy(tuple(map(tuple, words)), control=trees[0].name)]
        if bare.are_rows_of_boxes(items, self):
            raise self.refuse(given, bare.ROWS)
        found: list[o.Output] = []
        for each in items:
            record = self._record(each, each) if isinstance(each, tuple) else None
            found += [record] if record is not None else self.outputs(each)
        return found

    def _record(self, given: Any, items: Sequence[Any]) -> o.Output | None:
        """A tuple whose parts tell by their types what they are; None where they do not."""
        shape = _signature(items)
        if shape == "sn":
            score = self.share(items[1], given)
            if self.takes(o.Text) and not self.takes(o.Choice):
                return o.Text(str(items[0]), score=score, control=self.control_name)
            return self._classes([str(items[0])], given, score)[0]
        if shape in ("nnnn", "nnnns", "nnnnsn", "nnnnns") and self.takes(o.Box):
            return made(o.Box, between(*items[:4]) | self._label_and_score(items[4:], o.Box), given, self)
        if shape in ("nn", "nns", "nnsn", "nnns", "snn", "snnn"):
            pair, rest = (items[1:3], [items[0], *items[3:]]) if shape[0] == "s" else (items[:2], items[2:])
            first, second = ("x", "y") if self.takes(o.Keypoint) and stretch(self, None) is None else ("start", "end")
            return drawn({first: pair[0], second: pair[1]} | self._label_and_score(rest), self)
        return self._drawing(items, shape)

    def _drawing(self, items: Sequence[Any], shape: str) -> o.Output | None:
        """One box, outline or mask with what is told about it."""
        drawing = [letter for letter in shape if letter in "bmp"]
        rest = [each for each, letter in zip(items, shape, strict=False) if letter in "sn"]
        if len(drawing) != 1 or len(rest) != len(shape) - 1 or sorted(shape.replace(drawing[0], "")) not in _TOLD:
            return None
        place = items[shape.index(drawing[0])]
        if drawing == ["b"]:
            return drawn({"xyxy": place} | self._label_and_score(rest, o.Box), self)
        key = "points" if drawing == ["p"] or self._is_outline(place) else "mask"
        if key == "points" and not (self.takes(o.Polygon) or self.takes(o.Polyline)):
            return None
        return drawn({key: place} | self._label_and_score(rest), self)

    def _label_and_score(self, items: Sequence[Any], kind: type[o.Output] | None = None) -> dict[str, Any]:
        """A string is the label, or the text of a region whose control has no labels; a number is the score."""
        controls = self.takes(kind) if kind is not None else []
        told = "label"
        if controls and not any(self.config.label_control(control) for control in controls):
            texts = [control for control in self.config.controls_for(o.Text) if control.per_region]
            told = "text" if texts else "label"
        return {told if isinstance(each, str) else "score": each for each in items}

    def _is_outline(self, plane: Any) -> bool:
        """Whether a plane is rows of x and y: two columns, and an outline is wanted rather than a mask."""
        masks = [control for control in self.takes(o.Mask) if not control.tag.startswith(bare.SHARED_WITH_BOXES)]
        outlines = self.takes(o.Polygon) or self.takes(o.Polyline)
        return bool(is_array(plane) and plane.shape[1] == 2 and outlines and not masks)


def _is_region_of_label_studio(given: Mapping[Any, Any]) -> bool:
    return ("from_name" in given and ("value" in given or "type" in given)) or given.get("type") == "relation"


def _letter(value: Any) -> str:
    """n number, s string, b four numbers, p at least three pairs of numbers, m mask, ? anything else."""
    known = _LETTERS.get(type(value))
    if known is not None:
        return known
    if isinstance(value, str):
        return "s"
    if is_number(value):
        return "n"
    if numbers(value, 4) is not None:
        return "b"
    return "m" if is_plane(value) else "p" if _is_points(value) else "?"


def _is_points(value: Any) -> bool:
    return isinstance(value, list | tuple) and len(value) >= 3 and all(numbers(each, 2) for each in value)


def _signature(items: Sequence[Any]) -> str:
    """One letter for each part of a tuple; empty where there are more parts than in any form known."""
    return "".join(map(_letter, items)) if len(items) <= LONGEST_RECORD else ""
