"""The audit: reads everything, then holds the guarantees against it."""

import asyncio
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from temporalio.client import Client

from lab.audit.cancelling import has_request, must_end_alike, unclosed_violations, was_off_before
from lab.audit.databases import Books, read_books
from lab.audit.endings import ending_violations, mended
from lab.audit.figures import book_violations
from lab.audit.history import Run
from lab.audit.ledger import ledger_violations
from lab.audit.logs import broken_off, lost_events
from lab.audit.mails import Mailbox, read_mails
from lab.audit.namesakes import left_of_refused, namesake_violations, services_of_another, services_that_know_none
from lab.audit.once import effect_violations
from lab.audit.orders import PlacedOrder, placed_order
from lab.audit.parity import parity_violations
from lab.audit.report import EVERYTHING, AuditReport, Style, Violation
from lab.audit.scenario import STYLES, Key
from lab.audit.sequence import sequence_violations
from lab.audit.speaking import acts, misattributed
from lab.audit.temporal import RunIds, TemporalReader
from lab.audit.times import time_violations
from runtime.settings import Settings

_LOOKS = 2
"""The second is for orders that the list of workflows did not have yet, and for customers who cancelled meanwhile.

No third, as there may be news for ever.
"""


@dataclass(frozen=True)
class Evidence:
    """All that there is to judge."""

    orders: dict[Key, PlacedOrder]
    buses: dict[Key, tuple[Run, ...]]
    """All runs of each bus, which may carry no order."""
    rehearsals: set[Key]
    aside: set[Key]
    """Not to be judged: placed a moment ago, or so long ago that the server has forgotten it."""
    books: Books
    mailbox: Mailbox | None


async def audit(
    client: Client, settings: Settings, lab: str, *, order_ids: Collection[str] | None = None, parity: bool = True
) -> AuditReport:
    """Check guarantees 1 to 5 over all orders, or over some.

    An order that has not ended is given a few seconds to do so, and is a violation then. Numbering and dashboard are
    always checked over all that the databases hold; no single order explains them.

    Args:
        client: of the Temporal server that the lab runs on; others may use it, too.
        settings: where the services' databases and the mails are.
        lab: suffix of the task queues.
        order_ids: only these orders; each of them must have been placed, in one style at least.
        parity: whether orders that were placed in both styles must have ended alike; in any case not asked of those
            that a customer cancelled at a moment of their own choice.

    Returns:
        The violations, and what persons have told in place of services, sorted by order.

    Raises:
        InputError: a database can't be read.
        RPCError: the server does not answer.
    """
    wanted = None if order_ids is None else frozenset(order_ids)
    evidence = await gather(TemporalReader(client, lab), settings, wanted)
    found = await asyncio.to_thread(lambda: list(judge(evidence, wanted, parity=parity)))
    return AuditReport(
        checked=len(evidence.orders),
        violations=sorted(found, key=lambda one: (one.order_id, one.style or "", one.guarantee, one.what)),
        acts=[act for key in sorted(evidence.buses) for act in acts(key, evidence.buses[key])],
    )


async def gather(reader: TemporalReader, settings: Settings, wanted: frozenset[str] | None) -> Evidence:
    """Read histories first and databases after them: what a history tells as done has been committed by then."""
    read: dict[Key, tuple[Run, ...]] = {}
    listed = await reader.listed()
    due: RunIds = {key: listed[key] for key in listed if _is_wanted(key.order_id, wanted)}
    looks_left = _LOOKS
    while True:
        read |= await reader.read(due)
        placed = {key: order for key, runs in read.items() if (order := placed_order(key, runs)) is not None}
        mailbox = await asyncio.to_thread(read_mails, settings)
        books = await asyncio.to_thread(read_books, settings)
        forgotten = _begun_before(await reader.remembers_since_us(), books)
        strange = _traces(books, mailbox, wanted) - placed.keys() - forgotten
        due = dict.fromkeys(strange | _cancelled_meanwhile(placed, books), ())
        looks_left -= 1
        if not due or not looks_left:
            break
    return Evidence(
        orders={key: order for key, order in placed.items() if not order.rehearsal},
        buses={key: runs for key, runs in read.items() if key.style == "choreography"},
        rehearsals={key for key, order in placed.items() if order.rehearsal},
        aside=forgotten | await _with_a_run(reader, strange - read.keys()),
        books=books,
        mailbox=mailbox,
    )


def _traces(books: Books, mailbox: Mailbox | None, wanted: frozenset[str] | None) -> set[Key]:
    """The orders that were asked for, or that there is anything stored about."""
    found = books.keys() | {Key(style, order_id) for style in STYLES for order_id in wanted or ()}
    for mail in mailbox.unexplained(books) if mailbox else ():
        if mail.style is not None:
            found.add(Key(mail.style, mail.order_id))
    return {key for key in found if _is_wanted(key.order_id, wanted)}


def _begun_before(since_us: int, books: Books) -> set[Key]:
    """The orders whose first effect was before this time; the run that was given the order may be gone by now."""
    return {
        Key(row["style"], row["order_id"])
        for row in books.all("effects")
        if row["at_us"] < since_us and row["style"] in STYLES
    }


