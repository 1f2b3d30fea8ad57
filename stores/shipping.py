"""Shipping's tables: shipments and their lines."""

from sqlalchemy import (
    Column,
    Connection,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    select,
    update,
)

from orders.model import Order, Style
from stores.ledger import effects_table

METADATA = MetaData()
effects_table(METADATA)

_SHIPMENTS = Table(
    "shipments",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("style", String(16), nullable=False),
    Column("order_id", String(80), nullable=False),
    Column("tracking_number", String(13), unique=True),
    Column("status", String(20), nullable=False),
    Column("country", String(200), nullable=False),
    UniqueConstraint("style", "order_id"),
)
_LINES = Table(
    "shipment_lines",
    METADATA,
    Column("shipment_id", Integer, ForeignKey("shipments.id"), primary_key=True),
    Column("line", Integer, primary_key=True),
    Column("stock_code", String(40), nullable=False),
    Column("quantity", Integer, nullable=False),
)


def insert_shipment(db: Connection, style: Style, order: Order) -> str:
    """Store a shipment with its lines; answers its tracking number."""
    shipment_id: int = db.execute(
        _SHIPMENTS.insert()
        .values(style=style, order_id=order.order_id, status="preparing", country=order.country)
        .returning(_SHIPMENTS.c.id)
    ).scalar_one()
    number = tracking_number(shipment_id)
    db.execute(update(_SHIPMENTS).where(_SHIPMENTS.c.id == shipment_id).values(tracking_number=number))
    db.execute(
        _LINES.insert(),
        [
            {"shipment_id": shipment_id, "line": number, "stock_code": line.stock_code, "quantity": line.quantity}
            for number, line in enumerate(order.lines, start=1)
        ],
    )
    return number


def cancel_shipment(db: Connection, style: Style, order_id: str) -> str:
    """Call a shipment off; answers its tracking number."""
    row = (_SHIPMENTS.c.style == style) & (_SHIPMENTS.c.order_id == order_id)
    db.execute(update(_SHIPMENTS).where(row).values(status="cancelled"))
    number: str = db.execute(select(_SHIPMENTS.c.tracking_number).where(row)).scalar_one()
    return number


def tracking_number(serial: int) -> str:
    """A tracking number as the Universal Postal Union's standard S10 builds it, such as `RR000000015GB`.

    Two letters, eight digits, a check digit, the country. Check digit: weigh the digits by 8 6 4 2 3 5 9 7, take 11
    minus the sum modulo 11; 10 becomes 0 and 11 becomes 5.

    Args:
        serial: 1 to 99,999,999, then it starts over.
    """
    digits = f"{serial % 100_000_000:08d}"
    weighed = sum(int(digit) * weight for digit, weight in zip(digits, (8, 6, 4, 2, 3, 5, 9, 7), strict=True))
    check = {10: 0, 11: 5}.get(rest := 11 - weighed % 11, rest)
    return f"RR{digits}{check}GB"
