"""The order: what a customer bought. Money is `Decimal` pounds at the edge and whole pence inside, never a float."""

import hashlib
import json
import re
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from faults.dice import Dice
from runtime.moments import in_utc

Style = Literal["saga", "choreography"]
"""The two ways to run one order."""

STYLES: tuple[Style, ...] = ("saga", "choreography")

ORDER_ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._~-]{0,79}$"

OrderId = Annotated[str, StringConstraints(pattern=ORDER_ID_PATTERN)]
"""Part of workflow ids, mail headers and links, so only characters that are plain in all of them."""

_Text = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]*$")
]


_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?\s*", re.ASCII | re.IGNORECASE)


def _blank_is_guest(value: object) -> object:
    return None if isinstance(value, str) and not value.strip() else value


def _in_figures(price: object) -> object:
    """A price that is written as a text has to be a number in the figures 0 to 9, as numbers in JSON are.

    `Decimal` would take the digits of every script, and underscores between them.
    """
    if isinstance(price, str) and not _NUMBER.fullmatch(price):
        raise ValueError("must be a number such as '2.55'")
    return price


def _shortest(price: Decimal) -> Decimal:
    """2.5, "2.50" and 25e-1 are one price: written as in the data set, or its orders would not be known again."""
    return Decimal(f"{abs(price).normalize():f}")


def _written_out(moment: object) -> object:
    if isinstance(moment, datetime) or (isinstance(moment, str) and re.match(r"\d{4}-\d\d-\d\d", moment)):
        return moment
    raise ValueError("must be a date and time such as '2026-11-24T12:00:00'")  # a number would be taken for seconds


def _in_utc(moment: datetime) -> datetime:
    """16:00Z and 11:00-05:00 are one moment. Without an offset it stays the time on the shop's clock."""
    return moment if moment.tzinfo is None else in_utc(moment)


class OrderLine(BaseModel):
    """One article, how many of it, and the price of one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stock_code: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,39}$")]
    description: _Text
    quantity: Annotated[int, Field(ge=1, le=1_000_000, strict=True)]
    unit_price: Annotated[
        Decimal,
        Field(ge=0, le=1_000_000, decimal_places=2, allow_inf_nan=False),
        BeforeValidator(_in_figures),
        AfterValidator(_shortest),
    ]
    """Pounds sterling, in whole pence; in JSON write it as text ("2.55"). What comes free of charge costs 0."""

    @property
    def unit_price_pence(self) -> int:
        """Price of one in pence."""
        return int(self.unit_price * 100)

    @property
    def amount_pence(self) -> int:
        """Price of the whole line in pence."""
        return self.unit_price_pence * self.quantity


class Order(BaseModel):
    """What was ordered, by whom, to which country."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    order_id: OrderId
    customer_id: Annotated[
        Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")] | None,
        BeforeValidator(_blank_is_guest),
    ] = None
    """None for a guest, who gets no mail and takes part in no campaign."""
    country: _Text
    placed_at: Annotated[datetime, BeforeValidator(_written_out), AfterValidator(_in_utc)]
    """When the customer ordered: by the shop's clock (the data set has no time zone), or in UTC if an offset is given.

    Its day is the day of the sale.
    """
    lines: Annotated[tuple[OrderLine, ...], Field(min_length=1, max_length=5_000)]
    """What comes in has to fit into an event, too (`events/readable.py`): 128 KiB, some 1,300 lines of usual length."""

    @model_validator(mode="after")
    def _costs_something(self) -> "Order":
        if not self.total_pence:
            raise ValueError("every unit_price is 0: an order needs a line that costs something beside its free ones")
        return self

    @property
    def is_guest(self) -> bool:
        """Whether nobody is known to write to."""
        return self.customer_id is None

    @property
    def total_pence(self) -> int:
        """Price of the whole order in pence."""
        return sum(line.amount_pence for line in self.lines)

    @property
    def fingerprint(self) -> str:
        """Of the content: equal exactly where two orders say the same thing, however it was written.

        Services keep it for good, so it is made from what an order means, and not from how it is written today.
        """
        lines = [[of.stock_code, of.description, of.quantity, of.unit_price_pence] for of in self.lines]
        said = [self.order_id, self.customer_id, self.country, self.placed_at.isoformat(), lines]
        return hashlib.sha256(json.dumps(said, separators=(",", ":")).encode()).hexdigest()[:32]


class Placement(BaseModel):
    """An order put into one style: the input of the saga and of every step."""

    model_config = ConfigDict(frozen=True)

    style: Style
    order: Order
    lab: str = ""
    """Suffix of the task queues, where several labs share one Temporal server."""
    rehearsal: bool = False
    """Warm-up: everything is done but the commit, so nothing is left in any service's database."""
    dice: Dice | None = None
    """What goes wrong on the way; nothing without them, as at a redrive."""

    @property
    def order_id(self) -> str:
        """Of the order."""
        return self.order.order_id

    def redriven(self) -> "Placement":
        """The same work as a redrive asks for it: no dice are thrown."""
        return self.model_copy(update={"dice": None})
