"""What a `label_studio_ml` model's ``predict`` returned, told apart: for each task the regions of one prediction.

It is read as the package's server and Label Studio together read it: a ``ModelResponse`` or a dict is its
``predictions``, a list is one entry a task, None is nothing. An entry is a prediction, a list of several, or None.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from prelabel.adapters.values import is_number, plain
from prelabel.errors import ModelError
from prelabel.outputs import Regions

logger = logging.getLogger(__name__)

Ask = Callable[[Sequence[Mapping[str, Any]]], Any]


def by_task(ask: Ask, tasks: Sequence[Mapping[str, Any]], name: str) -> list[Regions | None]:
    """One prediction's regions for each task, in order; None where the model says nothing.

    A model that answers several tasks with another number of predictions is asked again for each alone: Label Studio
    itself does so for one prediction, and throws all others away.

    Raises:
        ModelError: what came is no answer of any known form.
    """
    found = _entries(ask(tasks), name)
    if len(found) == len(tasks):
        return [_read(entry, name) for entry in found]
    if not found:
        return [None] * len(tasks)
    if len(tasks) == 1:
        return [_read(found, name)]
    logger.warning("%s returned %d predictions for %d tasks: asking for each task alone", name, len(found), len(tasks))
    return [by_task(ask, [task], name)[0] for task in tasks]


def _entries(answer: Any, name: str) -> list[Any]:
    """What would stand under ``results`` of the package's ``/predict``."""
    if answer is None:
        return []
    if hasattr(answer, "predictions"):
        return list(answer.predictions)
    if hasattr(answer, "model_dump"):
        return [answer]
    if isinstance(answer, Mapping):
        listed = next((answer[key] for key in ("predictions", "results") if key in answer), [answer])
        return _entries(listed, name)
    if isinstance(answer, str | bytes) or not hasattr(answer, "__iter__"):
        raise ModelError(
            f"{name}.predict returned {type(answer).__name__}.",
            hint="Return a ModelResponse, or a list with one prediction per task.",
        )
    return list(answer)


def _read(entry: Any, name: str) -> Regions | None:
    entry = plain_prediction(entry)
    if entry is None:
        return None
    if isinstance(entry, Mapping):
        if "result" not in entry:
            return Regions((entry,)) if _is_region(entry) else None
        result = entry["result"]
        if result is None:
            result = []
        if not isinstance(result, list | tuple):
            raise ModelError(
                f"{name}.predict returned a prediction whose result is {type(result).__name__}.",
                hint="A prediction's 'result' is a list of regions.",
            )
        return Regions(tuple(map(plain_prediction, result)), score=_score(entry.get("score")))
    if not isinstance(entry, list | tuple):
        raise ModelError(
            f"{name}.predict returned {type(entry).__name__} for a task.",
            hint='Return {"result": [...]} for each task.',
        )
    if entry and all(_is_region(each) for each in entry):
        return Regions(tuple(map(plain_prediction, entry)))
    return _best([found for found in (_read(each, name) for each in entry) if found is not None])


def _best(found: Sequence[Regions]) -> Regions | None:
    """Of several predictions for one task the one with the highest score, else the first: Label Studio shows one."""
    if len(found) < 2:
        return found[0] if found else None
    best = max(found, key=lambda one: -1.0 if one.score is None else one.score)
    others = f"{len(found) - 1} more predictions of the same task, whose score is not higher"
    return Regions(best.regions, score=best.score, left_out=(*best.left_out, others))


def plain_prediction(entry: Any) -> Any:
    """A prediction or region without its class; a score that nobody gave is None, not the class's default."""
    if not hasattr(entry, "model_dump"):
        return entry
    given = entry.model_dump()
    if "score" in given and "score" not in entry.model_fields_set:
        given["score"] = None
    return given


def _is_region(entry: Any) -> bool:
    entry = plain_prediction(entry)
    return isinstance(entry, Mapping) and "result" not in entry and ("from_name" in entry or "from_id" in entry)


def _score(score: Any) -> float | None:
    score = plain(score)
    if not is_number(score) or not math.isfinite(score):
        return None
    return min(max(float(score), 0.0), 1.0)
