"""A server's model runs in Label Studio projects: sent, selected from, enriched; and which of them people see."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from prelabel.client_enriching import Enriched, Suspect
from prelabel.client_run import ModelRun
from prelabel.client_selecting import Selected, Written
from prelabel.client_stages import Promotion
from prelabel.errors import RequestError
from prelabel.push.sending import Sent
from prelabel.remote import reading
from prelabel.remote.connection import MEASURE_S
from prelabel.remote.runs_told import Told
from prelabel.runs.selections import SelectionRow

if TYPE_CHECKING:
    from prelabel.encoding import Embedded, Encoder
    from prelabel.labelbox.pushing import Pushed
    from prelabel.runs.held import Split
    from prelabel.selection import ArmReport, Ranking


class InProjects(Told):
    """A part of `prelabel.remote.runs.RemoteModelRun`."""

    def _work(self, what: str, progress: Callable[[int, int], None], **body: Any) -> Mapping[str, Any]:
        """Begin long work, and wait for its result; progress is told once the total is known."""

        def tell(done: int, total: int | None) -> None:
            if total is not None:
                progress(done, total)

        return self._client.work(self._path(what), body, tell)

    def send_to_project(
        self,
        project_id: int,
        *,
        confidence: float = 0.0,
        splits: Sequence[Split] = (),
        limit: int | None = None,
        priority: Mapping[str, float] | Ranking | None = None,
        only_missing: bool = True,
        task_field: str | None = None,
        wait_s: float = 60.0,
        progress: Callable[[int], None] = lambda _done: None,
    ) -> Sent:
        if priority is not None and not isinstance(priority, Mapping):
            raise RequestError("a server takes no ranking.", hint="Give numbers by global key or id.")
        body = {
            "project": project_id,
            "confidence": confidence,
            "splits": list(splits),
            "limit": limit,
            "priority": dict(priority) if priority is not None else None,
            "only_missing": only_missing,
            "task_field": task_field,
            "wait_s": wait_s,
        }
        return reading.of(Sent, self._client.work(self._path("send"), body, lambda done, _total: progress(done)))

    # -- what to label next

    def write_selection(
        self,
        fields: Mapping[int, Mapping[str, Any]],
        *,
        project_id: int,
        progress: Callable[[int, int], None] = lambda _done, _total: None,
    ) -> Written:
        named = {str(task): dict(one) for task, one in fields.items()}
        return reading.of(Written, self._work("selection", progress, project=project_id, fields=named))

    def select(
        self,
        project_id: int,
        strategy: str = "least_confident",
        *,
        count: int = 20,
        seed: int = 0,
        splits: Sequence[Split] = (),
        others: Sequence[ModelRun | str] = (),
        encoder: Encoder | str | None = None,
        question: str | None = None,
        shares: Mapping[str, float] | None = None,
        show: bool = False,
        progress: Callable[[int, int], None] = lambda _done, _total: None,
    ) -> Selected:
        done = self._work(
            "select",
            progress,
            project=project_id,
            strategy=strategy,
            count=count,
            seed=seed,
            splits=list(splits),
            others=[one if isinstance(one, str) else one.name for one in others],
            encoder=_name_of(encoder),
            question=question,
            shares=dict(shares) if shares is not None else None,
            show=show,
        )
        return reading.of(Selected, done)

    def selections(self) -> list[SelectionRow]:
        return [reading.of(SelectionRow, one) for one in self._get("selections")["selections"]]

    def arms(self, selection: int | None = None, *, confidence: float = 0.0, iou: float = 0.5) -> ArmReport:
        from prelabel.selection import ArmReport  # noqa: PLC0415 (NumPy is loaded by those who compare)

        return reading.of(ArmReport, self._get("arms", selection=selection, confidence=confidence, iou=iou))

    def embed(
        self,
        encoder: Encoder | str,
        *,
        project_id: int | None = None,
        progress: Callable[[int, int], None] = lambda _done, _total: None,
    ) -> Embedded:
        return _embedded(self._work("embed", progress, encoder=_name_of(encoder), project=project_id))

    def enrich(
        self,
        project_id: int,
        *,
        encoder: Encoder | str | None = None,
        neighbors: int = 10,
        clusters: int | None = None,
        mislabeling: Literal["embeddings", "run", "no"] | None = None,
        question: str | None = None,
        splits: Sequence[Split] = (),
        seed: int = 0,
        progress: Callable[[int, int], None] = lambda _done, _total: None,
    ) -> Enriched:
        done = self._work(
            "enrich",
            progress,
            project=project_id,
            encoder=_name_of(encoder),
            neighbors=neighbors,
            clusters=clusters,
            mislabeling=mislabeling,
            question=question,
            splits=list(splits),
            seed=seed,
        )
        return Enriched(
            written=Written(**done["written"]),
            embedded=_embedded(done["embedded"]) if done["embedded"] is not None else None,
            clusters=done["clusters"],
            doubted=done["doubted"],
            suspects=tuple(Suspect(**one) for one in done["suspects"]),
            notes=tuple(done["notes"]),
        )

    # -- which run people see

    def promote(
        self,
        condition: str | None = None,
        *,
        confidence: float = 0.5,
        iou: float = 0.5,
        split: Split | None = None,
    ) -> Promotion:
        body = {"condition": condition, "confidence": confidence, "iou": iou, "split": split}
        said = self._client.connection.write("POST", self._path("promote"), body, timeout_s=MEASURE_S)
        return reading.of(Promotion, said)

    def put_in_shadow(self) -> bool:
        return bool(self._client.connection.write("POST", self._path("shadow"))["shadow"])

    def demote(self) -> None:
        self._client.connection.write("POST", self._path("demote"))

    # -- what a server has no endpoint for

    def rank_unlabeled(self, *_: Any, **__: Any) -> Ranking:
        """Rankings are not sent.

        Raises:
            RequestError: always.
        """
        raise RequestError("a server sends no rankings.", hint="`select` ranks, and writes it into the project.")

    def push_to_labelbox(self, *_: Any, **__: Any) -> Pushed:
        """A server does not push to Labelbox.

        Raises:
            RequestError: always.
        """
        raise RequestError(
            "a server does not push to Labelbox.",
            hint="Run `prelabel runs push-to-labelbox` where the server's data directory or database is.",
        )


def _name_of(encoder: Encoder | str | None) -> str | None:
    if encoder is not None and not isinstance(encoder, str):
        raise RequestError("a server loads its encoders itself.", hint="Give the name of a wrapper.")
    return encoder


def _embedded(said: Mapping[str, Any]) -> Embedded:
    from prelabel.encoding import Embedded  # noqa: PLC0415 (decoders are loaded by those who embed)

    return reading.of(Embedded, said)
