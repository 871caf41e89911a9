"""Clusters, neighbours and suspicious labels of a run's tasks, written into Label Studio's predictions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from prelabel.client_selecting import Selecting, Written
from prelabel.runs.held import Split

if TYPE_CHECKING:
    from prelabel.encoding import Embedded, Encoder
    from prelabel.runs.answers import Floats, Ints


@dataclass(frozen=True, slots=True)
class Suspect:
    """A label that is probably wrong: the task, its data row, what people said, what is likelier, 0..1."""

    task: int
    data_row: str
    label: str
    likely: str
    mislabeling: float


@dataclass(frozen=True, slots=True)
class Enriched:
    """What `Enriching.enrich` found and wrote.

    Attributes:
        written: predictions.
        embedded: what the encoder did; None without one.
        clusters: how many there are.
        doubted: labels that have a value ``mislabeling`` now.
        suspects: those that confident learning counts as wrong, the most suspicious first.
        notes: what could not be said, a sentence each.
    """

    written: Written
    embedded: Embedded | None = None
    clusters: int = 0
    doubted: int = 0
    suspects: tuple[Suspect, ...] = ()
    notes: tuple[str, ...] = ()


class Enriching(Selecting):
    """A part of `prelabel.client_run.ModelRun`: what Label Studio's predictions have fields for, beside the score."""

    def enrich(
        self,
        project_id: int,
        *,
        encoder: Encoder | str | None = None,
        neighbors: int = 10,
        clusters: int | None = None,
        mislabeling: Literal["embeddings", "run", "no"] | None = None,
        question: str | None = None,
        splits: Sequence[Split] = (),
        seed: int = 0,
        progress: Callable[[int, int], None] = lambda _done, _total: None,
    ) -> Enriched:
        """Fill ``cluster``, ``neighbors`` and ``mislabeling`` of the run's predictions in a project.

        Args:
            project_id: the project's. Tasks without a prediction of this run take no part.
            encoder: for clusters and neighbours; without one these are left alone.
            neighbors: most similar tasks of each; 0 leaves them alone.
            clusters: how many, by k-means; None: as many as `prelabel.selection.find_clusters` finds.
            mislabeling: of labeled tasks, from probabilities of models that have not seen the label: ``embeddings``, by
                cross-validation on them; ``run``, the run's own, but for data rows in the split ``training``; ``no``.
                None: by embeddings where there is an encoder, else the run's, and only a note where that cannot be.
            question: of which question's labels, where there are several.
            splits: only data rows in these splits.
            seed: for k-means.
            progress: told how many predictions are written, and of how many.

        Raises:
            SelectionError: ``mislabeling`` was asked for and lacks its input.
            ModelLoadError: the encoder cannot be loaded, or cannot embed.
            PrelabelError: Label Studio cannot be reached or refuses.
        """
        import numpy as np  # noqa: PLC0415 (NumPy is loaded by those who choose)

        from prelabel.selection import (  # noqa: PLC0415 (as above)
            SelectionError,
            find_clusters,
            nearest_tasks,
            prediction_fields,
        )

        self._registry.collect(self.id)
        notes: list[str] = []
        embedded = None
        with self.using(encoder) as opened:
            name = opened.name if opened is not None else None
            if opened is not None:
                embedded = self.embed(opened, project_id=project_id)
                notes += embedded.reasons
        named = {row.id: (task, row.global_key or row.uid) for row, task in self._predicted_tasks(project_id, splits)}
        numbers = np.array(sorted(named), dtype=np.int64)
        tasks = np.array([named[number][0] for number in numbers.tolist()], dtype=np.int64)
        cluster = near = None
        if name is not None and numbers.size:
            vectors = self._registry.vectors(name, numbers)
            cluster = find_clusters(vectors, number=clusters, seed=seed)
            near = nearest_tasks(tasks, vectors, count=neighbors) if neighbors else None
        if mislabeling == "embeddings" and name is None:
            raise SelectionError("mislabeling by embeddings needs an encoder.", hint="Give one: --encoder NAME.")
        doubts: Floats = np.full(len(numbers), np.nan)
        suspects: tuple[Suspect, ...] = ()
        if mislabeling != "no" and numbers.size:
            try:
                doubts, suspects = self._doubts(numbers, named, None if mislabeling == "run" else name, question)
            except SelectionError as error:
                if mislabeling is not None:
                    raise
                notes.append(f"mislabeling is left alone: {error.message}")
        fields = prediction_fields(tasks, cluster=cluster, neighbors=near, mislabeling=doubts)
        fields = {task: one for task, one in fields.items() if one}
        written = self.write_selection(fields, project_id=project_id, progress=progress)
        count = int(cluster.max(initial=-1)) + 1 if cluster is not None else 0
        return Enriched(written, embedded, count, int(np.sum(~np.isnan(doubts))), suspects, tuple(notes))

    def _doubts(
        self, numbers: Ints, named: dict[int, tuple[int, str]], encoder: str | None, question: str | None
    ) -> tuple[Floats, tuple[Suspect, ...]]:
        """How wrong each data row's label probably is, NaN without one; and the suspects."""
        import numpy as np  # noqa: PLC0415 (as above)

        from prelabel.runs.candidates import Choosing  # noqa: PLC0415 (as above)
        from prelabel.runs.opinions import at_numbers  # noqa: PLC0415 (as above)
        from prelabel.selection import suspicions  # noqa: PLC0415 (as above)

        choosing = Choosing(
            self._registry, self.id, encoder=encoder, question=question, only=frozenset(numbers.tolist())
        )
        labeled = choosing.candidates(("mislabeling",))
        assert labeled.labels is not None  # noqa: S101 (candidates of this strategy have them)
        assert labeled.probabilities is not None  # noqa: S101 (as above)
        said = suspicions(labeled.labels, labeled.probabilities)
        classes = choosing.labels.classes if choosing.labels is not None else ()
        order = np.argsort(-np.where(said.suspect, said.score, -1.0), kind="stable")[: int(said.suspect.sum())]
        suspects = tuple(
            Suspect(
                *named[int(labeled.ids[at])],
                classes[labeled.labels[at]],
                classes[said.likely[at]],
                float(said.score[at]),
            )
            for at in order.tolist()
        )
        return at_numbers(labeled.ids, said.score, numbers, np.nan), suspects


__all__ = ["Enriched", "Enriching", "Suspect"]
