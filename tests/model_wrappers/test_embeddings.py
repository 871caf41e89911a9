"""Encoders with the real weights that their packages carry: what is alike is near, and each says its version."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import NoReturn

import numpy as np
import pytest
from PIL import Image

from prelabel.encoding import Encoder
from prelabel.errors import ModelLoadError, PrelabelError
from prelabel.labeling import fit, parse
from prelabel.loader import load_wrapper, model_version
from prelabel.settings import load_settings

SENTENCES = [
    "A delightful film with a wonderful cast.",
    "The movie was great and so were its actors.",
    "Parliament passed a new tax law on Monday.",
    "The government wants to raise taxes.",
]
Missing = Callable[[str], NoReturn]


def opened(name: str, missing: Missing, **options: str) -> Encoder:
    """The encoder; where its packages are not installed (they may vanish from PyPI), a skip, and a failure in CI."""
    try:
        return Encoder(name, options)
    except PrelabelError as error:
        missing(f"{name}: {error}")


def cosines(rows: np.ndarray) -> np.ndarray:
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(unit @ unit.T)


@pytest.mark.parametrize(("name", "numbers"), [("wordllama", 256), ("minilm", 384)])
def test_sentences_about_one_thing_are_nearer_than_others(name: str, numbers: int, missing: Missing) -> None:
    encoder = opened(name, missing)
    rows = encoder(SENTENCES)
    assert (rows.shape, rows.dtype) == ((4, numbers), np.float32)
    near = cosines(rows)
    assert min(near[0, 1], near[2, 3]) > max(near[0, 2], near[0, 3], near[1, 2], near[1, 3]) + 0.1


@pytest.mark.parametrize("name", ["wordllama", "minilm"])
def test_a_text_has_one_embedding_whatever_it_comes_with(name: str, missing: Missing) -> None:
    encoder = opened(name, missing)
    together = encoder([*SENTENCES, "word " * 1000, ""])
    assert np.isfinite(together).all()
    alone = np.concatenate([encoder([text]) for text in SENTENCES])
    # int8 weights: the scale of what goes through the network depends on the batch
    assert np.diag(cosines(np.concatenate([alone, together[:4]])), 4).min() > 0.98


def test_wordllamas_first_numbers_can_be_taken_alone(missing: Missing) -> None:
    assert opened("wordllama", missing, dimensions="64")(SENTENCES).shape == (4, 64)
    with pytest.raises(ModelLoadError, match="is no number of dimensions"):
        load_wrapper("wordllama", {"dimensions": "100"})


def test_pieces_of_one_picture_are_nearer_than_those_of_others(missing: Missing) -> None:
    skimage = pytest.importorskip("skimage.data")
    encoder = opened("efficientnet", missing)
    pieces: list[Image.Image] = []
    for picture in (skimage.chelsea(), skimage.coffee(), skimage.rocket()):
        image = Image.fromarray(picture)
        middle = image.width // 2
        pieces += [image.crop((0, 0, middle, image.height)), image.crop((middle, 0, image.width, image.height))]
    pieces.append(pieces[0].convert("L"))
    rows = encoder(pieces)
    assert (rows.shape, rows.dtype) == ((7, 1280), np.float32)
    assert rows.min() >= 0
    near = cosines(rows[:6])
    np.fill_diagonal(near, -1)
    assert near.argmax(axis=1).tolist() == [1, 0, 3, 2, 5, 4]


@pytest.mark.parametrize("name", ["wordllama", "minilm", "efficientnet"])
def test_an_encoder_predicts_nothing_and_its_version_is_its_weights(name: str, missing: Missing) -> None:
    encoder = opened(name, missing)
    wrapper = encoder.wrapper
    assert wrapper.can_embed
    assert encoder.name == model_version(wrapper, load_settings()) == model_version(load_wrapper(name), load_settings())
    assert encoder.name.startswith(f"{name}-")
    with pytest.raises(ModelLoadError, match="predicts nothing"):
        wrapper.predict(["x"])
    encoder.close()


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wordllama", None)
    with pytest.raises(ModelLoadError) as found:
        Encoder("wordllama")
    assert found.value.hint == 'pip install "prelabel[embeddings]"'


def test_no_project_can_be_connected_to_an_encoder() -> None:
    config = parse('<View><Text name="t" value="$t"/><Choices name="c" toName="t"><Choice value="a"/></Choices></View>')
    wrapper = load_wrapper("wordllama")
    report = fit(config, outputs=wrapper.outputs, kind=wrapper.input)
    assert not report.ok
    assert report.refusal == "The model embeds and predicts nothing: connect one that predicts."
