"""A run's predictions in a Label Studio project, for people to start from, and the order in which to label."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from prelabel.errors import RequestError
from prelabel.labelbox.config import to_ontology
from prelabel.labelbox.ontology import Ontology
from prelabel.labeling import parse
from prelabel.labelstudio.api import SELECTION, LabelStudio
from prelabel.push.drafting import Drafting
from prelabel.push.new_tasks import ProjectTasks
from prelabel.push.sending import Batches, Sent
from prelabel.runs.datarows import NAMED, batched
from prelabel.runs.held import SPLITS, Split
from prelabel.runs.items import Said

if TYPE_CHECKING:
    from prelabel.client import Client
    from prelabel.runs.registry import Registry
    from prelabel.selection import Ranking

TOGETHER = 1000
"""Data rows in one step: their tasks are imported in one call, their predictions in another."""
LAST = 5.0
"""Labelbox's lowest priority: that of a data row which none was given for."""


@dataclass(frozen=True, slots=True)
class Written:
    """What `Sending.write_selection` did; numbers are predictions.

    ``missing``: tasks that have no prediction of this run, or are gone.
    """

    written: int = 0
    unchanged: int = 0
    missing: int = 0


@dataclass(frozen=True, slots=True)
class Chosen:
    """A task to be labeled: its priority (1 first), the data row's global key or uid, and for a mix who chose it."""

    task: int
    data_row: str
    priority: float
    arm: str = ""


@dataclass(frozen=True, slots=True)
class Selected:
    """The tasks to label first, and what was written about all of them.

    ``without``: tasks of which the strategy can say nothing, such as those without confidences.
    """

    first: tuple[Chosen, ...]
    without: int
    written: Written


