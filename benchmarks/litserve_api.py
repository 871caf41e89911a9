"""The model of benchmarks/scheduler.py behind LitServe, in a module of its own: its worker process imports it."""

from __future__ import annotations

import time
from typing import Any

import litserve


class Api(litserve.LitAPI):
    """20 ms a call and 0.5 ms an item, as a sleep."""

    def setup(self, device: Any) -> None:
        """Nothing to load."""

    def decode_request(self, request, **_):  # type: ignore[no-untyped-def]  # an annotation would become a form
        return str(request["tasks"][0]["data"]["text"])

    def batch(self, inputs: list[str]) -> list[str]:
        return inputs

    def predict(self, x: list[str], **_: Any) -> list[str]:
        time.sleep(0.020 + 0.0005 * len(x))
        return ["Positive"] * len(x)

    def unbatch(self, output: list[str]) -> list[str]:
        return output

    def encode_response(self, output: str, **_: Any) -> dict[str, str]:
        return {"label": output}
