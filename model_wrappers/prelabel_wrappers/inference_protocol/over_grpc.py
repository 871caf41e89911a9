"""The Open Inference Protocol over gRPC."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

import tenacity

from prelabel.errors import DeadlineError, ModelError, OverloadedError, PrelabelError
from prelabel_wrappers.frameworks import missing
from prelabel_wrappers.inference_protocol.channel import Metadata
from prelabel_wrappers.inference_protocol.messages import CONTENTS, SERVICE, message
from prelabel_wrappers.inference_protocol.tensors import Described, Tensor, from_list, from_raw

_NO_LIMIT = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]


class GrpcChannel:
    """One model on one server.

    Args:
        host: ``HOST:PORT``.
        secure: TLS, with the system's certificates.
        model: the model's name there.
        version: empty: the server's default.
        headers: sent as metadata.
        timeout_s: seconds for one answer.
        attempts: tries of one request while the server is away or busy.

    Raises:
        ModelLoadError: grpcio is not installed.
    """

    def __init__(
        self,
        host: str,
        model: str,
        version: str = "",
        *,
        secure: bool = False,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 60.0,
        attempts: int = 5,
    ) -> None:
        try:
            import grpc

            message("ModelInferRequest")  # which protobuf makes
        except ModuleNotFoundError as error:
            raise missing("grpcio", "inference_protocol") from error
        self.url = f"{'grpcs' if secure else 'grpc'}://{host}"
        self._model, self._version, self._timeout_s, self._attempts = model, version, timeout_s, attempts
        self._headers = [(name.lower(), value) for name, value in (headers or {}).items()]
        self._channel = (
            grpc.secure_channel(host, grpc.ssl_channel_credentials(), options=_NO_LIMIT)
            if secure
            else grpc.insecure_channel(host, options=_NO_LIMIT)
        )
        self._closing = threading.Event()

    def ready(self) -> bool:
        """Whether the model is loaded there."""
        try:
            said = self._once("ModelReady", message("ModelReadyRequest")(name=self._model, version=self._version), 5.0)
        except PrelabelError:
            return False
        return bool(said.ready)

    def metadata(self) -> Metadata:
        """What the server says about itself and the model."""
        server = self._call("ServerMetadata", message("ServerMetadataRequest")())
        model = self._call("ModelMetadata", message("ModelMetadataRequest")(name=self._model, version=self._version))
        binary = "binary_tensor_data" in server.extensions or server.name == "triton"
        return Metadata(_described(model.inputs), _described(model.outputs), binary)

    def infer(self, inputs: Sequence[Tensor], outputs: Sequence[str], *, binary: bool) -> list[Tensor]:
        """The outputs of one request; FP16 always goes as raw bytes."""
        request = message("ModelInferRequest")(model_name=self._model, model_version=self._version)
        raw = binary or any(tensor.datatype not in CONTENTS for tensor in inputs)
        for tensor in inputs:
            added = request.inputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.array.shape)
            if raw:
                request.raw_input_contents.append(tensor.raw())
            else:
                values = tensor.array.ravel().tolist()
                getattr(added.contents, CONTENTS[tensor.datatype]).extend(values)
        for name in outputs:
            request.outputs.add(name=name)
        said = self._call("ModelInfer", request)
        found: list[Tensor] = []
        for index, each in enumerate(said.outputs):
            if index < len(said.raw_output_contents):
                content = said.raw_output_contents[index]
                found.append(from_raw(each.name, each.datatype, each.shape, content))
            else:
                values = getattr(each.contents, CONTENTS.get(each.datatype, "fp32_contents"))
                found.append(from_list(each.name, each.datatype, each.shape, list(values)))
        return found

    def close(self) -> None:
        """Close the connection."""
        self._closing.set()
        self._channel.close()

    def _call(self, method: str, request: Any) -> Any:
        retrying = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(max(1, self._attempts)),
            wait=tenacity.wait_exponential(0.5, max=30.0) + tenacity.wait_random(0, 0.5),
            retry=tenacity.retry_if_exception(self._worth_another),
            sleep=tenacity.sleep_using_event(self._closing),
            reraise=True,
        )
        return retrying(self._once, method, request, self._timeout_s)

    def _worth_another(self, error: BaseException) -> bool:
        return isinstance(error, OverloadedError) and not self._closing.is_set()

    def _once(self, method: str, request: Any, timeout_s: float) -> Any:
        import grpc

        call = self._channel.unary_unary(
            SERVICE + method,
            request_serializer=lambda given: given.SerializeToString(),
            response_deserializer=message(f"{method}Response").FromString,
        )
        try:
            return call(request, timeout=timeout_s, metadata=self._headers)
        except grpc.RpcError as error:
            raise self._failure(error) from error
        except ValueError as error:  # closed meanwhile
            raise OverloadedError(f"the connection to {self.url} is closed.") from error

    def _failure(self, error: Any) -> PrelabelError:
        import grpc

        code, said = error.code(), " ".join(str(error.details() or "").split())[:300]
        for _, value in self._headers:
            said = said.replace(value, "***").replace(value.removeprefix("Bearer "), "***")
        what = f"{self.url} answered {code.name}" + (f": {said}" if said else "") + ("" if said.endswith(".") else ".")
        away = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.ABORTED}
        if code in away:
            return OverloadedError(what, hint="Is the server running there?")
        if code is grpc.StatusCode.DEADLINE_EXCEEDED:
            return DeadlineError(f"{self.url} did not answer in time.", hint="Give it longer: --opt timeout_s=SECONDS.")
        if code in {grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED}:
            return OverloadedError(what, hint="Check the key: it is read from an environment variable.")
        return ModelError(what)


def _described(told: Any) -> tuple[Described, ...]:
    return tuple(Described(each.name, each.datatype, tuple(each.shape)) for each in told)
