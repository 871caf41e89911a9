"""`prelabel.Client`'s models."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from prelabel.client_run import ModelRun
from prelabel.errors import RequestError
from prelabel.runs.held import ModelRow, OntologyRow

if TYPE_CHECKING:
    from prelabel.client import Client


class Model:
    """A model: one ontology, any number of runs. ``name`` is what all its versions share."""

    def __init__(self, client: Client, row: ModelRow) -> None:
        self._client = client
        self._row = row

    @property
    def uid(self) -> str:
        """The registry's number of it."""
        return str(self._row.id)

    @property
    def name(self) -> str:
        """Its name."""
        return self._row.name

    @property
    def created_at(self) -> datetime:
        """When it was made."""
        return datetime.fromtimestamp(self._row.created_at, tz=timezone.utc)

    @property
    def ontology(self) -> OntologyRow | None:
        """Its ontology; None for a served model that nobody gave one."""
        return self._client.registry.ontology(self._row.ontology) if self._row.ontology is not None else None

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
        return ModelRun(self._client, self._client.registry.add_run(self.name, name, config=config))

    def model_runs(self) -> list[ModelRun]:
        """Its runs, the newest first."""
        return [ModelRun(self._client, row) for row in self._client.registry.runs(self.name)]

    def get_model_run(self, name: str) -> ModelRun:
        """Its run of that name.

        Raises:
            NotFoundError: there is no run of that name.
            RequestError: it is another model's.
        """
        row = self._client.registry.run(name)
        if row.model_id != self._row.id:
            raise RequestError(f"{name!r} is a run of the model {row.model!r}, not of {self.name!r}.")
        return ModelRun(self._client, row)

    def delete(self) -> None:
        """Delete the model with its runs.

        Raises:
            RequestError: a run is in use by workers or the server, or the model is connected to a project.
        """
        self._client.registry.delete_model(self._row.id)

    def __repr__(self) -> str:
        return f"Model({self.name!r})"
