"""Reads what the services did, from their own databases."""

from pathlib import Path

from sqlalchemy import make_url
from sqlalchemy.exc import SQLAlchemyError

from runtime.errors import InputError
from runtime.settings import Settings
from services.order_placed import SERVICES
from stores.ledger import EffectRecord, read_effects


def all_effects(settings: Settings, order_id: str | None = None) -> list[EffectRecord]:
    """Every effect in every service's database, oldest first.

    Args:
        settings: where the databases are; one that does not exist yet holds no effects.
        order_id: only those of this order.

    Raises:
        InputError: a database can't be read.
    """
    records: list[EffectRecord] = []
    for service in SERVICES:
        url = settings.database_url(service.name)
        file = make_url(url).database
        if url.startswith("sqlite") and (file is None or not Path(file).exists()):
            continue
        try:
            records += read_effects(url, order_id)
        except SQLAlchemyError as error:
            raise InputError(f"can't read the database of {service.name}: {error}".splitlines()[0]) from error
    return sorted(records, key=lambda record: (record.at, record.idempotency_key))
