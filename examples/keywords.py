"""A model with weights, as a class. `prelabel serve examples/keywords.py --opt words=examples/keywords.json`"""

import json
from collections.abc import Sequence
from pathlib import Path

from prelabel import Choice, InputKind, ModelWrapper
from prelabel.loader import digest_files


class Keywords(ModelWrapper):
    """The topic whose words are met most often."""

    input = InputKind.TEXT
    outputs = (Choice,)

    def __init__(self, words: Path, minimum: int = 1) -> None:
        self.path = words
        self.minimum = minimum
        self.topics: dict[str, set[str]] = {}

    def load(self) -> None:
        """Read the weights; say the labels."""
        self.topics = {topic: set(words) for topic, words in json.loads(self.path.read_text()).items()}
        self.labels = tuple(self.topics)

    def predict(self, batch: Sequence[str]) -> list[Choice | None]:
        return [self._topic(text) for text in batch]

    def _topic(self, text: str) -> Choice | None:
        said = set(text.lower().split())
        hits = {topic: len(said & words) for topic, words in self.topics.items()}
        best = max(hits, key=lambda topic: hits[topic])
        if hits[best] < self.minimum:
            return None
        return Choice(best, score=hits[best] / sum(hits.values()))

    def fingerprint(self) -> bytes:
        """Code and options, and the weights: other words, another model version."""
        return super().fingerprint() + digest_files([self.path])


label_config = """
<View>
  <Text name="text" value="$text"/>
  <Choices name="topic" toName="text"><Choice value="Sport"/><Choice value="Money"/></Choices>
</View>"""
tasks = [{"text": "the team won the match"}, {"text": "the bank lowered its rate"}]
