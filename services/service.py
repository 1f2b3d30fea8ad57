"""The vocabulary in which a service is declared."""

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from events.patterns import Pattern
from events.subscriptions import Recipient, Subscription
from faults.dice import Dice
from orders.model import OrderId, Style
from runtime.attempts import AttemptPolicy


class Cancellation(BaseModel):
    """Undo what was done for an order: the input of every compensation."""

    model_config = ConfigDict(frozen=True)

    style: Style
    order_id: OrderId
    reason: str
    content: str | None = None
    """Fingerprint of the order to undo; None for the one that the order id stands for, as where a customer cancels."""
    refused: bool = False
    """Whether a service knows another order under the id: who took this one for its order lets the id go."""
    since_us: int | None = None
    """When the refused order was placed, in microseconds since 1970: what was done for it before, when it was placed
    earlier and not refused, stays. None for all that was ever done."""
    dice: Dice | None = None

    def redriven(self) -> "Cancellation":
        """The same work as a redrive asks for it: no dice are thrown."""
        return self.model_copy(update={"dice": None})


@dataclass(frozen=True)
class Service:
    """One service: owns a task queue, a database and activities."""

    name: str
    attempts: AttemptPolicy
    failure_event: str | None = None
    """What a critical service tells when it gives up: it cancels the order. Without one, its work is parked."""

    @property
    def critical(self) -> bool:
        """Whether the order can't be kept without this service."""
        return self.failure_event is not None

    def task_queue(self, lab: str) -> str:
        """Name of the queue that the service's workers poll, in the lab with this suffix."""
        return task_queue(self.name, lab)

    def handles(
        self,
        handler: str,
        pattern: Mapping[str, object],
        *,
        lab: str,
        failure_event: str | None = None,
        supersedes: str | None = None,
    ) -> Subscription:
        """A subscription of this service.

        Args:
            handler: activity type that is given the matching events.
            pattern: which events, as an EventBridge-style pattern.
            lab: suffix of the task queue.
            failure_event: what is told when a delivery is given up; without it the delivery is parked.
            supersedes: handler whose earlier work for the same order is called off by it; None to await that.
        """
        return Subscription(
            pattern=Pattern.parse(pattern),
            recipient=Recipient(
                subscriber=self.name,
                handler=handler,
                task_queue=self.task_queue(lab),
                attempts=self.attempts,
                failure_event=failure_event,
                supersedes=supersedes,
            ),
        )


@dataclass(frozen=True)
class Step:
    """One thing that a service can be asked to do by a saga."""

    service: Service
    activity: str
    """Activity type."""


def lab_beside(lab: str, name: str) -> str:
    """Suffix of the task queues of a second lab on the same server."""
    return f"{lab}-{name}" if lab else name


def task_queue(worker: str, lab: str) -> str:
    """The task queue of a worker; labs that share one Temporal server are told apart by a suffix."""
    return f"{worker}-{lab}" if lab else worker
