"""A run's data rows embedded: which tasks are alike, and which labels stand among others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from prelabel.client_fields import RunFields
from prelabel.labeling import LabelingConfig, parse
from prelabel.push.new_tasks import ProjectTasks
from prelabel.runs.datarows import NAMED, batched
from prelabel.runs.held import DataRow, Split, project_name
from prelabel.runs.items import Said

if TYPE_CHECKING:
    from prelabel.encoding import Embedded, Encoder
    from prelabel.labelstudio.api import LabelStudio


class Embedding(RunFields):
    """A part of `prelabel.client_run.ModelRun`: its data rows as vectors, and as tasks of a project."""

    def embed(
        self,
        encoder: Encoder | str,
        *,
        project_id: int | None = None,
        progress: Callable[[int, int], None] = lambda _done, _total: None,
    ) -> Embedded:
        """Embed the run's data rows that have no embedding by this encoder, or whose content changed since.

        Args:
            encoder: a wrapper's name (``wordllama``, ``minilm``, ``efficientnet``), file or path, or a loaded one.
            project_id: read the tasks of this Label Studio project first, which is where data rows that a backend
                predicted get their data from.
            progress: told how many data rows are done, and of how many.

        Raises:
            ModelLoadError: the encoder cannot be loaded, or cannot embed.
            PrelabelError: Label Studio cannot be reached.
        """
        from prelabel.encoding import embed_rows  # noqa: PLC0415 (wrappers and decoders are loaded by those who embed)

        self._registry.collect(self.id)
        if project_id is not None:
            with closing(self._client.label_studio(project_id)) as label_studio:
                instance = self._client.instance_of(project_id, label_studio).rstrip("/")
            self._client.import_data_rows(project_name(project_id, instance), project_id=project_id)
        opened: dict[int, LabelStudio] = {}
        seen: list[int] = []

        def studio(project: int) -> LabelStudio:
            if project not in opened:
                opened[project] = self._client.label_studio(project)
            return opened[project]

        def config_of(instance: str, project: int) -> LabelingConfig | None:
            seen.append(project)
            known = self._registry.connection(project, instance)
            if known is not None and known.label_config and project != project_id:
                return parse(known.label_config)
            return parse(str(studio(project).project(project).get("label_config") or "<View/>"))

        try:
            with self.using(encoder) as ready:
                assert ready is not None  # noqa: S101 (it is None for None alone)
                return embed_rows(
                    self._registry,
                    self.id,
                    ready,
                    self._client.settings,
                    config_of=config_of,
                    files=lambda: studio(seen[-1]) if seen else None,
                    progress=progress,
                )
        finally:
            for one in opened.values():
                one.close()

    @staticmethod
    @contextmanager
    def using(encoder: Encoder | str | None) -> Iterator[Encoder | None]:
        """An encoder, loaded; one that is named is unloaded afterwards."""
        if encoder is None:
            yield None
            return
        from prelabel.encoding import Encoder as Loaded  # noqa: PLC0415 (as above)

        if not isinstance(encoder, str):
            yield encoder
            return
        with closing(Loaded(encoder)) as made:
            yield made

    def _predicted_tasks(
        self, project: int, splits: Sequence[Split], wanted: Callable[[Said], bool] = lambda _: True
    ) -> Iterator[tuple[DataRow, int]]:
        """Data rows with their tasks in a project, where that has a prediction of this run."""
        with closing(self._client.label_studio(project)) as label_studio:
            instance = self._client.instance_of(project, label_studio)
            tasks = ProjectTasks(self._registry, label_studio, instance, project, parse("<View/>"), None)
            for batch in batched(self._registry.said(self.id, splits=splits), NAMED):
                rows = {said.data_row.id: said.data_row for said in batch if wanted(said)}
                found = tasks.find(list(rows.values()))
                for number, task in found.tasks.items():
                    if any(one.model_version == self.name for one in found.predictions[task]):
                        yield rows[number], task


__all__ = ["Embedding"]
