"""Places orders: starts the saga, publishes `order.placed`, and tells a repeated order from a contradictory one."""

from dataclasses import dataclass

from temporalio.client import Client, WorkflowExecutionDescription
from temporalio.common import SearchAttributePair, TypedSearchAttributes, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from events.bus import bus_id
from events.edge import order_placed
from events.envelope import Event
from events.reading import log_of
from events.transport import WORKFLOW_TASK_TIMEOUT, EventPublisher
from faults.dice import Dice
from orders.model import STYLES, Order, Placement, Style
from runtime.errors import InputError
from runtime.search import ORDER_ID, ORDER_STYLE
from services.order_placed import registry
from services.service import task_queue
from workflows.order_saga import OrderSaga


@dataclass(frozen=True)
class Placed:
    """An order on its way in one style."""

    style: Style
    order_id: str
    known: bool
    """It had been placed before, with the same content: nothing was changed."""


class Placer:
    """Places orders in a lab."""

    def __init__(self, client: Client, lab: str, dice: Dice | None = None) -> None:
        """Take the client, the lab's task queue suffix, and what goes wrong with the orders."""
        self._client = client
        self._lab = lab
        self._dice = dice
        self._publisher = EventPublisher(client, registry(lab), lab=lab, task_queue=task_queue("bus", lab))

    @property
    def expects_faults(self) -> bool:
        """Whether orders may be parked."""
        return self._dice is not None

    async def place_once(self, order: Order, styles: tuple[Style, ...]) -> list[Placed]:
        """Place an order that may have been placed before; all styles or none.

        Raises:
            InputError: the order id is taken, in any style, by an order with other content.
        """
        event = order_placed(order)
        known = {style: await self._is_known(event, style) for style in STYLES}
        placed = []
        for style in styles:
            if known[style]:
                placed.append(Placed(style, order.order_id, known=True))
            else:
                placed.append(await self.place(order, style))
                # Someone else may have placed the same id between our look and our call; theirs stands then.
                await self._is_known(event, style)
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
        try:
            await self._client.start_workflow(
                OrderSaga.run,
                Placement(style=style, order=order, lab=self._lab, rehearsal=rehearsal, dice=dice),
                id=workflow_id(style, order.order_id),
                task_queue=task_queue("saga", self._lab),
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                task_timeout=WORKFLOW_TASK_TIMEOUT,
                memo={"digest": event.digest, "lab": self._lab},
                static_summary=_summary(order),
                search_attributes=TypedSearchAttributes(
                    [SearchAttributePair(ORDER_ID, order.order_id), SearchAttributePair(ORDER_STYLE, style)]
                ),
            )
        except WorkflowAlreadyStartedError:
            return Placed(style, order.order_id, known=True)
        return Placed(style, order.order_id, known=False)

    async def publish(self, event: Event) -> tuple[tuple[str, ...], bool]:
        """Publish any event; answers who it went to, and whether it was known already.

        Raises:
            InputError: it is an `order.placed` for an order id that is taken by an order with other content, or its key
                belongs to another lab.
        """
        is_order = event.type == "order.placed"
        if is_order and await self._is_known(event, "choreography"):
            return (), True
        if not is_order:
            await self._run_of(event.correlation_key, "choreography")
        publication = await self._publisher.publish(event)
        return publication.recipients, publication.known

    async def _is_known(self, event: Event, style: Style) -> bool:
        """Whether this order was placed already in this style, by this lab and with the same content.

        Raises:
            InputError: by another lab, or with other content.
        """
        order_id = event.correlation_key
        run = await self._run_of(order_id, style)
        if run is None:
            return False
        if style == "saga":
            digest = await run.memo_value("digest", default=None)
        else:
            log = await log_of(self._client, order_id)
            digest = next((one.digest for one in log.entries if one.type == event.type), None) if log else None
            if digest is None:  # there are events about it, but nobody has placed it
                return False
        if digest != event.digest:
            raise InputError(
                f"order {order_id} was placed before with other content ({style}); "
                "nothing was changed: give the new order an id of its own"
            )
        return True

    async def _run_of(self, key: str, style: Style) -> WorkflowExecutionDescription | None:
        """The latest run under a key, if there is any.

        Raises:
            InputError: it is another lab's.
        """
        try:
            run = await self._client.get_workflow_handle(workflow_id(style, key)).describe()
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return None
            raise
        if await run.memo_value("lab", default="") != self._lab:
            raise InputError(
                f"order {key} was placed on this Temporal server from another data directory; "
                "give the order another id, or use a namespace of its own"
            )
        return run


def workflow_id(style: Style, order_id: str) -> str:
    """Workflow id of an order in one style: `saga/536365`, `bus/536365`."""
    return f"saga/{order_id}" if style == "saga" else bus_id(order_id)


def _summary(order: Order) -> str:
    who = "a guest" if order.is_guest else f"customer {order.customer_id}"
    pounds = f"{order.total_pence // 100:,}.{order.total_pence % 100:02d}"
    return f"order {order.order_id} of {who}, {order.country}: {len(order.lines)} lines, GBP {pounds}"
