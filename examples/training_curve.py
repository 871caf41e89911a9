"""Does a model get better as annotations arrive? The classifier that `prelabel up classifier` serves, on real data.

    python examples/training_curve.py [--seeds 5] [--dataset emails|digits] [--plot FILE] [--cache FOLDER]

Annotations are simulated: a label is looked up instead of asked for. They arrive in random order, one of each class
first; after 10, 20, 40 ... of them the wrapper learns from all so far, as a training job lets it, and is asked about
held-out items that it never learns from. Accuracy is the share of right classes, with the 95 % interval
of the mean over the seeds (Student's t).

Data: as in examples/active_learning.py. E-mails are told apart by their words and by MiniLM's embeddings, digits (8 x 8
pixels, enlarged) by EfficientNet's, which was made for photographs.

Needs: pip install "prelabel[sklearn,embeddings,runs]" matplotlib
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from active_learning import read_emails
from numpy.typing import NDArray

from prelabel.examples import Example
from prelabel.labeling import LabelingConfig, parse
from prelabel.loader import load, load_wrapper
from prelabel.tasks import Task

SIZES = (10, 20, 40, 80, 160, 320)
HELD_OUT = 240
POOL = 400
ENCODERS = {"emails": ("words", "minilm"), "digits": ("efficientnet",)}
TITLES = {"emails": "E-mails, spam or not", "digits": "Handwritten digits, 10 classes"}
LOOKS = {"words": ("#0072B2", "o"), "minilm": ("#D55E00", "s"), "efficientnet": ("#009E73", "D")}
SIDE = 64


@dataclass(frozen=True)
class Material:
    """Items with their labels: those that may be annotated, in the order in which they are, and held-out ones."""

    config: LabelingConfig
    arriving: Sequence[tuple[Any, str]]
    held_out: Sequence[tuple[Any, str]]


def emails(seed: int, cache: Path) -> Material:
    texts, spam = read_emails(cache)
    named = [(text, "spam" if label else "ham") for text, label in zip(texts, spam.tolist(), strict=True)]
    order = np.random.default_rng(seed).permutation(len(named)).tolist()
    shuffled = [named[place] for place in order]
    return Material(_config("Text", ("ham", "spam")), _each_class_first(shuffled[HELD_OUT:]), shuffled[:HELD_OUT])


def digits(seed: int, cache: Path) -> Material:
    """Handwritten digits of 8 x 8 grey pixels, as pictures."""
    from PIL import Image  # noqa: PLC0415 (only these need it)
    from sklearn.datasets import load_digits  # noqa: PLC0415

    drawn = load_digits()
    order = np.random.default_rng(seed).permutation(len(drawn.target)).tolist()
    pictures = (drawn.images * (255 / 16)).astype(np.uint8)
    shuffled = [
        (Image.fromarray(pictures[place]).resize((SIDE, SIDE)).convert("RGB"), str(drawn.target[place]))
        for place in order[: HELD_OUT + POOL]
    ]
    names = [str(digit) for digit in range(10)]
    return Material(_config("Image", names), _each_class_first(shuffled[HELD_OUT:]), shuffled[:HELD_OUT])


def _each_class_first(items: Sequence[tuple[Any, str]]) -> list[tuple[Any, str]]:
    """One of each class, then the others in their order: nothing can be learnt from a single class."""
    first = {label: place for place, (_, label) in reversed(list(enumerate(items)))}
    return [items[place] for place in first.values()] + [
        item for place, item in enumerate(items) if place not in first.values()
    ]


def _config(tag: str, labels: Sequence[str]) -> LabelingConfig:
    choices = "".join(f'<Choice value="{label}"/>' for label in labels)
    shown = f'<{tag} name="item" value="$item"/>'
    return parse(f'<View>{shown}<Choices name="class" toName="item">{choices}</Choices></View>')


def examples(material: Material, count: int) -> Iterator[Example]:
    """What the training job streams from Label Studio."""
    for number, (value, label) in enumerate(material.arriving[:count]):
        region = {"type": "choices", "from_name": "class", "to_name": "item", "value": {"choices": [label]}}
        yield Example(Task(number, {}), value, (region,), material.config)


def accuracies(material: Material, encoder: str) -> list[float]:
    """On the held-out items, after each of `SIZES`."""
    wrapper = load_wrapper("classifier", {"encoder": encoder})
    load(wrapper)
    if wrapper.encoder is not None:
        wrapper.encoder.embed = _once(wrapper.encoder.embed)
    values, truth = zip(*material.held_out, strict=True)
    found = []
    for size in SIZES:
        wrapper.fit(list(examples(material, size)))
        said = wrapper.predict(values)
        found.append(float(np.mean([one.label == label for one, label in zip(said, truth, strict=True)])))
    wrapper.unload()
    return found


def _once(embed: Callable[[Sequence[Any]], NDArray[np.float32]]) -> Callable[[Sequence[Any]], NDArray[np.float32]]:
    """Each item is embedded once, however often it is learnt from: that changes nothing but the time this takes."""
    known: dict[int, NDArray[np.float32]] = {}

    def remembered(batch: Sequence[Any]) -> NDArray[np.float32]:
        new = [item for item in batch if id(item) not in known]
        if new:
            known.update(zip(map(id, new), embed(new), strict=True))
        return np.stack([known[id(item)] for item in batch])

    return remembered


def half_width(found: NDArray[np.float64]) -> NDArray[np.float64]:
    """Half of the 95 % interval of the mean over the first axis; 0 of a single seed, which says nothing of it."""
    from scipy import stats  # noqa: PLC0415 (scikit-learn brings it)

    seeds = len(found)
    if seeds < 2:
        return np.zeros(found.shape[1])
    spread = found.std(axis=0, ddof=1) / np.sqrt(seeds)
    return np.asarray(stats.t.ppf(0.975, seeds - 1) * spread)


def draw(curves: dict[str, dict[str, NDArray[np.float64]]], file: Path) -> None:
    import matplotlib  # noqa: PLC0415 (only when a picture is wanted)

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    figure, axes = plt.subplots(1, len(curves), figsize=(5.5 * len(curves), 4), squeeze=False, layout="constrained")
    for axis, (dataset, lines) in zip(axes[0], curves.items(), strict=True):
        for encoder, found in lines.items():
            colour, marker = LOOKS[encoder]
            mean, half = found.mean(axis=0), half_width(found)
            axis.plot(SIZES, mean, color=colour, marker=marker, label=encoder)
            axis.fill_between(SIZES, mean - half, np.minimum(mean + half, 1.0), color=colour, alpha=0.15, linewidth=0)
        axis.set(xscale="log", xlabel="annotations", ylabel="accuracy on held-out items", title=TITLES[dataset])
        axis.set_xticks(SIZES, labels=[str(size) for size in SIZES], minor=False)
        axis.minorticks_off()
        axis.grid(alpha=0.3)
        axis.legend(title="encoder", loc="lower right")
    figure.savefig(file, dpi=130)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--dataset", choices=sorted(ENCODERS), action="append")
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--cache", type=Path, default=Path(".cache"))
    asked = parser.parse_args()
    curves: dict[str, dict[str, NDArray[np.float64]]] = {}
    print(f"| data | encoder | {' | '.join(map(str, SIZES))} |\n|---|---|{'---|' * len(SIZES)}")
    for dataset in asked.dataset or ENCODERS:
        make = {"emails": emails, "digits": digits}[dataset]
        for encoder in ENCODERS[dataset]:
            found = np.array([accuracies(make(seed, asked.cache), encoder) for seed in range(asked.seeds)])
            curves.setdefault(dataset, {})[encoder] = found
            halves = [f" ± {half:.3f}" if len(found) > 1 else "" for half in half_width(found)]
            cells = [f"{mean:.3f}{half}" for mean, half in zip(found.mean(axis=0), halves, strict=True)]
            print(f"| {dataset} | `{encoder}` | {' | '.join(cells)} |", flush=True)
    if asked.plot:
        draw(curves, asked.plot)


if __name__ == "__main__":
    main()
