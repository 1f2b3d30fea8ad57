"""Marketing's tables: the campaign's audience, who is out of it because of which order, and the mails sent."""

from collections.abc import Iterable

from sqlalchemy import Column, Connection, Engine, MetaData, String, Table, delete, select

from orders.model import Style
from stores.contents import refused_id
from stores.database import insert_if_new, insert_into
from stores.ledger import EffectKey, effects_table

METADATA = MetaData()
effects_table(METADATA)

CAMPAIGN = "christmas-2010"
"""The campaign that runs while the orders of the data set come in."""

_AUDIENCE = Table(
    "campaign_audience",
    METADATA,
    Column("campaign", String(40), primary_key=True),
    Column("customer_id", String(64), primary_key=True),
)
# A customer is out of the campaign while at least one order keeps them out. A row per order, instead of a flag per
# customer, makes the outcome the same in whatever sequence a customer's orders are handled and undone.
_EXITS = Table(
    "campaign_exits",
    METADATA,
    Column("style", String(16), primary_key=True),
    Column("order_id", String(80), primary_key=True),
    Column("campaign", String(40), nullable=False),
    Column("customer_id", String(64), nullable=False, index=True),
)
_MAILS = Table(
    "mails",
    METADATA,
    Column("message_id", String(200), primary_key=True),
    Column("style", String(16), nullable=False),
    Column("order_id", String(80), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("address", String(200), nullable=False),
)


def enrol(engine: Engine, customers: Iterable[str]) -> None:
    """Put customers into the campaign's audience; those in it already stay."""
    rows = [{"campaign": CAMPAIGN, "customer_id": customer} for customer in sorted(customers)]
    with engine.begin() as db:
        db.execute(insert_into(db, _AUDIENCE).on_conflict_do_nothing(), rows)


def is_member(engine: Engine, customer_id: str) -> bool:
    """Whether the campaign writes to this customer, unless an order keeps them out."""
    row = (_AUDIENCE.c.campaign == CAMPAIGN) & (_AUDIENCE.c.customer_id == customer_id)
    with engine.begin() as db:
        return db.execute(select(_AUDIENCE.c.customer_id).where(row)).first() is not None


def active_members(engine: Engine, style: Style) -> set[str]:
    """The customers whom the campaign still writes to, after what one style did."""
    out = select(_EXITS.c.customer_id).where(_EXITS.c.style == style, _EXITS.c.campaign == CAMPAIGN)
    query = select(_AUDIENCE.c.customer_id).where(_AUDIENCE.c.campaign == CAMPAIGN, _AUDIENCE.c.customer_id.not_in(out))
    with engine.begin() as db:
        return set(db.execute(query).scalars())


def leave_campaign(db: Connection, style: Style, order_id: str, customer_id: str) -> None:
    """Keep the customer out of the campaign because of this order."""
    insert_if_new(db, _EXITS, style=style, order_id=order_id, campaign=CAMPAIGN, customer_id=customer_id)


def rejoin_campaign(db: Connection, style: Style, order_id: str) -> str:
    """This order no longer keeps its customer out; answers the customer."""
    row = (_EXITS.c.style == style) & (_EXITS.c.order_id == order_id)
    customer: str = db.execute(delete(_EXITS).where(row).returning(_EXITS.c.customer_id)).scalar_one()
    return customer


def insert_mail(  # noqa: PLR0913 - the columns
    db: Connection, *, message_id: str, style: Style, order_id: str, kind: str, address: str
) -> None:
    """Note a mail that is about to be sent."""
    insert_if_new(db, _MAILS, message_id=message_id, style=style, order_id=order_id, kind=kind, address=address)


def delete_mail(db: Connection, message_id: str) -> None:
    """Take back the note of a mail that was not sent."""
    db.execute(delete(_MAILS).where(_MAILS.c.message_id == message_id))


def mail_name(db: Connection, key: EffectKey) -> str:
    """Names the mail of an effect: by its key, and by a number where one was sent under that to a refused order."""
    of_refused = (
        (_MAILS.c.style == key.style)
        & (_MAILS.c.kind == key.effect)
        & _MAILS.c.order_id.startswith(f"{refused_id(key.order_id, '')}", autoescape=True)
    )
    before = len(db.execute(select(_MAILS.c.message_id).where(of_refused)).all())
    return f"{key}.{before + 1}" if before else str(key)


def confirmed_address(db: Connection, style: Style, order_id: str) -> str:
    """The address that an order's confirmation went to."""
    row = (_MAILS.c.style == style) & (_MAILS.c.order_id == order_id) & (_MAILS.c.kind == "confirmation.sent")
    address: str = db.execute(select(_MAILS.c.address).where(row)).scalar_one()
    return address
