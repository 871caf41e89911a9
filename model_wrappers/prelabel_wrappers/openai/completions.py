"""Requests to a language model's server: in its dialect, within its rates, each one counted."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from prelabel.errors import ModelError, OverloadedError
from prelabel_wrappers.http_calls import Caller, RefusedError
from prelabel_wrappers.openai.dialect import Dialect
from prelabel_wrappers.openai.prompt import Message, estimated_tokens
from prelabel_wrappers.openai.usage import Account, Rate

logger = logging.getLogger(__name__)

LIKELY_ANSWER = 256
"""Tokens booked for an answer before it has come, where it may have as many."""


class Completions:
    """One server's chat completions. Safe for threads.

    Args:
        caller: the server; closed with this.
        fields: of every request: ``model``, and what the user adds.
        dialect: how requests are written at first; what the server refuses is written more simply from then on.
        account: where usage is added.
        requests_per_minute: None: no limit.
        tokens_per_minute: None: no limit.
        temperature: None: the server's.
        budget: cost from which on nothing more is asked.
    """

    def __init__(
        self,
        caller: Caller,
        fields: Mapping[str, Any],
        dialect: Dialect,
        account: Account,
        *,
        requests_per_minute: int | None = None,
        tokens_per_minute: int | None = None,
        temperature: float | None = 0.0,
        budget: float | None = None,
    ) -> None:
        self.caller = caller
        self._fields, self._dialect, self._account = fields, dialect, account
        self._temperature, self._budget = temperature, budget
        self._stopped = threading.Event()
        self._requests = Rate(requests_per_minute, self._stopped)
        self._tokens = Rate(tokens_per_minute, self._stopped)

    def close(self) -> None:
        """Give up what waits, close the connections."""
        self._stopped.set()
        self.caller.close()

    def answer(self, messages: Sequence[Message], schema: Mapping[str, Any], most: int) -> tuple[str, bool]:
        """What the model wrote, in at most ``most`` tokens, and whether it came to its end.

        Raises:
            ModelError: it refuses to answer, or the server's answer is none.
            OverloadedError: the server is away or busy, the budget is spent, or the model is being unloaded.
        """
        choices = self._completion(messages, schema, most).get("choices")
        first = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], Mapping) else {}
        message = first.get("message") or {}
        if message.get("refusal") or first.get("finish_reason") == "content_filter":
            said = self.caller.hidden(str(message.get("refusal") or "its content filter stopped the answer."))
            raise ModelError(f"the language model refuses to answer: {said}", hint="Label this task by hand.")
        content = message.get("content")
        if isinstance(content, list):
            content = "".join(str(part.get("text", "")) for part in content if isinstance(part, Mapping))
        return content if isinstance(content, str) else "", first.get("finish_reason") != "length"

    def _completion(self, messages: Sequence[Message], schema: Mapping[str, Any], most: int) -> Mapping[str, Any]:
        dialect, first = self._dialect, None
        while True:
            try:
                body = self._post(dialect.body(messages, schema, most, self._temperature))
            except RefusedError as error:
                first = first or error
                simpler = dialect.simpler(error)
                if simpler is None:
                    raise first from None
                dialect = simpler
                continue
            if dialect != self._dialect:
                logger.warning("%s does not take every request: %s", self.caller.url, dialect)
                self._dialect = dialect
            return body

    def _post(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        if self._budget is not None and self._account.total.cost >= self._budget:
            raise OverloadedError(
                f"the budget of {self._budget:g} is spent.", hint="Raise --opt budget and start again."
            )
        self._requests.take()
        booking = self._tokens.take(estimated_tokens(body["messages"]) + LIKELY_ANSWER)
        if self._stopped.is_set():
            raise OverloadedError("the model is being unloaded.")
        response = self.caller.send("POST", "/chat/completions", json={**self._fields, **body})
        try:
            said = response.json()
        except ValueError:
            said = None
        if not isinstance(said, Mapping):
            raise ModelError(
                f"{self.caller.url} answered with something that is not JSON.",
                hint="Is this the address of an OpenAI-compatible API, up to /v1?",
            )
        used = self._account.request(said.get("usage"))
        if used:
            self._tokens.settle(booking, used)
        return said
