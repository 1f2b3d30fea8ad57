"""What a service does with the id of an order that was refused, when all that it did for it is undone."""

from services.service import Cancellation
from stores.ledger import Ledger


def let_go_if_refused(ledger: Ledger, service: str, cancellation: Cancellation) -> None:
    """Let go of the id where another service knows another order under it, so that this one is no hindrance to it."""
    if cancellation.refused and cancellation.content is not None:
        ledger.let_go(
            cancellation.style, cancellation.order_id, service, cancellation.content, since_us=cancellation.since_us
        )
