"""What is known of models and model runs by themselves: names, times, status, config. The same everywhere."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from prelabel.runs.held import ModelRow, RunRow, Stage, Status

if TYPE_CHECKING:
    from typing_extensions import Self

    from prelabel.client import Client
    from prelabel.runs.registry import Registry


class Named:
    """Number, name and time of a model or a run."""

    _client: Client
    _row: ModelRow | RunRow

    @property
    def id(self) -> int:
        """The registry's number of it."""
        return self._row.id

    @property
    def uid(self) -> str:
        """The same as text."""
        return str(self._row.id)

    @property
    def name(self) -> str:
        """Its name; a run's is the model version in Label Studio."""
        return self._row.name

    @property
    def created_at(self) -> datetime:
        """When it was made."""
        return datetime.fromtimestamp(self._row.created_at, tz=timezone.utc)

    @property
    def _registry(self) -> Registry:
        return self._client.registry

    def __repr__(self) -> str:
        return f"{_shown(type(self))}({self.name!r})"


class RunFields(Named):
    """The fields of a model run, which its parts share. Those that change are read anew each time."""

    _row: RunRow

    @property
    def row(self) -> RunRow:
        """All its fields, as they were read last."""
        return self._row

    @property
    def model_id(self) -> str:
        """The model's uid."""
        return str(self._row.model_id)

    @property
    def model(self) -> str:
        """The model's name."""
        return self._row.model

    @property
    def updated_at(self) -> datetime:
        """When a field of it changed last."""
        return datetime.fromtimestamp(self.refresh()._row.updated_at, tz=timezone.utc)

    @property
    def status(self) -> Status | None:
        """What `update_status` said last; None before."""
        return self.refresh()._row.status

    @property
    def status_error(self) -> str | None:
        """The error message beside the status."""
        return self.refresh()._row.status_error

    @property
    def training_metadata(self) -> dict[str, Any]:
        """What `update_status` collected."""
        return dict(self.refresh()._row.metadata)

    @property
    def provenance(self) -> dict[str, Any]:
        """Where it came from: wrapper, version, artifact checksum, code, job."""
        return dict(self.refresh()._row.provenance)

    @property
    def stage(self) -> Stage:
        """``candidate``, ``shadow`` (predicts without being shown) or ``promoted``."""
        return self.refresh()._row.stage

    def refresh(self) -> Self:
        """Read the fields again."""
        self._row = self._registry.run(self._row.id)
        return self

    def _change(self, **changes: Any) -> None:
        """Change fields; see `prelabel.runs.models.Models.change_run`."""
        self._registry.change_run(self.id, **changes)

    def update_status(
        self, status: Status, metadata: Mapping[str, Any] | None = None, error_message: str | None = None
    ) -> None:
        """Set the status; ``metadata`` is merged into what is there.

        Raises:
            RequestError: there is no such status.
        """
        self._change(status=status, status_error=error_message, metadata=metadata)

    def update_provenance(self, **known: Any) -> None:
        """Write down where the run came from; merged into what is known."""
        self._change(provenance=known)

    def update_config(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Merge into the config; returns it."""
        self._change(config=config)
        return self.get_config()

    def get_config(self) -> dict[str, Any]:
        """The config: free JSON, such as training parameters."""
        return dict(self.refresh()._row.config)

    def reset_config(self) -> dict[str, Any]:
        """Empty the config; returns it."""
        self._change(reset_config=True)
        return self.get_config()


def _shown(kind: type) -> str:
    """Those of a server are called as ours: they are used alike."""
    return kind.__name__.removeprefix("Remote")
