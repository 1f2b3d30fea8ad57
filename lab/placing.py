"""Places orders: starts the saga, publishes `order.placed`, and tells a repeated order from a contradictory one."""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import TypedDict

from temporalio.client import Client, WorkflowExecutionDescription, WorkflowExecutionStatus
from temporalio.common import TypedSearchAttributes, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

from events.bus import WORKFLOW_TASK_TIMEOUT
from events.edge import order_placed
from events.envelope import Event
from events.log import OrderState
from events.reading import facts_of, recorded_log_of, with_earlier_pages
from events.transport import EventPublisher
from faults.dice import ChangeOfMind, Dice
from lab.cancelling import Canceller
from lab.runs import DIGEST, latest_run, workflow_id
from orders.cancelling import CancelRequest, LateOrder
from orders.model import STYLES, Order, Placement, Style
from runtime.errors import InputError
from runtime.search import attributes_of
from services.order_placed import registry
from services.service import task_queue
from workflows.order_cancellation import OrderCancellation
from workflows.order_saga import OrderSaga

ContentsOf = Callable[[str], set[str]]
"""Order id to the fingerprints of the orders that the services have met under it."""


@dataclass(frozen=True)
class Placed:
    """An order on its way in one style."""

    style: Style
    order_id: str
    known: bool
    """It had been placed before, with the same content: nothing was changed."""


class _SagaOptions(TypedDict):
    """How the workflows of an order's saga are started."""

    id: str
    task_queue: str
    task_timeout: timedelta
    memo: dict[str, str]
    static_summary: str
    search_attributes: TypedSearchAttributes


