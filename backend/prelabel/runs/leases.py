"""Leases in the registry: who may do something now, for so long as its process lives."""

from __future__ import annotations

from sqlalchemy import or_, select

from prelabel.runs.store import Store
from prelabel.runs.tables import leases


class Leases(Store):
    """Leases by name; each has one owner until it ends or is given back."""

    def acquire_lease(self, name: str, owner: str, ttl_s: float) -> bool:
        """Take or renew the lease ``name`` for ``ttl_s`` seconds; False while another owner holds it."""
        now = self.now()
        statement = self.insert(leases).values(name=name, owner=owner, until=now + ttl_s)
        statement = statement.on_conflict_do_update(
            index_elements=["name"],
            set_={"owner": owner, "until": now + ttl_s},
            where=or_(leases.c.owner == owner, leases.c.until < now),
        ).returning(leases.c.owner)
        with self.database.write() as db:
            return db.execute(statement).scalar() == owner

    def lease_until(self, name: str) -> float | None:
        """Registry time at which the lease ends unless it is renewed; None: nobody holds it."""
        with self.database.read() as db:
            return db.execute(select(leases.c.until).where(leases.c.name == name)).scalar()

    def release_lease(self, name: str, owner: str) -> None:
        """Give the lease back."""
        with self.database.write() as db:
            db.execute(leases.delete().where(leases.c.name == name, leases.c.owner == owner))
