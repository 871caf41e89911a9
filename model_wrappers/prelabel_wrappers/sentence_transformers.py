"""A sentence-transformers model from a directory: texts to embeddings, for what to label next and for `classifier`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prelabel.errors import ModelLoadError
from prelabel.loader import digest_files
from prelabel.model import InputKind
from prelabel_wrappers.embeddings import Encoder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class SentenceTransformersModel(Encoder):
    """Embeds texts as the model says: pooled, and normalised where its last module does that. It predicts nothing.

    sentence-transformers is licensed under Apache-2.0; a model has a licence of its own.

    Args:
        model: the directory that ``SentenceTransformer.save`` wrote. Nothing is downloaded.
        device: ``cpu``, ``cuda``, ``cuda:1`` ...; default: a GPU where there is one.
        prompt: name of a prompt of the model (``query``), put before each text.
        dimensions: how many numbers of each embedding are kept, the first ones; for models trained for that.
    """

    input = InputKind.TEXT
    max_batch_size = 64

    def __init__(
        self, model: Path, *, device: str | None = None, prompt: str | None = None, dimensions: int | None = None
    ) -> None:
        self.path = Path(model)
        self.name = self.path.name
        self._device = device
        self._prompt = prompt
        self._dimensions = dimensions
        self._model: Any = None

    def load(self) -> None:
        """Read the directory."""
        try:
            from sentence_transformers import SentenceTransformer
        except ModuleNotFoundError as error:
            raise ModelLoadError(
                "sentence-transformers is not installed.", hint='pip install "prelabel[sentence_transformers]"'
            ) from error
        self.files()
        self._model = SentenceTransformer(
            str(self.path), device=self._device, truncate_dim=self._dimensions, local_files_only=True
        )
        if self._prompt is not None and self._prompt not in self._model.prompts:
            known = ", ".join(self._model.prompts) or "none"
            raise ModelLoadError(f"{self.path} has no prompt {self._prompt!r}.", hint=f"It has {known}.")

    def embed(self, batch: Sequence[Any]) -> NDArray[np.float32]:
        """One row per text."""
        found: NDArray[np.float32] = self._model.encode(
            [str(text) for text in batch],
            batch_size=max(len(batch), 1),
            prompt_name=self._prompt,
            show_progress_bar=False,
            convert_to_numpy=True,
        ).astype("float32")
        return found

    def unload(self) -> None:
        """Free the model."""
        self._model = None

    def files(self) -> list[Path]:
        """The directory.

        Raises:
            ModelLoadError: it is none of sentence-transformers'.
        """
        if not (self.path / "modules.json").is_file():
            raise ModelLoadError(
                f"{self.path} is no directory of a sentence-transformers model.",
                hint="Give the directory that `SentenceTransformer(...).save(DIR)` wrote.",
            )
        return [self.path]

    def fingerprint(self) -> bytes:
        """A digest of the directory, and what changes the embeddings."""
        return digest_files(self.files()) + repr((self._prompt, self._dimensions)).encode()
