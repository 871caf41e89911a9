"""Why Label Studio left a prediction out: its own validator, run here."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable

from prelabel.runs import ChunkRow

log = logging.getLogger(__name__)

UNEXPLAINED = "Label Studio left it out of a bulk import and does not say why."
MOST_ERRORS = 3


def explain(label_config: str, rows: Iterable[ChunkRow]) -> dict[int, str]:
    """One sentence for each row (by its ledger number) on what Label Studio's validator has against it."""
    from label_studio_sdk.label_interface import (  # type: ignore[attr-defined]  # noqa: PLC0415
        LabelInterface,  # the SDK exports it without saying so; heavy, and seldom needed
    )

    reasons: dict[int, str] = {}
    try:
        interface = LabelInterface(label_config)
    except Exception as error:  # noqa: BLE001 - the SDK raises whatever its XML parser does
        log.warning("the labeling config cannot be read by label-studio-sdk: %s", error)
        return {row.id: UNEXPLAINED for row in rows}
    for row in rows:
        try:
            errors = interface.validate_prediction(  # type: ignore[no-untyped-call]  # the SDK is partly typed
                json.loads(row.payload), return_errors=True
            )
        except Exception as error:  # noqa: BLE001 - Label Studio drops a prediction whatever its validator raised
            errors = [f"{type(error).__name__}: {error}"]
        if isinstance(errors, list) and errors:
            said = "; ".join(str(error) for error in errors[:MOST_ERRORS])
            more = f" (and {len(errors) - MOST_ERRORS} more)" if len(errors) > MOST_ERRORS else ""
            reasons[row.id] = f"Label Studio left it out: {said}{more}"
        else:
            reasons[row.id] = UNEXPLAINED
    return reasons
