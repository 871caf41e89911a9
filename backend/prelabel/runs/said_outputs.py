"""prelabel's outputs for data rows as lines of Label Studio's regions, to be imported."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Protocol

from prelabel.adapters import to_outputs
from prelabel.distributions import distributions_of
from prelabel.errors import PrelabelError, RequestError
from prelabel.regions import to_regions
from prelabel.runs.configs import Configs
from prelabel.runs.datarows import batched
from prelabel.runs.facts import asset_facts
from prelabel.runs.held import DataRow, OntologyRow

TOGETHER = 500
"""Data rows looked up at once."""


class RowsOfRuns(Protocol):
    """What knows a run's data rows: a registry, or a server that has one."""

    def in_run(self, run: int, global_keys: Collection[str], uids: Collection[str]) -> dict[str, DataRow]: ...


def output_lines(
    registry: RowsOfRuns, run: int, ontology: OntologyRow | None, said: Iterable[tuple[str, object]]
) -> Iterator[dict[str, Any]]:
    """One line for each data row (by global key), and one for each output that could not be kept.

    Raises:
        RequestError: the run's model has no ontology.
    """
    if ontology is None:
        raise RequestError(
            "outputs need an ontology to become regions.",
            hint="Give the model one: `client.create_model(name, client.create_ontology(...))`.",
        )
    configs = Configs(ontology)
    for batch in batched(said, TOGETHER):
        rows = registry.in_run(run, [key for key, _ in batch], [])
        for key, outputs in batch:
            named = {"dataRow": {"globalKey": key}}
            if key not in rows:
                yield {**named, "result": []}  # the import says what is wrong with the key
                continue
            try:
                line, dropped = _regions(outputs, configs, rows[key])
            except PrelabelError as error:
                yield {**named, "error": _error(type(error).__name__, error.message, error.hint)}
                continue
            yield {**named, **line}
            for sentence in dropped:
                yield {**named, "error": _error("OutputDropped", sentence, "See the ontology's labels and tools.")}


def _regions(outputs: object, configs: Configs, row: DataRow) -> tuple[dict[str, Any], list[str]]:
    known = asset_facts(row)
    config = configs.of(known.asset)
    facts = known.facts()
    conversion = to_regions(to_outputs(outputs, config), config, dict.fromkeys(config.objects, facts))
    distributions = distributions_of(conversion, config)
    line: dict[str, Any] = {"result": conversion.result}
    return line | ({"distributions": distributions} if distributions else {}), conversion.dropped


def _error(name: str, message: str, hint: str) -> Mapping[str, str]:
    return {"name": name, "message": message, "additional_info": hint}
