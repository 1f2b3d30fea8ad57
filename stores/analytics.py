"""Analytics' tables: the sales, and the dashboard's figures by day, country and product."""

from collections import Counter

from sqlalchemy import BigInteger, Column, Connection, Integer, MetaData, String, Table, select

from orders.model import Order, Style
from stores.database import insert_into
from stores.ledger import effects_table

METADATA = MetaData()
effects_table(METADATA)

_SALES = Table(
    "sales",
    METADATA,
    Column("style", String(16), primary_key=True),
    Column("order_id", String(80), primary_key=True),
    Column("day", String(10), nullable=False),
    Column("country", String(200), nullable=False),
)
_SOLD = Table(
    "sold_products",
    METADATA,
    Column("style", String(16), primary_key=True),
    Column("order_id", String(80), primary_key=True),
    Column("stock_code", String(40), primary_key=True),
    Column("units", BigInteger, nullable=False),
    Column("revenue_pence", BigInteger, nullable=False),
)


def _figures(dimension: str) -> Table:
    return Table(
        f"sales_by_{dimension}",
        METADATA,
        Column("style", String(16), primary_key=True),
        Column(dimension, String(200), primary_key=True),
        Column("orders", Integer, nullable=False),
        Column("units", BigInteger, nullable=False),
        Column("revenue_pence", BigInteger, nullable=False),
    )


BY_DAY, BY_COUNTRY, BY_PRODUCT = (_figures(dimension) for dimension in ("day", "country", "product"))


def record_sale(db: Connection, style: Style, order: Order) -> None:
    """Store a sale and add it to the figures."""
    units: Counter[str] = Counter()
    pence: Counter[str] = Counter()
    for line in order.lines:
        units[line.stock_code] += line.quantity
        pence[line.stock_code] += line.amount_pence
    day = order.placed_at.date().isoformat()
    db.execute(_SALES.insert().values(style=style, order_id=order.order_id, day=day, country=order.country))
    products = [(code, units[code], pence[code]) for code in units]
    db.execute(
        _SOLD.insert(),
        [
            {"style": style, "order_id": order.order_id, "stock_code": code, "units": sold, "revenue_pence": revenue}
            for code, sold, revenue in products
        ],
    )
    _add(db, style, day, order.country, products, sign=1)


def reverse_sale(db: Connection, style: Style, order_id: str) -> int:
    """Take a sale out of the figures; answers its revenue in pence."""
    sale = (_SALES.c.style == style) & (_SALES.c.order_id == order_id)
    day, country = db.execute(select(_SALES.c.day, _SALES.c.country).where(sale)).one()
    sold = (_SOLD.c.style == style) & (_SOLD.c.order_id == order_id)
    columns = (_SOLD.c.stock_code, _SOLD.c.units, _SOLD.c.revenue_pence)
    products = [(code, units, pence) for code, units, pence in db.execute(select(*columns).where(sold))]
    _add(db, style, day, country, products, sign=-1)
    return sum(pence for _, _, pence in products)


def _add(  # noqa: PLR0913 - one sale
    db: Connection, style: Style, day: str, country: str, products: list[tuple[str, int, int]], *, sign: int
) -> None:
    units = sum(units for _, units, _ in products)
    pence = sum(pence for _, _, pence in products)
    _bump(
        db, BY_DAY, [{"style": style, "day": day, "orders": sign, "units": sign * units, "revenue_pence": sign * pence}]
    )
    _bump(
        db,
        BY_COUNTRY,
        [{"style": style, "country": country, "orders": sign, "units": sign * units, "revenue_pence": sign * pence}],
    )
    # Sorted, so that two sales of the same products take the rows' locks in the same sequence and can't deadlock.
    _bump(
        db,
        BY_PRODUCT,
        [
            {"style": style, "product": code, "orders": sign, "units": sign * sold, "revenue_pence": sign * revenue}
            for code, sold, revenue in sorted(products)
        ],
    )


def _bump(db: Connection, table: Table, rows: list[dict[str, object]]) -> None:
    """Add to counters, in the database and not in Python, so that sales recorded at once all count."""
    insert = insert_into(db, table)
    counters = ("orders", "units", "revenue_pence")
    db.execute(
        insert.on_conflict_do_update(
            index_elements=[column.name for column in table.primary_key],
            set_={name: table.c[name] + insert.excluded[name] for name in counters},
        ),
        rows,
    )
