"""A prelabel server's model, asked over HTTP: what a worker beside a server uses, so that a GPU holds one copy."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import httpx

from prelabel import errors
from prelabel.errors import AuthError, ModelDiedError, ModelNotReadyError, OverloadedError, PrelabelError, RequestError
from prelabel.labeling import Fit, LabelingConfig
from prelabel.predictions import Prediction
from prelabel.predictor import Outcome, Priority
from prelabel.tasks import Task

if TYPE_CHECKING:
    from prelabel.settings import Settings

ABOUT_VALID_S = 5.0
"""How long the server's word about its model is believed."""
GRACE_S = 10.0
"""Seconds that the answer may take beyond the deadline."""
CONNECT_TIMEOUT_S = 5.0
DEFAULT_DEADLINE_S = 3600.0


class RemotePredictor:
    """A `Predictor` that sends its tasks to ``/api/v1/predict`` of a prelabel server. Keeps connections open.

    Args:
        server_url: the server's address, with a path prefix where it has one.
        auth: user and password of the server's basic authentication; None: the first of the settings' API keys is sent,
            if there is one.
        transport: a stand-in for the network, in tests.
    """

    def __init__(
        self,
        server_url: str,
        auth: tuple[str, str] | None,
        settings: Settings,
        *,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.server_url = server_url.rstrip("/")
        self._settings = settings
        self._client = httpx.Client(
            base_url=self.server_url,
            auth=auth,
            headers={"Authorization": f"Bearer {settings.keys[0]}"} if auth is None and settings.keys else None,
            timeout=httpx.Timeout(30.0, connect=CONNECT_TIMEOUT_S),
            transport=transport,
            trust_env=False,
        )
        self._about: dict[str, Any] = {}
        self._about_until = 0.0
        self._lock = threading.Lock()

    @property
    def ready(self) -> bool:
        try:
            return bool(self.about()["ready"])
        except PrelabelError:
            return False

    @property
    def name(self) -> str:
        """The name of the server's model.

        Raises:
            ModelNotReadyError: the server cannot be reached.
        """
        return str(self.about()["name"])

    @property
    def model_version(self) -> str:
        """The server's model version.

        Raises:
            ModelNotReadyError: the server cannot be reached.
        """
        return str(self.about()["model_version"])

    @property
    def clicks_only(self) -> bool:
        """Whether the server's model has nothing to say of a task before somebody clicks."""
        return self.about().get("clicks_only") is True

    def about(self) -> dict[str, Any]:
        """What the server says of its model (``GET /api/v1/model``), at most `ABOUT_VALID_S` old."""
        with self._lock:
            if time.monotonic() >= self._about_until:
                self._about = self._ask("GET", "/api/v1/model", None, 30.0)
                self._about_until = time.monotonic() + ABOUT_VALID_S
            return self._about

    def fit_report(self, config: LabelingConfig) -> Fit:
        said = self._ask(
            "POST", "/validate", {"label_config": config.xml}, 30.0
        )  # 422 with this body is an answer, too
        return Fit(bool(said["ok"]), str(said["refusal"]), tuple(said["dropped"]))

    def predict(
        self,
        tasks: Sequence[Task],
        config: LabelingConfig,
        *,
        priority: Priority = Priority.LIVE,
        deadline_s: float | None = None,
        context: Mapping[str, Any] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> list[Outcome]:
        """See `Predictor.predict`.

        Raises:
            ModelNotReadyError: the server cannot be reached (retryable).
            ModelDiedError: the same, after it was reached.
            PrelabelError: what the server answered instead of outcomes; retryable where it says so.
        """
        if cancelled is not None and cancelled():
            return [Outcome(error=errors.CancelledError("cancelled.", task=task.id)) for task in tasks]
        said = self._ask(
            "POST",
            "/api/v1/predict",
            {
                "label_config": config.xml,
                "tasks": [_task_json(task) for task in tasks],
                "priority": priority.name.lower(),
                "deadline_s": deadline_s,
                "context": context,
            },
            (deadline_s if deadline_s is not None else DEFAULT_DEADLINE_S) + GRACE_S,
        )
        outcomes = said.get("outcomes")
        if not isinstance(outcomes, list) or len(outcomes) != len(tasks):
            raise RequestError(
                f"{self.server_url} answered {len(outcomes) if isinstance(outcomes, list) else 'no'} outcomes "
                f"for {len(tasks)} tasks.",
                hint="Run the same version of prelabel on server and worker.",
            )
        return [_outcome(one) for one in outcomes]

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _ask(self, method: str, path: str, body: Any, timeout_s: float) -> dict[str, Any]:
        timeout = httpx.Timeout(timeout_s, connect=CONNECT_TIMEOUT_S)
        try:
            response = self._client.request(method, path, json=body, timeout=timeout)
        except httpx.ConnectError as error:
            raise ModelNotReadyError(
                f"the prelabel server at {self.server_url} does not answer ({error}).",
                hint="Is `prelabel serve` running there?",
            ) from error
        except (httpx.RemoteProtocolError, httpx.ReadError) as error:
            raise ModelDiedError(
                f"the prelabel server at {self.server_url} broke off ({type(error).__name__}).",
                hint="Did its process end? Its log may say why.",
            ) from error
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise ModelNotReadyError(
                f"the prelabel server at {self.server_url} broke off ({type(error).__name__}).",
                hint="The call is safe to repeat.",
            ) from error
        try:
            said = response.json()
        except ValueError:
            said = None
        misfit = (
            response.status_code == httpx.codes.UNPROCESSABLE_ENTITY and isinstance(said, dict) and "refusal" in said
        )
        if not isinstance(said, dict) or not (response.is_success or misfit):
            raise self._refusal(response.status_code, said)
        return said

    def _refusal(self, status: int, said: Any) -> PrelabelError:
        if status in (401, 403):
            return AuthError(
                f"the prelabel server at {self.server_url} refused our credentials.",
                hint="Set BASIC_AUTH_USER and BASIC_AUTH_PASS, or PRELABEL_API_KEYS, to the same values on server and "
                "worker.",
            )
        if isinstance(said, dict) and isinstance(said.get("error"), str):
            return error_from_json(said)
        if status in (502, 503, 504):
            return OverloadedError(f"the prelabel server at {self.server_url} answered {status}.")
        return RequestError(f"{self.server_url} answered {status}.", hint="Is this the address of a prelabel server?")


def _task_json(task: Task) -> dict[str, Any]:
    said: dict[str, Any] = {"id": task.id, "data": dict(task.data)}
    if task.project is not None:
        said["project"] = task.project
    if task.meta:
        said["meta"] = dict(task.meta)
    if task.annotations:
        said["annotations"] = list(task.annotations)
    if task.predictions:
        said["predictions"] = list(task.predictions)
    return said


def outcome_json(outcome: Outcome) -> dict[str, Any]:
    """An outcome as ``/api/v1/predict`` answers it: ``{}`` is unfinished."""
    if outcome.prediction is not None:
        said = {**outcome.prediction.as_json(), "dropped": list(outcome.prediction.dropped)}
        return {"prediction": said | ({"silent": True} if outcome.prediction.silent else {})}
    if outcome.error is not None:
        return {"error": error_json(outcome.error)}
    return {}


def error_json(error: PrelabelError) -> dict[str, Any]:
    """An error with its kind, so that the other side can raise the same one."""
    return {**error.as_json(), "kind": type(error).__name__, "retryable": error.retryable}


def error_from_json(said: Mapping[str, Any]) -> PrelabelError:
    """The error that `error_json` wrote; a kind that is not known here becomes the base class."""
    kind = getattr(errors, str(said.get("kind", "")), PrelabelError)
    if not (isinstance(kind, type) and issubclass(kind, PrelabelError)):
        kind = PrelabelError
    task = said.get("task")
    return kind(str(said["error"]), hint=str(said.get("hint", "")), task=task if isinstance(task, int) else None)


def _outcome(said: Mapping[str, Any]) -> Outcome:
    if "prediction" in said:
        entry = said["prediction"]
        return Outcome(
            Prediction(
                tuple(entry["result"]),
                entry["score"],
                entry["model_version"],
                tuple(entry.get("dropped", ())),
                entry.get("distributions") or {},
                silent=entry.get("silent") is True,
            )
        )
    if "error" in said:
        return Outcome(error=error_from_json(said["error"]))
    return Outcome()
