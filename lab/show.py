"""Prints results for people."""

from collections.abc import Callable, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from events.log import EventLog
from lab import ratio_words
from lab.audit import AuditReport
from lab.dead_letters import DeadLetter
from lab.report import ENOUGH_PAIRS, Cancellations, Percentiles, Ratio, Report
from lab.status import OrderStatus
from orders.loader import OrderBook
from orders.model import STYLES
from runtime.moments import on_our_clock
from runtime.printable import printable
from services.order_placed import SERVICES
from stores.ledger import EffectRecord

_SHOWN_PAYLOAD = 60
"""Characters; `--json` gives all that is kept."""

_CANCELLATIONS: dict[str, Callable[[Cancellations], str]] = {
    "cancellations accepted, refused": lambda of: f"{of.accepted}, {of.refused}",
    "cancellation answered": lambda of: times_shown(of.answered_ms),
    "cancellation consistent": lambda of: times_shown(of.consistent_ms),
}


def order_book(book: OrderBook) -> str:
    """What the data set holds, in one line."""

    def counted(reasons: dict[str, int]) -> str:
        return ", ".join(f"{reason} {count}" for reason, count in sorted(reasons.items()))

    return (
        f"{len(book.orders)} orders can be sold, {book.guests} of them by guests; refused: "
        f"{book.lines_refused} lines ({counted(book.lines_refused_by_reason)}), with them {book.orders_refused} whole "
        f"orders; not for sale: {book.cancellations} cancellations of earlier orders"
    )


def report(result: Report) -> RenderableType:
    """The comparison, as tables."""
    saga, choreography = (result.styles[style] for style in STYLES)
    table = Table(title=f"{result.orders} orders through each style; times in ms, p50 / p95", title_justify="left")
    table.add_column("", overflow="fold")
    for column in (*STYLES, "ratio"):
        table.add_column(column, justify="right")

    def times(name: str, ours: Percentiles | None, theirs: Percentiles | None, ratio: str) -> None:
        found = result.ratios.get(ratio)
        told = "too few pairs" if found is None and ours and theirs else ratio_shown(found, ours, theirs)
        table.add_row(name, times_shown(ours), times_shown(theirs), told)

    times("acknowledged", saga.ack_ms, choreography.ack_ms, "ack_ms")
    for service in SERVICES:
        times(
            f"{service.name} reacted",
            saga.reaction_ms[service.name],
            choreography.reaction_ms[service.name],
            f"reaction_ms.{service.name}",
        )
    times("end to end", saga.end_to_end_ms, choreography.end_to_end_ms, "end_to_end_ms")
    table.add_row(
        "orders per second",
        _number(saga.orders_per_s),
        _number(choreography.orders_per_s),
        ratio_shown(result.ratios.get("orders_per_s")),
    )
    table.add_section()
    for name in ("history_events_per_order", "actions_per_order", "retries"):
        table.add_row(name.replace("_", " "), _number(getattr(saga, name)), _number(getattr(choreography, name)), "")
    for name, value in _CANCELLATIONS.items():
        if saga.cancellations and choreography.cancellations:
            ratio = result.ratios.get("cancellation_answered_ms") if name == "cancellation answered" else None
            beside = saga.cancellations.answered_ms, choreography.cancellations.answered_ms
            values = value(saga.cancellations), value(choreography.cancellations)
            table.add_row(name, *values, ratio_shown(ratio, *beside))
    table.add_section()
    for state in sorted({*saga.end_states, *choreography.end_states}):
        table.add_row(
            f"orders {state}", str(saga.end_states.get(state, 0)), str(choreography.end_states.get(state, 0)), ""
        )
    table.add_section()
    for service in SERVICES:
        done = (saga.effects[service.name], choreography.effects[service.name])
        for effect in sorted({*done[0], *done[1]}):
            table.add_row(effect, str(done[0].get(effect, 0)), str(done[1].get(effect, 0)), "")
    note = (
        "Latencies: one order at a time; orders per second: many in flight. "
        "Ratio: choreography / saga, median over the same orders, or rounds (95 % interval); “of 9 pairs” where only 9 "
        f"orders have the figure in both styles. Of fewer than {ENOUGH_PAIRS} pairs nothing is concluded."
    )
    checked = [] if result.audit is None else [audit(result.audit)]
    return Group(table, Text(note, style="dim"), parity(result), *checked, *_unfinished(result))


