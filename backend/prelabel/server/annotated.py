"""Annotations, counted: enough new ones begin a training. Webhooks tell of them at once; Label Studio is asked now and
then, since a webhook that is missed is not sent again."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from prelabel.beside import beside
from prelabel.errors import PrelabelError

if TYPE_CHECKING:
    from prelabel.labelstudio import LabelStudio
    from prelabel.predictor import Predictor
    from prelabel.queue import JobQueue
    from prelabel.runs import Connection
    from prelabel.settings import Settings

logger = logging.getLogger(__name__)

FIRST_S = 5.0
"""How soon after the start annotations are counted that came before."""


def new_annotations(action: str, body: Mapping[str, Any]) -> int:
    """How many annotations an event brings; a changed or skipped one is none."""
    if action == "ANNOTATIONS_CREATED":
        several = body.get("annotation")  # Label Studio's name for the list
        return sum(map(_counts, several)) if isinstance(several, list) else 1
    return int(action == "ANNOTATION_CREATED" and _counts(body.get("annotation")))


def _counts(annotation: Any) -> bool:
    return not (isinstance(annotation, Mapping) and annotation.get("was_cancelled"))


@contextmanager
def counting(
    predictor: Predictor,
    queue: JobQueue,
    label_studio: Callable[[Connection], LabelStudio | None],
    settings: Settings,
) -> Iterator[None]:
    """While inside, a thread asks Label Studio every ``sweep_interval_s`` how many annotations there are."""
    if not settings.train_after or not getattr(predictor, "trainable", False):
        yield
        return
    with beside("annotations", partial(_count, predictor, queue, label_studio, settings)):
        yield


def _count(
    predictor: Predictor,
    queue: JobQueue,
    label_studio: Callable[[Connection], LabelStudio | None],
    settings: Settings,
    stop: threading.Event,
) -> None:
    pause = min(FIRST_S, settings.sweep_interval_s)
    while not stop.wait(pause):
        pause = settings.sweep_interval_s
        try:
            for connection in queue.ledger.connections(predictor.name):
                if connection.connected and connection.label_config and not stop.is_set():
                    _look(predictor, queue, label_studio(connection), connection, settings.train_after)
        except Exception:
            logger.exception("annotations could not be counted")


def _look(
    predictor: Predictor, queue: JobQueue, client: LabelStudio | None, connection: Connection, after: int
) -> None:
    if client is None:
        return
    try:
        found = client.project(connection.project).get("total_annotations_number")
    except PrelabelError as error:
        logger.debug("annotations of project %d could not be counted: %s", connection.project, error)
        return
    if isinstance(found, int) and queue.ledger.recount(connection, found) >= after:
        job, new = queue.submit_training(connection, version=predictor.model_version, reason=f"{after} annotations")
        if new:
            queue.ledger.note(job, annotations=found)  # or one that fails at once would be begun again and again
            logger.info("project %d: job %s trains, annotations were found without a webhook", connection.project, job)
