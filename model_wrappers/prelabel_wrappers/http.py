"""Any REST service that takes and gives JSON: one expression builds the request, another reads the answer."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from typing import Any, Literal

from prelabel.adapters.values import sample
from prelabel.errors import ModelError, ModelNotReadyError, PrelabelError
from prelabel.model import InputKind, ModelWrapper
from prelabel.options import Amount, Count
from prelabel_wrappers import class_names
from prelabel_wrappers.http_calls import Caller
from prelabel_wrappers.http_expressions import Made, expression, template
from prelabel_wrappers.http_headers import headers_from, parsed_url, shown_url
from prelabel_wrappers.http_values import seen

logger = logging.getLogger(__name__)


class HttpModel(ModelWrapper):
    """Asks a service about one task or several in a request; what it answers is read as any model's result is.

    The request's expression sees ``value`` (what the task shows: a text, a picture or sound in Base64), ``values`` (by
    object tag), ``data`` (the task's), ``id``, ``project`` and ``labels`` (the config's, by control); with ``batch``
    above 1 it sees a list of such objects as ``items``. The answer's expression sees the answer, and what it makes is
    read like plain Python from a model: a label, labels with scores, spans, boxes, ...

    Args:
        url: address of the service; no key in it, since addresses are shown and logged.
        request: JMESPath (``{text: value}``), or JSON with ``${...}`` around expressions, or a ``.json`` file of it.
        answer: JMESPath over the answer; with ``batch`` above 1 it makes a list, one entry a task, in order.
        labels: class names in the order of the service's numbers: comma-separated, or a file.
        batch: tasks in one request.
        fetch: whether what the tasks point at is read; without it ``value`` is empty and ``data`` has the addresses.
        method: HTTP method.
        headers: as a JSON object; ``${NAME}`` in a value is that environment variable.
        concurrency: requests at a time.
        timeout_s: seconds for one answer.
        attempts: tries of one request while the service is busy or away.
    """

    def __init__(
        self,
        url: str,
        *,
        request: str = "{value: value}",
        answer: str = "@",
        labels: str | None = None,
        batch: Count = 1,
        fetch: bool = True,
        method: Literal["POST", "PUT", "PATCH"] = "POST",
        headers: dict[str, str] | None = None,
        concurrency: Count = 4,
        timeout_s: Amount = 60.0,
        attempts: Count = 5,
    ) -> None:
        self._url = url
        self.name = parsed_url(url).host
        self.input = InputKind.ITEM if fetch else InputKind.BARE
        self.labels = class_names.from_option(labels) if labels else None
        self._request_told, self._answer_told = request, answer
        self._batch, self._method, self._headers = max(1, batch), method, dict(headers or {})
        self._concurrency, self._timeout_s, self._attempts = concurrency, timeout_s, attempts
        self.max_batch_size = self._batch * max(1, concurrency)
        self._told = repr((shown_url(url), request, answer, self.labels, batch, fetch, method, sorted(self._headers)))
        self._request: Made | None = None
        self._warned = False
        self._caller: Caller | None = None

    def load(self) -> None:
        """Compile the expressions, fill in the headers; the service is not asked."""
        self._request = template(self._request_told, "request")
        self._answer = expression(self._answer_told, "answer")
        headers, secrets = headers_from(self._headers)
        self._caller = Caller(
            self._url,
            headers=headers,
            secrets=secrets,
            timeout_s=self._timeout_s,
            attempts=self._attempts,
            concurrency=self._concurrency,
        )

    def predict(self, batch: Sequence[Any]) -> Sequence[Any]:
        """What the answer's expression makes for each task; an error for those whose request failed."""
        caller = self._caller
        if caller is None:
            raise ModelNotReadyError("the model is not loaded.", hint="Call load() first.")
        if self._batch == 1:
            return caller.each(partial(self._alone, caller), batch)
        pieces = [batch[start : start + self._batch] for start in range(0, len(batch), self._batch)]
        found: list[Any] = []
        for piece, answers in zip(pieces, caller.each(partial(self._together, caller), pieces), strict=True):
            if not isinstance(answers, PrelabelError):
                found += answers
            elif answers.retryable or len(piece) == 1:
                found += [answers] * len(piece)
            else:  # one of them is to blame, and asked alone it stands alone
                found += caller.each(lambda one: self._together(caller, [one])[0], piece)
        return found

    def _alone(self, caller: Caller, item: Any) -> Any:
        return self._answered(caller, seen(item))

    def _together(self, caller: Caller, items: Sequence[Any]) -> list[Any]:
        given = {"items": [seen(item, number) for number, item in enumerate(items)]}
        answers = self._answered(caller, given)
        if not isinstance(answers, list) or len(answers) != len(items):
            told = f"{len(answers)} entries" if isinstance(answers, list) else f"a {type(answers).__name__}"
            raise ModelError(
                f"{self._answer_told!r} makes {told} of the answer of {caller.url} about {len(items)} tasks.",
                hint="With --opt batch the option answer must make a list with one entry a task, in their order.",
            )
        return answers

    def _answered(self, caller: Caller, given: Any) -> Any:
        if self._request is None:
            raise ModelNotReadyError("the model is not loaded.")
        response = caller.send(self._method, json=self._request(given))
        try:
            said = response.json()
        except ValueError:
            raise ModelError(
                f"{caller.url} answered with something that is not JSON.", hint="Only JSON answers can be read."
            ) from None
        made = self._answer(said)
        if made is None and said and not self._warned:
            self._warned = True
            logger.warning(
                "%s finds nothing in the answer of %s, %s: is --opt answer right? This is told once.",
                repr(self._answer_told), caller.url, caller.hidden(sample(said)),
            )  # fmt: skip
        return made

    def unload(self) -> None:
        """Close the connections."""
        caller, self._caller = self._caller, None
        if caller is not None:
            caller.close()

    def fingerprint(self) -> bytes:
        """The address, both expressions, and the names of the headers."""
        return f"{type(self).__qualname__} {self._told}".encode()
