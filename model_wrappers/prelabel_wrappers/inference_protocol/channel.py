"""What both transports of the Open Inference Protocol offer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from prelabel_wrappers.inference_protocol.tensors import Described, Tensor


@dataclass(frozen=True)
class Metadata:
    """What a server says about a model; some servers say nothing about inputs and outputs."""

    inputs: tuple[Described, ...] = ()
    outputs: tuple[Described, ...] = ()
    binary: bool = False
    """Whether the server takes tensors as raw bytes."""


class Channel(Protocol):
    """One model on one server. Safe for threads."""

    url: str

    def ready(self) -> bool:
        """Whether the model is loaded there; False also where nothing answers."""

    def metadata(self) -> Metadata:
        """What the server says about the model.

        Raises:
            OverloadedError, DeadlineError: it is away or busy.
            ModelError: it refuses.
        """

    def infer(self, inputs: Sequence[Tensor], outputs: Sequence[str], *, binary: bool) -> list[Tensor]:
        """The outputs of one request; ``outputs`` empty: all that the model has.

        Raises:
            OverloadedError, DeadlineError, ModelError: as `metadata`.
        """

    def close(self) -> None:
        """Close the connections."""
