"""What commands that look at jobs open: the registry, the queue, and the model version that a server reports."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from prelabel.errors import PrelabelError, SettingsError

if TYPE_CHECKING:
    from prelabel.queue import JobQueue
    from prelabel.runs import Connection, Ledger
    from prelabel.settings import Settings


@contextlib.contextmanager
def opened(settings: Settings) -> Iterator[tuple[Ledger, JobQueue]]:
    """The registry and the queue of these settings, closed afterwards."""
    from prelabel.queue import JobQueue
    from prelabel.runs import Ledger

    ledger = Ledger.open(settings)
    try:
        queue = JobQueue.open(settings, ledger)
        try:
            yield ledger, queue
        finally:
            queue.close()
    finally:
        ledger.close()


def current_model(settings: Settings, ledger: Ledger) -> tuple[str, str]:
    """Name and version of the model that new predictions are of: that of ``--model``, else of the running server.

    The version is the one that a server of ``--model`` would announce: a trained one, once there is one.

    Raises:
        PrelabelError: there is no model, and no server answers.
    """
    from prelabel.predictor.remote import RemotePredictor
    from prelabel.server.auth import credentials

    if settings.model is not None and settings.server_url is None:
        return _announced(settings.model, settings, ledger)
    url = settings.server_url or settings.effective_public_url
    predictor = RemotePredictor(url, credentials(settings), settings)
    try:
        return predictor.name, predictor.model_version
    except PrelabelError as error:
        raise SettingsError(
            f"which model version? {error.message}",
            hint="Start `prelabel up` or `serve`, say where it is with --server-url, or give --model.",
        ) from error
    finally:
        predictor.close()


def _announced(model: str, settings: Settings, ledger: Ledger) -> tuple[str, str]:
    from prelabel.loader import model_name
    from prelabel.successor import announced_version, as_served

    wrapper = as_served(model, ledger, settings)
    return model_name(wrapper, settings), announced_version(wrapper, ledger, settings)


def connection_of(settings: Settings, ledger: Ledger, project: int, model: str) -> Connection:
    """The model's project as the ledger knows it, with the labeling config as Label Studio has it now.

    Raises:
        SettingsError: no Label Studio is known.
        LabelStudioError: it cannot be reached, or the project does not exist.
    """
    from prelabel.connect import label_studio_for
    from prelabel.runs import Connection

    ours = ledger.connection(project, settings.label_studio_url, model=model)
    known = ours or ledger.connection(project, settings.label_studio_url)  # another model's has address and token, too
    with contextlib.closing(label_studio_for(settings, known)) as label_studio:
        config = str(label_studio.project(project).get("label_config") or "")
        instance = label_studio.url
    if ours is not None and ours.label_config == config:
        return ours
    return ledger.remember_project(
        Connection(
            instance=known.instance if known is not None else instance,
            project=project,
            label_config=config,
            token=known.token if known is not None else "",
            extra_params=ours.extra_params if ours is not None else {},
            model=model,
            connected=False,
        )
    )
