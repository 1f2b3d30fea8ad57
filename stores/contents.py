"""Which order an order id stands for: each service remembers the content that it first met under one, for good.

Temporal forgets an order some time after its end (docs/guarantees.md); what was done for it stays. Without this memory,
another order under the same id would be answered what was done for the old one, and its undoing would undo that.
"""

from sqlalchemy import Column, Connection, MetaData, String, Table, select

from orders.model import Style
from stores.database import insert_if_new


def contents_table(metadata: MetaData) -> Table:
    """Every service's database has this table.

    Orders of a version that had none are not in it: for them, too, the content that is met first is taken for theirs.
    """
    return Table(
        "order_contents",
        metadata,
        Column("style", String(16), primary_key=True),
        Column("order_id", String(80), primary_key=True),
        Column("service", String(40), primary_key=True),
        Column("content", String(64), nullable=False),  # `Order.fingerprint`
    )


def stands_for(  # noqa: PLR0913 - the columns
    db: Connection, table: Table, *, style: Style, order_id: str, service: str, content: str
) -> bool:
    """Whether an order id stands for an order of this content; one that was never met does from now on.

    Someone who claims it for another content in a transaction still under way is waited for.
    """
    if insert_if_new(db, table, style=style, order_id=order_id, service=service, content=content):
        return True
    row = (table.c.style == style) & (table.c.order_id == order_id) & (table.c.service == service)
    known: str = db.execute(select(table.c.content).where(row)).scalar_one()
    return known == content
