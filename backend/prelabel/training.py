"""Training: a project's annotations to a new version of its model, which is a run of its own.

The job runs in a process of its own, on a queue of its own. It makes the model anew, with the version that is served
now, lets it learn from the annotations as they stream from Label Studio, keeps its files under the new version, and
ends. Servers and workers notice the version by themselves (`prelabel.successor`). Until then, and when anything fails,
the version before goes on serving.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from prelabel import artifacts
from prelabel.data import DataReader
from prelabel.ending import ended
from prelabel.errors import CancelledError, ModelError, OverloadedError, PrelabelError, SettingsError
from prelabel.examples import Example, examples_of
from prelabel.labeling import parse
from prelabel.labeling.config import or_list
from prelabel.loader import load, load_wrapper, model_name, model_version
from prelabel.lsml.asking import START_TRAINING, ask_to_learn, withdraw
from prelabel.model import ModelWrapper, Surroundings
from prelabel.queue import PROJECT_JOB, PredictOptions
from prelabel.runs.rows import ACTIVE_JOBS
from prelabel.runs.trainings import TRAIN_JOB
from prelabel.successor import announced_version, served_artifact
from prelabel.user_code import first_line, place_of

if TYPE_CHECKING:
    from prelabel.jobs import JobContext
    from prelabel.queue import JobQueue
    from prelabel.runs import Connection, JobRow, Ledger
    from prelabel.settings import Settings

logger = logging.getLogger(__name__)

NOTE_S = 1.0
"""Seconds between two notes of how far the job is."""
MOST_DEATHS = 2
"""A training during which its process died so often is given up."""


class Around(Protocol):
    """What `predict_again` works with: a worker's `JobContext`, or what a server has of it."""

    @property
    def settings(self) -> Settings: ...

    @property
    def ledger(self) -> Ledger: ...

    @property
    def queue(self) -> JobQueue: ...


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
            self.count += 1
            yield example
        context.ledger.note(job.id, phase="learning", examples=self.count)


def train(context: JobContext, job: JobRow) -> str:
    """Train a project's model; returns the new version.

    Raises:
        SettingsError: this process does not know the model.
        ModelError: the model lacks ``fit`` or ``save``, there is nothing to learn from, one of the two failed, or it
            ended its process.
        CancelledError: the job was cancelled.
        OverloadedError: the worker stops; the training begins anew later.
        PrelabelError: Label Studio cannot be reached, or refuses.
    """
    connection = context.ledger.connection_by_id(job.connection)
    with _survived(context, job), ended(lambda: _unwanted(context, job), disposable=context.disposable):
        wrapper = _wrapper_of(context, connection)
        if hasattr(wrapper, "learns_from"):
            return _learnt_from_events(context, job, connection, wrapper)
        if not wrapper.can_fit:
            raise ModelError(
                f"{connection.model} cannot be trained: it lacks `fit` or `save`.",
                hint="docs/training.md says what they do. It goes on serving as it is.",
            )
        artifact = _learnt(context, job, connection, wrapper)
    logger.info("project %d: %s learnt from %d tasks", connection.project, artifact.version, artifact.examples)
    predict_again(context, connection, artifact.version)
    return artifact.version


@contextlib.contextmanager
def _survived(context: JobContext, job: JobRow) -> Iterator[None]:
    """Count the processes that died at this job, and give it up after `MOST_DEATHS` of them.

    A death leaves no other trace: the next worker that takes the job finds the count.
    """
    ledger, deaths = context.ledger, int(job.options.get("attempts", 0))
    try:
        if deaths >= MOST_DEATHS:
            raise ModelError(
                f"the training ended its process {deaths} times without a word.",
                hint="Was its memory used up? The log may say more; `prelabel jobs retry` tries it again.",
            )
        ledger.note(job.id, attempts=deaths + 1)
        yield
    finally:
        ledger.note(job.id, attempts=0)


def _unwanted(context: JobContext, job: JobRow) -> PrelabelError | None:
    """Why the training is to end now, if it is."""
    if context.ledger.cancel_requested(job.id):
        return CancelledError("the training was cancelled.")
    if context.stopping.is_set():
        context.ledger.note(job.id, attempts=0)  # who stops may be killed, and is not the training's fault
        return OverloadedError("the worker was stopped; the training begins anew with the next one.")
    return None


def _learnt_from_events(context: JobContext, job: JobRow, connection: Connection, wrapper: Any) -> str:
    """Let the server that has the model learn; returns the version that it goes by then.

    Raises:
        ModelError: the model does not learn from *Start Training*, or its ``fit`` failed.
    """
    ledger = context.ledger
    if START_TRAINING not in wrapper.learns_from:
        raise ModelError(
            f"{wrapper.name} does not learn from {START_TRAINING}.",
            hint=f"Its TRAIN_EVENTS name {or_list(sorted(wrapper.learns_from), 'and') or 'nothing'}.",
        )
    try:
        ask_to_learn(ledger, job, connection, lambda: _unwanted(context, job))
    finally:
        if ledger.cancel_requested(job.id):
            withdraw(ledger, job)
    version = announced_version(wrapper, ledger, context.settings)
    ledger.note(job.id, phase="trained", version=version)
    logger.info("project %d: %s has learnt", connection.project, version)
    return version


