"""``/predict``: tasks to one answer per task, in order, within the deadline; what cannot be answered now is queued."""

from __future__ import annotations

import dataclasses
import json
import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from prelabel.errors import CancelledError, LabelingConfigError, OutputError, PrelabelError, QueueError, RequestError
from prelabel.labeling import LabelingConfig, parse
from prelabel.predictions import Prediction
from prelabel.predictor import Outcome, Priority, answers_clicks_only
from prelabel.runs.rows import Connection, config_hash, content_hash, dump
from prelabel.server.flights import Flight, Flights
from prelabel.server.requests import project_id, raw_tasks, readable_task
from prelabel.tasks import Task

if TYPE_CHECKING:
    from prelabel.predictor import Predictor
    from prelabel.queue import JobQueue
    from prelabel.runs.ledger import Ledger
    from prelabel.server.connections import Connections
    from prelabel.server.metrics import Metrics
    from prelabel.server.shown import Shown
    from prelabel.settings import Settings

logger = logging.getLogger(__name__)

EMPTY = "[]"
"""The entry that Label Studio takes as 'nothing yet'; null would make it drop the whole answer."""

_config_hash = lru_cache(maxsize=256)(config_hash)


@dataclass(frozen=True, slots=True)
class _Question:
    """One ``/predict`` request, read."""

    tasks: list[Task | None]  # None: not a task; answered with nothing
    config: LabelingConfig
    project: int | None
    connection: Connection | None
    until: float  # time.monotonic
    cancelled: Callable[[], bool] | None

    @property
    def real(self) -> list[Task]:
        return [task for task in self.tasks if task is not None]


@dataclass(slots=True)
class _Seat:
    """One task's place in the answer."""

    index: int
    task: Task
    key: tuple[object, ...] | None  # None: Label Studio will not store the answer
    flight: Flight | None = None
    answered: bool = False


