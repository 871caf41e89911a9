"""Objects that transformers, Torch and Ultralytics really made, where these are installed.

The models are tiny and random; what they return has the form of any model's.
"""

from __future__ import annotations

import importlib.util
import shutil
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from prelabel import outputs as o
from prelabel.adapters import to_outputs
from prelabel.regions import to_regions
from prelabel.tasks import Facts

from .native_examples import AUDIO, CONFIGS, CORNERS, IN_REGION, PLANES, POINTS, THINGS, config, control

pytestmark = pytest.mark.slow
FACTS = Facts(width=40, height=30, duration_s=1.0, text="a red car")
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "red", "car", "this", "example", "is", "."]
LABELS: dict[str, Any] = {"id2label": dict(enumerate(THINGS)), "label2id": {name: i for i, name in enumerate(THINGS)}}
TINY: dict[str, Any] = {
    "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8,
}  # fmt: skip
PICTURE = Image.fromarray((np.random.default_rng(0).random((30, 40, 3)) * 255).astype(np.uint8))


def library(name: str) -> ModuleType:
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of other people's imports
        return importlib.import_module(name)


@pytest.fixture(scope="module")
def transformers() -> Any:
    torch, found = library("torch"), library("transformers")
    torch.manual_seed(0)
    found.logging.set_verbosity_error()
    return found


