"""Telling plain values apart, those of NumPy and Torch included, without importing either."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any, TypeGuard


def plain(value: Any) -> Any:
    """``value`` without its framework: scalars of NumPy and Torch as Python's, tensors as arrays, models as dicts.

    So are dataclasses (a recognizer's segments, say); prelabel's own outputs stay.
    """
    kind = type(value)
    if kind in _PLAIN:
        return value
    if isinstance(value, Enum):
        return plain(value.value)
    module = kind.__module__.partition(".")[0]
    if module == "torch" and hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
        module = "numpy"
    if module == "numpy" and getattr(value, "ndim", None) == 0:
        return value.item()
    if hasattr(value, "model_dump"):
        return value.model_dump()
    if hasattr(kind, "__dataclass_fields__") and module != "prelabel":
        return {name: getattr(value, name) for name in kind.__dataclass_fields__}
    return value


_NUMBERS = frozenset({int, float})
_PLAIN = frozenset({str, int, float, bool, type(None), dict, list, tuple})


def is_number(value: Any) -> TypeGuard[int | float]:
    """An int or float (after `plain`); bool is none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_array(value: Any) -> bool:
    """A NumPy array with at least one axis."""
    return type(value).__module__.partition(".")[0] == "numpy" and getattr(value, "ndim", 0) > 0


def is_picture(value: Any) -> bool:
    """A Pillow image, as frameworks return masks."""
    return type(value).__module__.partition(".")[0] == "PIL" and hasattr(value, "getbands")


def is_plane(value: Any) -> bool:
    """A two-dimensional NumPy array or a Pillow image: a mask."""
    return (is_array(value) and value.ndim == 2) or is_picture(value)


def as_plane(value: Any) -> Any:
    """A mask as a two-dimensional NumPy array; what is not white nor black in a Pillow image is a probability."""
    if not is_picture(value):
        return value
    import numpy as np  # noqa: PLC0415 (only where a Pillow mask needs it)

    return np.asarray(value.convert("L"), dtype=np.float32) / 255.0


def as_list(value: Any) -> Any:
    """A one-dimensional array or a tuple as a list; other values as they are."""
    if isinstance(value, tuple):
        return list(value)
    return value.tolist() if is_array(value) and value.ndim == 1 else value


def numbers(value: Any, length: int) -> list[float] | None:
    """That many numbers from a list, tuple or one-dimensional array; None where ``value`` is something else."""
    if type(value) is not list:
        value = as_list(value)
    if not isinstance(value, list) or len(value) != length:
        return None
    if _NUMBERS.issuperset(map(type, value)):
        return value
    found = [plain(each) for each in value]
    return found if all(is_number(each) for each in found) else None


def sample(value: Any, most: int = 60) -> str:
    """A short picture of ``value`` for a message."""
    if is_array(value):
        return f"array of shape {tuple(value.shape)} and dtype {value.dtype}"
    if isinstance(value, Mapping) and value:
        key, first = next(iter(value.items()))
        text = f"{{{key!r}: {sample(first, most // 2)}{', ...' if len(value) > 1 else ''}}}"
    elif isinstance(value, list | tuple) and value:
        inner = f"{sample(value[0], most // 2)}{', ...' if len(value) > 1 else ''}"
        text = f"({inner})" if isinstance(value, tuple) else f"[{inner}]"
    else:
        text = " ".join(repr(value)[:1000].split())
    return text if len(text) <= most else text[: most - 3] + "..."
