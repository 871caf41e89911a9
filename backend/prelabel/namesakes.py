"""Two models of one name on one registry look like two versions of one model; here is who is at work besides."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING

from prelabel.redis_queue import predict_queue

if TYPE_CHECKING:
    import redis

    from prelabel.runs import Ledger

FRESH_S = 60.0
"""A worker that gave no sign of life for so long does not count."""
FIX = (
    "If it is another model, give each a --model-name of its own: models of one name predict each other's projects. "
    "If it is an older version, it may stop."
)


def namesakes(ledger: Ledger, client: redis.Redis, model: str, version: str) -> list[str]:
    """Other versions of the model that have a worker which is alive; not a shadow or a promoted run: they are meant.

    Raises:
        redis.RedisError: Redis cannot be reached.
    """
    others = {predict_queue(one): one for one in ledger.versions(model) if one != version}
    if not others:
        return []
    from rq import Worker  # noqa: PLC0415 (slow to import)

    found: set[str] = set()
    for worker in Worker.all(connection=client):
        beat = worker.last_heartbeat
        if beat is None:
            continue
        beat = beat if beat.tzinfo is not None else beat.replace(tzinfo=timezone.utc)
        if (datetime.now(timezone.utc) - beat).total_seconds() < FRESH_S:
            found.update(others[name] for name in worker.queue_names() if name in others)
    return sorted(one for one in found if ledger.standing_of(one).stage == "candidate")
