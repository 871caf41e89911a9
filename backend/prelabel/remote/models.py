"""A server's models and datasets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from prelabel.client_datarows import Dataset
from prelabel.client_model import Model
from prelabel.errors import NotFoundError
from prelabel.remote import reading
from prelabel.remote.connection import MEASURE_S, path
from prelabel.remote.runs import RemoteModelRun

if TYPE_CHECKING:
    from prelabel.client_run import ModelRun
    from prelabel.remote.client import RemoteClient
    from prelabel.runs.held import DataRow, OntologyRow
    from prelabel.runs.slices import SavedSlice


class RemoteDataset(Dataset):
    """See `prelabel.client_datarows.Dataset`."""

    _client: RemoteClient

    def __len__(self) -> int:
        said = self._ask(0, 1)
        return int(said["total"]) if said else 0

    def _page(self, after: int) -> list[DataRow]:
        return [reading.data_row(one) for one in self._ask(after, 1000).get("data_rows", ())]

    def _ask(self, after: int, limit: int) -> Mapping[str, Any]:
        try:
            found: Mapping[str, Any] = self._client.connection.get(
                path("datasets", self.name, "data-rows"), after=after, limit=limit
            )
        except NotFoundError:
            return {}
        return found


class RemoteModel(Model):
    """See `prelabel.client_model.Model`."""

    _client: RemoteClient

    @property
    def ontology(self) -> OntologyRow | None:
        number = self._row.ontology
        return reading.ontology(self._client.connection.get(path("ontologies", number))) if number is not None else None

    def create_model_run(self, name: str, config: Mapping[str, Any] | None = None) -> ModelRun:
        body = {"model": self.name, "name": name, "config": dict(config) if config is not None else None}
        return RemoteModelRun(self._client, reading.run(self._client.connection.write("POST", "runs", body)))

    def slices(self) -> list[SavedSlice]:
        said = self._client.connection.get(path(*self._path, "slices"))
        return [reading.saved_slice(one) for one in said["slices"]]

    def save_slice(self, name: str, condition: str) -> SavedSlice:
        body = {"name": name, "condition": condition}
        return reading.saved_slice(self._client.connection.write("POST", path(*self._path, "slices"), body))

    def delete_slice(self, name: str) -> None:
        self._client.connection.write("DELETE", path(*self._path, "slices"), name=name)

    def roll_back(self) -> tuple[ModelRun, tuple[str, ...]]:
        said = self._client.connection.write("POST", path(*self._path, "roll-back"), timeout_s=MEASURE_S)
        return RemoteModelRun(self._client, reading.run(said["run"])), tuple(said["jobs"])

    def delete(self) -> None:
        self._client.connection.write("DELETE", path(*self._path))

    @property
    def _path(self) -> tuple[str, str]:
        return "models", f"id:{self.id}"
