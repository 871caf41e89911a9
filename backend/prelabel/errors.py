"""Every error of prelabel: one base class that owns its HTTP status, whether a retry can help, and the remedy.

A message says what failed and on which task; ``hint`` says what to do about it. Clients receive
``{"error": ..., "hint": ...}`` with ``status``, never a traceback; logs always carry the traceback.
"""

from __future__ import annotations


class PrelabelError(Exception):
    """Base of all errors that prelabel raises on purpose.

    Args:
        message: what failed, in one sentence.
        hint: what the reader can do about it, in one sentence.
        task: id of the Label Studio task concerned, where there is one.
    """

    status = 500
    """HTTP status that a client receives."""
    retryable = False
    """Whether the same call may succeed later without anybody changing anything."""

    def __init__(self, message: str, *, hint: str = "", task: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.task = task

    def __str__(self) -> str:
        where = f"task {self.task}: " if self.task is not None else ""
        return f"{where}{self.message}" + (f" {self.hint}" if self.hint else "")

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.message, self.hint, self.task))

    def as_json(self) -> dict[str, object]:
        """The body a client receives."""
        body: dict[str, object] = {"error": self.message}
        if self.hint:
            body["hint"] = self.hint
        if self.task is not None:
            body["task"] = self.task
        return body


def _rebuild(cls: type[PrelabelError], message: str, hint: str, task: int | None) -> PrelabelError:
    return cls(message, hint=hint, task=task)


class SettingsError(PrelabelError):
    """A setting is missing, malformed or contradicts another one."""

    status = 500


class RequestError(PrelabelError):
    """A client's request is malformed: not JSON, a missing key, a wrong type."""

    status = 400


class AuthError(PrelabelError):
    """Credentials are missing or wrong."""

    status = 401


class NotFoundError(PrelabelError):
    """The thing asked for does not exist (a job, a run, a wrapper, a file)."""

    status = 404


class LabelingConfigError(PrelabelError):
    """The labeling config cannot be parsed, or nothing of what the model says fits it."""

    status = 422


class TaskError(PrelabelError):
    """A task's JSON lacks what is needed (no id, no data, the object tag's field is absent)."""

    status = 422


class DataError(PrelabelError):
    """What a task points at cannot be read or decoded."""

    status = 422


class DataUnavailableError(DataError):
    """What a task points at did not answer in time or answered 5xx; later it may."""

    status = 502
    retryable = True


class DataBlockedError(DataError):
    """The guard refuses the address or path a task points at."""

    status = 403


class ModelLoadError(PrelabelError):
    """A model could not be found, imported or loaded."""

    status = 500


class ModelNotReadyError(PrelabelError):
    """The model is still loading."""

    status = 503
    retryable = True


class ModelDiedError(ModelNotReadyError):
    """The process that has the model broke off while it had these tasks in hand: one of them may have killed it."""


class ModelError(PrelabelError):
    """The user's model raised, or returned something of the wrong length."""

    status = 500


class ModelMemoryError(ModelError):
    """The model ran out of memory with a single item."""

    status = 507


class OutputError(PrelabelError):
    """A model's output has no meaning for the labeling config."""

    status = 422


class DeadlineError(PrelabelError):
    """The time allowed for an answer is over."""

    status = 504
    retryable = True


class CancelledError(PrelabelError):
    """The client has gone, or somebody cancelled the job."""

    status = 499


class OverloadedError(PrelabelError):
    """The server is stopping or its queue is full."""

    status = 503
    retryable = True


class LabelStudioError(PrelabelError):
    """Label Studio refused a request; ``http_status`` is what it answered, when it answered."""

    status = 502

    def __init__(
        self, message: str, *, hint: str = "", task: int | None = None, http_status: int | None = None
    ) -> None:
        super().__init__(message, hint=hint, task=task)
        self.http_status = http_status


class LabelStudioAuthError(LabelStudioError):
    """Label Studio refused our token."""


class LabelStudioUnavailableError(LabelStudioError):
    """Label Studio could not be reached, timed out or answered 5xx: the write may or may not have happened."""

    retryable = True


class LabelStudioUnreachableError(LabelStudioUnavailableError):
    """No connection to Label Studio: the write was never sent."""


class QueueError(PrelabelError):
    """Redis cannot be reached or lost a job."""

    status = 503
    retryable = True