@pytest.fixture(autouse=True)
def quiet() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def tokenizer(transformers: Any) -> Any:
    tokenizers = library("tokenizers")
    model = tokenizers.models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]")
    words = tokenizers.Tokenizer(model)
    words.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    special = {"unk_token": "[UNK]", "pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    return transformers.PreTrainedTokenizerFast(tokenizer_object=words, **special)


def text_pipeline(transformers: Any, task: str, kind: str, labels: tuple[str, ...], **rest: Any) -> Any:
    named = {"id2label": dict(enumerate(labels)), "label2id": {name: i for i, name in enumerate(labels)}}
    model = getattr(transformers, kind)(transformers.BertConfig(vocab_size=len(WORDS), **TINY, **named))
    return transformers.pipeline(task, model=model, tokenizer=tokenizer(transformers), **rest)


def taken(raw: object, kind: type[o.Output]) -> list[Any]:
    """The outputs, which all become regions of a config that holds ``kind``."""
    parsed = CONFIGS[kind]
    outputs = to_outputs(raw, parsed)
    conversion = to_regions(outputs, parsed, dict.fromkeys(parsed.objects, FACTS))
    assert conversion.dropped == []
    assert conversion.result
    return outputs


def test_text_classification_and_zero_shot(transformers: Any) -> None:
    classify = text_pipeline(transformers, "text-classification", "BertForSequenceClassification", THINGS, top_k=None)
    for raw in (classify("a red car"), classify("a red car", top_k=1)):
        (choice,) = taken(raw, o.Choice)
        assert choice.label in THINGS
    labels = ("contradiction", "entailment")
    zero = text_pipeline(transformers, "zero-shot-classification", "BertForSequenceClassification", labels)
    (choice,) = taken(zero("a red car", candidate_labels=list(THINGS)), o.Choice)
    assert choice.distribution.keys() == set(THINGS)


@pytest.mark.parametrize("rest", [{}, {"aggregation_strategy": "simple"}], ids=["tagged", "aggregated"])
def test_token_classification(transformers: Any, rest: dict[str, str]) -> None:
    tag = text_pipeline(transformers, "token-classification", "BertForTokenClassification", ("B-Car", "I-Car"), **rest)
    spans = taken(tag("a red car"), o.Span)
    assert {span.label for span in spans} == {"Car"}
    assert spans[-1].end == len("a red car")


def test_image_classification(transformers: Any) -> None:
    model = transformers.ViTForImageClassification(
        transformers.ViTConfig(image_size=32, patch_size=16, **TINY, **LABELS)
    )
    size = {"height": 32, "width": 32}
    ask = transformers.pipeline(
        "image-classification", model=model, image_processor=transformers.ViTImageProcessor(size=size)
    )
    (choice,) = taken(ask(PICTURE), o.Choice)
    assert choice.label in THINGS


def test_object_detection_and_its_post_processing(transformers: Any) -> None:
    settings = transformers.YolosConfig(image_size=[32, 32], patch_size=16, num_detection_tokens=4, **TINY, **LABELS)
    model = transformers.YolosForObjectDetection(settings)
    processor = transformers.YolosImageProcessor(size={"shortest_edge": 32, "longest_edge": 48})
    ask = transformers.pipeline("object-detection", model=model, image_processor=processor, threshold=0.0)
    boxes = taken(ask(PICTURE), o.Box)
    assert {box.label for box in boxes} <= set(THINGS)
    outputs = model(**processor(images=PICTURE, return_tensors="pt"))
    (raw,) = processor.post_process_object_detection(outputs, threshold=0.0, target_sizes=[(30, 40)])
    (many,) = taken({**raw, "id2label": settings.id2label}, o.Boxes)
    assert len(list(many)) == 4


def test_image_segmentation(transformers: Any) -> None:
    settings = transformers.SegformerConfig(
        depths=[1] * 4, hidden_sizes=[4, 4, 8, 8], num_attention_heads=[1, 1, 2, 2], decoder_hidden_size=8, **LABELS
    )
    model = transformers.SegformerForSemanticSegmentation(settings)
    processor = transformers.SegformerImageProcessor(size={"height": 32, "width": 32})
    ask = transformers.pipeline("image-segmentation", model=model, image_processor=processor)
    masks = taken(ask(PICTURE), o.Mask)
    assert {mask.label for mask in masks} <= set(THINGS)
    assert all(mask.array.shape == (30, 40) for mask in masks)


def test_panoptic_and_instance_segmentation(transformers: Any) -> None:
    library("scipy")  # what MaskFormer needs besides
    backbone = transformers.SwinConfig(
        image_size=128, patch_size=4, embed_dim=8, depths=[1] * 4, num_heads=[1] * 4, window_size=4,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )  # fmt: skip
    decoder = transformers.DetrConfig(
        d_model=32, encoder_layers=1, decoder_layers=1, encoder_attention_heads=1, decoder_attention_heads=1,
        encoder_ffn_dim=8, decoder_ffn_dim=8, num_queries=5,
    )  # fmt: skip
    settings = transformers.MaskFormerConfig(
        backbone_config=backbone, decoder_config=decoder, fpn_feature_size=32, mask_feature_size=32, **LABELS
    )
    model = transformers.MaskFormerForInstanceSegmentation(settings).eval()
    processor = transformers.MaskFormerImageProcessor(size={"height": 128, "width": 128}, num_labels=2)
    ask = transformers.pipeline("image-segmentation", model=model, image_processor=processor)
    some = {"threshold": 0.0, "mask_threshold": 0.0, "overlap_mask_area_threshold": 0.0}
    for subtask in ("panoptic", "instance"):
        raw = ask(PICTURE, subtask=subtask, **some)
        outputs = to_outputs(raw, CONFIGS[o.Mask])
        assert [(mask.label, mask.score) for mask in outputs] == [(each["label"], each["score"]) for each in raw]  # type: ignore[attr-defined]
        assert outputs
    (found,) = processor.post_process_panoptic_segmentation(
        model(**processor(images=PICTURE, return_tensors="pt")), target_sizes=[(30, 40)], **some
    )
    masks = taken({**found, "id2label": settings.id2label}, o.Mask)
    assert len(masks) == len(found["segments_info"])
    assert sum(int(mask.array.sum()) for mask in masks) == 30 * 40


def test_answers_about_a_document_and_generated_text(transformers: Any) -> None:
    if shutil.which("tesseract") is None:
        pytest.skip("tesseract, which reads the document, is not installed")
    page = Image.new("RGB", (400, 100), "white")
    ImageDraw.Draw(page).text((20, 20), "red car", fill="black", font=ImageFont.load_default(40))
    settings = transformers.LayoutLMConfig(vocab_size=len(WORDS), max_2d_position_embeddings=1024, **TINY)
    model = transformers.LayoutLMForQuestionAnswering(settings).eval()
    words = tokenizer(transformers)
    words.model_max_length = 64
    ask = transformers.pipeline("document-question-answering", model=model, tokenizer=words)
    raw = ask(image=page, question="this is a car")
    (text,) = taken(raw, o.Text)
    assert (text.text, text.score) == (raw[0]["answer"], raw[0]["score"])

    small = transformers.GPT2Config(
        vocab_size=len(WORDS), n_embd=8, n_layer=1, n_head=2, bos_token_id=2, eos_token_id=3
    )
    write = transformers.pipeline("text-generation", model=transformers.GPT2LMHeadModel(small), tokenizer=words)
    said = write("a red", max_new_tokens=3, return_full_text=True)
    (text,) = taken(said, o.Text)
    assert text.text == said[0]["generated_text"]


def test_tensors_that_numpy_has_no_type_for_and_such_that_are_still_learnt() -> None:
    torch = library("torch")
    raw = {
        "boxes": torch.tensor(CORNERS, requires_grad=True), "labels": ["Car", "Car"],
        "scores": torch.tensor([0.75, 0.5], dtype=torch.bfloat16),
    }  # fmt: skip
    (boxes,) = taken(raw, o.Boxes)
    assert [box.score for box in boxes] == [0.75, 0.5]
    shares = torch.tensor(PLANES[0]).bfloat16() * 0.9
    (mask,) = taken({"Car": shares}, o.Mask)
    assert np.array_equal(mask.array >= mask.threshold, PLANES[0])
    taken([o.Mask(shares, "Car"), o.Mask(torch.tensor(PLANES[1] * 0.9, requires_grad=True), "Car")], o.Mask)
    taken([o.Boxes(torch.tensor(CORNERS, requires_grad=True), ["Car", "Car"])], o.Boxes)


def test_audio_classification_and_speech_with_times(transformers: Any, tmp_path: Path) -> None:
    sound = np.random.default_rng(0).normal(size=16000).astype(np.float32)
    sizes: dict[str, Any] = {
        "conv_dim": [8] * 3, "conv_stride": [5, 4, 4], "conv_kernel": [10, 4, 4], "num_feat_extract_layers": 3,
        "num_conv_pos_embeddings": 4, "num_conv_pos_embedding_groups": 2,
    }  # fmt: skip
    features = transformers.Wav2Vec2FeatureExtractor()
    model = transformers.Wav2Vec2ForSequenceClassification(transformers.Wav2Vec2Config(**TINY, **sizes, **LABELS))
    ask = transformers.pipeline("audio-classification", model=model, feature_extractor=features)
    assert taken(ask(sound), o.Choice)

    letters = tmp_path / "vocab.json"
    letters.write_text(
        '{"<pad>": 0, "<s>": 1, "</s>": 2, "<unk>": 3, "|": 4, "a": 5, "b": 6, "c": 7}', encoding="utf-8"
    )
    settings = transformers.Wav2Vec2Config(vocab_size=8, pad_token_id=0, **TINY, **sizes)
    hear = transformers.pipeline(
        "automatic-speech-recognition",
        model=transformers.Wav2Vec2ForCTC(settings),
        tokenizer=transformers.Wav2Vec2CTCTokenizer(str(letters)),
        feature_extractor=features,
    )
    raw = hear(sound, return_timestamps="word")
    parsed = config(AUDIO, control("Labels", "audio", "Car"), IN_REGION.format("audio"))
    segments = to_outputs(raw, parsed)
    assert [segment.text for segment in segments] == [chunk["text"] for chunk in raw["chunks"]]  # type: ignore[attr-defined]
    assert segments


def test_torchvisions_dicts_of_tensors() -> None:
    torch = library("torch")
    raw = {
        "boxes": torch.tensor(CORNERS), "labels": torch.tensor([1, 2]), "scores": torch.tensor([0.75, 0.5]),
        "masks": torch.tensor(PLANES[:, None] * 0.9), "names": ["__background__", *THINGS],
    }  # fmt: skip
    assert [mask.label for mask in taken(raw, o.Mask)] == list(THINGS)
    (boxes,) = taken(raw, o.Boxes)
    assert boxes.labels == list(THINGS)


def test_results_of_ultralytics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YOLO_CONFIG_DIR", str(tmp_path))
    library("ultralytics")
    torch, made = library("torch"), library("ultralytics.engine.results")
    names, picture = dict(enumerate(THINGS)), np.zeros((30, 40, 3), dtype=np.uint8)

    def results(**said: Any) -> Any:
        return made.Results(picture, "a.jpg", names, **said)

    rows = torch.tensor(np.column_stack((CORNERS, [0.75, 0.5], [0, 1])))
    (boxes,) = taken(results(boxes=rows), o.Boxes)
    assert (boxes.labels, len(list(boxes))) == (list(THINGS), 2)
    masks = torch.tensor(PLANES.astype(np.float32))
    assert [mask.label for mask in taken(results(boxes=rows, masks=masks), o.Mask)] == list(THINGS)
    assert len(taken(results(boxes=rows, masks=masks), o.Polygon)) == 2
    assert len(taken(results(boxes=rows, keypoints=torch.tensor(POINTS)), o.Keypoint)) == 3
    turned = torch.tensor([[20.0, 15.0, 10.0, 6.0, 0.5, 0.75, 0.0]])
    (box,) = taken(results(obb=turned), o.Box)
    assert (box.width, box.height, box.rotation) == pytest.approx((10, 6, np.degrees(0.5)), abs=1e-3)
    (choice,) = taken(results(probs=torch.tensor([0.75, 0.25])), o.Choice)
    assert choice.distribution == {"Car": 0.75, "Person": 0.25}
    tracked = torch.tensor(np.column_stack((CORNERS, [7, 8], [0.75, 0.5], [0, 1])))
    tracks = taken([results(boxes=tracked)] * 2, o.Track)
    assert [track.label for track in tracks] == list(THINGS)


def test_detections_that_supervision_made_of_ultralytics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import supervision as sv

    monkeypatch.setenv("YOLO_CONFIG_DIR", str(tmp_path))
    library("ultralytics")
    torch, theirs = library("torch"), library("ultralytics.engine.results")
    rows = torch.tensor(np.column_stack((CORNERS, [0.75, 0.5], [0, 1])))
    picture = np.zeros((30, 40, 3), dtype=np.uint8)
    made = theirs.Results(picture, "a.jpg", dict(enumerate(THINGS)), boxes=rows)
    (boxes,) = taken(sv.Detections.from_ultralytics(made), o.Boxes)
    assert boxes.labels == list(THINGS)
