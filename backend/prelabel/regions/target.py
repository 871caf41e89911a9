"""What a converter is given beside the output: the control, the object tag it labels, and what is known of the data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from prelabel.errors import OutputError
from prelabel.labeling import ControlTag, LabelingConfig, ObjectTag
from prelabel.tasks import Facts

DIGITS = 5
"""Decimals kept of a percentage or a second: float noise goes, nothing beyond 1e-5 is lost."""
_NOTHING = Facts()
NO_OBJECT = ObjectTag(name="", tag="", field="")


class Unfit(Exception):  # noqa: N818 (a signal inside this package, not an error that leaves it)
    """This output cannot be sent; the text says why. The others are not affected."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where an output goes: ``control`` of ``config``, and the ``shown`` object tag with what is known of its data."""

    config: LabelingConfig
    control: ControlTag
    shown: ObjectTag
    known: Mapping[str, Facts]
    label_map: Mapping[str, str] | None = None

    @property
    def facts(self) -> Facts:
        """Facts about what the object tag shows. Asking may read the data: only geometry asks."""
        return self.known.get(self.shown.name, _NOTHING)

    def attribute(self, name: str, default: str = "") -> str:
        """An attribute of the control, whatever its case in the XML."""
        return attribute(self.control.attributes, name, default)

    def label(self, label: str, control: ControlTag | None = None) -> str:
        """The name under which Label Studio knows ``label``, or `Unfit`."""
        control = control or self.control
        name = self.config.map_label(control, label, self.label_map)
        if name is None:
            known = ", ".join(repr(one) for one in control.labels[:8]) + (", ..." if len(control.labels) > 8 else "")
            raise Unfit(f"label {label!r} is not in control {control.name!r} ({known or 'it has no labels'})")
        return name


@dataclass(slots=True)
class Shape:
    """The geometry of a region: ``value`` without labels, and ``extra`` that stands beside it in the region."""

    value: dict[str, Any]
    extra: dict[str, Any] = field(default_factory=dict)


def attribute(attributes: Mapping[str, str], name: str, default: str = "") -> str:
    """An XML attribute, its name compared without regard to case, as Label Studio's editor does."""
    if name in attributes:
        return attributes[name]
    wanted = name.lower()
    return next((value for key, value in attributes.items() if key.lower() == wanted), default)


def attribute_number(attributes: Mapping[str, str], name: str) -> float | None:
    """A numeric XML attribute; None when it is absent, no number, or a reference to the task's data."""
    try:
        number = float(attribute(attributes, name))
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def tidy(number: float) -> float | int:
    """``number`` without float noise; a whole one as int, as Label Studio's editor writes it."""
    rounded = round(float(number), DIGITS)
    return int(rounded) if rounded.is_integer() else rounded


def finite(*numbers: float) -> None:
    """`Unfit` unless every number is finite; NumPy's scalars are welcome."""
    for number in numbers:
        if not math.isfinite(number):
            raise Unfit(f"{number} is not a finite number")


def whole(number: float, what: str) -> int:
    """``number`` as int (NumPy's too); `Unfit` unless it is one."""
    finite(number)
    if number != int(number):
        raise Unfit(f"{what} must be a whole number, got {number}")
    return int(number)


def size_unknown(shown: ObjectTag) -> OutputError:
    """The error for pixel coordinates on something whose size nobody knows."""
    return OutputError(
        f"pixel coordinates need the size in pixels of {shown.tag or 'object'} {shown.name!r}, which is not known.",
        hint="Let the model take the image itself as input, or give coordinates with unit=Unit.FRACTION or "
        "Unit.PERCENT.",
    )
