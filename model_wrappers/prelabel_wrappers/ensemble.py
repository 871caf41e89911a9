"""Several models on one project: different controls by different models, and several models' answers made one."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from prelabel import loader
from prelabel.data import DataReader
from prelabel.errors import ModelNotReadyError, PrelabelError
from prelabel.model import InputKind, Item, ModelWrapper, Surroundings
from prelabel.options import Share
from prelabel.outputs import Output
from prelabel.settings import load_settings
from prelabel_wrappers.ensemble_members import Member, members_from
from prelabel_wrappers.ensemble_together import Together, Voice


class EnsembleModel(ModelWrapper):
    """Asks every member about every task; where several answer one control, their answers are made one.

    Classes get the mean of the members' probabilities (a member without gives all to its class), numbers and ratings
    the mean, texts the answer most given; boxes are fused (weighted boxes fusion); spans are taken that enough members
    say with the same ends. Anything else (masks, segments, tracks) is the heaviest member's. Members are loaded and
    unloaded together, and the version changes with any of theirs.

    Args:
        members: JSON object of members by name, or the path of a ``.json`` file: each has ``model`` (a wrapper's name,
            a file, a dotted path), and may have ``options``, ``controls`` (names of those it answers; default all),
            ``weight`` (default 1) and ``label_map`` (its labels to the config's).
        together: ``mean`` of probabilities, or ``vote``: each member's class counts by its weight.
        least: share of the members' weight from which a span, a box, or one of several classes is taken.
        overlap: intersection over union from which two boxes are one.
    """

    input = InputKind.BARE

    def __init__(
        self,
        members: str,
        *,
        together: Literal["mean", "vote"] = "mean",
        least: Share = 0.5,
        overlap: Share = 0.55,
    ) -> None:
        self.members = members_from(members)
        self.name = "ensemble"
        self._together = Together(together == "vote", least, overlap)
        self._reader: DataReader | None = None
        self._own_reader = False
        self._declare()

    def _declare(self) -> None:
        """What all members say together; None where one of them does not say."""
        wrappers = [member.wrapper for member in self.members]
        self.interactive = any(wrapper.interactive for wrapper in wrappers)
        sizes = [wrapper.max_batch_size for wrapper in wrappers if wrapper.max_batch_size]
        self.max_batch_size = max(sizes) if len(sizes) == len(wrappers) else None
        kinds = [wrapper.outputs for wrapper in wrappers]
        self.outputs = None if None in kinds else tuple(dict.fromkeys(kind for each in kinds for kind in each or ()))
        names = [
            wrapper.labels and [member.label_map.get(label, label) for label in wrapper.labels]
            for member, wrapper in zip(self.members, wrappers, strict=True)
        ]
        self.labels = None if None in names else tuple(dict.fromkeys(name for each in names for name in each or ()))

    def enter(self, surroundings: Surroundings) -> None:
        """Tell every member, too."""
        self._reader = surroundings.reader
        for member in self.members:
            member.wrapper.enter(surroundings)

    def load(self) -> None:
        """Load every member; if one cannot be, none stays loaded."""
        loaded: list[Member] = []
        try:
            for member in self.members:
                loader.load(member.wrapper)
                loaded.append(member)
        except BaseException:
            for member in reversed(loaded):
                member.wrapper.unload()
            raise
        if self._reader is None:
            self._reader, self._own_reader = DataReader(load_settings()), True
        self._declare()

    def unload(self) -> None:
        """Unload every member."""
        for member in reversed(self.members):
            member.wrapper.unload()
        if self._own_reader and self._reader is not None:
            self._reader.close()
            self._reader, self._own_reader = None, False

    def predict(self, batch: Sequence[Item]) -> Sequence[Any]:
        """One answer for each control; the error of a task for which a member failed."""
        if self._reader is None:
            raise ModelNotReadyError("the ensemble is not loaded.", hint="Call load() first.")
        results: list[list[Output] | PrelabelError] = [[]] * len(batch)
        alike: dict[tuple[str, int | None], list[int]] = {}
        for at, item in enumerate(batch):  # an interactive context belongs to its own item
            alike.setdefault((item.config.hash, at if item.context else None), []).append(at)
        for places in alike.values():
            items = [batch[at] for at in places]
            answers = [member.answers(items, self._reader) for member in self.members]
            for number, at in enumerate(places):
                results[at] = self._one(batch[at], [each[number] for each in answers])
        return results

    def _one(self, item: Item, said: Sequence[Mapping[str, list[Output]] | PrelabelError]) -> Any:
        answers: list[tuple[Member, Mapping[str, list[Output]]]] = []
        for member, each in zip(self.members, said, strict=True):
            if isinstance(each, PrelabelError):
                return each
            answers.append((member, each))
        found: list[Output] = []
        names = dict.fromkeys(name for _, by_control in answers for name in by_control)
        for name in names:
            control = item.config.control(name)
            if control is None:
                continue
            voices = [
                Voice(member.weight, by_control.get(name, ()))
                for member, by_control in answers
                if name in by_control or member.asked(item.config, control)
            ]
            found += voices[0].outputs if len(voices) == 1 else self._together.one(voices, control)
        return found

    def fingerprint(self) -> bytes:
        """Every member's own version or fingerprint, its controls, weight and labels; and how answers are made one."""
        parts = [repr(self._together)]
        for member in self.members:
            own = member.wrapper.version or hashlib.sha256(member.wrapper.fingerprint()).hexdigest()
            parts.append(
                repr((member.name, own, sorted(member.controls), member.weight, sorted(member.label_map.items())))
            )
        return "\n".join(parts).encode()