class Live:
    """Answers ``/predict``.

    Args:
        shown: says whether people see the served version.
        ledger: says whether a task was answered already, and keeps failures; None: nobody does.
        queue: takes large requests and what is unfinished; None: those are answered with ``[]`` and forgotten.
    """

    def __init__(
        self,
        settings: Settings,
        predictor: Predictor,
        connections: Connections,
        metrics: Metrics,
        shown: Shown,
        *,
        ledger: Ledger | None,
        queue: JobQueue | None,
    ) -> None:
        self._settings = settings
        self._predictor = predictor
        self._connections = connections
        self._metrics = metrics
        self._shown = shown
        self._ledger = ledger
        self._queue = queue
        self._flights = Flights(settings.single_flight_s)

    def answer(self, body: Mapping[str, Any], cancelled: Callable[[], bool] | None) -> str:
        """The answer's JSON.

        Raises:
            RequestError: the request is malformed.
            LabelingConfigError: its labeling config is not XML.
        """
        question = self._read(body, cancelled)
        context = _context(body)
        if isinstance(context, dict):
            entries = self._interactive(question, context)
        elif context is not None:
            logger.warning("interactive: 'context' must be an object, got %s", type(context).__name__)
            entries = [str(_encoded(self._nothing()))]
        elif answers_clicks_only(self._predictor) and not self._shown.now.hidden:  # there is nothing to store yet
            entries = [EMPTY] * len(question.tasks)
            self._metrics.tasks("not_clicked", len(entries))
        elif self._too_many(question) and self._enqueue(question, question.real, "retrieve"):
            self._metrics.tasks("queued", len(question.tasks))
            entries = [EMPTY] * len(question.tasks)
        elif self._shown.now.hidden:
            entries = self._of_shown(question)
        else:
            entries = self._live(question)
        if context is None:
            self._warm(question)
        return self._said(entries)

    def put_off(self, body: Mapping[str, Any]) -> str:
        """The answer when every seat is taken: nothing now, the queue takes the tasks.

        Raises:
            RequestError: the request is malformed.
            LabelingConfigError: its labeling config is not XML.
        """
        question = self._read(body, None)
        self._metrics.tasks("queued", len(question.tasks))
        if _context(body) is not None or answers_clicks_only(self._predictor):
            logger.warning("a click is answered with nothing: too many requests wait for the model")
        elif not self._enqueue(question, question.real, "retrieve"):
            logger.warning("%d tasks are put off: too many requests wait for the model", len(question.tasks))
        return self._said([EMPTY] * len(question.tasks))

    def _said(self, entries: Sequence[str]) -> str:
        version = json.dumps(self._shown.version)
        return f'{{"results":[{",".join(entries)}],"model_version":{version}}}'

    # -- reading
    def _read(self, body: Mapping[str, Any], cancelled: Callable[[], bool] | None) -> _Question:
        until = time.monotonic() + self._settings.predict_deadline_s
        key = body.get("project")
        connection = self._connections.find(key)
        xml = body.get("label_config")
        if not isinstance(xml, str) or not xml:
            if connection is None or not connection.label_config:
                raise RequestError(
                    "'label_config' is missing.", hint="Send the project's labeling config, as Label Studio does."
                )
            xml = connection.label_config
        tasks = [readable_task(raw) for raw in raw_tasks(body)]
        return _Question(tasks, parse(xml), project_id(key), connection, until, cancelled)

    def _too_many(self, question: _Question) -> bool:
        return len(question.tasks) > self._settings.live_tasks

    # -- interactive
    def _nothing(self) -> Prediction:
        """What a click gets that the model does not answer: the screen expects a prediction."""
        return Prediction((), 0.0, self._predictor.model_version)

    def _interactive(self, question: _Question, context: Mapping[str, Any]) -> list[str]:
        """A click in the labeling screen: nothing is stored, neither there nor here."""
        if self._shown.now.stage == "shadow":
            outcomes = [Outcome(self._nothing()) for _ in question.real]
        else:
            outcomes = self._predict(question, question.real, Priority.INTERACTIVE, context)
        nothing = self._nothing()
        entries = []
        for task, outcome in zip(question.real, outcomes, strict=True):
            entry = _encoded(outcome.prediction) if outcome.prediction is not None else outcome.error
            if isinstance(entry, PrelabelError):
                logger.warning("interactive: %s", about_task(entry, task))
            self._metrics.tasks("interactive" if isinstance(entry, str) else "failed")
            entries.append(entry if isinstance(entry, str) else str(_encoded(nothing)))
        return entries or [str(_encoded(nothing))]

    def _warm(self, question: _Question) -> None:
        """A task that was opened alone may be clicked into soon: let the model encode it meanwhile."""
        warm = getattr(self._predictor, "warm", None)
        if warm is not None and len(question.real) == 1 and self._shown.now.stage != "shadow":
            warm(question.real[0], question.config)

    # -- a hidden version is served
    def _of_shown(self, question: _Question) -> list[str]:
        """What the version that people see has said already; its workers are asked for the rest."""
        entries = [EMPTY] * len(question.tasks)
        standing, connection = self._shown.now, question.connection
        if standing.promoted is None or self._ledger is None or connection is None or not connection.instance:
            return entries
        config = _config_hash(question.config.xml)
        places = [
            (index, task) for index, task in enumerate(question.tasks) if task is not None and task.id is not None
        ]
        try:
            known = self._ledger.claim_known(standing.promoted, connection, [(task, config) for _, task in places])
        except Exception:  # better no answer than a second prediction
            logger.exception("the registry could not be asked: %d tasks are answered with nothing", len(places))
            return entries
        lacking = []
        for (index, task), entry in zip(places, known, strict=True):
            if entry is None:
                lacking.append(task)
            elif entry:
                entries[index] = entry
        self._metrics.tasks("answered", sum(1 for entry in known if entry))
        self._metrics.tasks("duplicate", sum(1 for entry in known if entry == ""))
        if lacking and self._enqueue(question, lacking, "unfinished"):
            self._metrics.tasks("queued", len(lacking))
        return entries

    # -- live
    def _live(self, question: _Question) -> list[str]:
        version = self._predictor.model_version
        config = _config_hash(question.config.xml)
        entries = [EMPTY] * len(question.tasks)
        seats = self._seats(question, version, config)
        keyed = [seat for seat in seats if seat.key is not None]
        theirs: list[Flight] = []
        for seat, (flight, is_mine) in zip(keyed, self._flights.join(seat.key for seat in keyed), strict=True):
            if is_mine:
                seat.flight = flight
            else:
                theirs.append(flight)
        mine = [seat for seat in seats if seat.flight is not None or seat.key is None]
        try:
            if mine:
                self._make(question, config, mine, entries)
        finally:
            for seat in mine:
                if seat.flight is not None:
                    self._flights.land(seat.key, seat.flight, seat.answered, len(mine))
        if theirs:
            self._metrics.tasks("duplicate", len(theirs))
            for flight in theirs:
                flight.wait(question.until)
        return entries

    def _seats(self, question: _Question, version: str, config: str) -> list[_Seat]:
        """The tasks that the model is asked about, each with what tells whether somebody else asks the same.

        A task that shows our own prediction comes from *Send Test Request*, which stores nothing: it has no key. Or
        from somebody who opened the task while another's prediction was being stored, for Label Studio looks for
        predictions first and puts the task into words after: then it was answered a moment ago, and has its key.
        """
        seats = [
            _Seat(index, task, self._key(question, task, version, config))
            for index, task in enumerate(question.tasks)
            if task is not None
        ]
        shown = [seat for seat in seats if seat.key is not None and _is_shown(seat.task, version)]
        if shown:
            late = self._answered_lately(question, version, shown)
            for seat in shown:
                if seat.key not in self._flights and seat.task.id not in late:
                    seat.key = None
        return seats

    @staticmethod
    def _key(question: _Question, task: Task, version: str, config: str) -> tuple[object, ...] | None:
        """What makes two requests ask for the same thing; None for a task that Label Studio does not have."""
        if task.id is None or question.project is None:
            return None
        place = question.connection.instance if question.connection is not None else ""
        return place, question.project, task.id, version, content_hash(dump(dict(task.data)), config)

    def _answered_lately(self, question: _Question, version: str, seats: Sequence[_Seat]) -> Collection[int]:
        connection = question.connection
        if self._ledger is None or connection is None or not connection.instance:
            return ()
        tasks = [seat.task.id for seat in seats if seat.task.id is not None]
        try:
            return self._ledger.answered_lately(version, connection, tasks)
        except Exception:  # nobody knows: better no answer than a second prediction
            logger.exception("the registry could not be asked: %d tasks are answered with nothing", len(tasks))
            return tasks

    def _make(self, question: _Question, config: str, mine: Sequence[_Seat], entries: list[str]) -> None:
        """Predict, and fill ``entries`` with what may be answered."""
        outcomes = self._predict(question, [seat.task for seat in mine], Priority.LIVE, None)
        made: list[tuple[_Seat, Prediction, str]] = []
        failed: list[tuple[Task, PrelabelError]] = []
        later: list[Task] = []
        for seat, outcome in zip(mine, outcomes, strict=True):
            if outcome.prediction is not None and outcome.prediction.silent:
                self._metrics.tasks("silent")
                continue
            entry = _encoded(outcome.prediction) if outcome.prediction is not None else outcome.error
            if isinstance(entry, str) and outcome.prediction is not None:
                made.append((seat, outcome.prediction, entry))
            elif isinstance(entry, CancelledError):
                self._metrics.tasks("cancelled")
            elif isinstance(entry, PrelabelError) and not entry.retryable:
                failed.append((seat.task, entry))
            else:
                if isinstance(entry, PrelabelError):
                    logger.warning("%s", about_task(entry, seat.task))
                later.append(seat.task)
        self._answer(question, config, made, entries)
        if failed:
            self._quarantine(question, config, failed)
        if later:
            self._metrics.tasks("unfinished", len(later))
            if not self._enqueue(question, later, "unfinished"):
                logger.warning("%d tasks are unfinished and there is no queue that could take them", len(later))

    def _answer(
        self, question: _Question, config: str, made: Sequence[tuple[_Seat, Prediction, str]], entries: list[str]
    ) -> None:
        """Fill in the predictions that nobody else answered or sent."""
        free = self._claim(question, config, [(seat, prediction) for seat, prediction, _ in made if seat.key])
        count = 0
        for seat, _, entry in made:
            seat.answered = True
            if seat.key is None or free[seat.index]:
                entries[seat.index] = entry
                count += 1
        self._metrics.tasks("answered", count)
        if count < len(made):
            self._metrics.tasks("duplicate", len(made) - count)

    def _predict(
        self, question: _Question, tasks: Sequence[Task], priority: Priority, context: Mapping[str, Any] | None
    ) -> list[Outcome]:
        try:
            return self._predictor.predict(
                tasks,
                question.config,
                priority=priority,
                deadline_s=max(0.001, question.until - time.monotonic()),
                context=context,
                cancelled=question.cancelled,
            )
        except LabelingConfigError as error:  # asking again would not help before the config is another
            return [Outcome(error=error) for _ in tasks]
        except PrelabelError as error:  # of the whole call: the model is away, stopping, overloaded
            logger.warning("no task of this request can be predicted now: %s", error)
            return [Outcome() for _ in tasks]

    def _claim(self, question: _Question, config: str, made: Sequence[tuple[_Seat, Prediction]]) -> Mapping[int, bool]:
        """By the task's number in the request: whether the ledger lets us answer it."""
        connection = question.connection
        if not made or self._ledger is None or connection is None or not connection.instance:
            return {seat.index: True for seat, _ in made}
        try:
            claimed = [False] * len(made)
            for version in {prediction.model_version for _, prediction in made}:  # two, while one replaces the other
                places = [place for place, (_, said) in enumerate(made) if said.model_version == version]
                answers = [(made[place][0].task, config, made[place][1]) for place in places]
                free = self._ledger.claim_live(version, connection, answers)
                for place, given in zip(places, free, strict=True):
                    claimed[place] = given
        except Exception:  # a registry that is away must not make tasks impossible to open
            logger.exception("the registry could not be asked: %d tasks are answered with nothing", len(made))
            claimed = [False] * len(made)
        return {seat.index: free for (seat, _), free in zip(made, claimed, strict=True)}

    def _quarantine(self, question: _Question, config: str, failed: Sequence[tuple[Task, PrelabelError]]) -> None:
        self._metrics.tasks("failed", len(failed))
        for task, error in failed:
            logger.warning("%s", about_task(error, task))
        connection = question.connection
        kept = [(task, config, error) for task, error in failed if task.id is not None]
        if self._ledger is None or connection is None or not connection.instance or not kept:
            return
        try:
            self._ledger.quarantine(self._predictor.model_version, connection, kept)
        except Exception:  # the failures stand in the log all the same
            logger.exception("the registry could not take %d quarantined tasks", len(kept))

    def _enqueue(self, question: _Question, tasks: Sequence[Task], reason: str) -> bool:
        """Whether the queue took the tasks."""
        connection = question.connection
        if self._queue is None or connection is None or not self._connections.can_push(connection):
            return False
        known = [task for task in tasks if task.id is not None]
        if len(known) < len(tasks):
            return False
        try:
            connection = dataclasses.replace(connection, label_config=question.config.xml)
            version = self._shown.version
            job = self._queue.submit_tasks(connection, known, version=version, reason=reason, missing=True)
        except QueueError as error:
            logger.error("%d tasks could not be queued: %s", len(known), error)  # noqa: TRY400 (no traceback)
            return False
        except Exception:  # the registry is away: what can be answered now still is
            logger.exception("%d tasks could not be queued", len(known))
            return False
        logger.info("project %d: %d tasks queued as job %s (%s)", connection.project, len(known), job, reason)
        return True


def _context(body: Mapping[str, Any]) -> Any:
    """What Label Studio says of a click; None where nobody clicked."""
    params = body.get("params")
    return params.get("context") if isinstance(params, dict) else None


def _is_shown(task: Task, version: str) -> bool:
    """Whether the task came with a prediction of this version."""
    return any(prediction.get("model_version") == version for prediction in task.predictions)


def about_task(error: PrelabelError, task: Task) -> str:
    """The error's text, naming the task."""
    return str(error) if error.task is not None or task.id is None else f"task {task.id}: {error}"


def _encoded(prediction: Prediction) -> str | PrelabelError:
    """The entry as JSON; one that cannot be written costs nobody else's."""
    try:
        return json.dumps(prediction.as_json(), separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as error:
        return OutputError(f"the prediction cannot be written as JSON: {error}.", hint="Check the model's output.")
