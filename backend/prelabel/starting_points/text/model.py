"""A sentiment model: counts words. Put your own in its place; `prelabel up model.py` makes it a backend."""

from __future__ import annotations

GOOD = {"good", "great", "love", "lovely", "excellent", "happy", "wonderful", "friendly"}
BAD = {"bad", "awful", "hate", "terrible", "broken", "sad", "rude", "slow"}

labels = ["Positive", "Negative"]
"""What the model can say; Label Studio's labeling config is checked against it."""


def load() -> None:
    """Called once, before the first prediction: read weights here."""


def predict(texts: list[str]) -> list[dict[str, float]]:
    """One result per text, in order: here the probability of each label."""
    results = []
    for text in texts:
        words = {word.strip(".,!?").lower() for word in text.split()}
        good, bad = len(words & GOOD) + 1, len(words & BAD) + 1
        results.append({"Positive": good / (good + bad), "Negative": bad / (good + bad)})
    return results
