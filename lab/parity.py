"""Whether both styles ended in the same business state (guarantee 3), read from the services' databases."""

from collections import defaultdict
from collections.abc import Iterable

from pydantic import BaseModel, JsonValue

from orders.model import STYLES
from services.order_placed import UNDONE_BY as SCENARIO_EFFECTS
from stores.ledger import EffectRecord

UNDONE_BY = {effect: undo for effects in SCENARIO_EFFECTS.values() for effect, undo in effects.items()}
"""Each effect and the one that undoes it; a pair of both leaves nothing."""

_RUNNING_NUMBERS = {"tracking_number", "invoice_number", "credit_note_number", "message_id"}
"""What differs from run to run though the same was done."""

NetState = dict[str, dict[str, JsonValue]]
"""Effect to what it says, running numbers aside."""


class Difference(BaseModel):
    """A service in which an order stands differently in the two styles."""

    order_id: str
    service: str
    saga: NetState
    choreography: NetState


class Parity(BaseModel):
    """The comparison of both styles, order by order and service by service."""

    compared: int
    """Orders compared."""
    differences: list[Difference]


def compare_styles(order_ids: Iterable[str], effects: Iterable[EffectRecord]) -> Parity:
    """Hold the net state of both styles against each other, effect by effect.

    Args:
        order_ids: the orders that were placed in both styles.
        effects: what the services' databases hold.
    """
    by_order: dict[str, list[EffectRecord]] = defaultdict(list)
    for record in effects:
        by_order[record.order_id].append(record)
    ids = sorted(set(order_ids))
    return Parity(
        compared=len(ids),
        differences=[found for order_id in ids for found in _differences(order_id, by_order[order_id])],
    )


def _differences(order_id: str, records: list[EffectRecord]) -> list[Difference]:
    found = []
    for service in sorted({record.service for record in records}):
        saga, choreography = (
            _net([record for record in records if record.service == service and record.style == style])
            for style in STYLES
        )
        if saga != choreography:
            found.append(Difference(order_id=order_id, service=service, saga=saga, choreography=choreography))
    return found


def _net(records: list[EffectRecord]) -> NetState:
    done = {record.effect: record for record in records}
    pairs = [(effect, undo) for effect, undo in UNDONE_BY.items() if effect in done and undo in done]
    cancelled_out = {effect for pair in pairs for effect in pair}
    return {
        effect: {name: value for name, value in record.fact.items() if name not in _RUNNING_NUMBERS}
        for effect, record in done.items()
        if effect not in cancelled_out
    }
