"""The life of one order in one style, read from its histories and from the services' databases."""

from collections.abc import Iterator, Sequence
from typing import Literal

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client

from lab.compare.comparison import Mark, Timeline
from lab.parity import UNDONE_BY
from lab.runs import runs_of, workflow_id
from orders.model import Style
from stores.ledger import EffectRecord

_COMPENSATIONS = frozenset(UNDONE_BY.values())

_FAILED = {
    EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED: "activity_task_failed_event_attributes",
    EventType.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT: "activity_task_timed_out_event_attributes",
}

_CLOSED = {
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED: "completed",
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED: "cancelled",
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED: "failed",
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED: "terminated",
}


async def timeline(  # noqa: PLR0913 - what it is drawn from, and its heading
    client: Client,
    style: Style,
    order_id: str,
    *,
    title: Literal["a good order", "a broken order"],
    state: str,
    effects: Sequence[EffectRecord],
) -> Timeline:
    """Draw one order's life.

    Args:
        client: of the Temporal server.
        style: in which style.
        order_id: of the order.
        title: why it is shown.
        state: how it ended.
        effects: of all orders, or of this one.
    """
    name = workflow_id(style, order_id)
    histories = [
        list((await client.get_workflow_handle(name, run_id=run_id).fetch_history()).events)
        for run_id in await runs_of(client, name)
    ]
    start_ms = _at_ms(histories[0][0])
    marks = [mark for events in histories for mark in _of_history(events, style, start_ms)]
    marks += [
        _moment(
            record.service,
            "compensation" if record.effect in _COMPENSATIONS else "effect",
            record.effect,
            record.at.timestamp() * 1e3 - start_ms,
        )
        for record in effects
        if record.order_id == order_id and record.style == style
    ]
    return Timeline(
        order_id=order_id, style=style, title=title, state=state, marks=sorted(marks, key=lambda mark: mark.from_ms)
    )


def _of_history(events: Sequence[HistoryEvent], style: Style, start_ms: float) -> Iterator[Mark]:
    """What a run's history tells: what was published, each delivery, each retry and failure, the end."""
    scheduled = {event.event_id: event for event in events}
    attempts: dict[int, int] = {}
    lane = "bus" if style == "choreography" else "order"
    for event in events:
        at = _at_ms(event) - start_ms
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED and style == "saga":
            yield _moment(lane, "publish", "start", at)
        elif event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED:
            yield _moment(lane, "publish", event.workflow_execution_signaled_event_attributes.signal_name, at)
        elif event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED:
            yield _moment(lane, "publish", "cancel", at)
        elif event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED:
            started = event.activity_task_started_event_attributes
            attempts[started.scheduled_event_id] = started.attempt
            if started.attempt > 1:
                activity = _activity(scheduled[started.scheduled_event_id])
                yield _moment(_service(activity), "retry", f"{activity}, attempt {started.attempt}", at)
        elif event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
            task = scheduled[event.activity_task_completed_event_attributes.scheduled_event_id]
            yield _delivery(task, at, start_ms)
        elif event.event_type in _FAILED:
            task = scheduled[getattr(event, _FAILED[event.event_type]).scheduled_event_id]
            yield _delivery(task, at, start_ms)
            yield _moment(_service(_activity(task)), "failure", _activity(task), at)
        elif event.event_type in _CLOSED:
            yield _moment(lane, "end", _CLOSED[event.event_type], at)


def _delivery(task: HistoryEvent, until_ms: float, start_ms: float) -> Mark:
    activity = _activity(task)
    return Mark(
        lane=_service(activity),
        kind="delivery",
        what=activity,
        from_ms=round(_at_ms(task) - start_ms, 2),
        to_ms=round(until_ms, 2),
    )


def _moment(
    lane: str,
    kind: Literal["publish", "effect", "retry", "compensation", "failure", "end"],
    what: str,
    at_ms: float,
) -> Mark:
    return Mark(lane=lane, kind=kind, what=what, from_ms=round(at_ms, 2), to_ms=round(at_ms, 2))


def _activity(task: HistoryEvent) -> str:
    return task.activity_task_scheduled_event_attributes.activity_type.name


def _service(activity: str) -> str:
    return activity.split(".", maxsplit=1)[0]


def _at_ms(event: HistoryEvent) -> float:
    return event.event_time.ToNanoseconds() / 1e6
