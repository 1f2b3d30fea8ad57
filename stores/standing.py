"""What a service's database says of one order: what was done, undone and closed, and which order the id stands for."""

from dataclasses import dataclass

from sqlalchemy import URL, MetaData, Table, create_engine, inspect, select

from orders.model import Style
from stores import shipping
from stores.ledger import effects_table


@dataclass(frozen=True)
class OrderRows:
    """The rows about an order id in one service's database, whatever the style."""

    effects: tuple[tuple[Style, str, str], ...]
    """Style, effect and state (`done` or `closed`) of each idempotency key."""
    contents: dict[Style, str]
    """Fingerprint of the order that the id stands for."""
    accepted: dict[Style, bool]
    """Whether shipping has accepted its cancellation, where it was asked."""


def read_order(url: URL | str, order_id: str) -> OrderRows:
    """All that a service has under an order id.

    Args:
        url: SQLAlchemy URL of the service's database.
        order_id: exactly; what was filed for a refused order under an id of its own is not meant.
    """
    metadata = MetaData()
    effects = effects_table(metadata)
    contents, decisions = metadata.tables["order_contents"], shipping.METADATA.tables["cancellations"]
    engine = create_engine(url)
    try:
        with engine.connect() as db:
            there = set(inspect(db).get_table_names())

            def rows(table: Table, *columns: str) -> list[tuple[object, ...]]:
                if table.name not in there:
                    return []
                query = select(*(table.c[name] for name in columns)).where(table.c.order_id == order_id)
                return [tuple(row) for row in db.execute(query)]

            return OrderRows(
                effects=tuple(rows(effects, "style", "effect", "state")),  # type: ignore[arg-type]
                contents=dict(rows(contents, "style", "content")),  # type: ignore[arg-type]
                accepted=dict(rows(decisions, "style", "accepted")),  # type: ignore[arg-type]
            )
    finally:
        engine.dispose()
