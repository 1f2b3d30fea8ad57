"""Shipping's tables: shipments and their lines."""

from sqlalchemy import (
    BigInteger,
    Boolean,
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
from stores.contents import BY_ID_ALONE
from stores.database import insert_if_new
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
_HANDOVERS = Table(  # when the carrier is given a parcel
    "handovers",
    METADATA,
    Column("shipment_id", Integer, ForeignKey("shipments.id"), primary_key=True),
    Column("at_us", BigInteger, nullable=False),  # microseconds since 1970
)
_CANCELLATIONS = Table(  # what customers who wanted to cancel were answered, also before there was any shipment
    "cancellations",
    METADATA,
    Column("style", String(16), primary_key=True),
    Column("order_id", String(80), primary_key=True),
    Column("accepted", Boolean, nullable=False),
    Column("reason", String(500), nullable=False),
    Column("at_us", BigInteger, nullable=False),
    info={BY_ID_ALONE: True},
)


def insert_shipment(db: Connection, style: Style, order: Order, *, handover_at_us: int) -> str:
    """Store a shipment with its lines; answers its tracking number."""
    shipment_id: int = db.execute(
        _SHIPMENTS.insert()
        .values(style=style, order_id=order.order_id, status="preparing", country=order.country)
        .returning(_SHIPMENTS.c.id)
    ).scalar_one()
    db.execute(_HANDOVERS.insert().values(shipment_id=shipment_id, at_us=handover_at_us))
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


def handed_over_at_us(db: Connection, style: Style, order_id: str) -> int | None:
    """When the carrier is given the parcel, in microseconds since 1970; None where there is none to be given."""
    row = (_SHIPMENTS.c.style == style) & (_SHIPMENTS.c.order_id == order_id) & (_SHIPMENTS.c.status != "cancelled")
    query = select(_HANDOVERS.c.at_us).join(_SHIPMENTS).where(row)
    at_us: int | None = db.execute(query).scalar_one_or_none()
    return at_us


def decision(db: Connection, style: Style, order_id: str) -> tuple[bool, str] | None:
    """Whether the order's cancellation was accepted, and why; None where nobody has asked for it."""
    row = (_CANCELLATIONS.c.style == style) & (_CANCELLATIONS.c.order_id == order_id)
    found = db.execute(select(_CANCELLATIONS.c.accepted, _CANCELLATIONS.c.reason).where(row)).first()
    return None if found is None else (found.accepted, found.reason)


def insert_decision(  # noqa: PLR0913 - the columns
    db: Connection, style: Style, order_id: str, *, accepted: bool, reason: str, at_us: int
) -> None:
    """Keep a decision, unless there is one."""
    insert_if_new(db, _CANCELLATIONS, style=style, order_id=order_id, accepted=accepted, reason=reason, at_us=at_us)


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
