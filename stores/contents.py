"""Which order an order id stands for: each service remembers the content that it first met under one, for good.

Temporal forgets an order some time after its end (docs/guarantees.md); what was done for it stays. Without this memory,
another order under the same id would be answered what was done for the old one, and its undoing would undo that.

A service that has not met the old order takes another one for it, until some service that has refuses that one. Then
the id is let go: what was done and undone for the refused order is filed under an id of its own.
"""

from functools import cache

from sqlalchemy import (
    URL,
    Column,
    Connection,
    MetaData,
    Select,
    String,
    Table,
    bindparam,
    create_engine,
    make_url,
    select,
    update,
)

from orders.model import Style
from stores.database import insert_if_new

_PATIENCE_S = 3
"""How long whoever places an order waits for a database that does not answer."""

BY_ID_ALONE = "by id alone"
"""In the `info` of a table whose rows are about an order id, whatever order it stands for."""


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


def refused_id(order_id: str, content: str) -> str:
    """What a refused order is filed under; no order can be placed under it, as `|` is in no order id.

    It fits the columns: of a very long id the end is left out. The content says the whole of it.
    """
    return f"{order_id[:71]}|{content[:8]}"


def stands_for(  # noqa: PLR0913 - the columns
    db: Connection, table: Table, *, style: Style, order_id: str, service: str, content: str
) -> bool:
    """Whether an order id stands for an order of this content; one that was never met does from now on.

    Someone who claims it for another content in a transaction still under way is waited for.
    """
    if insert_if_new(db, table, style=style, order_id=order_id, service=service, content=content):
        return True
    return known_content(db, table, style=style, order_id=order_id, service=service) == content


def known_content(db: Connection, table: Table, *, style: Style, order_id: str, service: str) -> str | None:
    """The content that an order id stands for; None where no order was met under it."""
    row = {"style": style, "order_id": order_id, "service": service}
    content: str | None = db.execute(_content_query(table), row).scalar_one_or_none()
    return content


def read_contents(url: URL | str, order_id: str) -> set[str]:
    """The contents that a service keeps for an order id, in whatever style.

    Args:
        url: SQLAlchemy URL of the service's database.
        order_id: of the order.
    """
    table = contents_table(MetaData())
    is_remote = make_url(url).get_backend_name() == "postgresql"
    engine = create_engine(url, connect_args={"connect_timeout": _PATIENCE_S} if is_remote else {})
    try:
        with engine.connect() as db:
            return set(db.execute(select(table.c.content).where(table.c.order_id == order_id)).scalars())
    finally:
        engine.dispose()


@cache
def _content_query(table: Table) -> Select[str]:
    """It is asked with every effect, and takes longer to put together than to answer."""
    columns = (table.c.style, table.c.order_id, table.c.service)
    return select(table.c.content).where(*(column == bindparam(column.name) for column in columns))


def file_business_rows(db: Connection, metadata: MetaData, *, style: Style, order_id: str, under: str) -> None:
    """File the rows of an order's effects under another id, in all tables of a service but its ledger."""
    for table in metadata.sorted_tables:
        is_per_order = {"style", "order_id"} <= set(table.columns.keys())
        if is_per_order and table.name not in {"effects", "order_contents"} and not table.info.get(BY_ID_ALONE):
            rows = (table.c.style == style) & (table.c.order_id == order_id)
            db.execute(update(table).where(rows).values(order_id=under))