def _learnt(context: JobContext, job: JobRow, connection: Connection, wrapper: ModelWrapper) -> artifacts.Artifact:
    """Let the model learn, and write down what it learnt as a run."""
    settings, ledger = context.settings, context.ledger
    reader = DataReader(settings, lambda: context.label_studio(connection))
    with closing(reader):
        wrapper.enter(Surroundings(settings, reader, ledger))
        before = model_version(wrapper, settings)
        _note_extent(context, job, connection)
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
    if examples.unread:
        logger.warning("%d annotated tasks could not be read; the first: %s", len(examples.unread), examples.unread[0])
    provenance = {
        "trained_from": before,
        "examples": artifact.examples,
        "artifact": f"sha256:{artifact.sha256}",
        "job": job.id,
    }
    ledger.note(  # before the version is known: whoever serves it looks for tasks at once
        job.id,
        phase="trained",
        examples=artifact.examples,
        version=artifact.version,
        unread=len(examples.unread),
        tasks_until=context.label_studio(connection).newest_task(connection.project),
    )
    if (unwanted := _unwanted(context, job)) is not None:
        raise unwanted
    ledger.add_trained(artifact, connection.model, provenance)
    return artifact


def _wrapper_of(context: JobContext, connection: Connection) -> ModelWrapper:
    """The connection's model, made anew, with the files of the version that is served.

    Raises:
        ModelLoadError: these are missing or were changed.
    """
    settings = context.settings
    if settings.model is None:
        raise SettingsError("this process has no model to train.", hint="Start it with the --model of the server.")
    wrapper = load_wrapper(settings.model, settings.model_options)
    if model_name(wrapper, settings) != connection.model:
        raise SettingsError(
            f"this process trains {model_name(wrapper, settings)!r}, and the project's model is {connection.model!r}.",
            hint="Start `prelabel up` or `worker` with the --model that the project is connected to.",
        )
    wrapper.artifact = served_artifact(connection.model, context.ledger, settings)
    return wrapper


def _note_extent(context: JobContext, job: JobRow, connection: Connection) -> None:
    """Write down how much there is to learn from: people see the progress, and later annotations count from here."""
    found = context.label_studio(connection).project(connection.project)
    context.ledger.note(
        job.id,
        of=int(found.get("num_tasks_with_annotations") or 0),
        annotations=int(found.get("total_annotations_number") or 0),
    )


def _fitted(wrapper: ModelWrapper, examples: Examples) -> str | None:
    """Let the model learn; returns the name that it gave the version, which is text, or None."""
    try:
        said: object = wrapper.fit(examples)
    except PrelabelError:
        raise
    except (Exception, SystemExit) as error:
        raise ModelError(
            f"the model's fit failed: {place_of(error)}{type(error).__name__}: {first_line(error)}.",
            hint="The log has the traceback; the version before goes on serving.",
        ) from error
    return said.strip() or None if isinstance(said, str) else None  # many a `fit` returns its model


def _saved(wrapper: ModelWrapper, place: Path) -> None:
    try:
        wrapper.save(place)
    except PrelabelError:
        raise
    except (Exception, SystemExit) as error:
        raise ModelError(
            f"the trained model could not be saved: {place_of(error)}{type(error).__name__}: {first_line(error)}.",
            hint="The log has the traceback; the version before goes on serving.",
        ) from error


def predict_again(context: Around, connection: Connection, version: str) -> None:
    """Give up what versions before have not done yet, and queue what the new one is to say.

    A version that people do not see is not served; a worker in shadow finds the tasks by itself.
    """
    ledger, queue, policy = context.ledger, context.queue, context.settings.train_predict
    standing = ledger.standing_of(version)
    if standing.hidden:
        seen = standing.promoted or "the version before"
        logger.info("people go on seeing %s; show the new one: prelabel runs promote %s", seen, version)
        return
    for row in ledger.jobs(states=ACTIVE_JOBS, limit=10_000):
        if row.model != connection.model or row.kind == TRAIN_JOB or row.version == version:
            continue
        if ledger.standing_of(row.version).stage == "shadow":
            continue
        _give_way(context, row, version, here=row.connection == connection.id)
    if policy == "nothing":
        return
    options = PredictOptions(unlabeled=policy == "unlabeled")
    job = queue.submit_project(connection, options, version=version, reason="trained")
    logger.info("project %d: job %s predicts with %s", connection.project, job, version)


def _give_way(context: Around, row: JobRow, version: str, *, here: bool) -> None:
    """End a job of a version that nobody serves any more.

    What was asked for another project goes on with the new version; what was imported there is found by the sweep.
    """
    said = f"{version} took the place of {row.version}."
    if row.kind == PROJECT_JOB and not here:
        known = {one.name for one in fields(PredictOptions)}
        options = PredictOptions.from_json({name: value for name, value in row.options.items() if name in known})
        other = context.ledger.connection_by_id(row.connection)
        said += f" Job {context.queue.submit_project(other, options, version=version, reason=row.reason)} goes on."
    context.ledger.set_job_state(row.id, row.state, error=said)
    context.queue.cancel(row.id)
