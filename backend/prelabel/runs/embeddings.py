"""Embeddings of data rows, by encoder: float32 vectors that are made once for each content."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from sqlalchemy import delete, func, select

from prelabel.errors import RequestError
from prelabel.runs.datarows import NAMED, batched, data_row_of
from prelabel.runs.held import DataRow
from prelabel.runs.slices import Slices
from prelabel.runs.tables import data_rows, embeddings, run_data_rows

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DTYPE = "<f4"
"""As vectors are stored."""


class Embeddings(Slices):
    """What encoders made of data rows."""

    def rows_to_embed(
        self, run: int, encoder: str, *, only: Sequence[int] | None = None
    ) -> Iterator[list[tuple[DataRow, str | None]]]:
        """A run's data rows by number, in pages, each with the content hash of its embedding, None where it has none.

        ``only`` names data rows instead of those of the run.
        """
        if only is not None:
            for some in batched(sorted(only), NAMED):
                query = select(data_rows).where(data_rows.c.id.in_(some)).order_by(data_rows.c.id)
                with self.database.read() as db:
                    rows = [data_row_of(row) for row in db.execute(query)]
                yield self._with_contents(encoder, rows)
            return
        after = 0
        while page := self.run_rows(run, after=after, limit=NAMED):
            after = page[-1].data_row.id
            yield self._with_contents(encoder, [one.data_row for one in page])

    def _with_contents(self, encoder: str, rows: Sequence[DataRow]) -> list[tuple[DataRow, str | None]]:
        query = select(embeddings.c.data_row_id, embeddings.c.content).where(
            embeddings.c.encoder == encoder, embeddings.c.data_row_id.in_([row.id for row in rows])
        )
        with self.database.read() as db:
            known = {row.data_row_id: row.content for row in db.execute(query)}
        return [(row, known.get(row.id)) for row in rows]

    def count_run_rows(self, run: int) -> int:
        """How many data rows a run has."""
        query = select(func.count()).select_from(run_data_rows).where(run_data_rows.c.run_id == run)
        with self.database.read() as db:
            return int(db.execute(query).scalar_one())

    def put_embeddings(self, encoder: str, contents: Mapping[int, str], vectors: NDArray[np.float32]) -> None:
        """Write the rows of ``vectors`` ``[n, d]``, in the order of ``contents`` (content hash by data row)."""
        if not contents:
            return
        now = self.now()
        statement = self.insert(embeddings)
        new = statement.excluded
        changed = {name: new[name] for name in ("content", "vector", "updated_at")}
        statement = statement.on_conflict_do_update(index_elements=["encoder", "data_row_id"], set_=changed)
        values = [
            {
                "encoder": encoder,
                "data_row_id": number,
                "content": content,
                "vector": vector.astype(DTYPE).tobytes(),
                "updated_at": now,
            }
            for (number, content), vector in zip(contents.items(), vectors, strict=True)
        ]
        values.sort(key=lambda one: one["data_row_id"])  # rows are locked in one order
        with self.database.write() as db:
            db.execute(statement, values)

    def vectors(self, encoder: str, numbers: NDArray[np.int64]) -> NDArray[np.float32]:
        """Embeddings of data rows ``[n, d]`` in their order; a row of NaN where there is none (``d`` 1 if for all).

        Raises:
            RequestError: the encoder made vectors of several lengths.
        """
        import numpy as np  # noqa: PLC0415 (NumPy is loaded by those who have vectors)

        wanted = np.asarray(numbers, dtype=np.int64)
        order = np.argsort(wanted, kind="stable")
        ranked = wanted[order]
        found: NDArray[np.float32] | None = None
        for start in range(0, len(ranked), NAMED):
            some = ranked[start : start + NAMED]
            query = select(embeddings.c.data_row_id, embeddings.c.vector).where(
                embeddings.c.encoder == encoder, embeddings.c.data_row_id.in_(some.tolist())
            )
            with self.database.read() as db:
                rows = db.execute(query).all()
            if not rows:
                continue
            if found is None:
                found = np.full((len(wanted), len(rows[0].vector) // 4), np.nan, dtype=np.float32)
            if any(len(row.vector) != found.shape[1] * 4 for row in rows):
                raise RequestError(
                    f"the embeddings of {encoder} have several lengths.",
                    hint="Give another model another version; `registry.delete_embeddings` takes these away.",
                )
            block = np.frombuffer(b"".join(row.vector for row in rows), dtype=DTYPE).reshape(len(rows), -1)
            places = np.searchsorted(ranked, [row.data_row_id for row in rows])
            found[order[places]] = block
        return found if found is not None else np.full((len(wanted), 1), np.nan, dtype=np.float32)

    def labeled_rows(self, run: int) -> NDArray[np.int64]:
        """Numbers of a run's labeled data rows, rising."""
        import numpy as np  # noqa: PLC0415 (as above)

        row = run_data_rows.c
        query = select(row.data_row_id).where(row.run_id == run, row.labeled).order_by(row.data_row_id)
        with self.database.read() as db:
            return np.array(list(db.execute(query).scalars()), dtype=np.int64)

    def encoders(self, run: int) -> dict[str, int]:
        """The encoders of which a run's data rows have embeddings, and how many have."""
        query = (
            select(embeddings.c.encoder, func.count())
            .join(run_data_rows, run_data_rows.c.data_row_id == embeddings.c.data_row_id)
            .where(run_data_rows.c.run_id == run)
            .group_by(embeddings.c.encoder)
            .order_by(embeddings.c.encoder)
        )
        with self.database.read() as db:
            return {encoder: int(count) for encoder, count in db.execute(query)}

    def delete_embeddings(self, encoder: str) -> int:
        """Delete all that an encoder made; returns how many embeddings that were."""
        with self.database.write() as db:
            return int(db.execute(delete(embeddings).where(embeddings.c.encoder == encoder)).rowcount)


__all__ = ["Embeddings"]
