"""Guarantee 1, over the ledgers as such: each row names an effect that there is, under its own key, in one state."""

from collections import defaultdict
from collections.abc import Iterator

from lab.audit.databases import Books, Record
from lab.audit.scenario import IN_DOUBT, OUTSIDE_DATABASES, SERVICE_OF_EFFECT, STATES, STYLES, UNDO_OF, Key

_OF_AN_ORDER = (
    "effects",
    "order_contents",
    "shipments",
    "cancellations",
    "invoices",
    "campaign_exits",
    "mails",
    "sales",
    "sold_products",
)
"""Tables whose rows name an order and its style."""

_STEP_US = 1_000_000
"""By how much a service's clock may be set back in the middle of an order, as time servers do."""


def ledger_violations(books: Books) -> Iterator[tuple[str, str]]:
    """What is wrong with any row of a ledger, whoever's it is: each with the order id that the row names."""
    keys: dict[tuple[Key, str], list[Record]] = defaultdict(list)
    for row in books.all("effects"):
        yield from ((row["order_id"], what) for what in _row_violations(row))
        keys[Key(row["style"], row["order_id"]), row["effect"]].append(row)
    for (key, effect), rows in keys.items():
        yield from ((key.order_id, what) for what in _key_violations(key, effect, rows, keys))
    for table in _OF_AN_ORDER:
        for row in books.all(table):
            if row["style"] not in STYLES:
                yield row["order_id"], f"{table} has a row of the style {row['style']!r}, which there is not"
    services = set(SERVICE_OF_EFFECT.values())
    for row in books.all("order_contents"):
        if row["service"] not in services:
            yield row["order_id"], f"order_contents has a row of {row['service']!r}, which is no service"


def _row_violations(row: Record) -> Iterator[str]:
    effect, service = row["effect"], row["service"]
    if effect not in SERVICE_OF_EFFECT:
        yield f"the ledger has an effect {effect!r}, which there is not"
    elif service != SERVICE_OF_EFFECT[effect]:
        yield f"the ledger says that {service!r} did {effect}, which is {SERVICE_OF_EFFECT[effect]}'s"
    if row["state"] not in STATES:
        yield f"{effect} is {row['state']!r}, which no key can be"
    if row["state"] in IN_DOUBT and effect not in OUTSIDE_DATABASES:
        yield f"{effect} is {row['state']!r}, which only a mail can be"
    key = "/".join((row["style"], row["order_id"], service, effect))
    if row["idempotency_key"] != key:
        yield f"{effect} is under the key {row['idempotency_key']!r} and not under {key!r}"


def _key_violations(
    key: Key, effect: str, rows: list[Record], keys: dict[tuple[Key, str], list[Record]]
) -> Iterator[str]:
    states = sorted(row["state"] for row in rows)
    if "done" in states and "closed" in states:
        yield f"{effect} is done and closed at once"
    if "closed" in states and effect in UNDO_OF.values():
        yield f"{effect} is closed, which only what it undoes can be"
    undo = UNDO_OF.get(effect)
    for done in rows:
        for undone in keys.get((key, undo), ()) if undo else ():
            if done["state"] == undone["state"] == "done" and undone["at_us"] < done["at_us"] - _STEP_US:
                yield f"{undo} is dated before {effect}"