class Placer:
    """Places orders in a lab."""

    def __init__(
        self, client: Client, lab: str, dice: Dice | None = None, *, contents_of: ContentsOf | None = None
    ) -> None:
        """Take what orders are placed with.

        Args:
            client: of the server.
            lab: suffix of the task queues.
            dice: what goes wrong with the orders.
            contents_of: tells which contents the services have met under an order id, where their databases can be
                asked. Otherwise the services alone refuse an order whose id is another's, and only in their own style.
        """
        self._client = client
        self._lab = lab
        self._dice = dice
        self._contents_of = contents_of
        self.canceller = Canceller(client, lab, dice)
        self._publisher = EventPublisher(client, registry(lab), lab=lab, task_queue=task_queue("bus", lab))

    @property
    def expects_faults(self) -> bool:
        """Whether orders may be parked."""
        return self._dice is not None

    def change_of_mind(self, order: Order) -> ChangeOfMind | None:
        """When the customer wants this order cancelled; None where they keep it."""
        return None if self._dice is None else self._dice.change_of_mind(order.order_id)

    async def place_once(self, order: Order, styles: tuple[Style, ...]) -> list[Placed]:
        """Place an order that may have been placed before; all styles or none.

        Raises:
            InputError: the order id is taken, in any style, by an order with other content.
        """
        event = order_placed(order)
        known = await self._known_in(event)
        placed = []
        for style in styles:
            if style in known:
                placed.append(Placed(style, order.order_id, known=True))
            else:
                placed.append(await self.place(order, style))
                await self._look_again(event)
        return placed

    async def place(self, order: Order, style: Style, *, rehearsal: bool = False) -> Placed:
        """Place an order in one style.

        The saga is started, or `order.placed` is published; either way one call, after which the order is safe.
        """
        dice = None if rehearsal else self._dice
        event = order_placed(order, rehearsal=rehearsal, dice=dice)
        if style == "choreography":
            publication = await self._publisher.publish(event, summary=_summary(order))
            return Placed(style, order.order_id, publication.known)
        placement = Placement(style=style, order=order, lab=self._lab, rehearsal=rehearsal, dice=dice)
        for reuse in (WorkflowIDReusePolicy.REJECT_DUPLICATE, WorkflowIDReusePolicy.ALLOW_DUPLICATE):
            try:
                await self._client.start_workflow(
                    OrderSaga.run, placement, id_reuse_policy=reuse, **self._saga_options(order, event.digest)
                )
                return Placed(style, order.order_id, known=False)
            except WorkflowAlreadyStartedError:
                run = await latest_run(self._client, self._lab, style, order.order_id)
                if run is None or await run.memo_value(DIGEST, default=None) is not None:
                    return Placed(style, order.order_id, known=True)
                if not await self._has_refused(run):
                    break
        await self._take_in_cancelled(LateOrder(placement=placement, digest=event.digest))
        return Placed(style, order.order_id, known=False)

    async def _has_refused(self, run: WorkflowExecutionDescription) -> bool:
        """Whether it is a refused cancellation, of an order that Temporal has forgotten: nothing is cancelled by it."""
        if run.status is not WorkflowExecutionStatus.COMPLETED:
            return False
        ended = self._client.get_workflow_handle_for(OrderSaga.run, run.id, run_id=run.run_id)
        return (await ended.result()).state is OrderState.COMPLETED

    async def _take_in_cancelled(self, late: LateOrder) -> None:
        """Hand an order that was cancelled before it was placed to what remembers that, at work or not."""
        placement = late.placement
        await self._client.start_workflow(
            OrderCancellation.run,
            CancelRequest(style="saga", order_id=placement.order_id, lab=self._lab, dice=placement.dice),
            start_signal="placed",
            start_signal_args=[late],
            **self._saga_options(placement.order, late.digest),
        )

    def _saga_options(self, order: Order, digest: str) -> _SagaOptions:
        return {
            "id": workflow_id("saga", order.order_id),
            "task_queue": task_queue("saga", self._lab),
            "task_timeout": WORKFLOW_TASK_TIMEOUT,
            "memo": {DIGEST: digest, "lab": self._lab},
            "static_summary": _summary(order),
            "search_attributes": attributes_of(order.order_id, "saga"),
        }

    async def publish(self, event: Event) -> tuple[tuple[str, ...], bool]:
        """Publish any event; answers who it went to, and whether it was known already.

        Raises:
            InputError: its source has published another event under this id; or it is an `order.placed` for an order id
                that is taken, in any style, by an order with other content; or its key belongs to another lab.
        """
        is_order = event.type == "order.placed"
        if is_order and "choreography" in await self._known_in(event):
            return (), True
        if not is_order and await self._is_published(event):
            return (), True
        publication = await self._publisher.publish(event)
        # Someone else may have published another under the same id between our look and our call; theirs stands then.
        await self._is_published(event)
        if is_order:
            await self._look_again(event)
        return publication.recipients, publication.known

    async def _is_published(self, event: Event) -> bool:
        """Whether this event is in the log already.

        Raises:
            InputError: another one is, with the same source and id; or the log is another lab's.
        """
        key = event.correlation_key
        if await latest_run(self._client, self._lab, "choreography", key) is None:
            return False
        log = await recorded_log_of(self._client, key)
        if log is None or not log.holds(event):
            return False
        if log.entry_of(event) is None:  # it has left the latest page
            log = await with_earlier_pages(self._client, key, log)
        entry = log.entry_of(event)
        if entry is not None and (entry.type, entry.digest) != (event.type, event.digest):
            raise InputError(
                f"{event.source} has published another event under the id {event.id!r} before, {entry.type} with other "
                "data; nothing was changed: give the new event an id of its own"
            )
        return True

    async def _known_in(self, event: Event) -> set[Style]:
        """The styles in which this order was placed already, by this lab and with the same content.

        Raises:
            InputError: by another lab, or with other content in any style; or the services have met, under its id, an
                order of other content and never this one, though Temporal has forgotten that.
        """
        order_id = event.correlation_key
        known: set[Style] = set()
        for style in STYLES:
            digest = await self._digest_in(style, order_id)
            if digest is None:
                continue
            if not _is_of(event, digest):
                raise _taken(order_id, f"was placed before with other content ({style})")
            known.add(style)
        met = set() if known else await self._met_by_services(order_id)
        if met and event.ordercontent not in met:
            raise _taken(order_id, "was placed before with other content, which the services keep")
        return known

    async def _look_again(self, event: Event) -> None:
        """Someone else may have placed another order under the id between our look and our call.

        Raises:
            InputError: they have; the message says what stands.
        """
        order_id = event.correlation_key
        found = {style: await self._digest_in(style, order_id) for style in STYLES}
        theirs = [style for style, digest in found.items() if digest is not None and not _is_of(event, digest)]
        ours = [style for style, digest in found.items() if digest is not None and style not in theirs]
        if theirs:
            cancel = " or ".join(f"orderlab cancel {order_id} --style {style}" for style in (*theirs, *ours))
            so = f"this one stands, too ({', '.join(ours)}): cancel one of them ({cancel})" if ours else "not this one"
            raise InputError(
                f"order {order_id} was placed at the same moment with other content ({', '.join(theirs)}), which "
                f"stands; {so}; give the new order an id of its own"
            )

    async def _digest_in(self, style: Style, order_id: str) -> str | None:
        """Fingerprint of the order that was placed in a style; None where none was, as far as Temporal knows.

        Raises:
            InputError: it is another lab's.
        """
        run = await latest_run(self._client, self._lab, style, order_id)
        if run is None:
            return None
        if style == "saga":
            in_memo: str | None = await run.memo_value(DIGEST, default=None)
            return in_memo
        # There may be events about it, or a cancellation, though nobody has placed it.
        facts = await facts_of(self._client, order_id)
        return next((one.digest for one in facts if one.type == "order.placed"), None)

    async def _met_by_services(self, order_id: str) -> set[str]:
        """Fingerprints of the orders that the services have met under an id; none where they can't be asked."""
        if self._contents_of is not None:
            with contextlib.suppress(InputError):  # a service that is away keeps nobody from placing, and refuses later
                return await asyncio.to_thread(self._contents_of, order_id)
        return set()


def _taken(order_id: str, how: str) -> InputError:
    return InputError(f"order {order_id} {how}; nothing was changed: give the new order an id of its own")


def _is_of(event: Event, digest: str) -> bool:
    """Whether a fingerprint is that of this order, as it is made now or was made before."""
    return digest == event.digest or digest == _former_digest(event)


def _former_digest(event: Event) -> str:
    """The fingerprint of `order.placed` while prices were kept as they were written, which is mostly 2.50."""
    order = Order.model_validate(event.data)
    lines = (line.model_copy(update={"unit_price": line.unit_price.quantize(Decimal("0.01"))}) for line in order.lines)
    return order_placed(order.model_copy(update={"lines": tuple(lines)})).digest


def _summary(order: Order) -> str:
    who = "a guest" if order.is_guest else f"customer {order.customer_id}"
    pounds = f"{order.total_pence // 100:,}.{order.total_pence % 100:02d}"
    return f"order {order.order_id} of {who}, {order.country}: {len(order.lines)} lines, GBP {pounds}"
