"""Checks of answers: radio, checklist and free text, nested, by frame, by time and by message."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from itertools import pairwise
from typing import Any

from prelabel.labelbox.checks import Json, Line, camel, drop_nulls, join, one_of
from prelabel.labelbox.checks_times import Range, message_id, timeless, times
from prelabel.labelbox.ontology import ClassificationNode, Option

Form = str
"""``radio``, ``checklist`` or ``text``."""
DEPTH = 20
"""Classifications below classifications that no ontology bounds, as below a text."""
ROW_KEYS = ("dataRow", "uuid", "name", "schemaId", "answer", "confidence", "customMetrics", "classifications", "frames",
            "messageId", "isBenchmarkReferenceLabel")  # fmt: skip
ENTRY_KEYS = ("name", "schemaId", "answer", "confidence", "customMetrics", "classifications")
OPTION_KEYS = ("name", "schemaId", "confidence", "customMetrics", "classifications", "frames")


def answer_row(line: Line) -> tuple[Form, str]:
    """A row that answers a question of the whole data row, a range of frames or a message.

    Returns:
        The answer's form, and the question's name.

    Raises:
        Wrong: something is not right.
    """
    body = line.body
    camel(body)
    alias(line, body, "")
    line.keys(body, "", ROW_KEYS)
    name, schema_id = line.named(body, "")
    node = line.ontology.classification(name, schema_id)
    if node is not None and schema_id is not None:
        node = line.same(node, body, "")
    if node is None:
        if schema_id is None or name is not None:
            raise _unknown(line, body, "", [one.name for one in line.ontology.classifications])
        line.foreign(schema_id, "")
    ranges = times(line, body["frames"], "frames", None) if "frames" in body else []
    if "messageId" in body:
        message_id(line, body["messageId"])
    form = _answer(line, body, node, "", nested=False, parents=None, depth=0)
    if ranges and _has_frames(body["answer"]):
        raise line.wrong(
            "Repeated", "frames", body["frames"], "stands beside frames in the answers",
            "Give frames on the row, or in each answer, not both.",
        )  # fmt: skip
    return form, node.name if node is not None else str(schema_id)


def nested(
    line: Line,
    value: Json,
    where: str,
    questions: Sequence[ClassificationNode] | None,
    *,
    parents: Sequence[Range] | None = None,
    depth: int = 0,
) -> None:
    """``value["classifications"]``: of a drawn thing, an answer or a text.

    Args:
        line: the line.
        value: what has them; an empty list is taken out.
        where: its path.
        questions: what may be asked there; None: the ontology does not say, and only the form is checked.
        parents: the ranges within which those of the answers must lie.
        depth: how deep this is.

    Raises:
        Wrong: something is not right.
    """
    if "classifications" not in value:
        return
    where = join(where, "classifications")
    if value["classifications"] == []:
        del value["classifications"]
        return
    if depth > DEPTH:
        raise line.wrong("TooDeep", where, ..., "is nested too deep", f"Nest at most {DEPTH} classifications.")
    seen: set[str | None] = set()
    for i, entry in enumerate(line.items(value["classifications"], where, "classifications")):
        at = f"{where}[{i}]"
        if type(entry) is not dict:
            raise line.wrong("WrongType", at, entry, "is not an object", 'Give {"name": ..., "answer": ...}.')
        drop_nulls(entry)
        camel(entry)
        alias(line, entry, at)
        line.keys(entry, at, ENTRY_KEYS)
        node = _asked(line, entry, at, questions)
        name = node.name if node is not None else entry.get("name", entry.get("schemaId"))
        if name in seen:
            raise line.wrong("Repeated", join(at, "name"), name, "is answered twice", "Answer each question once.")
        seen.add(name)
        _answer(line, entry, node, at, nested=True, parents=parents, depth=depth + 1)


def _asked(
    line: Line, entry: Json, where: str, questions: Sequence[ClassificationNode] | None
) -> ClassificationNode | None:
    name, schema_id = line.named(entry, where)
    if questions is None:
        return None
    for node in questions:
        if node.schema_id == schema_id if schema_id is not None else node.name == name:
            return line.same(node, entry, where) if schema_id is not None else node
    raise _unknown(line, entry, where, [node.name for node in questions])


def _unknown(line: Line, value: Json, where: str, names: Collection[str]) -> Exception:
    key = "schemaId" if "schemaId" in value else "name"
    said = "is no question that the ontology asks here"
    if not where and key == "name" and line.ontology.tool(value["name"]) is not None:
        said = "is a tool of the ontology, not a question: it is drawn, not answered"
    remedy = (
        f"Use one of {one_of(names, str(value[key]))}." if names else "The ontology asks nothing here: leave it out."
    )
    return line.wrong("UnknownFeature", join(where, key), value[key], said, remedy)


def alias(line: Line, value: Json, where: str) -> None:
    """``answers``, which older samples have, becomes ``answer``.

    Raises:
        Wrong: there is none of the two, or both.
    """
    if "answers" in value:
        if "answer" in value:
            raise line.wrong(
                "Repeated", join(where, "answers"), value["answers"], "stands beside answer", 'Give "answer" only.'
            )
        value["answer"] = value.pop("answers")
    if "answer" not in value:
        raise line.wrong("MissingKey", join(where, "answer"), ..., "is missing", 'Give "answer".')


# --- the answer itself
def _answer(
    line: Line,
    entry: Json,
    node: ClassificationNode | None,
    where: str,
    *,
    nested: bool,
    parents: Sequence[Range] | None,
    depth: int,
) -> Form:
    answer, at = entry["answer"], join(where, "answer")
    form = _form(node) if node is not None else _form_of(line, answer, at)
    line.scores(entry, where)
    if form == "text":
        _text(line, entry, node, where, parents=parents, depth=depth)
        return form
    if "customMetrics" in entry:
        raise line.wrong(
            "UnknownKey", join(where, "customMetrics"), entry["customMetrics"], "has no place beside a chosen answer",
            "Put customMetrics into the answer that they belong to.",
        )  # fmt: skip
    if form == "checklist" and nested and type(answer) is dict:
        answer = entry["answer"] = [answer]
    if type(answer) is list:
        answers = line.items(answer, at, "answers")
    elif form == "radio" and type(answer) is dict:
        answers = [answer]
    else:
        want = '{"name": ...}' if form == "radio" else '[{"name": ...}, ...]'
        raise line.wrong("WrongType", at, answer, f"is not the answer of a {form}", f'Give "answer": {want}.')
    found = [_option(line, one, node, at if one is answer else f"{at}[{i}]", parents) for i, one in enumerate(answers)]
    if form == "checklist":
        _no_twins(line, answers, at)
    elif type(answer) is list:
        _one_at_a_time(line, answers, at)
    _move_down(line, entry, answers, found, where)
    for i, (one, option) in enumerate(zip(answers, found, strict=True)):
        here = at if one is answer else f"{at}[{i}]"
        below = None if node is None else option.questions if option is not None else ()
        _below(line, one, below, here, parents=parents, depth=depth)
    return form


def _form(node: ClassificationNode) -> Form:
    return "text" if node.text_like() else node.type.removeprefix("response-")


def _form_of(line: Line, answer: object, where: str) -> Form:
    """The form of an answer to a question that the ontology does not have."""
    if type(answer) is str:
        return "text"
    if type(answer) is dict:
        return "radio"
    if type(answer) is list and answer:
        return "text" if type(answer[0]) is dict and "value" in answer[0] else "checklist"
    raise line.wrong("WrongType", where, answer, "is no answer", "Give a string, an option, or a list of options.")


def _option(
    line: Line, answer: object, node: ClassificationNode | None, where: str, parents: Sequence[Range] | None
) -> Option | None:
    if type(answer) is not dict:
        raise line.wrong("WrongType", where, answer, "is not an option", 'Give {"name": ...}.')
    drop_nulls(answer)
    camel(answer)
    if type(answer.get("name")) is int:  # a step of a Likert scale
        answer["name"] = str(answer["name"])
    line.keys(answer, where, OPTION_KEYS)
    name, schema_id = line.named(answer, where)
    line.scores(answer, where)
    if "frames" in answer:
        times(line, answer["frames"], join(where, "frames"), parents)
    elif parents is not None and line.facts.asset == "audio":
        raise timeless(line, where)
    if node is None:
        return None
    option = node.option(name, schema_id)
    if option is None:
        key = "schemaId" if schema_id is not None else "name"
        raise line.wrong(
            "UnknownOption", join(where, key), answer[key], f"is no option of {node.name!r}",
            f"Use one of {one_of([one.value for one in node.options], str(answer[key]))}.",
        )  # fmt: skip
    if name is not None and option.value != name:
        raise line.wrong(
            "UnknownOption", join(where, "name"), name, f"is not the name of schemaId {schema_id}, {option.value!r}",
            "Leave one of the two out.",
        )  # fmt: skip
    return option


def _below(
    line: Line,
    answer: Json,
    questions: Sequence[ClassificationNode] | None,
    where: str,
    *,
    parents: Sequence[Range] | None,
    depth: int,
) -> None:
    if "classifications" in answer:
        own = [(one["start"], one["end"]) for one in answer["frames"]] if "frames" in answer else parents
        nested(line, answer, where, questions, parents=own, depth=depth)


def _no_twins(line: Line, answers: Iterable[Json], where: str) -> None:
    seen: set[str] = set()
    for i, answer in enumerate(answers):
        key = "name" if "name" in answer else "schemaId"
        if answer[key] in seen:
            at = f"{where}[{i}].{key}"
            raise line.wrong("Repeated", at, answer[key], "is chosen twice", "Give each option once.")
        seen.add(answer[key])


def _one_at_a_time(line: Line, answers: Sequence[Json], where: str) -> None:
    """A radio whose answer is a list: with times, and no two options at once."""
    if not all("frames" in one for one in answers):
        raise line.wrong(
            "WrongType", where, answers, "is a list, but a radio has one answer", 'Give "answer": {"name": ...}.'
        )
    ranges = sorted((one["start"], one["end"], i) for i, answer in enumerate(answers) for one in answer["frames"])
    for (_, end, first), (start, _, second) in pairwise(ranges):
        if first != second and start < end:
            raise line.wrong(
                "Repeated", f"{where}[{second}].frames", answers[second]["frames"],
                "overlap those of another option, but a radio has one answer at a time",
                "Keep one of the options, or let their ranges not overlap.",
            )  # fmt: skip


def _move_down(line: Line, entry: Json, answers: Sequence[Json], options: Sequence[Option | None], where: str) -> None:
    """Classifications beside an answer, as older samples have them, into the answer that they depend on."""
    if "classifications" not in entry:
        return
    for one in line.items(entry["classifications"], join(where, "classifications"), "classifications", 0):
        name = one.get("name") if type(one) is dict else None
        fitting = [
            answer
            for answer, option in zip(answers, options, strict=True)
            if len(answers) == 1 or (option is not None and any(q.name == name for q in option.questions))
        ]
        if len(fitting) != 1:
            raise line.wrong(
                "WrongPlace", join(where, "classifications"), name, "stands beside answers and depends on none of them",
                'Put it into its answer: "answer": {"name": ..., "classifications": [...]}.',
            )  # fmt: skip
        line.items(fitting[0].setdefault("classifications", []), join(where, "answer.classifications"), "", 0).append(
            one
        )
    del entry["classifications"]


# --- text
def _text(
    line: Line,
    entry: Json,
    node: ClassificationNode | None,
    where: str,
    *,
    parents: Sequence[Range] | None,
    depth: int,
) -> None:
    answer, at = entry["answer"], join(where, "answer")
    if type(answer) is str:
        _written(line, answer, node, at)
        if parents is not None and line.facts.asset == "audio":
            raise timeless(line, where)
        nested(line, entry, where, None, parents=parents, depth=depth)
        return
    if type(answer) is not list:
        raise line.wrong("WrongType", at, answer, "is not the answer of a text", 'Give "answer": "the text".')
    if "confidence" in entry or "customMetrics" in entry:
        key = "confidence" if "confidence" in entry else "customMetrics"
        raise line.wrong(
            "UnknownKey", join(where, key), entry[key], "has no place beside texts with frames", f"Leave {key} out."
        )
    for i, one in enumerate(line.items(answer, at, '{"value": ..., "frames": [...]}')):
        here = f"{at}[{i}]"
        said = line.record(one, here, ("value", "frames"), ("classifications",))
        if type(said["value"]) is not str:
            raise line.wrong("WrongType", f"{here}.value", said["value"], "is not a string", "Give the text.")
        _written(line, said["value"], node, f"{here}.value")
        own = times(line, said["frames"], f"{here}.frames", parents)
        nested(line, said, here, None, parents=own, depth=depth)


def _written(line: Line, text: str, node: ClassificationNode | None, where: str) -> None:
    if node is None:
        return
    if node.max_characters is not None and len(text) > node.max_characters:
        said = f"has {len(text)} characters, {node.name!r} takes {node.max_characters}"
        raise line.wrong("OutOfRange", where, text, said, f"Shorten it to {node.max_characters} characters.")
    if node.min_characters is not None and len(text) < node.min_characters:
        said = f"has {len(text)} characters, {node.name!r} needs {node.min_characters}"
        raise line.wrong("OutOfRange", where, text, said, f"Give at least {node.min_characters} characters.")


def _has_frames(answer: Any) -> bool:
    answers = answer if type(answer) is list else [answer]
    return any(type(one) is dict and "frames" in one for one in answers)
