"""`prelabel.Client`'s models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from prelabel.client_fields import Named
from prelabel.client_run import ModelRun
from prelabel.client_stages import bring
from prelabel.errors import RequestError
from prelabel.runs.held import ModelRow, OntologyRow

if TYPE_CHECKING:
    from prelabel.client import Client
    from prelabel.runs.slices import SavedSlice


class Model(Named):
    """A model: one ontology, any number of runs. ``name`` is what all its versions share."""

    _row: ModelRow

    def __init__(self, client: Client, row: ModelRow) -> None:
        self._client = client
        self._row = row

    @property
    def ontology(self) -> OntologyRow | None:
        """Its ontology; None for a served model that nobody gave one."""
        return self._registry.ontology(self._row.ontology) if self._row.ontology is not None else None

    @property
    def ontology_id(self) -> str | None:
        """The ontology's uid."""
        ontology = self.ontology
        return ontology.uid if ontology is not None else None

    def create_model_run(self, name: str, config: Mapping[str, Any] | None = None) -> ModelRun:
        """A new run. Its name becomes the model version in Label Studio, so no other run may have it.

        Raises:
            RequestError: the name is taken.
        """
        return ModelRun(self._client, self._registry.add_run(self.name, name, config=config))

    def model_runs(self) -> list[ModelRun]:
        """Its runs, the newest first."""
        return self._client.model_runs(self.name)

    def get_model_run(self, name: str) -> ModelRun:
        """Its run of that name.

        Raises:
            NotFoundError: there is no run of that name.
            RequestError: it is another model's.
        """
        run = self._client.get_model_run(name)
        if run.model_id != self.uid:
            raise RequestError(f"{name!r} is a run of the model {run.model!r}, not of {self.name!r}.")
        return run

    # -- slices, which all its runs share

    def slices(self) -> list[SavedSlice]:
        """Its saved slices by name."""
        return self._registry.slices(self.id)

    def save_slice(self, name: str, condition: str) -> SavedSlice:
        """Save a condition under a name; what is saved under it already is replaced.

        Raises:
            RequestError: the condition cannot be read, or a slice cannot be called that.
        """
        return self._registry.save_slice(self.id, name, condition)

    def delete_slice(self, name: str) -> None:
        """Delete a saved slice.

        Raises:
            RequestError: it is ready-made.
            NotFoundError: there is none of that name.
        """
        self._registry.delete_slice(self.id, name)

    def roll_back(self) -> tuple[ModelRun, tuple[str, ...]]:
        """Promote the run that was promoted before the one that is; the run, and the jobs as in `Promotion.jobs`.

        Raises:
            RequestError: no other run was ever promoted.
        """
        name = self._client.registry.roll_back(self.name)
        return self.get_model_run(name), bring(self._client, name)

    def delete(self) -> None:
        """Delete the model with its runs.

        Raises:
            RequestError: a run is in use by workers or the server, or the model is connected to a project.
        """
        self._registry.delete_model(self.id)
