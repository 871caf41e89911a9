"""The registry: models, model runs, the predictions' ledger and jobs."""

from prelabel.runs.ledger import Ledger
from prelabel.runs.rows import (
    Chunk,
    ChunkRow,
    Connection,
    JobRow,
    JobState,
    LedgerRow,
    Quarantined,
    State,
    Waiting,
    config_hash,
)

__all__ = [
    "Chunk",
    "ChunkRow",
    "Connection",
    "JobRow",
    "JobState",
    "Ledger",
    "LedgerRow",
    "Quarantined",
    "State",
    "Waiting",
    "config_hash",
]
