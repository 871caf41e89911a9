"""What is used of Labelbox's own SDK: its client, models, runs and imports, and its errors as ours."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any, Protocol, cast

from prelabel.errors import PrelabelError, SettingsError
from prelabel.user_code import first_line


class SdkImport(Protocol):
    """``labelbox.MEAPredictionImport``."""

    @property
    def state(self) -> Any: ...
    @property
    def statuses(self) -> Sequence[Mapping[str, Any]]: ...
    def wait_till_done(self, sleep_time_seconds: int = 10, show_progress: bool = False) -> None: ...


class SdkRun(Protocol):
    """``labelbox.ModelRun``."""

    uid: str
    name: str

    def upsert_data_rows(
        self, data_row_ids: Any = None, global_keys: Any = None, timeout_seconds: float = 3600
    ) -> Any: ...
    def add_predictions(self, name: str, predictions: Any) -> SdkImport: ...


class SdkModel(Protocol):
    """``labelbox.Model``."""

    uid: str
    name: str
    ontology_id: str

    def model_runs(self) -> Iterable[SdkRun]: ...
    def create_model_run(self, name: str, config: Any = None) -> SdkRun: ...


class SdkClient(Protocol):
    """``labelbox.Client``, as far as it is used; ``execute`` is called by the SDK's own classes."""

    def get_model(self, model_id: str) -> SdkModel: ...
    def get_models(self, where: Any = None) -> Iterable[SdkModel]: ...
    def create_model(self, name: str, ontology_id: str) -> SdkModel: ...
    def get_data_row_ids_for_global_keys(
        self, global_keys: list[str], timeout_seconds: float = 60
    ) -> Mapping[str, Any]: ...
    def execute(self, query: Any = None, params: Any = None) -> Any: ...


def connect(api_key: str) -> SdkClient:
    """Labelbox's own client.

    Raises:
        SettingsError: there is no key, the package is not installed, or it does not like the key.
    """
    if not api_key.strip():
        raise SettingsError("there is no key for Labelbox.", hint="Set the environment variable LABELBOX_API_KEY.")
    with asking("connecting"):
        return cast("SdkClient", sdk().Client(api_key=api_key.strip()))


def find_import(client: SdkClient, run_id: str, name: str) -> SdkImport | None:
    """The import of that name of a Labelbox run; None where there is none."""
    kind = sdk("labelbox.schema.annotation_import").MEAPredictionImport
    missing = sdk("lbox.exceptions").ResourceNotFoundError
    try:
        held = kind.from_name(client, run_id, name, as_json=True)
    except missing:
        return None
    return cast("SdkImport", kind(client, held)) if held else None


def sdk(module: str = "labelbox") -> ModuleType:
    """A module of the SDK.

    Raises:
        SettingsError: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise SettingsError("the package labelbox is not installed.", hint="pip install labelbox") from error


@contextmanager
def asking(what: str) -> Iterator[None]:
    """What Labelbox's SDK raises (also a bare ``Exception``) as one sentence that says what was being done."""
    try:
        yield
    except PrelabelError:
        raise
    except Exception as error:
        kind = type(error).__name__
        if kind in ("AuthenticationError", "AuthorizationError"):
            raise SettingsError(
                f"Labelbox refused the key while {what}.", hint="Check LABELBOX_API_KEY and what the key may do."
            ) from error
        raise PrelabelError(
            f"{what} at Labelbox failed: {kind}: {first_line(error)}.",
            hint="Push again: it goes on where it was, and sends nothing twice.",
        ) from error
