"""A language model behind a server that speaks OpenAI's chat completions."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

from prelabel.errors import ModelError, ModelLoadError, ModelNotReadyError
from prelabel.model import InputKind, Item, ModelWrapper
from prelabel.options import Amount, Count
from prelabel.outputs import Output
from prelabel_wrappers.http_calls import Caller
from prelabel_wrappers.http_headers import headers_from, parsed_url, shown_url
from prelabel_wrappers.openai import prompt
from prelabel_wrappers.openai.answers import Reading, read
from prelabel_wrappers.openai.completions import Completions
from prelabel_wrappers.openai.dialect import Dialect
from prelabel_wrappers.openai.questions import OUTPUTS, Asked, questions_of, told_once
from prelabel_wrappers.openai.usage import Account, Prices, Usage

logger = logging.getLogger(__name__)

OPENAI = "https://api.openai.com/v1"
TELL_EVERY_S = 60.0
"""How often usage is logged while the model works."""


class OpenAIModel(ModelWrapper):
    """Asks a language model about each task, with a prompt and a JSON schema made from the labeling config.

    Answered are ``Choices``, ``Taxonomy``, ``Labels`` on texts and paragraphs, ``TextArea``, ``Rating``, ``Number``,
    ``DateTime`` and ``Pairwise``, about texts, images and JSON; other controls are left alone. Answers have no score.

    Args:
        model: the model's name, as the server knows it.
        url: address of the API, up to ``/v1``. Default: OpenAI's own.
        key_env: environment variable with the API key. Default: OPENAI_API_KEY for OpenAI, none for other servers.
        headers: more headers as a JSON object; ``${NAME}`` in a value is that environment variable.
        instructions: what the model is told beside the labeling config: a text, or the path of a ``.txt`` or ``.md``
            file.
        answers: how the form of the answer is asked for: ``schema`` (json_schema), ``json`` (json_object), ``text``
            (in words only); ``auto`` begins with schema and goes down where the server refuses.
        repairs: how often a bad answer is given back to the model with what is wrong.
        temperature: 0 for the likeliest answer.
        max_tokens: most tokens of an answer; one that was cut off is asked for again with twice as many.
        seed: makes answers repeatable on servers that know it.
        extra: further fields of the request, as a JSON object.
        image_side: most pixels of an image's longer side; larger ones are made smaller.
        concurrency: requests at a time.
        requests_per_minute: most requests in any minute.
        tokens_per_minute: most tokens in any minute, those of the answers included.
        price_in: price of a million tokens in.
        price_out: price of a million tokens out.
        price_cached: price of a million tokens in that the server had cached. Default: as price_in.
        budget: cost from which on nothing more is asked, until the process starts again.
        timeout_s: seconds for one answer.
        attempts: tries of one request while the server is busy or away.
    """

    input = InputKind.ITEM
    outputs = OUTPUTS
    adapts = True

    def __init__(
        self,
        model: str,
        *,
        url: str = OPENAI,
        key_env: str | None = None,
        headers: dict[str, str] | None = None,
        instructions: str = "",
        answers: Literal["auto", "schema", "json", "text"] = "auto",
        repairs: int = 1,
        temperature: float | None = 0.0,
        max_tokens: Count = 1024,
        seed: int | None = None,
        extra: dict[str, Any] | None = None,
        image_side: Count = 1024,
        concurrency: Count = 8,
        requests_per_minute: Count | None = None,
        tokens_per_minute: Count | None = None,
        price_in: Amount = 0.0,
        price_out: Amount = 0.0,
        price_cached: Amount | None = None,
        budget: Amount | None = None,
        timeout_s: Amount = 120.0,
        attempts: Count = 5,
    ) -> None:
        host = parsed_url(url).host
        self.model, self._url = model, url.rstrip("/")
        self.name = Path(model).name.replace(":", "-")
        self._key_env = key_env or ("OPENAI_API_KEY" if host == "api.openai.com" else None)
        self._headers = dict(headers or {})
        self._instructions = _text_of(instructions)
        self._dialect = Dialect() if answers == "auto" else Dialect(answers, settled=True)
        self._repairs, self._temperature, self._max_tokens = max(0, repairs), temperature, max_tokens
        self._more = dict(extra or {}) | ({} if seed is None else {"seed": seed})
        self._image_side, self._concurrency = image_side, concurrency
        self._requests_per_minute, self._tokens_per_minute = requests_per_minute, tokens_per_minute
        self._account = Account(Prices(price_in, price_out, price_cached))
        self._budget, self._timeout_s, self._attempts = budget, timeout_s, attempts
        self.max_batch_size = max(1, concurrency) * 4
        asked = (answers, repairs, temperature, max_tokens, sorted(self._more.items()), image_side)
        self._told = repr((model, shown_url(url), self._instructions, asked))
        self._completions: Completions | None = None
        self._next_word = 0.0
        self._left_out: set[str] = set()

    @property
    def usage(self) -> Usage:
        """Requests, tokens and cost since it was made."""
        return self._account.total

    def counters(self) -> Mapping[str, tuple[str, float]]:
        """Usage for ``/metrics``: what each number is, and the number."""
        used = self.usage
        return {
            "llm_requests": ("Answers of the language model.", used.requests),
            "llm_repairs": ("Questions asked again because of a bad answer.", used.repairs),
            "llm_rejected": ("Answers of which nothing could be used.", used.rejected),
            "llm_tokens_in": ("Tokens in prompts.", used.tokens_in),
            "llm_tokens_cached": ("Tokens in prompts that the server had cached.", used.tokens_cached),
            "llm_tokens_out": ("Tokens in answers.", used.tokens_out),
            "llm_cost": ("Cost by the prices given.", used.cost),
        }

    # -- beginning and end
    def load(self) -> None:
        """Prepare the connection; a key that the server refuses is told now, a server that is away is not."""
        headers, secrets = headers_from(self._headers)
        if self._key_env:
            key = os.environ.get(self._key_env, "")
            if not key:
                raise ModelLoadError(
                    f"the environment variable {self._key_env} is not set.",
                    hint=f"export {self._key_env}=... (the API key; it is never written anywhere).",
                )
            headers |= headers_from({"Authorization": f"Bearer ${{{self._key_env}}}"})[0]
            secrets.append(key)
        caller = Caller(
            self._url,
            headers=headers,
            secrets=secrets,
            timeout_s=self._timeout_s,
            attempts=self._attempts,
            concurrency=self._concurrency,
        )
        self._completions = Completions(
            caller,
            {"model": self.model, **self._more},
            self._dialect,
            self._account,
            requests_per_minute=self._requests_per_minute,
            tokens_per_minute=self._tokens_per_minute,
            temperature=self._temperature,
            budget=self._budget,
        )
        if caller.status_of("/models") == 401:
            self.unload()
            raise ModelLoadError(
                f"{shown_url(self._url)} refuses the key.",
                hint=f"Look at the environment variable {self._key_env}."
                if self._key_env
                else "Set --opt key_env=NAME.",
            )

    def unload(self) -> None:
        """Give up what waits, close the connections, and log what was used."""
        completions, self._completions = self._completions, None
        if completions is not None:
            completions.close()
            if self.usage.requests:
                logger.info("%s: %s", self.name, self.usage)

    def fingerprint(self) -> bytes:
        """The model's name, the address, and what decides about answers: instructions, form, temperature."""
        return f"{type(self).__qualname__} {self._told}".encode()

    # -- predicting
    def predict(self, batch: Sequence[Item]) -> Sequence[Any]:
        """Outputs for each item; the error of one whose answer cannot be used."""
        completions = self._completions
        if completions is None:
            raise ModelNotReadyError("the model is not loaded.", hint="Call load() first.")
        found = completions.caller.each(partial(self._one, completions), batch)
        if self.usage.requests and time.monotonic() >= self._next_word:
            self._next_word = time.monotonic() + TELL_EVERY_S
            logger.info("%s: %s", self.name, self.usage)
        return found

    def _one(self, completions: Completions, item: Item) -> list[Output]:
        asked = self._asked(item)
        question = [
            prompt.system_message(asked, item.config, self._instructions),
            prompt.user_message(item.config, item.values, self._image_side),
        ]
        messages, most, best = question, self._max_tokens, Reading()
        for left in range(self._repairs, -1, -1):
            text, whole = completions.answer(messages, asked.schema, most)
            reading = (
                read(text, asked, item.values) if whole else Reading(problems=[f"It is longer than {most} tokens."])
            )
            if not reading.problems:
                return reading.outputs
            if len(reading.outputs) >= len(best.outputs):
                best = reading
            if left:
                self._account.repair()
                most = most if whole else 2 * most
                again = [{"role": "assistant", "content": text}, prompt.correction(reading.problems)]
                messages = [*question, *(again if whole else [])]
        if best.outputs:
            logger.warning("task %s: a part of the answer is left out: %s", item.task.id, " ".join(best.problems[:3]))
            return best.outputs
        self._account.rejection()
        raise ModelError(
            f"the answer of {self.name} cannot be used: {completions.caller.hidden(' '.join(best.problems[:3]))}",
            hint="Another model, --opt instructions=..., --opt repairs=2 or a larger --opt max_tokens may help.",
            task=item.task.id,
        )

    def _asked(self, item: Item) -> Asked:
        asked = questions_of(item.config, item.task.data)
        if asked.left_out and item.config.hash not in self._left_out:
            self._left_out.add(item.config.hash)
            logger.warning("not everything is asked: %s", told_once(asked))
        return asked


def _text_of(said: str) -> str:
    """The text itself, or what is in the file that it names."""
    path = Path(said) if said.endswith((".txt", ".md")) else None
    if path is None:
        return said.strip()
    if not path.is_file():
        raise ModelLoadError(f"there is no file {path}.", hint="Check --opt instructions.")
    return path.read_text(encoding="utf-8").strip()
