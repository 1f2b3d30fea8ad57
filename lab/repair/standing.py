"""How an order stands by the services' databases, which know what was done whatever became of its workflow."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from lab.effects import read_each
from orders.model import Style
from runtime.settings import Settings
from services.order_placed import UNDONE_BY
from services.service import Service
from stores.ledger import CLOSED, DONE
from stores.standing import OrderRows, read_order

_CUSTOMERS_ONLY = "marketing"
"""Does nothing for a guest."""


@dataclass(frozen=True)
class Standing:
    """What the services have under an order id in one style."""

    style: Style
    rows: Mapping[str, OrderRows]
    """By service."""

    @property
    def is_known(self) -> bool:
        """Whether any service has met the order, or a customer's wish to cancel it."""
        return any(
            self.style in {*rows.contents, *rows.accepted} or any(style == self.style for style, _, _ in rows.effects)
            for rows in self.rows.values()
        )

    @property
    def contents(self) -> dict[str, str]:
        """Service to the fingerprint of the order that it takes the id for."""
        return {name: rows.contents[self.style] for name, rows in self.rows.items() if self.style in rows.contents}

    def orders(self) -> list[str | None]:
        """Fingerprints of the orders that the services take the id for; None alone where none was kept."""
        return [*sorted({*self.contents.values()})] or [None]

    @property
    def decision(self) -> bool | None:
        """Whether shipping has accepted that its customer cancels it; None where nobody has asked."""
        return next((of.accepted[self.style] for of in self.rows.values() if self.style in of.accepted), None)

    @property
    def stands(self) -> list[str]:
        """Effects that were done and are not undone."""
        return [
            done for name, done, undo in _pairs() if self._has(name, done, DONE) and not self._has(name, undo, DONE)
        ]

    @property
    def undone(self) -> list[str]:
        """Effects that were done and undone."""
        return [done for name, done, undo in _pairs() if self._has(name, done, DONE) and self._has(name, undo, DONE)]

    @property
    def is_off(self) -> bool:
        """Whether its undoing has begun, or has to: nothing leads back from there."""
        closed = any(self._has(name, done, CLOSED) for name, done, _ in _pairs())
        return bool(self.undone) or closed or self.decision is True

    def services_to_do(self, services: tuple[Service, ...], *, is_guest: bool) -> list[str]:
        """Those that have done nothing yet of an order that is kept."""
        return [
            service.name
            for service in services
            if not any(self._has(service.name, done, DONE) for done in UNDONE_BY[service.name])
            and not (is_guest and service.name == _CUSTOMERS_ONLY)
        ]

    def of(self, content: str | None) -> "Standing":
        """Without the services that know another order under the id.

        Args:
            content: fingerprint of the order that is meant; None where nobody knows which that is.
        """
        ours = {name: rows for name, rows in self.rows.items() if self.contents.get(name, content) == content}
        return self if content is None else Standing(self.style, ours)

    def _has(self, service: str, effect: str, state: str) -> bool:
        return service in self.rows and (self.style, effect, state) in self.rows[service].effects


Look = Callable[[], Awaitable[Standing]]


def look_at(settings: Settings, order_id: str, style: Style) -> Look:
    """What reads all that the services have under an order id in one style.

    It raises InputError where a database can't be read.
    """

    def read() -> Standing:
        return Standing(style, dict(read_each(settings, lambda url: read_order(url, order_id))))

    return lambda: asyncio.to_thread(read)


def _pairs() -> list[tuple[str, str, str]]:
    """Service, effect, and what undoes it."""
    return [(service, done, undo) for service, pairs in UNDONE_BY.items() for done, undo in pairs.items()]
