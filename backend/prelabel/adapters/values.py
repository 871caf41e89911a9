"""Telling plain values apart, those of NumPy and Torch included, without importing either."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum
from itertools import accumulate, islice
from typing import Any, TypeGuard


def plain(value: Any) -> Any:  # noqa: PLR0911 (one return a kind)
    """``value`` without its framework: scalars of NumPy and Torch as Python's, tensors as arrays, models as dicts.

    So are dataclasses (a recognizer's segments, say); prelabel's own outputs stay. Numbers of a precision that NumPy
    lacks (bfloat16) become float32; other frameworks' arrays (JAX, TensorFlow) are taken by ``__array__``.
    """
    kind = type(value)
    if kind in _PLAIN:
        return value
    if isinstance(value, Enum):
        return plain(value.value)
    module = kind.__module__.partition(".")[0]
    if module == "torch" and hasattr(value, "detach"):
        value = _of_torch(value.detach().cpu())
        module = "numpy"
    if module == "numpy" and getattr(value, "ndim", None) == 0:
        return value.item()
    if hasattr(value, "model_dump"):
        return value.model_dump()
    if hasattr(kind, "__dataclass_fields__") and module != "prelabel":
        return {name: getattr(value, name) for name in kind.__dataclass_fields__}
    if module not in _KNOWN and hasattr(kind, "__array__"):
        return plain(value.__array__())
    return value


def _of_torch(tensor: Any) -> Any:
    try:
        return tensor.resolve_conj().resolve_neg().numpy()
    except TypeError:  # bfloat16, float8
        return tensor.float().numpy()


_NUMBERS = frozenset({int, float})
_PLAIN = frozenset({str, int, float, bool, type(None), dict, list, tuple})
_KNOWN = frozenset({"numpy", "pandas", "prelabel", "PIL"})
"""Packages whose arrays are not looked at by ``__array__``."""


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


def sample(value: Any, most: int = 100) -> str:
    """A short picture of ``value`` for a message: the first of its parts, of arrays the shape, and no secrets."""
    if isinstance(value, Mapping) and value:
        parts = [f"{key!r}: {_part(item, key)}" for key, item in islice(value.items(), _PARTS)]
        return f"{{{_joined(parts, len(value), most - 2)}}}"
    if type(value) in {list, tuple} and value:
        inner = _joined([_part(item) for item in value[:_PARTS]], len(value), most - 2)
        return f"({inner})" if isinstance(value, tuple) else f"[{inner}]"
    if hasattr(value, "columns") and hasattr(value, "iloc"):
        columns = _joined([str(name) for name in value.columns[:_PARTS]], len(value.columns), most)
        return f"of {len(value)} rows with {columns}"
    if hasattr(value, "shape") and hasattr(value, "dtype") and getattr(value, "ndim", None):
        return f"{type(value).__name__} {of_shape(value)}"
    return _shortened(value, most)


def of_shape(value: Any) -> str:
    """What is said of an array or a tensor behind the name of its type."""
    return f"of shape {list(value.shape)} and dtype {str(value.dtype).removeprefix('torch.')}"


_PARTS = 8
"""Most parts of a container that a sample shows."""
_SECRET = re.compile("api_?key|token|secret|passw|authori[sz]|credential", re.IGNORECASE)


def _part(item: Any, key: Any = None) -> str:
    if isinstance(key, str) and isinstance(item, str) and _SECRET.search(key):
        return "***"
    return sample(item, 40)


def _joined(parts: list[str], total: int, most: int) -> str:
    """As many of ``parts`` as fit (one at least), and dots for the rest of ``total``."""
    ends = list(accumulate(len(part) + 2 for part in parts))
    fitting = max(1, sum(end <= most for end in ends))
    return ", ".join(parts[:fitting]) + (", ..." if fitting < total else "")


def _shortened(value: Any, most: int) -> str:
    """The ``repr`` in one line."""
    text = " ".join(repr(value)[:1000].split())
    return text if len(text) <= most else text[: most - 3] + "..."
