"""What to label next: a run's tasks ranked by a strategy, written into Label Studio, and whether it helped."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from prelabel.client_embedding import Embedding
from prelabel.errors import RequestError
from prelabel.labelstudio.api import SELECTION
from prelabel.runs.datarows import NAMED, batched
from prelabel.runs.held import Split
from prelabel.runs.selections import LABELED, Pick, SelectionRow

if TYPE_CHECKING:
    from prelabel.client_run import ModelRun
    from prelabel.encoding import Encoder
    from prelabel.runs.candidates import Choosing
    from prelabel.selection import ArmReport, Ranking


@dataclass(frozen=True, slots=True)
class Written:
    """What `Selecting.write_selection` did; numbers are predictions.

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

    ``without``: tasks of which the strategy can say nothing, such as those without confidences. ``selection`` is the
    round's number, for `Selecting.arms`. Where ``shown`` is False, the Data Manager's column of scores is empty or
    another version's: the project shows that one (its field ``model_version``).
    """

    first: tuple[Chosen, ...]
    without: int
    written: Written
    selection: int = 0
    shown: bool = True


class Selecting(Embedding):
    """A part of `prelabel.client_run.ModelRun`: which tasks to label first."""

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
        others: Sequence[ModelRun | str] = (),
        encoder: Encoder | str | None = None,
        question: str | None = None,
        shares: Mapping[str, float] | None = None,
    ) -> Ranking:
        """The run's data rows without annotations, in the order in which to label them.

        ``mislabeling`` ranks those with annotations instead, by how probable it is that these are wrong.

        Args:
            strategy: its name; docs/what-to-label-next.md says which one when.
            count: how many will be labeled; a mix deals that many.
            seed: decides ties and lots.
            splits: only data rows in these splits.
            only: numbers of data rows to choose from (`prelabel.runs.held.DataRow.id`).
            others: for ``disagreement`` and ``divergence``: other runs, or their names.
            encoder: for ``diversity``; for ``mislabeling`` its embeddings make out-of-sample probabilities instead of
                the run's own. A wrapper's name, file or path, or one that is loaded. What is new is embedded first.
            question: which question's probabilities, where the run answers several.
            shares: of a ``mix``: the part of each strategy, ``random`` among them.

        Returns:
            A ranking whose ``ids`` are numbers of data rows; those without what the strategy needs are its ``without``.

        Raises:
            SelectionError: there is no such strategy, or it lacks its input.
            RequestError: there is no such question, or no such run.
        """
        with self.using(encoder) as opened:
            if opened is not None:
                self.embed(opened)
            choosing = self._choosing(splits, only, others, opened, question)
        return choosing.rank(strategy, count=count, seed=seed, shares=shares)

    def select(
        self,
        project_id: int,
        strategy: str = "least_confident",
        *,
        count: int = 20,
        seed: int = 0,
        splits: Sequence[Split] = (),
        others: Sequence[ModelRun | str] = (),
        encoder: Encoder | str | None = None,
        question: str | None = None,
        shares: Mapping[str, float] | None = None,
        show: bool = False,
        progress: Callable[[int, int], None] = lambda _done, _total: None,
    ) -> Selected:
        """Rank the run's unlabeled tasks in a project, and write it where Label Studio sorts: the predictions' score.

        The first to be labeled has the lowest score. Tasks without a prediction of this run take no part; labels that
        people made since count after `upsert_labels`. Who chose the first ``count`` is remembered for `arms`.

        Label Studio's Data Manager knows only the scores of the version that the project shows, and a connected backend
        makes that the backend's title. So sorting by the score needs ``show``, or the version chosen there.

        Args:
            project_id: the project's.
            strategy: and what follows: as `rank_unlabeled` takes them.
            count: how many will be labeled.
            seed: decides ties and lots; another one in each round.
            splits: only data rows in these splits.
            others: other runs.
            encoder: an encoder; tasks are read from the project first, and what is new or changed is embedded.
            question: one of several.
            shares: of a mix.
            show: make this run the version that the project shows.
            progress: told how many scores are written, and of how many.

        Raises:
            SelectionError: as `rank_unlabeled`.
            PrelabelError: Label Studio cannot be reached or refuses.
        """
        from prelabel.selection import STRATEGIES, priority_to_score  # noqa: PLC0415 (NumPy is loaded by those who rank)

        self._registry.collect(self.id)
        labeled = strategy == LABELED
        named: dict[int, tuple[int, str]] = {}
        with self.using(encoder) as opened:
            if opened is not None:
                self.embed(opened, project_id=project_id)
            for row, task in self._predicted_tasks(project_id, splits, lambda said: said.labeled == labeled):
                named[row.id] = (task, row.global_key or row.uid)
            choosing = self._choosing(splits, named.keys(), others, opened, question)
        if not named and strategy in STRATEGIES:
            return Selected((), 0, Written())
        ranking = choosing.rank(strategy, count=count, seed=seed, shares=shares)
        scores = priority_to_score(ranking.priority)
        fields = {named[int(ranking.ids[at])][0]: {"score": scores[at]} for at in ranking.order.tolist()}
        written = self.write_selection(fields, project_id=project_id, progress=progress)
        shown = self._shown(project_id, show=show)
        first = ranking.order[:count].tolist()
        chosen = [
            Pick(
                int(ranking.ids[at]), place, ranking.arms[at] if ranking.arms else strategy, float(ranking.priority[at])
            )
            for place, at in enumerate(first)
        ]
        number = self._registry.record_selection(self.id, project_id, strategy, seed, chosen) if chosen else 0
        tasks = tuple(Chosen(*named[one.data_row], one.priority, one.arm if ranking.arms else "") for one in chosen)
        return Selected(tasks, len(ranking.without), written, number, shown)

    # -- whether it helped

    def selections(self) -> list[SelectionRow]:
        """The rounds in which tasks were chosen by this run, the oldest first."""
        return self._registry.selections(self.id)

    def arms(self, selection: int | None = None, *, confidence: float = 0.0, iou: float = 0.5) -> ArmReport:
        """Whether the strategies found more of the run's mistakes than picks by lot did.

        Of what `select` chose, that is labeled by now (`upsert_labels`) and was predicted by the run, a data row counts
        as wrong when a prediction matches no annotation or an annotation no prediction.

        Args:
            selection: one round's number; None: all rounds.
            confidence: predictions below it are ignored.
            iou: a prediction matches an annotation of its class above it.
        """
        import numpy as np  # noqa: PLC0415 (NumPy is loaded by those who compare)

        from prelabel.analysis.conditions import Field  # noqa: PLC0415 (as above)
        from prelabel.analysis.row_numbers import RowNumbers  # noqa: PLC0415 (as above)
        from prelabel.selection import arm_report  # noqa: PLC0415 (as above)

        self._registry.collect(self.id)
        self._registry.refresh_matches(self.id)
        picked = self._registry.picks(self.id, selection)
        uids = {row.uid: row.id for row in self._registry.data_rows_at([one.data_row for one in picked])}
        wrong: dict[int, bool] = {}
        for matches in self._registry.matches(self.id):
            numbers = RowNumbers(matches, confidence, iou)
            mistakes = numbers.column(Field("fp", None)) + numbers.column(Field("fn", None))
            for at in np.flatnonzero([uid in uids for uid in matches.row_ids]).tolist():
                wrong[uids[matches.row_ids[at]]] = bool(mistakes[at] > 0)
        return arm_report([one.arm for one in picked], [wrong.get(one.data_row) for one in picked])

    def _shown(self, project: int, *, show: bool) -> bool:
        """Whether the project shows this run's version; after ``show`` it does."""
        with closing(self._client.label_studio(project)) as label_studio:
            if label_studio.project(project).get("model_version") == self.name:
                return True
            if show:
                label_studio.show_version(project, self.name)
            return show

    def _choosing(
        self,
        splits: Sequence[Split],
        only: Collection[int] | None,
        others: Sequence[ModelRun | str],
        encoder: Encoder | None,
        question: str | None,
    ) -> Choosing:
        from prelabel.runs.candidates import Choosing as Made  # noqa: PLC0415 (NumPy is loaded by those who rank)

        runs = [self._client.get_model_run(one) if isinstance(one, str) else one for one in others]
        for number in (self.id, *(one.id for one in runs)):
            self._registry.collect(number)
        return Made(
            self._registry,
            self.id,
            others=tuple(one.id for one in runs),
            encoder=encoder.name if encoder is not None else None,
            question=question,
            splits=tuple(splits),
            only=frozenset(only) if only is not None else None,
        )


__all__ = ["Chosen", "Selected", "Selecting", "Written"]
