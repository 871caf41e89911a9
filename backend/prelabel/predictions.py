"""Regions, a score and a model version to one entry of Label Studio's predictions array; scoring policies."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from prelabel.adapters import stated_score, to_outputs
from prelabel.adapters.values import is_number, plain
from prelabel.distributions import distributions_of
from prelabel.labeling import LabelingConfig
from prelabel.model import Silence
from prelabel.outputs import Choice, Choices, Output, Taxonomy
from prelabel.regions import to_regions
from prelabel.tasks import Facts

if TYPE_CHECKING:
    from prelabel.settings import ScorePolicy

NO_SCORE = 0.0
"""Score of a prediction of which nothing is scored: first in the order, for somebody to look at.

It says that the model claims no confidence: it found nothing, or says what it found without a score.
"""


_CLASSES = (Choice, Choices, Taxonomy)
"""Outputs that may carry a distribution."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """One entry of the predictions array.

    Attributes:
        result: Label Studio's regions, JSON-ready.
        score: finite, 0..1, at the top level of the entry; Label Studio orders tasks by it, lowest first.
        model_version: never empty; the model run's name.
        dropped: outputs that did not fit the labeling config, one sentence each (for the log and ``check``).
        distributions: the probabilities behind regions by region id, see `prelabel.distributions`.
        silent: the model says nothing, and nothing is stored: see `Silence`.
    """

    result: tuple[dict[str, Any], ...]
    score: float
    model_version: str
    dropped: tuple[str, ...] = ()
    distributions: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, compare=False)
    silent: bool = False

    def as_json(self) -> dict[str, Any]:
        """The entry as Label Studio takes it from ``/predict`` and in an import.

        It leaves out ``distributions`` without a word; the ledger keeps them.
        """
        entry = {"result": list(self.result), "score": self.score, "model_version": self.model_version}
        return entry | ({"distributions": self.distributions} if self.distributions else {})


def make_prediction(
    raw: object,
    config: LabelingConfig,
    facts: Mapping[str, Facts],
    *,
    model_version: str,
    policy: ScorePolicy = "min",
    label_map: Mapping[str, str] | None = None,
    names: Sequence[str] | None = None,
) -> Prediction:
    """What a model returned for one task, as Label Studio takes it.

    Args:
        raw: outputs or plain Python (see `prelabel.adapters`); None and [] make a prediction without regions.
        config: the project's labeling config.
        facts: what is known of the data, by object tag name.
        model_version: the model run's name.
        policy: how the regions' scores become the prediction's (see `POLICIES`). A Label Studio prediction that
            brings a score of its own keeps it.
        label_map: the model's labels to the config's.
        names: the labels that the model declares, in the order of its classes' numbers.

    Raises:
        OutputError: the value has no one meaning for this config, or lacks what its conversion needs. What merely does
            not fit (a label that the config lacks) is left out and named in `Prediction.dropped`.
    """
    if isinstance(raw, Silence):
        return Prediction((), NO_SCORE, model_version, silent=True)
    outputs = to_outputs(raw, config, label_map, names)
    classes = [output for output in outputs if isinstance(output, _CLASSES)]
    if classes:
        outputs = [output for output in outputs if not _says_nothing(output)]
    conversion = to_regions(outputs, config, facts, label_map)
    score = stated_score(raw)
    if score is None:
        score = score_of(conversion.result, policy, classes, conversion.distributed)
    known = distributions_of(conversion, config, label_map)
    return Prediction(tuple(conversion.result), score, model_version, tuple(conversion.dropped), known)


def score_of(
    result: Iterable[Mapping[str, Any]],
    policy: ScorePolicy,
    classes: Sequence[Output] = (),
    distributed: Mapping[str, Output] | None = None,
) -> float:
    """The prediction's score, 0..1, under a policy.

    Every region of ``result`` with a finite score counts once, however many controls it is spread over. Distributions
    are those of ``distributed``, by region id, and of the ``classes`` that are said of one region of several, which has
    their score; ``classes`` may also say that none of several was chosen. `NO_SCORE` where nothing is scored.
    """
    whole: dict[tuple[object, float | None], Output]
    whole = {(each, _finite(output.score)): output for each, output in (distributed or {}).items()}
    whole |= {(each.of, _finite(each.score)): each for each in classes if each.of is not None and _distribution(each)}
    scored: dict[tuple[object, float], Output | None] = {}
    for region in result:
        score = _finite(region.get("score"))
        if score is not None:
            key = (region.get("id"), score)
            scored[key] = whole.get(key) if whole else None
    for number, output in enumerate(classes):
        if _says_nothing(output) and _distribution(output) and (sure := _finite(output.score)) is not None:
            scored[number, sure] = output
    if not scored:
        return NO_SCORE
    certainty, together = POLICIES[policy]
    said = together([certainty(score, output) for (_, score), output in scored.items()])
    return min(max(said, 0.0), 1.0)


# --- how sure one region is, 0..1
def _score(score: float, output: Output | None) -> float:
    return score


def _margin(score: float, output: Output | None) -> float:
    """How far the likeliest class is ahead of the next; without a distribution, of its opposite: ``|2s - 1|``."""
    shares = _shares(output)
    if shares is None:
        return min(abs(2 * each - 1) for each in _independent(score, output))
    first, second = sorted(shares, reverse=True)[:2]
    return first - second


def _certainty(score: float, output: Output | None) -> float:
    """One minus the entropy of the distribution, as a part of the greatest possible entropy."""
    shares = _shares(output)
    if shares is None:
        return min(1.0 - _entropy((each, 1.0 - each)) / math.log(2) for each in _independent(score, output))
    return 1.0 - _entropy(shares) / math.log(len(shares))


def _entropy(shares: Iterable[float]) -> float:
    return -sum(share * math.log(share) for share in shares if share > 0)


def _shares(output: Output | None) -> list[float] | None:
    """Probabilities of classes that exclude each other, with sum 1; None where there are not at least two.

    Where all are 0, nothing is known: they are equal.
    """
    if not isinstance(output, Choice) or output.distribution is None or len(output.distribution) < 2:
        return None
    known = [_finite(share) or 0.0 for share in output.distribution.values()]
    total = sum(known)
    return [share / total for share in known] if total > 0 else [1 / len(known)] * len(known)


def _independent(score: float, output: Output | None) -> list[float]:
    """Probabilities of classes that do not exclude each other; the score alone where no more is known."""
    known = (_finite(share) for share in (_distribution(output) or {}).values())
    return [share for share in known if share is not None] or [score]


POLICIES: Mapping[str, tuple[Callable[[float, Output | None], float], Callable[[Sequence[float]], float]]] = {
    "min": (_score, min),
    "mean": (_score, lambda scores: sum(scores) / len(scores)),
    "max": (_score, max),
    "product": (_score, math.prod),
    "margin": (_margin, min),
    "entropy": (_certainty, min),
}
"""For each policy: how sure one region is, and how the certainties become one; docs/scores.md explains them."""


# --- parts
def _distribution(output: Output | None) -> Mapping[str, float] | None:
    return output.distribution if isinstance(output, _CLASSES) else None


def _says_nothing(output: Output) -> bool:
    """A choice of none of several classes: no region, but a certainty."""
    return (isinstance(output, Choices) and not output.labels) or (isinstance(output, Taxonomy) and not output.paths)


def _finite(score: object) -> float | None:
    """``score`` within 0..1; None where it is no finite number."""
    if type(score) is float and 0.0 <= score <= 1.0:  # what regions have: asked for each of thousands
        return score
    score = plain(score)
    if not is_number(score) or not math.isfinite(score):
        return None
    return min(max(float(score), 0.0), 1.0)
