"""A run on its way to Labelbox: its predictions as Labelbox rows, and the call that uploads them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from prelabel.client_fields import RunFields

if TYPE_CHECKING:
    from prelabel.labelbox.pushing import Pushed, SdkClient, ToPush
    from prelabel.runs.exports import Converter
    from prelabel.runs.items import Said

KEY = "LABELBOX_API_KEY"
"""The environment variable that holds the key; there is no option for it."""


class Pushing(RunFields):
    """Part of `prelabel.client_run.ModelRun`: to Labelbox through its own SDK."""

    def push_to_labelbox(
        self,
        client: SdkClient | None = None,
        *,
        model_id: str | None = None,
        ontology_id: str | None = None,
        run_name: str | None = None,
    ) -> Pushed:
        """Upload the predictions into a model run of Labelbox's, and wait until it has taken or refused them.

        Data rows must be in Labelbox already, with the same global keys. Pushing again sends only what changed, and
        after a crash goes on. What was deleted here stays there.

        Args:
            client: a ``labelbox.Client``; None: one with the key in ``LABELBOX_API_KEY``.
            model_id: Labelbox's id of the model.
            ontology_id: or of an ontology: the model with this model's name and that ontology is found or made.
            run_name: of the run in Labelbox; this run's name when None.

        Raises:
            RequestError: neither or both ids are given, or a conversion is needed and the model has no ontology here.
            SettingsError: the package ``labelbox`` is not installed, or there is no key, or it is refused.
            PrelabelError: a call to Labelbox failed.
        """
        from prelabel.labelbox.pushing import Target, connect, push  # noqa: PLC0415 (only for those who push)

        row = self._row
        target = Target(row.model, run_name or row.name, model_id, ontology_id, row.config)
        self._registry.collect(row.id)
        return push(client if client is not None else connect(os.environ.get(KEY, "")), target, self._to_push())

    def _to_push(self) -> Iterator[ToPush]:
        from prelabel.labelbox.pushing import ToPush  # noqa: PLC0415 (as above)
        from prelabel.runs.exports import Converter  # noqa: PLC0415 (as above)

        run = self._row.id
        converter = Converter(self._registry, run)
        measured = self._registry.has_metric_rows(run)
        for said in self._registry.said(run):
            row = said.data_row
            bodies, dropped = _bodies(converter, said) if row.global_key else ([], [])
            if measured and row.global_key:
                bodies += self._registry.metric_bodies(run, row.id)
            yield ToPush(_called(said), row.global_key, bodies, dropped, row.media_type)


def _bodies(converter: Converter, said: Said) -> tuple[list[dict[str, Any]], list[str]]:
    """Labelbox rows of a data row's predictions, and what has none."""
    from prelabel.labelbox.review import to_rows  # noqa: PLC0415 (as above)
    from prelabel.labelbox.rows import DataRowRef  # noqa: PLC0415 (as above)
    from prelabel.runs.facts import asset_facts  # noqa: PLC0415 (as above)

    # a line without a uuid has its item's, which is the same for ever
    found = [{"uuid": item.uuid, **item.body} for item in said.predictions if item.form == "labelbox"]
    regions = [region for item in said.predictions if item.form == "labelstudio" for region in item.body]
    if not regions:
        return found, []
    known = asset_facts(said.data_row)
    configs = converter.configs
    ref = DataRowRef(global_key=said.data_row.global_key)
    converted = to_rows(regions, configs.ontology, configs.of(known.asset), known, ref)
    return found + converted.rows, converted.dropped


def _called(said: Said) -> str:
    place = said.data_row.place
    return said.data_row.global_key or (f"task {place.task}" if place is not None else said.data_row.uid)
