"""The Open Inference Protocol over HTTP: JSON, and behind it raw bytes where the server has that extension."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from prelabel.errors import ModelError
from prelabel_wrappers.http_calls import Caller
from prelabel_wrappers.inference_protocol.channel import Metadata
from prelabel_wrappers.inference_protocol.tensors import Described, Tensor, from_list, from_raw

HEADER_LENGTH = "Inference-Header-Content-Length"
_BINARY = "binary_tensor_data"


class HttpChannel:
    """One model on one server.

    Args:
        caller: the server.
        model: the model's name there.
        version: empty: the server's default.
    """

    def __init__(self, caller: Caller, model: str, version: str = "") -> None:
        self._caller = caller
        self.url = caller.url
        self._path = f"/v2/models/{quote(model, safe='')}" + (f"/versions/{quote(version, safe='')}" if version else "")

    def ready(self) -> bool:
        """Whether the model is loaded there."""
        return self._caller.status_of(f"{self._path}/ready") == 200

    def metadata(self) -> Metadata:
        """What the server says about itself and the model."""
        server = self._json(self._caller.send("GET", "/v2"))
        model = self._json(self._caller.send("GET", self._path))
        return Metadata(
            _described(model.get("inputs")),
            _described(model.get("outputs")),
            _BINARY in (server.get("extensions") or ()),
        )

    def infer(self, inputs: Sequence[Tensor], outputs: Sequence[str], *, binary: bool) -> list[Tensor]:
        """The outputs of one request."""
        body: dict[str, Any] = {"inputs": []}
        raws: list[bytes] = []
        for tensor in inputs:
            told: dict[str, Any] = {
                "name": tensor.name, "datatype": tensor.datatype, "shape": list(tensor.array.shape)
            }  # fmt: skip
            if binary:
                raws.append(tensor.raw())
                told["parameters"] = {"binary_data_size": len(raws[-1])}
            else:
                told["data"] = tensor.listed()
            body["inputs"].append(told)
        if outputs:
            how = {"parameters": {"binary_data": True}} if binary else {}
            body["outputs"] = [{"name": name, **how} for name in outputs]
        elif binary:
            body["parameters"] = {"binary_data_output": True}
        header = json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        if binary:
            headers = {"Content-Type": "application/octet-stream", HEADER_LENGTH: str(len(header))}
        response = self._caller.send("POST", f"{self._path}/infer", content=b"".join([header, *raws]), headers=headers)
        length = response.headers.get(HEADER_LENGTH, "")
        content = response.content
        split = int(length) if length.isdecimal() else len(content)
        return self._outputs(self._parsed(content[:split]), content[split:])

    def _outputs(self, said: Mapping[str, Any], raw: bytes) -> list[Tensor]:
        found: list[Tensor] = []
        at = 0
        for each in said.get("outputs") or ():
            name, datatype, shape = str(each.get("name")), str(each.get("datatype")), each.get("shape") or []
            size = (each.get("parameters") or {}).get("binary_data_size")
            if size is not None and "data" not in each:
                found.append(from_raw(name, datatype, shape, raw[at : at + int(size)]))
                at += int(size)
            else:
                found.append(from_list(name, datatype, shape, each.get("data")))
        return found

    def close(self) -> None:
        """Close the connections."""
        self._caller.close()

    def _json(self, response: Any) -> Mapping[str, Any]:
        return self._parsed(response.content)

    def _parsed(self, content: bytes) -> Mapping[str, Any]:
        try:
            said = json.loads(content)
        except ValueError:
            said = None
        if not isinstance(said, Mapping):
            raise ModelError(
                f"{self.url} answered with something that is not JSON.",
                hint="Is this the HTTP address of a server of the Open Inference Protocol v2?",
            )
        return said


def _described(told: Any) -> tuple[Described, ...]:
    return tuple(
        Described(
            str(each["name"]), str(each["datatype"]), tuple(map(int, each.get("shape") or ())), each.get("parameters")
        )
        for each in told or ()
    )
