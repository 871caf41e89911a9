"""Checks of rows about other things: relationships, message tasks and metrics."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from prelabel.labelbox.checks import Json, Line, camel, is_number, one_of
from prelabel.labelbox.checks_drawn import tool_of
from prelabel.labelbox.ontology import ToolNode

DIRECTIONS = ("unidirectional", "bidirectional")
MEANS = ("ARITHMETIC_MEAN", "GEOMETRIC_MEAN", "HARMONIC_MEAN", "SUM")
MATRIX = "CONFUSION_MATRIX"
LARGEST_COUNT = 10**10
FEWEST_KEYS, MOST_KEYS = 2, 15
"""Of a confidence-keyed metric."""
MESSAGES: Mapping[str, tuple[str, ...]] = {
    "message-single-selection": ("messageId", "modelConfigName"),
    "message-multi-selection": ("selectedMessages",),
    "message-ranking": ("rankedMessages",),
}
COMMON = ("dataRow", "uuid", "name", "schemaId", "isBenchmarkReferenceLabel")
METRIC_KEYS = ("dataRow", "uuid", "metricName", "metricValue", "featureName", "subclassName", "aggregation")


# --- relationships
def relationship_row(line: Line) -> tuple[str, ToolNode | None]:
    """A row that joins two others; whether those exist is seen at the end of the upload.

    Returns:
        The relationship's name and its tool.

    Raises:
        Wrong: something is not right.
    """
    body = line.body
    camel(body)
    line.keys(body, "", (*COMMON, "relationship"))
    name, node = tool_of(line, ("edge",))
    at = "relationship"
    value = line.record(body[at], at, ("target", "type"), ("source", "readonly", "sourceOntologyName"))
    line.string(value["target"], f"{at}.target", "Give the uuid of a row of this upload.")
    if value["type"] not in DIRECTIONS:
        raise line.wrong("WrongType", f"{at}.type", value["type"], "is no type", f"Use one of {', '.join(DIRECTIONS)}.")
    if "readonly" in value and type(value["readonly"]) is not bool:
        raise line.wrong(
            "WrongType", f"{at}.readonly", value["readonly"], "is not true or false", "Give true or false."
        )
    if "source" in value:
        line.string(value["source"], f"{at}.source", "Give the uuid of a row of this upload.")
        if value["source"] == value["target"]:
            remedy = "Give the uuids of two rows."
            raise line.wrong("Repeated", f"{at}.source", value["source"], "is the target too", remedy)
    if "sourceOntologyName" in value:
        _named_source(line, value)
    elif "source" not in value:
        raise line.wrong("MissingKey", f"{at}.source", ..., "is missing", "Give the uuid of a row of this upload.")
    return name, node


def _named_source(line: Line, value: Json) -> None:
    at, name = "relationship.sourceOntologyName", value["sourceOntologyName"]
    if "source" in value:
        raise line.wrong("Repeated", at, name, "stands beside source", "Give one of the two.")
    if line.facts.asset not in {None, "document"}:
        said = f"stands for a source in documents only, not for {line.facts.asset}"
        raise line.wrong("WrongAsset", at, name, said, "Give source, the uuid of a row of this upload.")
    ontology = line.ontology
    if type(name) is not str or (ontology.tool(name) is None and ontology.classification(name) is None):
        names = [one.name for one in ontology.tools] + [one.name for one in ontology.classifications]
        remedy = f"Use one of {one_of(names, str(name))}."
        raise line.wrong("UnknownFeature", at, name, "is no feature of the ontology", remedy)


# --- message tasks
def message_row(line: Line) -> str:
    """A row that selects or ranks a conversation's answers.

    Returns:
        The tool's name.

    Raises:
        Wrong: something is not right.
    """
    body, at = line.body, "messageEvaluationTask"
    camel(body)
    line.keys(body, "", (*COMMON, at))
    if line.facts.asset not in {None, "conversational", "llm"}:
        said = f"has no meaning for {line.facts.asset}"
        raise line.wrong("WrongAsset", at, ..., said, "Send message tasks for conversations only.")
    task = line.record(body[at], at, ("format", "data"))
    form = task["format"]
    if type(form) is not str or form not in MESSAGES:
        raise line.wrong("WrongType", f"{at}.format", form, "is no format", f"Use one of {', '.join(MESSAGES)}.")
    name, _ = tool_of(line, (form,))
    data = line.record(task["data"], f"{at}.data", ("parentMessageId", *MESSAGES[form]))
    line.string(data["parentMessageId"], f"{at}.data.parentMessageId", "Give the id of the message that is answered.")
    if form == "message-single-selection":
        _message(line, data, f"{at}.data")
        return name
    ranking = form == "message-ranking"
    key = MESSAGES[form][0]
    keys = ("messageId", "modelConfigName", *(("order",) if ranking else ()))
    where = f"{at}.data.{key}"
    entries = line.items(data[key], where, "messages")
    seen: set[str] = set()
    for i, one in enumerate(entries):
        _message(line, line.record(one, f"{where}[{i}]", keys), f"{where}[{i}]")
        if one["messageId"] in seen:
            remedy = "Give each message once."
            raise line.wrong("Repeated", f"{where}[{i}].messageId", one["messageId"], "is there twice", remedy)
        seen.add(one["messageId"])
    orders = [one["order"] for one in entries] if ranking else []
    if ranking and (any(type(one) is not int for one in orders) or sorted(orders) != list(range(1, len(orders) + 1))):
        said = f"has the orders {orders}"
        raise line.wrong("OutOfRange", where, ..., said, f"Give each of 1 to {len(orders)} once, 1 for the best.")
    return name


def _message(line: Line, value: Json, where: str) -> None:
    for key in ("messageId", "modelConfigName"):
        line.string(value[key], f"{where}.{key}", f'Give "{key}", a string.')


# --- metrics
def metric_row(line: Line) -> str:
    """A row with ``metricValue``.

    Returns:
        The feature's name, "" for a metric of the whole data row.

    Raises:
        Wrong: something is not right.
    """
    body = line.body
    line.keys(body, "", METRIC_KEYS)
    for key in ("metricName", "featureName", "subclassName"):
        if key in body:
            line.string(body[key], key, "Give a name, or leave it out.")
    for key in ("featureName", "subclassName"):
        if key in body and body[key] not in line.ontology.names():
            remedy = f"Use one of {one_of(line.ontology.names(), body[key])}."
            raise line.wrong("UnknownFeature", key, body[key], "is not in the ontology", remedy)
    if "subclassName" in body and "featureName" not in body:
        raise line.wrong("MissingKey", "featureName", ..., "is missing", "Give the feature that the subclass is of.")
    _metric_value(line, body["metricValue"], body.get("aggregation"))
    return str(body.get("featureName", ""))


def _metric_value(line: Line, value: object, aggregation: object) -> None:
    values = list(value.values()) if type(value) is dict else [value]
    if type(value) is dict:
        _confidences(line, value)
    matrix = any(type(one) is list for one in values)
    if matrix and aggregation != MATRIX:
        raise line.wrong(
            "WrongType", "aggregation", ... if aggregation is None else aggregation, "does not fit a confusion matrix",
            f'Give "aggregation": "{MATRIX}".',
        )  # fmt: skip
    if not matrix and aggregation == MATRIX:
        raise line.wrong("WrongType", "metricValue", value, "is no confusion matrix", "Give [TP, FP, TN, FN].")
    if aggregation not in (None, MATRIX, *MEANS):
        raise line.wrong(
            "WrongType", "aggregation", aggregation, "is no aggregation", f"Use one of {', '.join(MEANS)}."
        )
    if matrix and "metricName" not in line.body:
        raise line.wrong("MissingKey", "metricName", ..., "is missing", "Give the confusion matrix a name.")
    for one in values:
        if matrix:
            _counts(line, one)
        elif not is_number(one):
            remedy = "Give a number, [TP, FP, TN, FN], or one of them by confidence."
            raise line.wrong("NotANumber", "metricValue", one, "is not a finite number", remedy)


def _confidences(line: Line, value: Collection[str]) -> None:
    if not FEWEST_KEYS <= len(value) <= MOST_KEYS:
        said, remedy = f"has {len(value)} confidences", f"Give {FEWEST_KEYS} to {MOST_KEYS} of them."
        raise line.wrong("OutOfRange", "metricValue", value, said, remedy)
    for key in value:
        try:
            right = 0 <= float(key) <= 1
        except ValueError:
            right = False
        if not right:
            said, remedy = "is no confidence from 0 to 1", 'Give keys such as "0.5".'
            raise line.wrong("OutOfRange", "metricValue", key, said, remedy)


def _counts(line: Line, value: object) -> None:
    if (
        type(value) is not list
        or len(value) != 4
        or not all(type(one) is int and 0 <= one <= LARGEST_COUNT for one in value)
    ):
        said, remedy = "is no confusion matrix", "Give four counts from 0 on: [TP, FP, TN, FN]."
        raise line.wrong("OutOfRange", "metricValue", value, said, remedy)