class Sending:
    """A part of `prelabel.client_run.ModelRun`: what goes to a Label Studio project."""

    _client: Client
    _registry: Registry

    @property
    def id(self) -> int:
        """The registry's number of the run."""
        raise NotImplementedError

    @property
    def name(self) -> str:
        """The run's name."""
        raise NotImplementedError

    def send_to_project(
        self,
        project_id: int,
        *,
        confidence: float = 0.0,
        splits: Sequence[Split] = (),
        limit: int | None = None,
        priority: Mapping[str, float] | Ranking | None = None,
        only_missing: bool = True,
        task_field: str | None = None,
    ) -> Sent:
        """Make the run's predictions the predictions of the project's tasks: model-assisted labeling.

        A data row that has no task in the project gets one first. A task that has a prediction of this version gets no
        second one, so a second call changes nothing, and after a failure it does what is left. Two calls at once for
        one project may store something twice.

        Args:
            project_id: the project's; its own labeling config says what becomes of each item.
            confidence: items below it are left out; those that state no confidence are kept.
            splits: only data rows in these splits.
            limit: only the first so many predicted data rows, counted before those that are skipped.
            priority: in which order, which is that of new tasks: numbers by global key or uid (Labelbox's 1, first, to
                5; what is not named has 5), or a `Ranking` of data rows (`rank_unlabeled`). None: as imported.
            only_missing: False: a new prediction takes the place of one of this version.
            task_field: where a new task's data keeps what is to be labeled; None: the field that the labeling config's
                first control is about. The global key is kept as ``global_key``, else the id as ``data_row_id``.

        Raises:
            RequestError: ``confidence``, ``limit`` or a split is none.
            LabelStudioUnavailableError: Label Studio did not answer; run it again later.
            PrelabelError: Label Studio refuses, or the labeling config cannot be parsed.
        """
        _check(confidence, splits, limit)
        self._registry.collect(self.id)
        with closing(self._client.label_studio(project_id)) as label_studio:
            batches = self._batches(project_id, label_studio, confidence, task_field, only_missing)
            rows = itertools.islice(self._predicted(splits, priority), limit)
            for batch in batched(rows, TOGETHER):
                batches.take(batch)
        return batches.sent()

    def write_selection(
        self,
        fields: Mapping[int, Mapping[str, Any]],
        *,
        project_id: int,
        progress: Callable[[int, int], None] = lambda _done, _total: None,
    ) -> Written:
        """Set ``score``, ``cluster``, ``neighbors`` and ``mislabeling`` of this run's predictions in a project.

        One call for each prediction, some 20 ms and one after the other: on SQLite, Label Studio is slower when several
        come at once. Those that have these values already are left alone, so that a call after a failure goes on where
        the other ended.

        Args:
            fields: by task id, as `prelabel.selection.prediction_fields` makes them.
            project_id: the project's.
            progress: told after each task how many are done, and of how many.

        Raises:
            RequestError: a field that a prediction has not.
            LabelStudioError: a value is refused.
        """
        unknown = sorted({name for one in fields.values() for name in one} - set(SELECTION))
        if unknown:
            raise RequestError(f"a prediction has no field {unknown[0]!r}.", hint=f"Give {', '.join(SELECTION)}.")
        written = unchanged = missing = done = 0
        with closing(self._client.label_studio(project_id)) as label_studio:
            for tasks in batched(fields, NAMED):
                standing = label_studio.predictions(project_id, tasks)
                for task in tasks:
                    # of copies, the newest is what people see
                    ours = [one for one in standing.get(task, ()) if one.model_version == self.name][-1:]
                    for one in ours:
                        if all(one.selection.get(name) == value for name, value in fields[task].items()):
                            unchanged += 1
                        elif label_studio.change_prediction(one.id, fields[task]):
                            written += 1
                        else:
                            missing += 1
                    missing += not ours
                    done += 1
                    progress(done, len(fields))
        return Written(written, unchanged, missing)

    def rank_unlabeled(
        self,
        strategy: str = "least_confident",
        *,
        count: int | None = None,
        seed: int = 0,
        splits: Sequence[Split] = (),
        only: Collection[int] | None = None,
    ) -> Ranking:
        """The run's data rows without annotations, in the order in which to label them.

        What is known of a row is the lowest confidence of its predictions, so the strategies are ``least_confident``,
        ``random`` and ``mix``; others need arrays, see `prelabel.selection`.

        Args:
            strategy: its name.
            count: how many will be labeled; a mix deals that many.
            seed: decides ties and lots.
            splits: only data rows in these splits.
            only: numbers of data rows to choose from (`prelabel.runs.held.DataRow.id`).

        Returns:
            A ranking whose ``ids`` are numbers of data rows; those without a confidence are its ``without``.

        Raises:
            SelectionError: there is no such strategy, or it needs more than confidences.
        """
        import numpy as np  # noqa: PLC0415 (NumPy is loaded by those who rank)

        from prelabel.selection import Candidates, rank  # noqa: PLC0415 (as above)

        self._registry.collect(self.id)
        wanted = frozenset(only) if only is not None else None
        numbers, scores = [], []
        for said in self._registry.said(self.id, splits=splits):
            if not said.labeled and (wanted is None or said.data_row.id in wanted):
                known = [item.confidence for item in said.predictions if item.confidence is not None]
                numbers.append(said.data_row.id)
                scores.append(min(known, default=float("nan")))
        candidates = Candidates(ids=np.array(numbers, dtype=np.int64), scores=np.array(scores, dtype=np.float64))
        return rank(candidates, strategy, count=count, seed=seed)

    def select(
        self,
        project_id: int,
        strategy: str = "least_confident",
        *,
        count: int = 20,
        seed: int = 0,
        splits: Sequence[Split] = (),
        progress: Callable[[int, int], None] = lambda _done, _total: None,
    ) -> Selected:
        """Rank the run's unlabeled tasks in a project, and write it where Label Studio sorts: the predictions' score.

        The first to be labeled has the lowest score. Tasks without a prediction of this run take no part; labels that
        people made since count after `upsert_labels`.

        Raises:
            SelectionError: as `rank_unlabeled`.
            PrelabelError: Label Studio cannot be reached or refuses.
        """
        from prelabel.selection import priority_to_score  # noqa: PLC0415 (as above)

        self._registry.collect(self.id)
        named: dict[int, tuple[int, str]] = {}
        with closing(self._client.label_studio(project_id)) as label_studio:
            tasks = self._tasks_of(project_id, label_studio, "")
            for batch in batched(self._registry.said(self.id, splits=splits), NAMED):
                rows = {said.data_row.id: said.data_row for said in batch if not said.labeled}
                found = tasks.find(list(rows.values()))
                for number, task in found.tasks.items():
                    if any(one.model_version == self.name for one in found.predictions[task]):
                        named[number] = (task, rows[number].global_key or rows[number].uid)
        ranking = self.rank_unlabeled(strategy, count=count, seed=seed, splits=splits, only=named.keys())
        scores = priority_to_score(ranking.priority)
        fields = {named[int(ranking.ids[at])][0]: {"score": scores[at]} for at in ranking.order.tolist()}
        written = self.write_selection(fields, project_id=project_id, progress=progress)
        first = tuple(
            Chosen(*named[int(ranking.ids[at])], float(ranking.priority[at]), ranking.arms[at] if ranking.arms else "")
            for at in ranking.order[:count].tolist()
        )
        return Selected(first, len(ranking.without), written)

    # -- parts

    def _tasks_of(
        self, project: int, label_studio: LabelStudio, xml: str, task_field: str | None = None
    ) -> ProjectTasks:
        instance = self._client.instance_of(project, label_studio)
        return ProjectTasks(self._registry, label_studio, instance, project, parse(xml or "<View/>"), task_field)

    def _batches(
        self, project: int, label_studio: LabelStudio, confidence: float, task_field: str | None, only_missing: bool
    ) -> Batches:
        xml = str(label_studio.project(project).get("label_config") or "<View/>")
        tasks = self._tasks_of(project, label_studio, xml, task_field)
        known = self._registry.ontology_of_run(self.id)
        ontology = Ontology.from_json(known.body) if known is not None else to_ontology(tasks.config)
        drafting = Drafting(self.name, tasks.config, ontology, self._client.settings.score, confidence)
        return Batches(self._client.settings, tasks, drafting, xml, only_missing)

    def _predicted(self, splits: Sequence[Split], priority: Mapping[str, float] | Ranking | None) -> Iterator[Said]:
        if priority is None:
            found: Iterator[Said] = self._registry.said(self.id, splits=splits)
        else:
            found = self._ordered(splits, priority)
        return (said for said in found if said.predicted)

    def _ordered(self, splits: Sequence[Split], priority: Mapping[str, float] | Ranking) -> Iterator[Said]:
        places: dict[int, float] = {}
        if isinstance(priority, int | float | str):
            raise RequestError(
                "one priority for all decides no order.", hint="Give numbers by global key, or a ranking."
            )
        if not isinstance(priority, Mapping):
            ranked = [*priority.order.tolist(), *priority.without.tolist()]
            places = {int(priority.ids[at]): float(place) for place, at in enumerate(ranked)}
        order: list[tuple[float, int]] = []
        for split in splits or SPLITS:
            after = 0
            while page := self._registry.run_rows(self.id, split=split, after=after):
                after = page[-1].data_row.id
                for row in (one.data_row for one in page):
                    if isinstance(priority, Mapping):
                        place = float(priority.get(row.global_key or "", priority.get(row.uid, LAST)))
                    else:
                        place = places.get(row.id, float("inf"))
                    order.append((place, row.id))
        for some in batched((number for _, number in sorted(order)), NAMED):
            said = {one.data_row.id: one for one in self._registry.said(self.id, numbers=some)}
            yield from (said[number] for number in some if number in said)


def _check(confidence: float, splits: Sequence[Split], limit: int | None) -> None:
    if not 0 <= confidence <= 1:
        raise RequestError(f"{confidence!r} is no confidence.", hint="Give a number from 0 to 1.")
    if limit is not None and limit < 1:
        raise RequestError(f"{limit!r} is no limit.", hint="Give a number from 1, or None.")
    unknown = [split for split in splits if split not in SPLITS]
    if unknown:
        raise RequestError(f"{unknown[0]!r} is no split.", hint=f"Use {', '.join(SPLITS)}.")


__all__ = ["Chosen", "Selected", "Sending", "Sent", "Written"]
