"""A model behind a server of the Open Inference Protocol v2, over HTTP or gRPC."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

from prelabel.errors import ModelError, ModelLoadError, ModelNotReadyError, PrelabelError
from prelabel.loader import digest_files
from prelabel.model import InputKind, ModelWrapper
from prelabel.options import Amount, Count, Share
from prelabel_wrappers import class_names
from prelabel_wrappers.heads import Activation
from prelabel_wrappers.http_calls import Caller
from prelabel_wrappers.http_headers import headers_from, parsed_url, shown_url
from prelabel_wrappers.inference_protocol.channel import Channel, Metadata
from prelabel_wrappers.inference_protocol.feeding import Feed, Looks, feed_of
from prelabel_wrappers.inference_protocol.over_grpc import GrpcChannel
from prelabel_wrappers.inference_protocol.over_http import HttpChannel
from prelabel_wrappers.inference_protocol.reading import OF_IMAGES, Reader, Says
from prelabel_wrappers.inference_protocol.several import Feeds, parted
from prelabel_wrappers.inference_protocol.tensors import Described
from prelabel_wrappers.pixels import Channels, Layout, Resize, parsed_size

SCHEMES = ("http", "https", "grpc", "grpcs")
_ASK_AGAIN_S = 1.0


class InferenceProtocolModel(ModelWrapper):
    """Sends texts, images or numbers as a tensor to a served model, and reads the tensors that come back.

    What the server says about the model's inputs decides what is sent: BYTES get texts, four dimensions get images,
    numbers otherwise need ``columns``. Where it says nothing (MLServer, unless told), ``reads`` and ``datatype`` do.

    Args:
        url: address of the server: ``http://HOST:8000``, ``https://``, ``grpc://HOST:8001`` or ``grpcs://``.
        model: the model's name there.
        model_version: its version there. Default: the server's choice.
        reads: ``text``, ``image`` or ``columns``; ``auto``: as the server says.
        columns: task data fields that are the features, in order; a field may hold a list of numbers.
        input: name of the input that gets the text, image or columns. Default: the only one, or the only one that
            ``inputs`` does not name.
        inputs: the others of a model with several, as a JSON object: of each ``"$field"``, a field of the tasks' data,
            or a constant. Default: fields of the inputs' names, where each takes one value.
        datatype: of the input, such as FP32. Default: as the server says; BYTES for texts, else FP32.
        output: names of the outputs that are read. Default: all that the server tells of.
        says: ``class`` (a score per class), ``label`` (the number or name of one), ``number``, ``text``, ``json``; of
            images ``mask``, ``boxes`` or ``points``; ``values``: arrays as any model's; ``auto``: by their looks.
        labels: class names in the model's order: comma-separated, or a file. Default: what the server says of the
            output (``names``, ``labels``, ``classes`` in its parameters; over HTTP), else "0", "1", ...
        size: ``WIDTHxHEIGHT`` of images for models that take any.
        resize: ``squash`` to the size, ``crop`` the middle after filling it, or ``pad`` with black.
        layout: ``nchw`` or ``nhwc``; ``auto`` looks where the channels are.
        channels: ``rgb``, ``bgr`` or ``gray``; ``auto``: ``gray`` where the model has one channel, else ``rgb``.
        scale: factor on the pixels 0..255. Default 1/255, for integer inputs 1.
        mean: per channel, subtracted after scaling.
        std: per channel, divided by after subtracting.
        activation: what makes scores of a class output: ``softmax``, ``sigmoid``, ``none``; ``auto``: softmax unless
            the rows are distributions already.
        min_score: least score of a box or point, and where a mask begins.
        overlap: share from which a box is dropped for a better one of its class.
        batch: most items in a request; a model with a fixed batch gets that many.
        concurrency: requests at a time.
        binary: whether tensors go as raw bytes. Default: where the server has the binary tensor extension.
        key_env: environment variable with a token, sent as ``Authorization: Bearer``.
        headers: more headers (gRPC: metadata) as a JSON object; ``${NAME}`` in a value is that environment variable.
        timeout_s: seconds for one answer.
        attempts: tries of one request while the server is busy or away.
        wait_s: seconds that loading waits for the server to have the model ready.
    """

    def __init__(
        self,
        url: str,
        model: str,
        *,
        model_version: str = "",
        reads: Literal["auto", "text", "image", "columns"] = "auto",
        columns: list[str] | None = None,
        input: str | None = None,  # noqa: A002 (the option's name; the protocol's word)
        inputs: dict[str, Any] | None = None,
        datatype: str | None = None,
        output: list[str] | None = None,
        says: Says = "auto",
        labels: str | None = None,
        size: str | None = None,
        resize: Resize = "squash",
        layout: Literal["auto"] | Layout = "auto",
        channels: Literal["auto"] | Channels = "auto",
        scale: float | None = None,
        mean: list[float] | None = None,
        std: list[float] | None = None,
        activation: Activation = "auto",
        min_score: Share = 0.5,
        overlap: Share = 0.5,
        batch: Count = 32,
        concurrency: Count = 2,
        binary: bool | None = None,
        key_env: str | None = None,
        headers: dict[str, str] | None = None,
        timeout_s: Amount = 60.0,
        attempts: Count = 5,
        wait_s: Amount = 60.0,
    ) -> None:
        self._address = parsed_url(url, SCHEMES)
        self._url, self._model, self._model_version = url.rstrip("/"), model, model_version
        self.name = model
        self._columns = tuple(columns or ())
        self._reads = "columns" if self._columns else reads
        self.input = {"columns": InputKind.TASK, "text": InputKind.TEXT}.get(self._reads, InputKind.IMAGE)
        self._input_name, self._datatype, self._output = input, datatype, tuple(output or ())
        self._inputs = dict(inputs or {})
        self._says: Says = says
        self.labels = class_names.from_option(labels) if labels else None
        self._looks = Looks(parsed_size(size), resize, layout, channels, scale, mean, std)
        self._how = (activation, min_score, overlap)
        self._batch, self._concurrency, self._binary = max(1, batch), max(1, concurrency), binary
        self._key_env, self._headers = key_env, dict(headers or {})
        self._timeout_s, self._attempts, self._wait_s = timeout_s, attempts, wait_s
        self.max_batch_size = self._batch * self._concurrency
        file = Path(labels) if labels and Path(labels).is_file() else None
        self._label_file = [file] if file else []
        told = (shown_url(url), model, model_version, reads, columns, input, datatype, output, says, size, resize)
        looks = (layout, channels, scale, mean, std, activation, min_score, overlap, None if file else labels)
        self._told = repr((*told, *looks, *([inputs] if inputs else [])))
        self._channel: Channel | None = None
        self._feeds = Feeds(Feed("", "", (), self.input))
        self._closing = threading.Event()

    # -- beginning and end
    def load(self) -> None:
        """Wait until the server has the model ready; learn what it takes and says."""
        headers, secrets = headers_from(self._headers)
        if self._key_env:
            more, keys = headers_from({"Authorization": f"Bearer ${{{self._key_env}}}"})
            headers, secrets = headers | more, secrets + keys
        self._closing = threading.Event()
        self._channel = self._opened(headers, secrets)
        self._pool = ThreadPoolExecutor(self._concurrency, thread_name_prefix="prelabel-infer")
        try:
            self._wait_ready(self._channel)
            metadata = self._channel.metadata()
            self._feeds = self._fed_by(metadata)
            self.input = self._feeds.kind
            self._learn_output(metadata)
        except PrelabelError as error:
            self.unload()
            raise (
                error if isinstance(error, ModelLoadError) else ModelLoadError(error.message, hint=error.hint)
            ) from error
        self._raw = metadata.binary if self._binary is None else self._binary

    def _opened(self, headers: dict[str, str], secrets: list[str]) -> Channel:
        given = self._address
        if given.scheme in {"grpc", "grpcs"}:
            return GrpcChannel(
                given.netloc.decode("ascii").rpartition("@")[2],
                self._model,
                self._model_version,
                secure=given.scheme == "grpcs",
                headers=headers,
                timeout_s=self._timeout_s,
                attempts=self._attempts,
            )
        caller = Caller(
            self._url,
            headers=headers,
            secrets=secrets,
            timeout_s=self._timeout_s,
            attempts=self._attempts,
            concurrency=self._concurrency,
        )
        return HttpChannel(caller, self._model, self._model_version)

    def _wait_ready(self, channel: Channel) -> None:
        until = time.monotonic() + self._wait_s
        while not channel.ready():
            if time.monotonic() >= until or self._closing.wait(_ASK_AGAIN_S):
                raise ModelLoadError(
                    f"{channel.url} has no model {self._model!r} ready.",
                    hint="Is the server running, and is that the model's name there? --opt wait_s=SECONDS: patience.",
                )

    def unload(self) -> None:
        """Close the connection."""
        channel, self._channel = self._channel, None
        if channel is not None:
            self._closing.set()
            self._pool.shutdown(cancel_futures=True)
            channel.close()

    def fingerprint(self) -> bytes:
        """The address, the model's name and version there, and the options."""
        return digest_files(self._label_file) + f"{type(self).__qualname__} {self._told}".encode()

    # -- what the server says
    def _fed_by(self, metadata: Metadata) -> Feeds:
        about_main, sides = parted(metadata, self._inputs, self._input_name, self._model)
        if about_main is None or (not metadata.inputs and sides and not self._columns and self._reads == "auto"):
            return Feeds(None, sides)
        main = feed_of(
            about_main,
            self._model,
            reads=self._reads,
            columns=self._columns,
            name=self._input_name,
            datatype=self._datatype,
            looks=self._looks,
        )
        fields = [side.told.name for side in sides if side.field]
        if fields and main.kind is not InputKind.TASK:
            raise ModelLoadError(
                f"the input {fields[0]} of {self._model} gets a field, and {main.name} the task's {main.kind.value}.",
                hint="Beside a text or an image the others can only be constants; a text may be a field itself.",
            )
        return Feeds(main, sides)

    def _learn_output(self, metadata: Metadata) -> None:
        known = {each.name: each for each in metadata.outputs}
        unknown = [name for name in self._output if known and name not in known]
        if unknown:
            raise ModelLoadError(f"{self._model} has no output {unknown[0]!r}.", hint=f"It has {', '.join(known)}.")
        if self.labels is None:
            told = [known[name] for name in self._output or known if name in known]
            found = [class_names.from_metadata(_texts(each)) for each in told if each.parameters]
            self.labels = next((names for names in found if names), None)
        images = self.input is InputKind.IMAGE
        if self._says in OF_IMAGES and not images:
            raise ModelLoadError(f"--opt says={self._says} is for models that take images.", hint="Check --opt reads.")
        self._asked = self._output or tuple(known)  # MLServer answers with its default unless asked for what it told
        self._reader = Reader(self._says, self.labels, images, *self._how)
        self.outputs = self._reader.kinds()

    # -- predicting
    def predict(self, batch: Sequence[Any]) -> Sequence[Any]:
        """What the tensors say of each text, image or task; an error for those whose request failed."""
        if self._channel is None:
            raise ModelNotReadyError("the model is not loaded.", hint="Call load() first.")
        size = self._feeds.fixed or self._batch
        pieces = [batch[start : start + size] for start in range(0, len(batch), size)]
        answers = self._pool.map(self._settled, pieces) if len(pieces) > 1 else map(self._settled, pieces)
        return [answer for piece in answers for answer in piece]

    def _settled(self, piece: Sequence[Any]) -> list[Any]:
        """Answers, or errors in their places; of a request that fails for one item the others are asked alone."""
        try:
            return self._answers(piece)
        except PrelabelError as error:
            if error.retryable or len(piece) == 1:
                return [error] * len(piece)
            return [answer for item in piece for answer in self._settled([item])]

    def _answers(self, piece: Sequence[Any]) -> list[Any]:
        channel = self._channel
        if channel is None:
            raise ModelNotReadyError("the model is being unloaded.")
        padded = [*piece, *[piece[-1]] * ((self._feeds.fixed or len(piece)) - len(piece))]
        said = channel.infer(self._feeds.tensors(padded), self._asked, binary=self._raw)
        if self._asked:
            by_name = {each.name: each for each in said}
            missing = [name for name in self._asked if name not in by_name]
            if missing:
                raise ModelError(f"the answer has no output {missing[0]!r}.", hint=f"It has {', '.join(by_name)}.")
            said = [by_name[name] for name in self._asked]
        return self._reader.read(said, self._feeds.places(padded))[: len(piece)]


def _texts(told: Described) -> dict[str, str]:
    return {
        key: value if isinstance(value, str) else json.dumps(value) for key, value in (told.parameters or {}).items()
    }
