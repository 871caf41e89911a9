"""A run's predictions in a Label Studio project, for people to start from."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import TYPE_CHECKING

from prelabel.client_fields import RunFields
from prelabel.errors import RequestError
from prelabel.labelbox.config import to_ontology
from prelabel.labelbox.ontology import Ontology
from prelabel.labeling import parse
from prelabel.labelstudio.api import LabelStudio
from prelabel.push.claiming import Claims, sole_sender
from prelabel.push.drafting import Drafting
from prelabel.push.new_tasks import ProjectTasks
from prelabel.push.sending import Batches, Sent
from prelabel.runs.datarows import NAMED, batched
from prelabel.runs.held import SPLITS, Split
from prelabel.runs.items import Said
from prelabel.runs.said_instances import Instances
from prelabel.runs.taking import Taking

if TYPE_CHECKING:
    from prelabel.selection import Ranking

TOGETHER = 1000
"""Data rows in one step: their tasks are imported in one call, their predictions in another."""
LAST = 5.0
"""Labelbox's lowest priority: that of a data row which none was given for."""


class Sending(RunFields):
    """A part of `prelabel.client_run.ModelRun`: what goes to a Label Studio project."""

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
        wait_s: float = 60.0,
        progress: Callable[[int], None] = lambda _done: None,
    ) -> Sent:
        """Make the run's predictions the predictions of the project's tasks: model-assisted labeling.

        A data row that has no task in the project gets one first, where the labeling config shows data
        rows of its media type. A task that has a prediction of this version gets no
        second one, so a second call changes nothing, and after a failure it does what is left. Of two calls at once for
        one project, in this process or another one of this registry, the second waits; a task for which a worker or the
        server of the same version has the prediction on its way is theirs.

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
            wait_s: how long to wait for another call for the project to end.
            progress: told after each batch how many data rows were looked at.

        Raises:
            OverloadedError: another call for the project is not done after ``wait_s``; run it again later.
            RequestError: ``confidence``, ``limit`` or a split is none.
            LabelStudioUnavailableError: Label Studio did not answer; run it again later.
            PrelabelError: Label Studio refuses, or the labeling config cannot be parsed.
        """
        _check(confidence, splits, limit)
        done = 0
        self._registry.collect(self.id)
        taking = Taking(self._registry.database)
        with closing(self._client.label_studio(project_id)) as label_studio:
            instance = self._client.instance_of(project_id, label_studio)
            with sole_sender(taking, instance, project_id, wait_s=wait_s) as step:
                batches = self._batches(project_id, label_studio, confidence, task_field, only_missing, taking)
                batches.claims.settle_left()
                rows = itertools.islice(self._predicted(splits, priority), limit)
                for batch in batched(rows, TOGETHER):
                    step()
                    batches.take(batch)
                    done += len(batch)
                    progress(done)
        return batches.sent()

    # -- parts

    def _tasks_of(
        self, project: int, label_studio: LabelStudio, xml: str, task_field: str | None = None
    ) -> ProjectTasks:
        instance = self._client.instance_of(project, label_studio)
        return ProjectTasks(self._registry, label_studio, instance, project, parse(xml or "<View/>"), task_field)

    def _batches(  # noqa: PLR0917 (what was asked for)
        self,
        project: int,
        label_studio: LabelStudio,
        confidence: float,
        task_field: str | None,
        only_missing: bool,
        taking: Taking,
    ) -> Batches:
        xml = str(label_studio.project(project).get("label_config") or "<View/>")
        tasks = self._tasks_of(project, label_studio, xml, task_field)
        known = self._registry.ontology_of_run(self.id)
        ontology = Ontology.from_json(known.body) if known is not None else to_ontology(tasks.config)
        instances = Instances(None, self._registry.images)
        drafting = Drafting(self.name, tasks.config, ontology, self._client.settings.score, confidence, instances)
        settings, model = self._client.settings, self._registry.model_of(self.name)
        claims = Claims(taking, label_studio, settings, tasks.instance, project, model, self.name)
        return Batches(settings, tasks, claims, drafting, xml, only_missing)

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


__all__ = ["Sending", "Sent"]
