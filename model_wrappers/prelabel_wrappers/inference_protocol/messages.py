"""The messages of ``inference.GRPCInferenceService``, made from a table of the fields that are used.

Names and numbers are those of the protocol's ``grpc_predict_v2.proto``; what is not listed here is skipped by protobuf.
Making them at run time leaves the choice of the protobuf release to whoever installs it: generated code refuses to run
with another major release.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

SERVICE = "/inference.GRPCInferenceService/"

_Field = tuple[int, str]
_TENSOR: Mapping[str, _Field] = {"name": (1, "string"), "datatype": (2, "string"), "shape": (3, "int64*")}
_DESCRIBED = "inference.ModelMetadataResponse.TensorMetadata"
MESSAGES: Mapping[str, Mapping[str, _Field]] = {
    "ServerMetadataRequest": {},
    "ServerMetadataResponse": {"name": (1, "string"), "version": (2, "string"), "extensions": (3, "string*")},
    "ModelReadyRequest": {"name": (1, "string"), "version": (2, "string")},
    "ModelReadyResponse": {"ready": (1, "bool")},
    "ModelMetadataRequest": {"name": (1, "string"), "version": (2, "string")},
    "ModelMetadataResponse.TensorMetadata": _TENSOR,
    "ModelMetadataResponse": {
        "name": (1, "string"),
        "platform": (3, "string"),
        "inputs": (4, f"{_DESCRIBED}*"),
        "outputs": (5, f"{_DESCRIBED}*"),
    },
    "InferTensorContents": {
        "bool_contents": (1, "bool*"),
        "int_contents": (2, "int32*"),
        "int64_contents": (3, "int64*"),
        "uint_contents": (4, "uint32*"),
        "uint64_contents": (5, "uint64*"),
        "fp32_contents": (6, "float*"),
        "fp64_contents": (7, "double*"),
        "bytes_contents": (8, "bytes*"),
    },
    "ModelInferRequest.InferInputTensor": {**_TENSOR, "contents": (5, "inference.InferTensorContents")},
    "ModelInferRequest.InferRequestedOutputTensor": {"name": (1, "string")},
    "ModelInferRequest": {
        "model_name": (1, "string"),
        "model_version": (2, "string"),
        "id": (3, "string"),
        "inputs": (5, "inference.ModelInferRequest.InferInputTensor*"),
        "outputs": (6, "inference.ModelInferRequest.InferRequestedOutputTensor*"),
        "raw_input_contents": (7, "bytes*"),
    },
    "ModelInferResponse.InferOutputTensor": {**_TENSOR, "contents": (5, "inference.InferTensorContents")},
    "ModelInferResponse": {
        "model_name": (1, "string"),
        "model_version": (2, "string"),
        "id": (3, "string"),
        "outputs": (5, "inference.ModelInferResponse.InferOutputTensor*"),
        "raw_output_contents": (6, "bytes*"),
    },
}
"""Message to its fields: number and type, with a star where it is repeated."""

CONTENTS: Mapping[str, str] = {
    "BOOL": "bool_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}
"""Where a datatype's values stand; FP16 has no place but raw bytes."""


@cache
def message(name: str) -> Any:
    """The class of a message."""
    from google.protobuf import message_factory

    return message_factory.GetMessageClass(_pool().FindMessageTypeByName(f"inference.{name}"))


@cache
def _pool() -> Any:
    """A pool of our own: other libraries in the process may have the same messages under the same names."""
    from google.protobuf import descriptor_pb2, descriptor_pool

    file = descriptor_pb2.FileDescriptorProto(
        name="prelabel/open_inference.proto", package="inference", syntax="proto3"
    )
    made: dict[str, Any] = {}
    for name in sorted(MESSAGES, key=lambda each: each.count(".")):  # what holds others comes first
        outer, _, inner = name.rpartition(".")
        made[name] = made[outer].nested_type.add(name=inner) if outer else file.message_type.add(name=inner)
    for name, fields in MESSAGES.items():
        for field, (number, told) in fields.items():
            kind = told.rstrip("*")
            added = made[name].field.add(name=field, number=number)
            added.label = added.LABEL_REPEATED if told.endswith("*") else added.LABEL_OPTIONAL
            if kind.startswith("inference."):
                added.type, added.type_name = added.TYPE_MESSAGE, f".{kind}"
            else:
                added.type = getattr(added, f"TYPE_{kind.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return pool
