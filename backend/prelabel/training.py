"""Training: a project's annotations to a new version of its model, which is a run of its own.

The job runs in a process of its own, on a queue of its own. It makes the model anew, with the version that is served
now, lets it learn from the annotations as they stream from Label Studio, keeps its files under the new version, and
ends. Servers and workers notice the version by themselves (`prelabel.successor`). Until then, and when anything fails,
the version before goes on serving.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from prelabel import artifacts
from prelabel.data import DataReader
from prelabel.errors import CancelledError, ModelError, PrelabelError, SettingsError
from prelabel.examples import Example, examples_of
from prelabel.labeling import parse
from prelabel.loader import load, load_wrapper, model_name, model_version
from prelabel.model import ModelWrapper, Surroundings
from prelabel.queue import PredictOptions
from prelabel.runs.rows import ACTIVE_JOBS
from prelabel.runs.trainings import TRAIN_JOB
from prelabel.user_code import first_line, place_of

if TYPE_CHECKING:
    from prelabel.jobs import JobContext
    from prelabel.runs import Connection, JobRow

logger = logging.getLogger(__name__)

NOTE_S = 1.0
"""Seconds between two notes of how far the job is."""


class Examples:
    """A project's annotated tasks. Each iteration reads them from Label Studio again, a page at a time."""

    def __init__(self, context: JobContext, job: JobRow, wrapper: ModelWrapper, reader: DataReader) -> None:
        self._context = context
        self._job = job
        self._wrapper = wrapper
        self._reader = reader
        self.count = 0
        """How many the last iteration has given."""
        self.unread: list[PrelabelError] = []
        """Why tasks were left out in the last iteration."""

    def __iter__(self) -> Iterator[Example]:
        context, job = self._context, self._job
        connection = context.ledger.connection_by_id(job.connection)
        self.count, self.unread, noted = 0, [], 0.0
        for example in examples_of(
            context.label_studio(connection),
            connection.project,
            parse(connection.label_config),
            self._wrapper,
            self._reader,
            unread=self.unread,
        ):
            if time.monotonic() - noted > NOTE_S:
                noted = time.monotonic()
                context.ledger.note(job.id, phase="reading", examples=self.count)
                if context.stopping.is_set() or context.ledger.cancel_requested(job.id):
                    raise CancelledError("the training was cancelled.")
            self.count += 1
            yield example
        context.ledger.note(job.id, phase="learning", examples=self.count)


def train(context: JobContext, job: JobRow) -> str:
    """Train a project's model; returns the new version.

    Raises:
        SettingsError: this process does not know the model.
        ModelError: there is nothing to learn from, or the model's ``fit`` or ``save`` failed.
        PrelabelError: Label Studio cannot be reached, or the job was cancelled.
    """
    settings, ledger = context.settings, context.ledger
    connection = ledger.connection_by_id(job.connection)
    wrapper = _wrapper_of(context, connection)
    reader = DataReader(settings, lambda: context.label_studio(connection))
    with closing(reader):
        wrapper.enter(Surroundings(settings, reader, ledger))
        before = model_version(wrapper, settings)
        load(wrapper)
        try:
            examples = Examples(context, job, wrapper, reader)
            said = _fitted(wrapper, examples)
            if examples.count == 0:
                raise ModelError(
                    f"project {connection.project} has no annotation that {wrapper.name} can learn from.",
                    hint=str(examples.unread[0]) if examples.unread else "Label some tasks first.",
                )
            ledger.note(job.id, phase="saving", examples=examples.count)
            with artifacts.unfinished(settings, connection.model) as place:
                _saved(wrapper, place)
                artifact = artifacts.keep(
                    place,
                    settings,
                    wrapper,
                    said=said,
                    examples=examples.count,
                    now=ledger.now(),
                    before=before,
                )
        finally:
            wrapper.unload()
    provenance = {
        "trained_from": before,
        "examples": artifact.examples,
        "artifact": f"sha256:{artifact.sha256}",
        "job": job.id,
    }
    ledger.add_trained(artifact, connection.model, provenance)
    ledger.note(job.id, phase="trained", examples=artifact.examples, version=artifact.version)
    logger.info("project %d: %s learnt from %d tasks", connection.project, artifact.version, artifact.examples)
    if examples.unread:
        logger.warning("%d annotated tasks could not be read; the first: %s", len(examples.unread), examples.unread[0])
    _predict_again(context, connection, artifact.version)
    return artifact.version


def _wrapper_of(context: JobContext, connection: Connection) -> ModelWrapper:
    """The connection's model, made anew, with the files of the version that is served."""
    settings = context.settings
    if settings.model is None:
        raise SettingsError("this process has no model to train.", hint="Start it with the --model of the server.")
    wrapper = load_wrapper(settings.model, settings.model_options)
    if model_name(wrapper, settings) != connection.model:
        raise SettingsError(
            f"this process trains {model_name(wrapper, settings)!r}, and the project's model is {connection.model!r}.",
            hint="Start `prelabel up` or `worker` with the --model that the project is connected to.",
        )
    artifact = context.ledger.to_serve(connection.model, shadow=settings.shadow)
    if artifact is not None:
        wrapper.artifact = artifact.place(settings)
    return wrapper


def _fitted(wrapper: ModelWrapper, examples: Examples) -> str | None:
    try:
        return wrapper.fit(examples)
    except PrelabelError:
        raise
    except Exception as error:
        raise ModelError(
            f"training failed: {place_of(error)}{type(error).__name__}: {first_line(error)}.",
            hint="The log has the traceback; the version before goes on serving.",
        ) from error


def _saved(wrapper: ModelWrapper, place: Path) -> None:
    try:
        wrapper.save(place)
    except PrelabelError:
        raise
    except Exception as error:
        raise ModelError(
            f"the trained model could not be saved: {place_of(error)}{type(error).__name__}: {first_line(error)}.",
            hint="The log has the traceback; the version before goes on serving.",
        ) from error


def _predict_again(context: JobContext, connection: Connection, version: str) -> None:
    """Give up what the version before has not done yet, and queue what the new one is to say.

    A version that people do not see is not served; a worker in shadow finds the tasks by itself.
    """
    ledger, queue, policy = context.ledger, context.queue, context.settings.train_predict
    standing = ledger.standing_of(version)
    if standing.hidden:
        logger.info("%s", standing.sentence)
        return
    for row in ledger.jobs(states=ACTIVE_JOBS, limit=10_000):
        if row.connection == connection.id and row.kind != TRAIN_JOB and row.version != version:
            queue.cancel(row.id)
    if policy == "nothing":
        return
    options = PredictOptions(unlabeled=policy == "unlabeled")
    job = queue.submit_project(connection, options, version=version, reason="trained")
    logger.info("project %d: job %s predicts with %s", connection.project, job, version)
