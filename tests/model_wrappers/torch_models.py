"""Small networks of PyTorch and transformers, trained here in seconds; only the slow tests import this."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

NETWORK = '''
from torch import nn


class Network(nn.Module):
    """Digits of 8x8 pixels."""

    labels = [f"digit {number}" for number in range(10)]

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(128, 10)
        )

    def forward(self, images):
        return self.layers(images)
'''
DETECTOR = """
import torch
from torchvision.models.detection import ssdlite320_mobilenet_v3_large


def detector():
    torch.manual_seed(0)
    made = ssdlite320_mobilenet_v3_large(
        weights=None, weights_backbone=None, num_classes=3, score_thresh=0.0, detections_per_img=5
    )
    made.labels = ["background", "cat", "cup"]
    return made
"""
PLACES = ["London", "Paris", "Madrid", "Berlin"]
WORDS = ["we", "met", "in", "and", "went", "to", "nothing", "happened", "they", "left"]


def digits(models: Path) -> Path:
    """``network.py``, its weights ``digits.pth``, and the same network as TorchScript, ``digits.pt``."""
    made = models / "torch"
    if made.exists():
        return made
    import torch
    from sklearn.datasets import load_digits

    from prelabel_wrappers.modules import made_module

    made.mkdir()
    (made / "network.py").write_text(NETWORK)
    torch.manual_seed(0)
    network = made_module(made / "network.py", "Network")
    some = load_digits()
    images = torch.tensor(some.images[:1000] / 16, dtype=torch.float32)[:, None]
    names = torch.tensor(some.target[:1000])
    steps = torch.optim.Adam(network.parameters(), lr=0.01)
    for _ in range(80):
        steps.zero_grad()
        torch.nn.functional.cross_entropy(network(images), names).backward()
        steps.step()
    network.eval()
    torch.save(network.state_dict(), made / "digits.pth")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        script = torch.jit.trace(network, images[:2])
        torch.jit.save(script, made / "digits.pt", _extra_files={"labels.txt": "\n".join(network.labels)})
    return made


def detector(models: Path) -> Path:
    """torchvision's SSDlite of 300 layers, with random weights: its boxes mean nothing, but have their form."""
    made = models / "detector.py"
    made.write_text(DETECTOR)
    return made


def _tokenizer(texts: Sequence[str]) -> object:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.train_from_iterator(texts, trainers.WordPieceTrainer(vocab_size=400, special_tokens=special))
    ends = [(name, tokenizer.token_to_id(name)) for name in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="[UNK]", pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]",
        model_max_length=64,
    )  # fmt: skip


def _bert(kind: str, tokenizer: object, names: Sequence[str]) -> object:
    import torch
    import transformers

    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64,
        max_position_embeddings=64, id2label=dict(enumerate(names)),
        label2id={name: at for at, name in enumerate(names)},
    )  # fmt: skip
    return getattr(transformers, kind)(config)


def _train(model: object, batch: object, target: object) -> None:
    """Until it knows them all; tokenizers number the same words differently from time to time."""
    import torch

    steps = torch.optim.Adam(model.parameters(), lr=0.003)
    for _ in range(40):
        model.train()
        for _ in range(20):
            steps.zero_grad()
            model(**batch, labels=target).loss.backward()
            steps.step()
        model.eval()
        with torch.no_grad():
            if model(**batch, labels=target).loss < 0.01:
                return
    raise AssertionError("the network did not learn its examples")


def feelings(models: Path, texts: Sequence[str], said: Sequence[str]) -> Path:
    """A BERT of two layers that knows these texts' feelings, as ``save_pretrained`` writes it."""
    made = models / "feelings"
    if made.exists():
        return made
    import torch

    tokenizer = _tokenizer(texts)
    names = sorted(set(said))
    model = _bert("BertForSequenceClassification", tokenizer, names)
    batch = tokenizer(list(texts), padding=True, return_tensors="pt")
    _train(model, batch, torch.tensor([names.index(each) for each in said]))
    model.save_pretrained(made)
    tokenizer.save_pretrained(made)
    return made


def places(models: Path) -> tuple[Path, list[str]]:
    """A BERT of two layers that tags cities, and sentences that it knows."""
    made = models / "places"
    texts = ["we met in London", "nothing happened", "they left Paris and went to Madrid", "we went to Berlin"]
    if made.exists():
        return made, texts
    import torch

    tokenizer = _tokenizer([*texts * 5, *PLACES * 20, *WORDS * 20])
    model = _bert("BertForTokenClassification", tokenizer, ["O", "B-CITY"])
    batch = tokenizer(texts, padding=True, return_tensors="pt")
    cities = {tokenizer.convert_tokens_to_ids(name.lower()) for name in PLACES}
    target = torch.tensor([[int(token in cities) for token in row] for row in batch["input_ids"].tolist()])
    _train(model, batch, target)
    model.save_pretrained(made)
    tokenizer.save_pretrained(made)
    return made, texts
