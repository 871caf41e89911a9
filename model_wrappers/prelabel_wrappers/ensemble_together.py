"""What several models say for one control, made one: means of probabilities, votes, fused boxes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prelabel import outputs as o
from prelabel.labeling import ControlTag


@dataclass(frozen=True)
class Voice:
    """What one member says for the control; ``weight`` is how much it counts."""

    weight: float
    outputs: Sequence[o.Output]


@dataclass(frozen=True)
class Together:
    """How voices become one.

    ``vote``: classes are counted, not averaged. ``least`` is the share of the weight from which several classes, spans
    and boxes are taken; ``overlap`` the intersection over union from which two boxes are one.
    """

    vote: bool = False
    least: float = 0.5
    overlap: float = 0.55

    def one(self, voices: Sequence[Voice], control: ControlTag) -> list[o.Output]:  # noqa: PLR0911 (one return a kind)
        """One answer for a control that several members were asked about."""
        kinds = {type(output) for voice in voices for output in voice.outputs}
        if not kinds:
            return []
        if any(output.of is not None for voice in voices for output in voice.outputs):
            return _heaviest(voices)  # answers about single regions belong to their own model's regions
        if kinds <= {o.Choice, o.Choices, o.Taxonomy}:
            several = control.multiple and (control.tag == "Taxonomy" or o.Choices in kinds)
            return self._classes(voices, control, several)
        if kinds <= {o.Number, o.Rating}:
            return _mean(voices, control)
        if kinds <= {o.Text, o.Preference, o.DateTime, o.Ranking}:
            return self._most_said(voices)
        if kinds <= {o.Box, o.Boxes}:
            return self._boxes(voices, control)
        if kinds <= {o.Span, o.ParagraphSpan, o.FrameSpan}:
            return self._places(voices)
        return _heaviest(voices)

    # --- classes
    def _classes(self, voices: Sequence[Voice], control: ControlTag, several: bool) -> list[o.Output]:
        """Each class's mean probability; a member without probabilities gives all to what it chose."""
        heard = [voice for voice in voices if voice.outputs]
        whole = sum(voice.weight for voice in heard)
        shares: dict[str, float] = {}
        for voice in heard:
            for label, share in _probabilities(voice.outputs, self.vote).items():
                shares[label] = shares.get(label, 0.0) + share * voice.weight / whole
        rest: dict[str, Any] = {"distribution": shares, "control": control.name}
        if several:
            chosen = [label for label, share in shares.items() if share >= self.least]
            score = min((shares[label] for label in chosen), default=1 - max(shares.values(), default=0.0))
        else:
            chosen = [max(shares, key=lambda label: shares[label])]
            score = shares[chosen[0]]
        score = min(max(score, 0.0), 1.0)
        if control.tag == "Taxonomy":
            paths = {"/".join(path): path for voice in heard for path in _paths(voice.outputs)}
            said = tuple(paths.get(label, tuple(label.split("/"))) for label in chosen)
            return [o.Taxonomy(said, score=score, **rest)]
        if several:
            return [o.Choices(tuple(chosen), score=score, **rest)]
        return [o.Choice(chosen[0], score=score, **rest)]

    def _most_said(self, voices: Sequence[Voice]) -> list[o.Output]:
        """The answer that most of the weight gives; of equals, the first."""
        weights: dict[Hashable, float] = {}
        first: dict[Hashable, list[o.Output]] = {}
        for voice in voices:
            if voice.outputs:
                key = tuple(_without_score(output) for output in voice.outputs)
                weights[key] = weights.get(key, 0.0) + voice.weight
                first.setdefault(key, list(voice.outputs))
        best = max(weights, key=lambda key: weights[key])
        share = weights[best] / sum(weights.values())
        return [dataclasses.replace(output, score=share) for output in first[best]]

    # --- places
    def _places(self, voices: Sequence[Voice]) -> list[o.Output]:
        """Spans that enough of the weight says, with the same ends and label."""
        whole = sum(voice.weight for voice in voices)
        weights: dict[Hashable, float] = {}
        scores: dict[Hashable, float] = {}
        first: dict[Hashable, o.Output] = {}
        for voice in voices:
            for key, output in {_without_score(output): output for output in voice.outputs}.items():
                weights[key] = weights.get(key, 0.0) + voice.weight
                scores[key] = scores.get(key, 0.0) + voice.weight * (1.0 if output.score is None else output.score)
                first.setdefault(key, output)
        kept = [key for key, weight in weights.items() if weight / whole >= self.least]
        made = [dataclasses.replace(first[key], score=min(scores[key] / whole, 1.0)) for key in kept]
        return sorted(made, key=lambda each: getattr(each, "start", 0))

    def _boxes(self, voices: Sequence[Voice], control: ControlTag) -> list[o.Output]:
        """Weighted boxes fusion for each label; turned boxes are left as they are."""
        import numpy as np

        from prelabel_wrappers.ensemble_boxes import fuse

        whole = sum(voice.weight for voice in voices)
        weights = np.array([voice.weight for voice in voices])
        weights *= len(weights) / whole  # what the fused score is scaled by counts detectors
        whole = float(len(weights))
        groups: dict[tuple[str | None, o.Unit, int | None], list[tuple[int, o.Box]]] = {}
        found: list[o.Output] = []
        for number, voice in enumerate(voices):
            for box in _each_box(voice.outputs):
                if box.rotation or box.text is not None:
                    found.append(box)
                else:
                    groups.setdefault((box.label, box.unit, box.page), []).append((number, box))
        for (label, unit, page), boxes in groups.items():
            corners = np.array([(b.x, b.y, b.x + b.width, b.y + b.height) for _, b in boxes], dtype=float)
            scores = np.array([1.0 if b.score is None else b.score for _, b in boxes], dtype=float)
            numbers = np.array([number for number, _ in boxes], dtype=int)
            for one in fuse(corners, scores, numbers, weights, self.overlap):
                if sum(weights[each] for each in one.seen_by) / whole >= self.least:
                    rest: dict[str, Any] = {"unit": unit, "page": page, "control": control.name}
                    found.append(o.Box.from_xyxy(*one.corners, label, score=min(one.score, 1.0), **rest))
        return found


