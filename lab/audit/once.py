"""Guarantee 1: each effect happened once, and the services' own rows, and the mails, say the same as the ledger."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from lab.audit.databases import Books, Record
from lab.audit.letters import letter_violations
from lab.audit.mails import Mailbox
from lab.audit.orders import Content
from lab.audit.recorded import recorded_violations
from lab.audit.scenario import CAMPAIGN, SERVICE_OF, UNDO_OF, Key

_LETTERS = {"saga": "S", "choreography": "C"}
"""Style to the letter in the numbers of its papers."""

_WEIGHTS = (8, 6, 4, 2, 3, 5, 9, 7)
"""Of the digits of a tracking number, by the Universal Postal Union's standard S10."""


def expected_effects(content: Content, books: Books) -> set[str]:
    """What has to happen for an order that is kept: a guest is sent no mail, and only a member leaves the campaign."""
    expected = set(UNDO_OF)
    if content.customer_id is None:
        expected.discard("confirmation.sent")
    audience = books.where("campaign_audience", "customer_id", content.customer_id)
    if content.customer_id is None or all(row["campaign"] != CAMPAIGN for row in audience):
        expected.discard("campaign.left")
    return expected


def effect_violations(key: Key, content: Content, books: Books, mailbox: Mailbox | None) -> Iterator[str]:
    """What was done for an order twice, or in one place and not in another.

    Args:
        key: the order, in one style.
        content: what was ordered.
        books: the services' databases.
        mailbox: the mails that were kept; None where that can't be told.
    """
    done, in_doubt = Counter(books.effects(key)), books.in_doubt(key)
    for effect, times in done.items():
        if times > 1:
            yield f"{effect} is recorded {times} times"
    for effect in sorted(((set(done) | in_doubt) & set(SERVICE_OF)) - expected_effects(content, books)):
        yield f"{effect} is recorded, which this order gives no reason for"
    for effect, undo in UNDO_OF.items():
        if undo in done and effect not in done and effect not in in_doubt:
            yield f"{undo} is recorded, but never {effect}"
    yield from _shipping(key, content, books, done)
    yield from _invoicing(key, content, books, done)
    yield from _marketing(key, content, books, done)
    yield from _mails(key, content, books, mailbox)
    yield from _analytics(key, content, books, done)
    yield from recorded_violations(key, content, books)
    yield from _contents(key, content, books)


def _contents(key: Key, content: Content, books: Books) -> Iterator[str]:
    """A service keeps the content of an order with the first that it does for it; an earlier version kept none."""
    known = {row["service"] for row in books.of("order_contents", key) if row["content"] == content.fingerprint}
    doing = {row["service"] for row in books.of("effects", key) if row["state"] == "done"}
    if known and doing - known:
        yield f"{', '.join(sorted(doing - known))} has done something, and has not kept the order's content"


def _shipping(key: Key, content: Content, books: Books, done: Counter[str]) -> Iterator[str]:
    shipments = books.of("shipments", key)
    yield from _as_often("shipments", shipments, "shipment.created", happened=bool(done["shipment.created"]))
    for shipment in shipments:
        if (shipment["status"] == "cancelled") != bool(done["shipment.cancelled"]):
            happened = "happened" if done["shipment.cancelled"] else "never happened"
            yield f"the shipment is {shipment['status']} where shipment.cancelled {happened}"
        elif shipment["status"] not in {"preparing", "cancelled"}:
            yield f"the shipment is {shipment['status']!r}, which none can be"
        if shipment["tracking_number"] != (number := _tracking_number(shipment["id"])):
            yield f"the shipment has the tracking number {shipment['tracking_number']}, not {number}"
        rows = _in_sequence(books.where("shipment_lines", "shipment_id", shipment["id"]))
        shipped = [(row["line"], row["stock_code"], row["quantity"]) for row in rows]
        if shipped != [(at, line.stock_code, line.quantity) for at, line in enumerate(content.lines, start=1)]:
            yield "the shipment holds something else than was ordered"
        if shipment["country"] != content.country:
            yield f"the shipment goes to {shipment['country']}, the order to {content.country}"


_BILLED = ("line", "stock_code", "description", "quantity", "unit_price_pence", "amount_pence")
"""Columns of an invoice's line."""


