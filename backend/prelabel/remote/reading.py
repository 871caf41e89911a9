"""What a prelabel server answers, as the classes that the registry itself hands out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from prelabel.runs.held import (
    DataRow,
    ImportRow,
    Item,
    ItemPage,
    ModelRow,
    OntologyRow,
    Place,
    RowError,
    RowStatus,
    RunDataRow,
    RunRow,
)

if TYPE_CHECKING:
    from pydantic import TypeAdapter

    from prelabel.analysis.comparison import Compared
    from prelabel.runs.reports import Report
    from prelabel.runs.scores import RunMetrics
    from prelabel.runs.slices import SavedSlice

Json = Mapping[str, Any]
HALVES = ("partial", "type")
"""Schemes of spans in which a partial match counts one half, see `prelabel.metrics.spans.SpanScore`."""
T = TypeVar("T")


def ontology(said: Json) -> OntologyRow:
    """`OntologyAnswer`."""
    return OntologyRow(**said)


def model(said: Json) -> ModelRow:
    """`ModelAnswer`, or `ModelInFull`."""
    inside = said["ontology"]
    number = inside["id"] if isinstance(inside, Mapping) else inside
    return ModelRow(said["id"], said["name"], said["created_at"], number)


def run(said: Json) -> RunRow:
    """`RunAnswer`."""
    return RunRow(**said)


def data_row(said: Json) -> DataRow:
    """`DataRowAnswer`."""
    place = said["place"]
    return DataRow(
        id=said["number"],
        uid=said["id"],
        global_key=said["global_key"],
        row_data=said["row_data"],
        media_type=said["media_type"],
        metadata=said["metadata"],
        facts=said["facts"],
        place=Place(**place) if place is not None else None,
    )


def run_row(said: Json) -> RunDataRow:
    """`DataRowAnswer` of a run."""
    return RunDataRow(data_row(said), said["split"])


def imported(said: Json) -> ImportRow:
    """`ImportAnswer`; the lines are with the server, so there is no ``spool`` here."""
    same = ("id", "run_id", "name", "kind", "form", "state", "position", "total", "failed", "source", "error")
    return ImportRow(**{name: said[name] for name in same}, read_bytes=0, spool=None, created_at=said["created_at"])


def status(said: Json) -> RowStatus:
    """`RowStatusAnswer`."""
    return RowStatus(**{**said, "errors": tuple(RowError(**one) for one in said["errors"])})


def item_page(said: Json) -> ItemPage:
    """`ItemsAnswer`."""
    return ItemPage([Item(**one) for one in said["items"]], said["after"])


def saved_slice(said: Json) -> SavedSlice:
    """`SliceAnswer`."""
    from prelabel.runs.slices import SavedSlice  # noqa: PLC0415 (NumPy is loaded by those who measure)

    return SavedSlice(**said)


def metrics(said: Json) -> RunMetrics:
    """What `RunMetrics.as_json` wrote. A class that is called None is taken for 'none of them' in the confusion."""
    from prelabel.metrics.counting import Counts  # noqa: PLC0415 (as above)
    from prelabel.metrics.summary import Average  # noqa: PLC0415
    from prelabel.runs.scores import Confused, RunMetrics  # noqa: PLC0415

    def counts(one: Json) -> Counts:
        return Counts(**{name: one[name] for name in ("tp", "fp", "fn", "tn", "iou")})

    def side(cell: Json, name: str) -> str | None:
        return None if cell[name] == "None" else str(cell[name])

    cells = (Confused(side(cell, "annotated"), side(cell, "predicted"), cell["count"]) for cell in said["confusion"])
    return RunMetrics(
        confidence=said["confidence"],
        iou=said["iou"],
        data_rows=said["data_rows"],
        run=counts(said["run"]),
        micro=Average(**said["micro"]),
        macro=Average(**said["macro"]),
        classes={name: counts(one) for name, one in said["classes"].items()},
        confusion=tuple(cells),
        left_out=said["left_out"],
        reasons=tuple(said.get("reasons", ())),
    )


def report(said: Json) -> Report:
    """What `Report.as_json` wrote."""
    from prelabel.runs.reports import Report  # noqa: PLC0415 (as above)

    parts = {name: said[name] for name in said if name != "metrics"}
    for name in ("boxes", "masks"):
        if parts[name] is not None:
            parts[name] = _with_all(parts[name])
    if parts["times"] is not None:
        parts["times"] = {kind: _with_all(one) for kind, one in parts["times"].items()}
    if parts["spans"] is not None:
        for scores in (parts["spans"]["all"], *parts["spans"]["classes"].values()):
            for scheme in scores:  # not in the JSON
                scores[scheme]["half"] = scheme in HALVES
    return of(Report, {"metrics": metrics(said["metrics"]), **parts})


def compared(said: Json) -> Compared:
    """A line of a comparison."""
    from prelabel.analysis.comparison import Compared  # noqa: PLC0415 (as above)

    return of(Compared, {**said, "feature": said["class"], "rows": said["data_rows"]})


def of(kind: type[T], said: Json) -> T:
    """A frozen class whose JSON has the names of its fields."""
    made: T = _adapters()(kind).validate_python(said)
    return made


def _with_all(said: Json) -> dict[str, Any]:
    """`as_json` of what has ``all`` and ``classes`` writes the numbers of the first beside the second."""
    return {"all": {name: value for name, value in said.items() if name != "classes"}, "classes": said["classes"]}


@cache
def _adapters() -> Callable[[Any], TypeAdapter[Any]]:
    """Makes what reads a class, once for each."""
    from pydantic import TypeAdapter  # noqa: PLC0415 (as above)

    return cache(TypeAdapter)


def paged(page: Callable[[Any], Json], name: str, first: Any = None) -> Iterator[Json]:
    """What is under ``name`` in all pages; ``page`` is given what the page before said under ``after``."""
    after = first
    while True:
        said = page(after)
        found: Iterable[Json] = said[name]
        yield from found
        after = said["after"]
        if after is None:
            return
