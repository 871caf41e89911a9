"""Pipelines of transformers with tiny, random models: questions about documents, half precision."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw, ImageFont

from prelabel.errors import ModelLoadError, TaskError
from prelabel.labeling import parse
from prelabel.loader import load, load_wrapper
from prelabel.model import InputKind, Item
from prelabel.predictions import make_prediction
from prelabel.tasks import Facts, Task

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.skipif(importlib.util.find_spec("transformers") is None, reason="transformers is not installed"),
]
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "red", "car", "what", "is", "it"]
CONFIG = parse('<View><Image name="image" value="$image"/><TextArea name="total" toName="image"/></View>')
TASK = "document-question-answering"


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LayoutLM of one layer, with a tokenizer of ten words."""
    import tokenizers
    import torch
    import transformers

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("layout")
    words = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({word: at for at, word in enumerate(WORDS)}, unk_token="[UNK]")
    )
    words.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    special = {"unk_token": "[UNK]", "pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    tokenizer: Any = transformers.PreTrainedTokenizerFast(tokenizer_object=words, model_max_length=64, **special)
    settings = transformers.LayoutLMConfig(
        vocab_size=len(WORDS), hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8,
        max_2d_position_embeddings=1024,
    )  # fmt: skip
    transformers.LayoutLMForQuestionAnswering(settings).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def page() -> Image.Image:
    if shutil.which("tesseract") is None or importlib.util.find_spec("pytesseract") is None:
        pytest.skip("tesseract, which reads the document, is not installed")
    made = Image.new("RGB", (400, 100), "white")
    ImageDraw.Draw(made).text((20, 20), "red car", fill="black", font=ImageFont.load_default(40))
    return made


def test_a_question_about_documents_is_the_same_for_all(layout: Path, page: Image.Image) -> None:
    wrapper = load_wrapper("transformers", {"model": str(layout), "task": TASK, "question": "what is it"})
    load(wrapper)
    assert wrapper.input is InputKind.IMAGE
    for answer in wrapper.predict([page, page]):
        prediction = make_prediction(answer, CONFIG, {"image": Facts(width=400, height=100)}, model_version="v")
        (region,) = prediction.result
        assert set(region["value"]["text"][0].split()) <= {"red", "car"}
        assert prediction.dropped == ()
    wrapper.unload()


def test_a_question_about_documents_may_be_a_field_of_each_task(layout: Path, page: Image.Image) -> None:
    wrapper = load_wrapper("transformers", {"model": str(layout), "task": TASK, "question": "$ask"})
    load(wrapper)
    assert wrapper.input is InputKind.ITEM
    asked = [Item(Task(1, {"ask": "what"}), CONFIG, page), Item(Task(2, {"ask": "what is it"}), CONFIG, page)]
    assert len(list(wrapper.predict(asked))) == 2
    with pytest.raises(TaskError, match="field 'ask' is missing, which is the question"):
        wrapper.predict([Item(Task(3, {}), CONFIG, page)])
    wrapper.unload()


def test_a_task_that_needs_a_question_says_so() -> None:
    with pytest.raises(ModelLoadError, match="needs a question"):
        load_wrapper("transformers", {"model": "x", "task": TASK})


def test_half_precision_without_a_gpu_is_bfloat16(layout: Path) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    options = {"model": str(layout), "task": TASK, "question": "what", "half": "yes"}
    wrapper: Any = load_wrapper("transformers", options)
    load(wrapper)
    assert next(wrapper._pipeline.model.parameters()).dtype is torch.bfloat16
    wrapper.unload()
