"""prelabel's outputs for data rows as lines of Label Studio's regions, to be imported."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from prelabel.adapters import to_outputs
from prelabel.errors import PrelabelError, RequestError
from prelabel.regions import to_regions
from prelabel.runs.configs import Configs
from prelabel.runs.datarows import DataRows, batched
from prelabel.runs.facts import asset_facts
from prelabel.runs.held import DataRow, OntologyRow

TOGETHER = 500
"""Data rows looked up at once."""


def output_lines(
    registry: DataRows, run: int, ontology: OntologyRow | None, said: Iterable[tuple[str, object]]
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
                result, dropped = _regions(outputs, configs, rows[key])
            except PrelabelError as error:
                yield {**named, "error": _error(type(error).__name__, error.message, error.hint)}
                continue
            yield {**named, "result": result}
            for sentence in dropped:
                yield {**named, "error": _error("OutputDropped", sentence, "See the ontology's labels and tools.")}


def _regions(outputs: object, configs: Configs, row: DataRow) -> tuple[list[dict[str, Any]], list[str]]:
    known = asset_facts(row)
    config = configs.of(known.asset)
    facts = known.facts()
    conversion = to_regions(to_outputs(outputs, config), config, dict.fromkeys(config.objects, facts))
    return conversion.result, conversion.dropped


def _error(name: str, message: str, hint: str) -> Mapping[str, str]:
    return {"name": name, "message": message, "additional_info": hint}
