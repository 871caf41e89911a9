"""A sentence-transformers model, built on the spot: what the wrapper embeds is what the framework encodes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest

from prelabel.errors import ModelLoadError
from prelabel.loader import load, load_wrapper

TEXTS = ["a good day", "bad", "", "a good day in a long winter"]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory, missing: Callable[[str], NoReturn]) -> Path:
    """BERT of one layer with random weights, mean pooling, normalised."""
    try:
        from sentence_transformers import SentenceTransformer
        from sentence_transformers.sentence_transformer import modules
        from transformers import BertConfig, BertModel, BertTokenizerFast
    except ImportError:
        missing("sentence-transformers is not installed")
    made = tmp_path_factory.mktemp("sentences")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *["a", "good", "day", "bad", "in", "long", "winter"]]
    (made / "vocab.txt").write_text("\n".join(words))
    BertTokenizerFast(str(made / "vocab.txt")).save_pretrained(made / "bert")
    config = BertConfig(
        vocab_size=len(words), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    BertModel(config).save_pretrained(made / "bert")
    bert = modules.Transformer(str(made / "bert"))
    SentenceTransformer(modules=[bert, modules.Pooling(16), modules.Normalize()], device="cpu").save(
        str(made / "model")
    )
    return made / "model"


@pytest.mark.slow
def test_it_embeds_as_the_framework_does(directory: Path) -> None:
    from sentence_transformers import SentenceTransformer

    wrapper = load_wrapper("sentence_transformers", {"model": str(directory), "device": "cpu"})
    load(wrapper)
    assert (wrapper.name, wrapper.can_embed) == ("model", True)
    found = wrapper.embed(TEXTS)
    assert (found.shape, found.dtype) == ((4, 16), np.float32)
    expected = SentenceTransformer(str(directory), device="cpu").encode(TEXTS)
    assert np.allclose(found, expected, atol=1e-6)
    assert np.allclose(wrapper.embed(TEXTS[:1]), found[:1], atol=1e-6)
    half = load_wrapper("sentence_transformers", {"model": str(directory), "device": "cpu", "dimensions": "8"})
    load(half)
    assert half.embed(TEXTS).shape == (4, 8)
    assert half.fingerprint() != wrapper.fingerprint()


@pytest.mark.slow
def test_an_unknown_prompt_is_refused(directory: Path) -> None:
    wrapper = load_wrapper("sentence_transformers", {"model": str(directory), "device": "cpu", "prompt": "poem"})
    with pytest.raises(ModelLoadError, match="has no prompt 'poem'"):
        load(wrapper)


def test_a_directory_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelLoadError, match="is no directory of a sentence-transformers model"):
        load_wrapper("sentence_transformers", {"model": str(tmp_path)}).fingerprint()
