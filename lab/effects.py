"""Reads what the services did, from their own databases."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from sqlalchemy import URL, make_url
from sqlalchemy.exc import SQLAlchemyError

from orders.model import Style
from runtime.errors import InputError
from runtime.settings import Settings
from services.order_placed import SERVICES
from stores.contents import read_contents
from stores.ledger import EffectRecord, read_effects, read_last_change

Found = TypeVar("Found")


def all_effects(settings: Settings, order_id: str | None = None) -> list[EffectRecord]:
    """Every effect in every service's database, oldest first.

    Args:
        settings: where the databases are; one that does not exist yet holds no effects.
        order_id: only those of this order.

    Raises:
        InputError: a database can't be read.
    """
    records = [record for _, found in read_each(settings, lambda url: read_effects(url, order_id)) for record in found]
    return sorted(records, key=lambda record: (record.at, record.idempotency_key))


def consistent_since_us(settings: Settings) -> dict[tuple[Style, str], int]:
    """Since when nothing has changed of an order in any service: microseconds since 1970, by style and order.

    Raises:
        InputError: a database can't be read.
    """
    latest: dict[tuple[Style, str], int] = {}
    for _, changes in read_each(settings, read_last_change):
        for order, at_us in changes.items():
            latest[order] = max(at_us, latest.get(order, 0))
    return latest


def contents_of(settings: Settings, order_id: str) -> set[str]:
    """Fingerprints of the orders that the services have met under an id, in whatever style.

    Raises:
        InputError: a database can't be read.
    """
    return set().union(*(found for _, found in read_each(settings, lambda url: read_contents(url, order_id))))


def read_each(settings: Settings, read: Callable[[URL | str], Found]) -> Iterator[tuple[str, Found]]:
    """What there is to read in the database of each service, of those that exist, with the service's name.

    Raises:
        InputError: a database can't be read.
    """
    for service in SERVICES:
        url = settings.database_url(service.name)
        target = make_url(url)
        is_file = target.get_backend_name() == "sqlite"
        if is_file and not (target.database and Path(target.database).exists()):
            continue
        try:
            yield service.name, read(url)
        except SQLAlchemyError as error:
            raise InputError(f"can't read the database of {service.name}: {error}".splitlines()[0]) from error