def _cancelled_meanwhile(placed: Mapping[Key, PlacedOrder], books: Books) -> set[Key]:
    """The orders that shipping has decided about, and in whose histories nobody asked for that."""
    return {key for key, order in placed.items() if books.of("cancellations", key) and not has_request(order)}


async def _with_a_run(reader: TemporalReader, keys: set[Key]) -> set[Key]:
    found = await asyncio.gather(*(reader.latest_run(key) for key in keys))
    return {key for key, run_id in zip(keys, found, strict=True) if run_id is not None}


def judge(evidence: Evidence, wanted: frozenset[str] | None, *, parity: bool) -> Iterator[Violation]:
    """Hold the guarantees against the evidence.

    Args:
        evidence: all that there is.
        wanted: only these orders; None for all.
        parity: whether the styles must agree.
    """
    orders = evidence.orders
    foreign = {key: names for key, order in orders.items() if (names := services_of_another(order, evidence.books))}
    books = evidence.books.without(foreign)
    for key, order in orders.items():
        yield from _violations(key, 1, effect_violations(key, order.content, books, evidence.mailbox))
        yield from _violations(key, 1, time_violations(order, books, evidence.books))
        yield from _violations(key, 1, namesake_violations(order, evidence.books, foreign.get(key, ())))
        yield from _violations(key, 2, ending_violations(order, books, evidence.books))
        yield from _violations(key, 2, unclosed_violations(order, evidence.books))
        if key.style == "choreography":
            yield from _violations(key, 4, sequence_violations(order.runs))
    for key, runs in evidence.buses.items():
        yield from _violations(key, 5, lost_events(runs, mended(orders[key]) if key in orders else ""))
        yield from _violations(key, 5, misattributed(runs))
        if key not in orders:  # an order's is told with its end
            yield from _violations(key, 5, broken_off(runs))
    if parity:
        yield from _differing({key: order for key, order in orders.items() if key not in foreign}, books)
    yield from _unexplained(evidence, wanted)
    for order_id, what in ledger_violations(evidence.books):
        if _is_wanted(order_id, wanted):
            yield from _about(order_id, None, 1, [what])
    yield from _about(EVERYTHING, None, 1, book_violations(evidence.books))


def _differing(orders: Mapping[Key, PlacedOrder], books: Books) -> Iterator[Violation]:
    """In what an order differs between the styles that has to end alike."""
    for order_id in {key.order_id for key in orders}:
        saga, choreography = (orders.get(Key(style, order_id)) for style in STYLES)
        if not saga or not choreography:
            continue
        # One that only one style had cancelled before, as Temporal has forgotten, can end in that style in one way.
        same_past = was_off_before(saga, books) == was_off_before(choreography, books)
        if same_past and must_end_alike(saga, choreography, books):
            yield from _about(order_id, None, 3, parity_violations(order_id, books))


def _unexplained(evidence: Evidence, wanted: frozenset[str] | None) -> Iterator[Violation]:
    """What there is that no order explains, and orders that there are not."""
    explained = evidence.orders.keys() | evidence.aside
    remembered = {key for key in evidence.books.keys() - explained if _is_remembered(key, evidence)}
    for key in evidence.books.keys() - explained:
        if not _is_wanted(key.order_id, wanted):
            continue
        if key in remembered:
            yield from _violations(key, 1, left_of_refused(key, evidence.books))
        else:
            why = "it was a rehearsal" if key in evidence.rehearsals else "no such order was placed"
            effects = ", ".join(sorted(evidence.books.effects(key))) or "rows of its own"
            yield from _violations(key, 1, [f"{effects} in the databases, but {why}"])
    for mail in evidence.mailbox.unexplained(evidence.books) if evidence.mailbox else ():
        # A rehearsal does everything but the commit: its mails are sent.
        excused = mail.style is not None and Key(mail.style, mail.order_id) in evidence.aside | evidence.rehearsals
        if _is_wanted(mail.order_id, wanted) and not excused:
            what = f"a mail to {mail.to} that marketing has no note of: {mail.message_id}"
            yield from _about(mail.order_id, mail.style, 1, [what])
    found = {key.order_id for key in explained | evidence.rehearsals | remembered}
    for order_id in (wanted or frozenset()) - found:
        yield from _about(order_id, None, 2, ["it was placed in neither style"])


def _is_remembered(key: Key, evidence: Evidence) -> bool:
    """Whether the services know which order it was, so that it was one, which Temporal has forgotten since."""
    return key not in evidence.rehearsals and not services_that_know_none(key, evidence.books)


def _violations(key: Key, guarantee: int, found: Iterable[str]) -> Iterator[Violation]:
    return _about(key.order_id, key.style, guarantee, found)


def _about(order_id: str, style: Style | None, guarantee: int, found: Iterable[str]) -> Iterator[Violation]:
    for what in found:
        yield Violation(order_id=order_id, style=style, guarantee=guarantee, what=what)


def _is_wanted(order_id: str, wanted: frozenset[str] | None) -> bool:
    """What the services have filed under a refused order's own id is about the id that it was placed under."""
    return wanted is None or order_id.partition("|")[0] in wanted
