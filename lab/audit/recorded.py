"""Guarantee 1: what a ledger says that an effect answered is what the service's own rows say."""

import json
from collections.abc import Iterator

from lab.audit.databases import Books
from lab.audit.orders import Content
from lab.audit.scenario import CAMPAIGN, IN_DOUBT, Key

Fields = dict[str, object]


def recorded_violations(key: Key, content: Content, books: Books) -> Iterator[str]:
    """Where a recorded fact differs from what was done; where no row is left to compare with, that is told elsewhere.

    Args:
        key: the order, in one style.
        content: what was ordered.
        books: the services' databases.
    """
    expected = _expected(key, content, books)
    for row in books.of("effects", key):
        effect = row["effect"]
        if row["state"] == "closed":
            if row["fact"] not in {None, json.dumps(content.fingerprint)}:
                yield f"the key of {effect} was closed for another order than this one"
        elif row["state"] in {"done", *IN_DOUBT} and effect in expected:
            told, should = _read(row["fact"]), {"order_id": key.order_id, **expected[effect]}
            for field in sorted({*told, *should}):
                if field not in told or field not in should or told[field] != should[field]:
                    is_, ought = told.get(field, "nothing"), should.get(field, "nothing")
                    yield f"{effect} was recorded with {field} {is_!r}, and is of {ought!r}"


def _read(fact: str | None) -> Fields:
    try:
        told = json.loads(fact or "{}")
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _expected(key: Key, content: Content, books: Books) -> dict[str, Fields]:
    """Effect to what it must have answered, as far as there are rows that say so."""
    total: Fields = {"total_pence": content.total_pence}
    expected: dict[str, Fields] = {
        "sale.recorded": {"day": content.day, "country": content.country, **total},
        "sale.reversed": total,
    }
    for shipment in books.of("shipments", key):
        number = {"tracking_number": shipment["tracking_number"]}
        expected["shipment.created"] = {**number, "status": "preparing", "country": content.country}
        expected["shipment.cancelled"] = number
    for invoice in books.of("invoices", key):
        expected["invoice.issued"] = {"invoice_number": invoice["number"], **total}
        for note in books.where("credit_notes", "invoice", invoice["number"]):
            numbers = {"credit_note_number": note["number"], "invoice_number": invoice["number"]}
            expected["credit_note.issued"] = {**numbers, **total}
    for mail in books.of("mails", key):
        expected[mail["kind"]] = {"message_id": mail["message_id"], "address": mail["address"]}
    for effect in ("campaign.left", "campaign.rejoined"):
        expected[effect] = {"campaign": CAMPAIGN, "customer_id": content.customer_id}
    return expected
