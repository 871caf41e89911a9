"""A run's rows to Labelbox through Labelbox's own SDK: model, run, data rows, predictions, what became of them.

```
ToPush ──▶ batch ──▶ data rows that Labelbox has ──▶ upsert_data_rows ──▶ add_predictions(name) ──▶ statuses ──▶ Pushed
```

A batch's name is made of its content. Pushing again asks for the name first: what is there already is waited for and
not sent a second time, so a push that was killed goes on where it was.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from prelabel.errors import RequestError
from prelabel.labelbox.pushing_batches import UNKNOWN, Batch, Left, LeftOut, ToPush, batches
from prelabel.labelbox.pushing_sdk import SdkClient, SdkImport, SdkModel, SdkRun, asking, connect, find_import, sdk
from prelabel.user_code import first_line

logger = logging.getLogger(__name__)

MOST_REFUSED = 1_000
"""Refused rows that are kept with their reason; all are counted."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where to: a run of that name of the model ``model_id``, or of the model ``model`` with the ontology."""

    model: str
    run: str
    model_id: str | None = None
    ontology_id: str | None = None
    config: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A row that Labelbox did not take; ``data_row`` is its global key."""

    uuid: str
    data_row: str
    reason: str


@dataclass(frozen=True, slots=True)
class Pushed:
    """What a push came to.

    ``again`` of the ``imports`` were there from an earlier push and not sent again. ``unread`` rows are those of which
    Labelbox tells no status (it keeps them a day). ``refused`` has the first 1,000 of ``refused_count``.
    """

    model_id: str
    run_id: str
    data_rows: int
    rows: int
    accepted: int
    refused_count: int
    unread: int
    again: int
    imports: tuple[str, ...]
    refused: tuple[RefusedRow, ...] = ()
    left_out: tuple[LeftOut, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        plain = {name: getattr(self, name) for name in self.__slots__ if name not in ("refused", "left_out")}
        refused = [{"uuid": one.uuid, "data_row": one.data_row, "reason": one.reason} for one in self.refused]
        left = [{"what": one.what, "count": one.count, "examples": list(one.examples)} for one in self.left_out]
        return {**plain, "imports": list(self.imports), "refused": refused, "left_out": left}


def push(client: SdkClient, target: Target, rows: Iterable[ToPush], *, poll_s: int = 5) -> Pushed:
    """Upload rows into a run of Labelbox's, made when it is not there; returns when Labelbox has taken or refused all.

    Args:
        client: `connect`'s, or anything like it.
        target: model and run.
        rows: the run's data rows, read once; the same order each time lets a second push find the batches of the first.
        poll_s: seconds between two looks at an import.

    Raises:
        RequestError: neither model nor ontology is named, or both are.
        SettingsError: the package is not installed, or the key is refused.
        PrelabelError: a call failed; pushing again goes on.
    """
    if (target.model_id is None) == (target.ontology_id is None):
        raise RequestError(
            "give either the id of a Labelbox model or that of an ontology.",
            hint="With an ontology the model is found by its name, or made.",
        )
    model = _model(client, target)
    run = _run(model, target)
    pushing = _Pushing(client, run, poll_s)
    for batch in batches(rows, pushing.left):
        pushing.send(batch)
    return pushing.told(model.uid)


def _model(client: SdkClient, target: Target) -> SdkModel:
    if target.model_id is not None:
        with asking(f"looking for the model {target.model_id}"):
            return client.get_model(target.model_id)
    with asking(f"looking for the model {target.model!r}"):
        for model in client.get_models(where=sdk().Model.name == target.model):
            if model.name == target.model and model.ontology_id == target.ontology_id:
                return model
    with asking(f"making the model {target.model!r}"):
        return client.create_model(target.model, str(target.ontology_id))


def _run(model: SdkModel, target: Target) -> SdkRun:
    with asking(f"looking for the run {target.run!r}"):
        found = next((run for run in model.model_runs() if run.name == target.run), None)
    if found is not None:
        return found
    with asking(f"making the run {target.run!r}"):
        return model.create_model_run(target.run, dict(target.config) or None)


class _Pushing:
    """One push while it runs."""

    def __init__(self, client: SdkClient, run: SdkRun, poll_s: int) -> None:
        self.left = Left()
        self._client, self._run, self._poll_s = client, run, poll_s
        self._count: Counter[str] = Counter()
        self._imports: list[str] = []
        self._refused: list[RefusedRow] = []

    def send(self, batch: Batch) -> None:
        """Data rows into the run, then their predictions, then what became of these."""
        keys = list(batch.keys)
        with asking(f"looking for {len(keys)} data rows"):
            answer = self._client.get_data_row_ids_for_global_keys(keys, timeout_seconds=600)
        unknown = {str(one["global_key"]): str(one.get("error") or "") for one in answer["errors"]}
        for key, reason in unknown.items():
            if key != batch.continued:
                self.left.add(UNKNOWN, f"{key}: {reason}")
        known = [key for key in keys if key not in unknown]
        if not known:
            return
        with asking(f"putting {len(known)} data rows into the run"):
            self._run.upsert_data_rows(global_keys=known)
        self._count["data_rows"] += sum(key != batch.continued for key in known)
        rows = [row for key in known for row in batch.keys[key]]
        if rows:
            self._predictions(rows)

    def _predictions(self, rows: list[dict[str, Any]]) -> None:
        content = hashlib.sha256("\n".join(json.dumps(row, sort_keys=True) for row in rows).encode())
        name = base = f"prelabel-{content.hexdigest()[:24]}"
        attempt = 1
        with asking(f"looking for the import {base}"):
            while (job := find_import(self._client, self._run.uid, name)) is not None and _state(job) == "FAILED":
                attempt += 1  # its name is taken, and what it held is not in the run
                name = f"{base}-{attempt}"
        self._count["again"] += job is not None
        if job is None:
            logger.info("sending %d rows as %s", len(rows), name)
            with asking(f"sending {len(rows)} rows as {name}"):
                job = self._run.add_predictions(name, rows)
        with asking(f"waiting for the import {name}"):
            job.wait_till_done(sleep_time_seconds=self._poll_s)
        self._imports.append(name)
        self._count["rows"] += len(rows)
        self._read(job, name, rows)

    def _read(self, job: SdkImport, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
        of = {row["uuid"]: row["dataRow"]["globalKey"] for row in rows}
        if _state(job) == "FAILED":
            for row in rows:
                self._refuse(row["uuid"], of[row["uuid"]], f"the import {name} failed as a whole")
            return
        try:
            statuses = job.statuses
        except OSError as error:  # what the SDK's HTTP library raises: the files last a day
            logger.warning("the statuses of %s cannot be read: %s", name, first_line(error))
            self._count["unread"] += len(rows)
            return
        refused = [one for one in statuses if one.get("status") != "SUCCESS"]
        for one in refused:
            errors = one.get("errors") or [{"name": "no reason given"}]
            said = "; ".join(": ".join(str(part) for part in (e.get("name"), e.get("message")) if part) for e in errors)
            self._refuse(str(one.get("uuid")), of.get(one.get("uuid"), ""), said)
        self._count["accepted"] += len(statuses) - len(refused)
        self._count["unread"] += max(0, len(rows) - len(statuses))

    def _refuse(self, row: str, data_row: str, reason: str) -> None:
        self._count["refused"] += 1
        if len(self._refused) < MOST_REFUSED:
            self._refused.append(RefusedRow(row, data_row, reason))

    def told(self, model_id: str) -> Pushed:
        count = self._count
        return Pushed(
            model_id,
            self._run.uid,
            data_rows=count["data_rows"],
            rows=count["rows"],
            accepted=count["accepted"],
            refused_count=count["refused"],
            unread=count["unread"],
            again=count["again"],
            imports=tuple(self._imports),
            refused=tuple(self._refused),
            left_out=self.left.told(),
        )


def _state(job: SdkImport) -> str:
    return str(getattr(job.state, "value", job.state))


__all__ = ["LeftOut", "Pushed", "RefusedRow", "SdkClient", "Target", "ToPush", "connect", "push"]
