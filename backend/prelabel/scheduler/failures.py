"""What a call of the model may do wrong, told apart and put into words."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from prelabel.errors import ModelError, ModelLoadError, ModelMemoryError, PrelabelError
from prelabel.user_code import place_of


def checked(results: Any, size: int) -> Sequence[Any]:
    """The model's results as a sequence of the right length."""
    if results is None or isinstance(results, (str, bytes, Mapping)) or not hasattr(results, "__iter__"):
        raise ModelError(
            f"the model returned {type(results).__name__} for a batch.",
            hint="Return a list with one result per item, in the same order.",
        )
    found: Sequence[Any] = results if hasattr(results, "__len__") and hasattr(results, "__getitem__") else list(results)
    if len(found) != size:
        raise ModelError(
            f"the model returned {len(found)} results for {size} items.",
            hint="Return one result per item, in the same order; None for nothing to say.",
        )
    return found


def is_out_of_memory(error: BaseException) -> bool:
    """MemoryError, torch's OutOfMemoryError (by name, torch is not imported), and runtimes that only say so."""
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or (isinstance(error, RuntimeError) and "out of memory" in str(error).lower())
    )


def free_memory(error: BaseException) -> None:
    """Let go of the tensors that the failed call's frames hold, and of torch's cache."""
    error.__traceback__ = None
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()


def in_words(error: BaseException) -> str:
    said = str(error).strip().splitlines()
    return f"{type(error).__name__}: {said[0][:200]}" if said else type(error).__name__


def item_error(error: BaseException, memory: bool) -> PrelabelError:
    if memory:
        return ModelMemoryError(
            "the model ran out of memory with this item alone.", hint="Make the item smaller or use a larger device."
        )
    if isinstance(error, PrelabelError):
        return error
    return ModelError(f"the model failed: {place_of(error)}{in_words(error)}.", hint="The log has the traceback.")


def load_error(error: BaseException) -> ModelLoadError:
    if isinstance(error, ModelLoadError):
        return error
    return ModelLoadError(
        f"the model could not be loaded: {place_of(error)}{in_words(error)}.", hint="The log has the traceback."
    )
