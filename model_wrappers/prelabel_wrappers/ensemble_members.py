"""The members of an ensemble: read from JSON, given what each of them wants, their answers sorted by control."""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prelabel.adapters import to_outputs
from prelabel.data import DataReader
from prelabel.errors import ModelError, ModelLoadError, OutputError, PrelabelError
from prelabel.labeling import ControlTag, LabelingConfig
from prelabel.labeling.config import takes_rank
from prelabel.loader import load_wrapper
from prelabel.model import Item, ModelWrapper
from prelabel.outputs import Output
from prelabel_wrappers.ensemble_together import renamed

logger = logging.getLogger(__name__)

_KEYS = frozenset({"model", "options", "controls", "weight", "label_map"})


@dataclass(frozen=True)
class Member:
    """One model of several.

    ``controls`` are the controls that it answers; empty: all that take what it says. ``label_map`` is the model's
    labels to the config's, before the answers of several members meet.
    """

    name: str
    wrapper: ModelWrapper
    controls: frozenset[str] = frozenset()
    weight: float = 1.0
    label_map: Mapping[str, str] = field(default_factory=dict)

    def config_of(self, config: LabelingConfig) -> LabelingConfig:
        """The labeling config as this member sees it: with its controls only.

        Raises:
            ModelError: the config has none of them.
        """
        if not self.controls:
            return config
        wanted = [control for control in config.controls if control.name in self.controls]
        if not wanted:
            raise ModelError(
                f"the labeling config has none of the controls {', '.join(sorted(self.controls))} of {self.name}.",
                hint="Correct them in --opt members.",
            )
        holders = [config.label_control(control) for control in wanted]
        kept = [control for control in config.controls if control in wanted or control in holders]
        return dataclasses.replace(config, controls=tuple(kept))

    def asked(self, config: LabelingConfig, control: ControlTag) -> bool:
        """Whether it could have said something for a control: that it says nothing then means something."""
        if self.controls:
            return control.name in self.controls
        kinds = self.wrapper.outputs
        return bool(kinds) and any(takes_rank(config, kind, control) is not None for kind in kinds or ())

    def answers(self, items: Sequence[Item], reader: DataReader) -> list[dict[str, list[Output]] | PrelabelError]:
        """For each item what the member says, by control; all items have one labeling config.

        ``items`` are bare: what the member wants of each is read here.
        """
        config = self.config_of(items[0].config)
        tag = config.primary_object(self.wrapper.outputs, self.wrapper.input)
        found: list[dict[str, list[Output]] | PrelabelError | None] = [None] * len(items)
        places: list[int] = []
        given: list[Any] = []
        contexts = items[0].context if len(items) == 1 else None
        read = reader.inputs([item.task for item in items], config, tag, self.wrapper.input, context=contexts)
        for at, each in enumerate(read):
            if isinstance(each, PrelabelError):
                found[at] = each
            else:
                places.append(at)
                given.append(each.value)
        most = self.wrapper.max_batch_size or len(given) or 1
        raws = [raw for at in range(0, len(given), most) for raw in self._predicted(given[at : at + most])]
        for at, raw in zip(places, raws, strict=True):
            found[at] = raw if isinstance(raw, PrelabelError) else self._by_control(raw, config)
        return [{} if each is None else each for each in found]

    def _predicted(self, batch: Sequence[Any]) -> Sequence[Any]:
        answers = list(self.wrapper.predict(batch))
        if len(answers) != len(batch):
            raise ModelError(
                f"{self.name} returned {len(answers)} results for {len(batch)} items.",
                hint="Return one result per item, in the same order; None for nothing to say.",
            )
        return answers

    def _by_control(self, raw: Any, config: LabelingConfig) -> dict[str, list[Output]] | PrelabelError:
        try:
            outputs = to_outputs(raw, config, self.label_map, self.wrapper.labels)
        except OutputError as error:
            return error
        found: dict[str, list[Output]] = {}
        for output in outputs:
            try:
                control = config.find_control(output, self.label_map)
            except OutputError as error:
                logger.warning("%s: left out: %s", self.name, error)
                continue
            named = renamed(output, *_names(config, control, self.label_map))
            found.setdefault(control.name, []).append(dataclasses.replace(named, control=control.name))
        return found


def _names(config: LabelingConfig, control: ControlTag, label_map: Mapping[str, str]) -> Any:
    """A label, and its path, as the config stores them; what it does not know stays as it is."""
    return (
        lambda label: config.map_label(control, label, label_map) or label,
        lambda label: config.map_path(control, label, label_map) or tuple(label.split("/")),
    )


def members_from(told: str) -> list[Member]:
    """Members as JSON tells them, made but not loaded.

    Args:
        told: a JSON object of members by name, or the path of a ``.json`` file of it. Each has ``model`` (a wrapper's
            name, a file, a dotted path) and may have ``options``, ``controls``, ``weight`` and ``label_map``.

    Raises:
        ModelLoadError: it is no such JSON, or a member cannot be made.
        NotFoundError: there is no such wrapper.
    """
    path = Path(told) if told.strip().endswith(".json") else None
    if path is not None and not path.is_file():
        raise ModelLoadError(f"there is no file {path}.", hint="Check --opt members.")
    try:
        said = json.loads(path.read_text(encoding="utf-8") if path is not None else told)
    except ValueError as error:
        raise _malformed(f"is not JSON ({error})") from error
    if not isinstance(said, Mapping) or not said:
        raise _malformed("is no object of members by name")
    return [_member(str(name), each) for name, each in said.items()]


def _member(name: str, told: Any) -> Member:
    told = {"model": told} if isinstance(told, str) else told
    if not isinstance(told, Mapping) or not isinstance(told.get("model"), str) or set(told) - _KEYS:
        raise _malformed(f"has a member {name!r} that is none: it has {', '.join(sorted(_KEYS))}, and needs model")
    options, controls, weight = told.get("options") or {}, told.get("controls") or [], told.get("weight", 1)
    label_map = told.get("label_map") or {}
    fits = isinstance(options, Mapping) and isinstance(controls, list) and isinstance(label_map, Mapping)
    if not fits or isinstance(weight, bool) or not isinstance(weight, int | float) or weight <= 0:
        raise _malformed(
            f"has a member {name!r} whose options, controls, weight or label_map is none: an object, a list of names, "
            "a number above 0, an object"
        )
    texts = {str(key): _text(value) for key, value in options.items()}
    names = {str(key): str(value) for key, value in label_map.items()}
    return Member(name, load_wrapper(told["model"], texts), frozenset(map(str, controls)), float(weight), names)


def _text(value: Any) -> str:
    """An option as the command line would give it."""
    if isinstance(value, list):
        return ",".join(map(str, value))
    return value if isinstance(value, str) else json.dumps(value)


def _malformed(what: str) -> ModelLoadError:
    example = '{"tone": {"model": "sklearn", "options": {"model": "tone.joblib"}, "controls": ["sentiment"]}}'
    return ModelLoadError(f"the option members {what}.", hint=f"For example {example}.")