def parity(result: Report) -> RenderableType:
    """Whether both styles ended in the same business state."""
    compared, differences = result.parity.compared, result.parity.differences
    if not differences:
        left = result.orders - compared
        others = "The other one was" if left == 1 else f"The other {left} were"
        rest = f" {others} cancelled at a moment of the clock: each style ends in its own." if left else ""
        told = f"Same business state in both styles: {compared} of {compared} orders, effect by effect.{rest}"
        return Text(told, "green")
    lines = [f"DIFFERENT business state in {len({d.order_id for d in differences})} of {compared} orders:"]
    lines += [
        f"  {d.order_id} {d.service}: saga {d.saga or 'nothing'}, choreography {d.choreography or 'nothing'}"
        for d in differences[:10]
    ]
    return Text(printable("\n".join(lines)), "bold red")


def _unfinished(result: Report) -> list[RenderableType]:
    if not result.unfinished:
        return []
    told = "\n".join(["Orders that did not end as they should:", *result.unfinished[:10]])
    return [Text(printable(told), "bold red")]


def orders(statuses: Sequence[OrderStatus]) -> RenderableType:
    """A list of orders and their states."""
    table = Table()
    for column in ("order", "style", "state", "started", "workflow", "detail"):
        table.add_column(column, overflow="fold")
    for status in statuses:
        started = on_our_clock(status.started).isoformat(" ", "seconds") if status.started else ""
        table.add_row(
            status.order_id,
            status.style,
            status.state or f"broken: orderlab repair {status.order_id}",
            started,
            status.workflow_id,
            status.detail or "",
        )
    return table


def chaos(result: Report) -> RenderableType:
    """What was killed, how long recovering took, and what the auditor says."""
    parts: list[RenderableType] = []
    if result.kills:
        table = Table(title="Kills, with orders in flight; times in s", title_justify="left")
        for column in ("target", "kills", "in flight", "until the next order ended", "until all in flight had ended"):
            table.add_column(column, justify="left" if column == "target" else "right")
        for target in dict.fromkeys(kill.target for kill in result.kills):
            kills = [kill for kill in result.kills if kill.target == target]
            table.add_row(
                target,
                str(len(kills)),
                _range([kill.in_flight for kill in kills]),
                _range([kill.next_end_s for kill in kills]),
                _range([kill.all_ended_s for kill in kills]),
            )
        parts.append(table)
    if result.down is not None:
        for style, ratios in result.down.reaction_ratio.items():
            others = ", ".join(f"{name} {_number(ratio)}" for name, ratio in ratios.items())
            parts.append(Text(f"{style}: reaction of the others without {result.down.service} / with it: {others}"))
        parts.append(Text(f"{result.down.service} had caught up {_number(result.down.caught_up_s)} s after its return"))
    states = {
        style: ", ".join(f"{n} {s}" for s, n in sorted(r.end_states.items())) for style, r in result.styles.items()
    }
    parts += [Text(f"{style}: {told}; {result.styles[style].retries} retries") for style, told in states.items()]
    if result.audit is not None:
        parts.append(audit(result.audit))
    return Group(*parts, parity(result), *_unfinished(result))


def audit(result: AuditReport) -> RenderableType:
    """What the auditor found."""
    by_hand = [f"  {act.order_id}: {act.what}, by {act.by}" for act in result.acts[:20]]
    told = "\n".join(["", f"Told by hand, in place of a service ({len(result.acts)}):", *by_hand] if by_hand else [])
    if not result.violations:
        clean = f"Audit: {result.checked} orders checked, no guarantee was broken."
        return Text.assemble((clean, "green"), printable(told))
    lines = [f"AUDIT: {len(result.violations)} violations in {result.checked} orders:"]
    lines += [f"  guarantee {v.guarantee}, {v.style or ''} {v.order_id}: {v.what}" for v in result.violations[:20]]
    return Text.assemble((printable("\n".join(lines)), "bold red"), printable(told))


