"""What a labeling config takes, as the adapters ask it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from prelabel import outputs as o
from prelabel.adapters.forms import refusal
from prelabel.adapters.values import is_number, plain
from prelabel.errors import OutputError
from prelabel.labeling import ControlTag, LabelingConfig

_SLACK = 1e-4
"""How far beyond 0..1 a probability may lie: float noise of a softmax in half precision."""


@dataclass(frozen=True, slots=True)
class Menu:
    """A labeling config seen by an adapter; with ``only``, every value is meant for that control.

    ``names`` are the labels that the model declares, in the order of its classes' numbers.
    """

    config: LabelingConfig
    label_map: Mapping[str, str]
    only: ControlTag | None = None
    names: Sequence[str] = ()
    _taking: dict[type[o.Output], list[ControlTag]] = field(default_factory=dict, repr=False)

    @property
    def control_name(self) -> str | None:
        """What an output's ``control`` is set to."""
        return self.only.name if self.only else None

    def takes(self, kind: type[o.Output]) -> list[ControlTag]:
        """Controls that take ``kind`` without being asked about a region."""
        found = self._taking.get(kind)
        if found is None:
            found = [control for control in self.config.controls_for(kind) if not control.per_region]
            if self.only is not None:
                found = [control for control in found if control.name == self.only.name]
            self._taking[kind] = found
        return found

    def knows(self, control: ControlTag, label: str) -> bool:
        """Whether ``control`` has the model's ``label``."""
        return self.config.map_entry(control, label, self.label_map) is not None

    def knows_somewhere(self, label: str) -> bool:
        """Whether any control has the model's ``label``."""
        return any(self.knows(control, label) for control in ([self.only] if self.only else self.config.controls))

    def takes_labels(self, kind: type[o.Output], labels: Iterable[str | None] | None) -> list[ControlTag]:
        """As `takes`, without controls that have labels, but none of these."""
        controls = self.takes(kind)
        said = {label for label in labels or () if label is not None}
        if not said:
            return controls
        return [
            control
            for control in controls
            if self.config.label_control(control) is None or any(self.knows(control, label) for label in said)
        ]

    def only_label(self, control: ControlTag) -> str | None:
        """The label of a control that has just one."""
        holder = self.config.label_control(control)
        return holder.labels[0] if holder is not None and len(holder.labels) == 1 else None

    def refuse(self, raw: Any, why: str = "") -> OutputError:
        """The error for ``raw``; ``why`` continues the sentence "the model's list [...] ..."."""
        return refusal(raw, self.config, why)

    def share(self, value: Any, raw: Any) -> float | None:
        """A score within 0 to 1; None for None and NaN. Raises OutputError for anything else."""
        score = plain(value)
        if score is None or (isinstance(score, float) and math.isnan(score)):
            return None
        if not is_number(score) or not -_SLACK <= score <= 1 + _SLACK:
            raise self.refuse(raw, "has a score that is not within 0 to 1 (apply softmax or sigmoid first)")
        return min(max(float(score), 0.0), 1.0)
