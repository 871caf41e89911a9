"""Data rows on their way into a project, a batch at a time: tasks found or made, predictions drafted and stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from prelabel.push.claiming import Claims
from prelabel.push.drafting import Draft, Drafting
from prelabel.push.new_tasks import ProjectTasks
from prelabel.push.storing import Stored, store
from prelabel.runs.items import Said
from prelabel.runs.rows import Chunk, ChunkRow, Connection
from prelabel.settings import Settings

MOST_REASONS = 100
"""Reasons that `Sent` names; all are counted."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What `prelabel.client_sending.Sending.send_to_project` did; numbers are data rows.

    Attributes:
        sent: those with a prediction that Label Studio did not have before.
        skipped: those whose task has a prediction of this version already, or gets it from a worker just now.
        created_tasks: tasks that were made.
        refused: those whose prediction (or task) could not be made or was left out by Label Studio; those of
            a media type that the labeling config does not show get no task.
        reasons: why, and what was dropped of predictions that were sent; the first 100.
        dropped: parts of predictions (of all, sent or not) that have no counterpart in the labeling config.
        unsure: those of which nothing reaches the confidence; they have a task and no prediction.
    """

    sent: int = 0
    skipped: int = 0
    created_tasks: int = 0
    refused: int = 0
    reasons: tuple[str, ...] = ()
    dropped: int = 0
    unsure: int = 0


@dataclass(slots=True)
class Batches:
    """One batch of data rows after the other on its way into a project."""

    settings: Settings
    tasks: ProjectTasks
    claims: Claims
    drafting: Drafting
    label_config: str
    only_missing: bool
    counts: dict[str, int] = field(default_factory=dict)
    reasons: list[str] = field(default_factory=list)

    def take(self, batch: Sequence[Said]) -> None:
        """Find or make the tasks of these data rows, and send what is missing there."""
        rows = {said.data_row.id: said.data_row for said in batch}
        looked = self.tasks.registry.now()
        found = self.tasks.find(list(rows.values()))
        made, unmade = self.tasks.make([row for number, row in rows.items() if number not in found.tasks])
        self._count("created_tasks", len(made))
        self._refuse(batch, unmade)
        at = found.tasks | made
        self.drafting.instances.fetch(item for said in batch for item in said.predictions)
        ready: list[ChunkRow] = []
        before: dict[int, frozenset[int]] = {}
        taken: set[int] = set()  # two data rows can be one task: collected from the ledger, and imported by key
        for said in batch:
            task = at.get(said.data_row.id)
            if task is None:
                continue
            standing = frozenset(
                one.id for one in found.predictions.get(task, ()) if one.model_version == self.drafting.version
            )
            if task in taken or (standing and self.only_missing):
                self._count("skipped")
                continue
            draft = self.drafting.of(said)
            self._drop(said, draft)
            if draft.payload is not None:
                taken.add(task)
                ready.append(ChunkRow(said.data_row.id, task, draft.payload, verify=False))
                before |= {task: standing} if standing else {}
        claimed = self.claims.take(ready, {one.task: self.tasks.content(rows[one.id]) for one in ready}, before, looked)
        self._count("skipped", len(ready) - len(claimed.rows))
        if claimed.rows:
            there = Connection(self.tasks.instance, self.tasks.project, self.label_config)
            chunk = Chunk(0, there, self.drafting.version, 0.0, claimed.rows)
            done = Stored()
            with claimed.sending(done):
                store(self.tasks.label_studio, self.settings, self.label_config, chunk, before, done)
            self._count("sent", len(done.stored))
            self._refuse(batch, done.refused)

    def _drop(self, said: Said, draft: Draft) -> None:
        self._count("dropped", len(draft.dropped))
        self._count("unsure", int(draft.unsure))
        if draft.payload is None and not draft.unsure:
            self._count("refused")
        for sentence in draft.dropped:
            self._reason(said, sentence)

    def _refuse(self, batch: Sequence[Said], refused: Mapping[int, str]) -> None:
        self._count("refused", len(refused))
        for said in batch:
            if said.data_row.id in refused:
                self._reason(said, refused[said.data_row.id])

    def _reason(self, said: Said, sentence: str) -> None:
        if len(self.reasons) < MOST_REASONS:
            self.reasons.append(f"{said.data_row.global_key or said.data_row.uid}: {sentence.rstrip('.')}.")

    def _count(self, name: str, number: int = 1) -> None:
        self.counts[name] = self.counts.get(name, 0) + number

    def sent(self) -> Sent:
        """What was done so far."""
        return Sent(reasons=tuple(self.reasons), **self.counts)


__all__ = ["Batches", "Sent"]