# --- parts
def _heaviest(voices: Sequence[Voice]) -> list[o.Output]:
    """What the member that counts most says; of equals, the first that says anything."""
    heard = [voice for voice in voices if voice.outputs]
    return list(max(heard, key=lambda voice: voice.weight).outputs) if heard else []


def _probabilities(outputs: Iterable[o.Output], vote: bool) -> dict[str, float]:
    found: dict[str, float] = {}
    for output in outputs:
        told: Mapping[str, float] | None = None if vote else getattr(output, "distribution", None)
        found |= told if told else dict.fromkeys(_chosen(output), 1.0)
    return found


def _chosen(output: o.Output) -> list[str]:
    if isinstance(output, o.Choice):
        return [output.label]
    if isinstance(output, o.Choices):
        return list(output.labels)
    return ["/".join(path) for path in _paths([output])]


def _paths(outputs: Iterable[o.Output]) -> list[tuple[str, ...]]:
    return [path for output in outputs if isinstance(output, o.Taxonomy) for path in output.paths]


def _mean(voices: Sequence[Voice], control: ControlTag) -> list[o.Output]:
    said = [(voice.weight, each) for voice in voices for each in voice.outputs if isinstance(each, o.Number | o.Rating)]
    whole = sum(weight for weight, _ in said)
    value = sum(weight * each.value for weight, each in said) / whole
    scored = [(weight, each.score) for weight, each in said if each.score is not None]
    score = sum(weight * each for weight, each in scored) / sum(weight for weight, _ in scored) if scored else None
    if control.tag == "Rating":
        return [o.Rating(int(value + 0.5), score=score, control=control.name)]
    return [o.Number(value, score=score, control=control.name)]


def _each_box(outputs: Iterable[o.Output]) -> Iterable[o.Box]:
    for output in outputs:
        if isinstance(output, o.Boxes):
            yield from output
        elif isinstance(output, o.Box):
            yield output


def _without_score(output: o.Output) -> Hashable:
    """What makes two outputs the same answer."""
    told = dataclasses.replace(output, score=None, id=None, meta=None)
    return (type(told).__name__, repr(told))


Renamed = Callable[[str], str]


def renamed(output: o.Output, name: Renamed, path: Callable[[str], tuple[str, ...]]) -> o.Output:
    """An output with its labels as the labeling config has them, so that different models' labels meet."""
    if isinstance(output, o.Choice):
        shares = _named(output.distribution, name)
        return dataclasses.replace(output, label=name(output.label), distribution=shares)
    if isinstance(output, o.Choices):
        shares = _named(output.distribution, name)
        return dataclasses.replace(output, labels=tuple(map(name, output.labels)), distribution=shares)
    if isinstance(output, o.Taxonomy):
        known = _named(output.distribution, lambda label: "/".join(path(label)))
        paths = tuple(path("/".join(each)) if len(each) > 1 else path(each[-1]) for each in output.paths if each)
        return dataclasses.replace(output, paths=paths, distribution=known)
    if isinstance(output, o.Boxes):
        labels = None if output.labels is None else [name(str(label)) for label in output.labels]
        return dataclasses.replace(output, labels=labels)
    label = getattr(output, "label", None)
    return output if label is None else dataclasses.replace(output, label=name(label))  # type: ignore[call-arg]  # it has one


def _named(shares: Mapping[str, float] | None, name: Renamed) -> dict[str, float] | None:
    if shares is None:
        return None
    found: dict[str, float] = {}
    for label, share in shares.items():
        found[name(label)] = found.get(name(label), 0.0) + float(share)
    return found
