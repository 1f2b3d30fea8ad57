"""Guarantee 3: both styles leave the same business state behind, running numbers and pairs of do and undo aside."""

from collections.abc import Iterator
from typing import TypeAlias

from lab.audit.databases import Books
from lab.audit.scenario import STYLES, Key

Net: TypeAlias = dict[str, object]
"""Effect to what the service's own rows say of it."""


def parity_violations(order_id: str, books: Books) -> Iterator[str]:
    """In which services an order stands differently in the two styles.

    Args:
        order_id: of an order that was placed in both.
        books: the services' databases.
    """
    saga, choreography = (_net(Key(style, order_id), books) for style in STYLES)
    for effect in sorted({*saga, *choreography}):
        one, other = saga.get(effect), choreography.get(effect)
        if one != other:
            yield f"{effect}: {_told(one)} in the saga, {_told(other)} in the choreography"


def _net(key: Key, books: Books) -> Net:
    """What is left of an order in the business tables; the ledger is asked only where they do not tell."""
    net: Net = {}
    for shipment in books.of("shipments", key):
        if shipment["status"] != "cancelled":
            lines = books.where("shipment_lines", "shipment_id", shipment["id"])
            shipped = sorted((row["line"], row["stock_code"], row["quantity"]) for row in lines)
            net["shipment.created"] = (shipment["status"], shipment["country"], shipped)
    for invoice in books.of("invoices", key):
        if not books.where("credit_notes", "invoice", invoice["number"]):
            lines = books.where("invoice_lines", "invoice", invoice["number"])
            billed = sorted((row["line"], row["stock_code"], row["quantity"], row["amount_pence"]) for row in lines)
            net["invoice.issued"] = (invoice["customer_id"], invoice["total_pence"], billed)
    noted = {row["kind"]: row["address"] for row in books.of("mails", key)}
    mails = {kind: address for kind, address in noted.items() if kind not in books.in_doubt(key)}
    if "confirmation.sent" in mails and "cancellation.sent" not in mails:
        net["confirmation.sent"] = mails["confirmation.sent"]
    for row in books.of("campaign_exits", key):
        net["campaign.left"] = (row["campaign"], row["customer_id"])
    for sale in books.of("sales", key):
        if "sale.reversed" not in books.effects(key):  # a sale's own rows stay when it is taken out of the figures
            products = books.of("sold_products", key)
            sold = sorted((row["stock_code"], row["units"], row["revenue_pence"]) for row in products)
            net["sale.recorded"] = (sale["day"], sale["country"], sold)
    return net


def _told(state: object) -> str:
    if state is None:
        return "nothing"
    text = str(state)
    return f"{text[:60]}…" if len(text) > 60 else text  # noqa: PLR2004 - enough to see what it is about
