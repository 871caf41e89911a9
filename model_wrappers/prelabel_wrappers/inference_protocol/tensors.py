"""Tensors of the Open Inference Protocol: NumPy to its datatypes and back, as JSON lists and as raw bytes.

Raw bytes are little-endian and row-major; a BYTES element is its length (uint32) and its content. Source: "Tensor Data"
in the protocol, and Triton's binary tensor data extension.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from prelabel.errors import ModelError

if TYPE_CHECKING:
    from numpy.typing import NDArray

DTYPES: Mapping[str, str] = {
    "BOOL": "?",
    "UINT8": "u1",
    "UINT16": "<u2",
    "UINT32": "<u4",
    "UINT64": "<u8",
    "INT8": "i1",
    "INT16": "<i2",
    "INT32": "<i4",
    "INT64": "<i8",
    "FP16": "<f2",
    "FP32": "<f4",
    "FP64": "<f8",
    "BYTES": "O",
}
"""The protocol's datatypes as NumPy's. BF16 has none there."""


@dataclass(frozen=True)
class Described:
    """What a server says about one input or output. ``shape`` has -1 where any size goes."""

    name: str
    datatype: str
    shape: tuple[int, ...] = ()
    parameters: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Tensor:
    """A named array with its datatype; BYTES are arrays of ``bytes``."""

    name: str
    datatype: str
    array: NDArray[Any]

    @classmethod
    def of(cls, name: str, datatype: str, values: Any) -> Tensor:
        """An array of a datatype's own type; strings become UTF-8.

        Raises:
            ModelError: the datatype is none that NumPy has.
        """
        import numpy as np

        if datatype not in DTYPES:
            raise ModelError(
                f"the input {name} is {datatype}, which cannot be sent.", hint=f"Sent are {', '.join(DTYPES)}."
            )
        if datatype == "BYTES":
            array = np.array(values, dtype=object)
            encoded = [each.encode() if isinstance(each, str) else bytes(each) for each in array.ravel()]
            flat = np.empty(len(encoded), dtype=object)
            flat[:] = encoded
            return cls(name, datatype, flat.reshape(array.shape))
        return cls(name, datatype, np.ascontiguousarray(values, dtype=DTYPES[datatype]))

    def raw(self) -> bytes:
        """The tensor's bytes."""
        if self.datatype != "BYTES":
            return self.array.tobytes()
        return b"".join(struct.pack("<I", len(each)) + each for each in self.array.ravel())

    def listed(self) -> list[Any]:
        """The tensor as a flat JSON list."""
        if self.datatype == "BYTES":
            return [each.decode("utf-8", "replace") for each in self.array.ravel()]
        flat: list[Any] = self.array.ravel().tolist()
        return flat


def from_raw(name: str, datatype: str, shape: Sequence[int], content: bytes) -> Tensor:
    """A tensor from its bytes.

    Raises:
        ModelError: the bytes do not fit datatype and shape.
    """
    import numpy as np

    try:
        if datatype == "BYTES":
            found: list[bytes] = []
            at = 0
            while at < len(content):
                (length,) = struct.unpack_from("<I", content, at)
                found.append(content[at + 4 : at + 4 + length])
                at += 4 + length
            flat = np.empty(len(found), dtype=object)
            flat[:] = found
            return Tensor(name, datatype, flat.reshape(tuple(shape)))
        return Tensor(name, datatype, np.frombuffer(content, dtype=DTYPES[datatype]).reshape(tuple(shape)))
    except (ValueError, KeyError, struct.error) as error:
        raise _unreadable(name, datatype, shape) from error


def from_list(name: str, datatype: str, shape: Sequence[int], values: Any) -> Tensor:
    """A tensor from a JSON list, flat or nested.

    Raises:
        ModelError: the values do not fit datatype and shape.
    """
    import numpy as np

    try:
        if datatype == "BYTES":
            return Tensor.of(name, datatype, np.array(values, dtype=object).reshape(tuple(shape)))
        return Tensor(name, datatype, np.array(values, dtype=DTYPES[datatype]).reshape(tuple(shape)))
    except (ValueError, TypeError, KeyError) as error:
        raise _unreadable(name, datatype, shape) from error


def _unreadable(name: str, datatype: str, shape: Sequence[int]) -> ModelError:
    return ModelError(
        f"the server's output {name} cannot be read as {datatype} of shape {list(shape)}.",
        hint="Does the server speak the Open Inference Protocol v2?",
    )
