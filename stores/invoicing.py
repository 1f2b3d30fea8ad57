"""Invoicing's tables: invoices with their lines, credit notes, and the series that number both without gaps."""

from sqlalchemy import (
    BigInteger,
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
from stores.database import insert_if_new
from stores.ledger import effects_table

METADATA = MetaData()
effects_table(METADATA)

_SERIES = Table(
    "number_series",
    METADATA,
    Column("series", String(8), primary_key=True),
    Column("last", Integer, nullable=False),
)
_INVOICES = Table(
    "invoices",
    METADATA,
    Column("number", String(20), primary_key=True),
    Column("style", String(16), nullable=False),
    Column("order_id", String(80), nullable=False),
    Column("customer_id", String(64)),
    Column("total_pence", BigInteger, nullable=False),
    UniqueConstraint("style", "order_id"),
)
_LINES = Table(
    "invoice_lines",
    METADATA,
    Column("invoice", String(20), ForeignKey("invoices.number"), primary_key=True),
    Column("line", Integer, primary_key=True),
    Column("stock_code", String(40), nullable=False),
    Column("description", String(200), nullable=False),
    Column("quantity", Integer, nullable=False),
    Column("unit_price_pence", BigInteger, nullable=False),
    Column("amount_pence", BigInteger, nullable=False),
)
_CREDIT_NOTES = Table(
    "credit_notes",
    METADATA,
    Column("number", String(20), primary_key=True),
    Column("invoice", String(20), ForeignKey("invoices.number"), nullable=False, unique=True),
    Column("total_pence", BigInteger, nullable=False),
)

_STYLE_LETTER: dict[Style, str] = {"saga": "S", "choreography": "C"}


def insert_invoice(db: Connection, style: Style, order: Order) -> str:
    """Store an invoice with its lines; answers its number, the next of the style's series (`INV-S-000001`)."""
    number = _next_number(db, f"INV-{_STYLE_LETTER[style]}")
    db.execute(
        _INVOICES.insert().values(
            number=number,
            style=style,
            order_id=order.order_id,
            customer_id=order.customer_id,
            total_pence=order.total_pence,
        )
    )
    db.execute(
        _LINES.insert(),
        [
            {
                "invoice": number,
                "line": position,
                "stock_code": line.stock_code,
                "description": line.description,
                "quantity": line.quantity,
                "unit_price_pence": line.unit_price_pence,
                "amount_pence": line.amount_pence,
            }
            for position, line in enumerate(order.lines, start=1)
        ],
    )
    return number


def insert_credit_note(db: Connection, style: Style, order_id: str) -> tuple[str, str, int]:
    """Take an order's invoice back; answers the credit note's number, the invoice's, and the pence credited."""
    of_order = (_INVOICES.c.style == style) & (_INVOICES.c.order_id == order_id)
    invoice, total_pence = db.execute(select(_INVOICES.c.number, _INVOICES.c.total_pence).where(of_order)).one()
    number = _next_number(db, f"CRN-{_STYLE_LETTER[style]}")
    db.execute(_CREDIT_NOTES.insert().values(number=number, invoice=invoice, total_pence=total_pence))
    return number, invoice, total_pence


def _next_number(db: Connection, series: str) -> str:
    """Draw the next number of a series. It is given back if the transaction fails, which a sequence would not do."""
    insert_if_new(db, _SERIES, series=series, last=0)
    last: int = db.execute(
        update(_SERIES).where(_SERIES.c.series == series).values(last=_SERIES.c.last + 1).returning(_SERIES.c.last)
    ).scalar_one()
    return f"{series}-{last:06d}"