def _invoicing(key: Key, content: Content, books: Books, done: Counter[str]) -> Iterator[str]:
    invoices = books.of("invoices", key)
    yield from _as_often("invoices", invoices, "invoice.issued", happened=bool(done["invoice.issued"]))
    notes = [note for invoice in invoices for note in books.where("credit_notes", "invoice", invoice["number"])]
    yield from _as_often("credit_notes", notes, "credit_note.issued", happened=bool(done["credit_note.issued"]))
    for series, papers in (("INV", invoices), ("CRN", notes)):
        for paper in papers:
            if not re.fullmatch(rf"{series}-{_LETTERS[key.style]}-[0-9]{{6,}}", paper["number"]):
                yield f"{paper['number']!r} is no number of the series {series}-{_LETTERS[key.style]}"
    for paper in (*invoices, *notes):
        if paper["total_pence"] != content.total_pence:
            yield f"{paper['number']} is of {paper['total_pence']} pence, the order of {content.total_pence}"
    for invoice in invoices:
        rows = _in_sequence(books.where("invoice_lines", "invoice", invoice["number"]))
        billed = [tuple(row[column] for column in _BILLED) for row in rows]
        ordered = [
            (at, line.stock_code, line.description, line.quantity, line.unit_price_pence, line.amount_pence)
            for at, line in enumerate(content.lines, start=1)
        ]
        if billed != ordered:
            yield f"{invoice['number']} lists something else than was ordered"
        if invoice["customer_id"] != content.customer_id:
            yield f"{invoice['number']} is for {invoice['customer_id']}, the order of {content.customer_id}"


def _marketing(key: Key, content: Content, books: Books, done: Counter[str]) -> Iterator[str]:
    exits = books.of("campaign_exits", key)
    is_out = bool(done["campaign.left"]) and not done["campaign.rejoined"]
    yield from _as_often("campaign_exits", exits, "campaign.left that still holds", happened=is_out)
    yield from (
        f"{row['customer_id']} is out of the campaign by an order of {content.customer_id}"
        for row in exits
        if row["customer_id"] != content.customer_id
    )
    yield from (
        f"{row['customer_id']} is out of the campaign {row['campaign']!r}, which there is not"
        for row in exits
        if row["campaign"] != CAMPAIGN
    )
    noted = books.of("mails", key)
    yield from (
        f"marketing has noted a mail of {row['kind']} under {row['message_id']}"
        for row in noted
        if not _mail_name(key, row["kind"]).fullmatch(row["message_id"])
    )
    for kind in ("confirmation.sent", "cancellation.sent"):
        rows = [row for row in noted if row["kind"] == kind]
        yield from _as_often("mails", rows, kind, happened=bool(done[kind]) or kind in books.in_doubt(key))


def _mail_name(key: Key, kind: str) -> re.Pattern[str]:
    """What the Message-ID of an order's mail is; with a number where one was sent to a refused order under the id."""
    name = re.escape(f"{key.style}.{key.order_id}.marketing.{kind}")
    return re.compile(rf"<{name}(\.[0-9]+)?@orderlab\.example>")


def _mails(key: Key, content: Content, books: Books, mailbox: Mailbox | None) -> Iterator[str]:
    if mailbox is None:
        return
    for row in books.of("mails", key):
        mails = mailbox.of(row["message_id"])
        if len(mails) != 1 and (mails or row["kind"] not in books.in_doubt(key)):
            yield f"{len(mails)} mails were kept where {row['kind']} happened once"
        yield from (
            f"the mail of {row['kind']} went to {mail.to}, the order is of {content.customer_id}"
            for mail in mails
            if mail.to != row["address"] or mail.to.split("@", maxsplit=1)[0] != content.customer_id
        )
        for mail in mails:
            yield from letter_violations(row["kind"], mail, key.order_id, content)
            if mailbox.has_a_sender_of_its_own(mail):
                yield f"the mail of {row['kind']} is from {mail.sender}, and no other mail is"


def _analytics(key: Key, content: Content, books: Books, done: Counter[str]) -> Iterator[str]:
    sales = books.of("sales", key)
    yield from _as_often("sales", sales, "sale.recorded", happened=bool(done["sale.recorded"]))
    for sale in sales:
        if (sale["day"], sale["country"]) != (content.day, content.country):
            yield f"the sale is of {sale['day']} in {sale['country']}, the order of {content.day} in {content.country}"
    rows = books.of("sold_products", key)
    sold = {row["stock_code"]: (row["units"], row["revenue_pence"]) for row in rows}
    if sales and (sold != content.sold() or len(rows) != len(sold)):
        yield "the sale is of something else than was ordered"


def _tracking_number(serial: int) -> str:
    digits = f"{serial % 10**8:08}"
    rest = 11 - sum(int(digit) * weight for digit, weight in zip(digits, _WEIGHTS, strict=True)) % 11
    return f"RR{digits}{5 if rest == 11 else rest % 10}GB"  # noqa: PLR2004 - by the standard: 10 is 0, and 11 is 5


def _as_often(table: str, rows: Sequence[Record], effect: str, *, happened: bool) -> Iterator[str]:
    if len(rows) != happened:
        yield f"{table} holds {len(rows)} of it where {effect} {'happened once' if happened else 'never happened'}"


def _in_sequence(rows: Sequence[Record]) -> list[Record]:
    return sorted(rows, key=lambda row: int(row["line"]))
