"""Repairs one order: finds out, acts, and looks again until nothing is half done."""

from collections.abc import Awaitable, Callable

from temporalio.client import Client

from lab.repair.buses import BusRepairer
from lab.repair.finding import Repair, Todo
from lab.repair.sagas import SagaRepairer
from lab.repair.standing import look_at
from orders.model import Style
from runtime.settings import Settings

_ROUNDS = 4
"""What was broken off, half undone, and has something parked takes three."""


class Repairer:
    """Repairs orders of a lab."""

    def __init__(self, client: Client, lab: str, settings: Settings) -> None:
        """Take the client, the lab's task queue suffix, and where the databases are."""
        self._settings = settings
        self._by_style: dict[Style, SagaRepairer | BusRepairer] = {
            "saga": SagaRepairer(client, lab),
            "choreography": BusRepairer(client, lab),
        }

    async def examine(self, order_id: str, style: Style) -> Repair | None:
        """Find out how an order stands in a style and what is to be done; None where nobody has heard of it there.

        Raises:
            InputError: it is another lab's, or a database can't be read.
        """
        return await self._by_style[style].examine(order_id, look_at(self._settings, order_id, style))

    async def repair(
        self, order_id: str, style: Style, *, ended: Callable[[Todo], Awaitable[None]], tell: Callable[[Repair], None]
    ) -> Repair | None:
        """Do what there is to be done; nothing of it is done twice, whoever else does the same.

        Args:
            order_id: of the order.
            style: in which it is repaired.
            ended: waits until what was begun, or was under way, has come to an end.
            tell: is told each finding before anything is done about it.

        Returns:
            How it stands then; None where nobody has heard of it in that style.

        Raises:
            InputError: it is another lab's, or a database can't be read.
        """
        done: set[Todo] = set()
        for _ in range(_ROUNDS):
            found = await self.examine(order_id, style)
            if found is None or found.finding.todo is Todo.NOTHING or found.finding.todo in done:
                return found
            tell(found)
            done.add(found.finding.todo)
            await found.do()
            await ended(found.finding.todo)
        return await self.examine(order_id, style)
