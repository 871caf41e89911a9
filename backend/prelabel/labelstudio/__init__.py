"""The only module that speaks HTTP to Label Studio: tokens, paging, bulk import, retries."""

from prelabel.labelstudio.api import LabelStudio, StoredPrediction, unknown_tasks
from prelabel.labelstudio.tokens import TokenKind, token_kind

__all__ = ["LabelStudio", "StoredPrediction", "TokenKind", "token_kind", "unknown_tasks"]