def dead_letters(letters: Sequence[DeadLetter]) -> RenderableType:
    """What is parked."""
    if not letters:
        return Text("Nothing is parked.")
    table = Table()
    for column in ("id", "work", "attempts", "reason", "payload"):
        table.add_column(column, overflow="fold")
    for letter in letters:
        entry = letter.delivery
        payload = entry.payload if len(entry.payload) <= _SHOWN_PAYLOAD else f"{entry.payload[:_SHOWN_PAYLOAD]} …"
        table.add_row(letter.id, entry.work, str(entry.attempts), entry.reason, payload)
    return table


def event_log(key: str, log: EventLog) -> RenderableType:
    """The log of one correlation key: each event, who was handed it, and what became of that.

    Each delivery has a row of its own, as a name that is wrapped would otherwise push the next one from its outcome.
    """
    gone = log.earlier.events
    caption = f"and {gone:,} earlier, which can't be shown any more: the runs that kept them are gone" if gone else None
    table = Table(title=f"events of {key}", title_justify="left", caption=caption, caption_justify="left")
    for column in ("#", "event", "from", "at", "handed to", "outcome", "caused by"):
        table.add_column(column, overflow="fold")
    causes = reversed([(number, entry) for number, entry in enumerate(log.entries, start=1) if entry.counts])
    numbers = {entry.name: f"#{number}" for number, entry in causes}
    for number, entry in enumerate(log.entries, start=1):
        at = on_our_clock(entry.time).timetz().isoformat("milliseconds")
        deliveries = [(of.handler, f"{of.state}{f': {of.reason}' if of.reason else ''}") for of in entry.deliveries]
        first, *further = deliveries or [("nobody", "" if entry.counts else "does not count: it is not theirs to tell")]
        source = f"{entry.source}, by hand of {entry.by_hand}" if entry.by_hand else entry.source
        table.add_row(str(number), entry.type, source, at, *first, numbers.get(entry.causationid or "", ""))
        for delivery in further:
            table.add_row("", "", "", "", *delivery, "")
    return table


def effects(records: Sequence[EffectRecord]) -> RenderableType:
    """What the services did."""
    table = Table()
    for column in ("order", "style", "service", "effect", "at", "what"):
        table.add_column(column, overflow="fold")
    for record in records:
        what = ", ".join(f"{name} {value}" for name, value in record.fact.items() if name != "order_id")
        at = on_our_clock(record.at).isoformat(" ", "milliseconds")
        effect = record.effect if record.certain else f"{record.effect}, perhaps"
        table.add_row(record.order_id, record.style, record.service, effect, at, what)
    return table


def times_shown(times: Percentiles | None) -> str:
    """The p50 and the p95, in ms."""
    return "-" if times is None else f"{times.p50:,.1f} / {times.p95:,.1f}"


def _range(values: Sequence[float | None]) -> str:
    known = sorted(value for value in values if value is not None)
    return f"{_number(known[0])} - {_number(known[-1])}" if known else "-"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.2f}".rstrip("0").rstrip(".")


def ratio_shown(ratio: Ratio | None, *beside: Percentiles | None) -> str:
    """The median with its interval, or why there is none; nothing where it was not measured.

    Args:
        ratio: what is shown.
        beside: the distributions that stand beside it: a ratio that is not of all of their orders says of how many.
    """
    if ratio is None:
        return ""
    if not ratio.has_interval:
        return f"{ratio_words.interval(ratio)}, {ratio_words.too_few(ratio)}"
    is_of_all = all(times is None or times.n == ratio.pairs for times in beside)
    return ratio_words.interval(ratio, dash="-") + ("" if is_of_all else f" of {ratio.pairs:,} pairs")
