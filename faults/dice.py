"""The dice: decide what befalls one effect of one order. No chance is in them, only a hash.

So both styles meet the same faults, and so does a second run with the same seed, whatever is killed meanwhile.
"""

import hashlib
import time
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from faults.plan import FaultPlan
from runtime import deadline


class TransientFaultError(Exception):
    """The dice say that this attempt fails; a later one will not."""


class AcknowledgementLostError(Exception):
    """The dice say that the effect happened but nobody hears of it; the next attempt is told."""


class PermanentFaultError(Exception):
    """The dice say that this will never work; no further attempt is made."""


@dataclass(frozen=True)
class Throw:
    """What befalls one effect of one order."""

    service_time_s: float = 0
    late_s: float = 0
    transient_attempts: int = 0
    permanent: bool = False
    permanent_after: bool = False
    ack_lost: bool = False
    twice: bool = False

    @property
    def counts_attempts(self) -> bool:
        """Whether it matters which attempt this is."""
        return bool(self.transient_attempts or self.late_s)

    def before(self, attempt: int) -> None:
        """What happens before the effect.

        Args:
            attempt: of this effect, counted from 1 where the service keeps it.

        Raises:
            PermanentFaultError: it fails for good.
            TransientFaultError: it fails this time.
            DeadlinePassedError: the service takes longer than an attempt has.
        """
        if self.late_s and attempt == 1:
            time.sleep(self.late_s + self.service_time_s)  # it is held on its way, where nobody knows of a deadline
        else:
            deadline.sleep(self.service_time_s)
        if self.permanent:
            raise PermanentFaultError("a permanent fault, by the fault plan")
        if attempt <= self.transient_attempts:
            raise TransientFaultError(f"a transient fault, by the fault plan (attempt {attempt})")

    def after(self, *, is_new: bool) -> None:
        """What happens after the effect.

        Args:
            is_new: the effect happened just now, and not at an earlier attempt.

        Raises:
            PermanentFaultError: it is answered by a failure for good.
            AcknowledgementLostError: it is not answered.
        """
        if self.permanent_after:
            raise PermanentFaultError("a permanent fault after the effect, by the fault plan")
        if self.ack_lost and is_new:
            raise AcknowledgementLostError("the acknowledgement was lost, by the fault plan")


NOTHING = Throw()
"""What befalls most."""


@dataclass(frozen=True)
class ChangeOfMind:
    """A customer who wants an order cancelled."""

    after_s: float | None
    """How long after placing it; None for a wish that arrives before the order."""


class Dice(BaseModel):
    """A fault plan with the seed that decides whom it hits; travels with an order."""

    model_config = ConfigDict(frozen=True)

    plan: FaultPlan
    seed: int
    label: str = ""
    """End of the order's id that differs from run to run; it is no part of the decision."""

    def throw(self, order_id: str, service: str, action: str) -> Throw:
        """What befalls this effect of this order, at every attempt and in both styles."""
        faults = self.plan.of(service, action)
        if faults is None:
            return NOTHING

        def drawn(kind: str) -> float:
            return self._drawn(order_id, service, action, kind)

        service_time_ms = faults.service_time_ms
        if faults.drawn_service_time is not None:
            service_time_ms += faults.drawn_service_time.at(drawn("service_time"))
        return Throw(
            service_time_s=service_time_ms / 1e3,
            late_s=faults.late_ms / 1e3 if drawn("late") < faults.late else 0,
            transient_attempts=faults.transient_attempts if drawn("transient") < faults.transient else 0,
            permanent=drawn("permanent") < faults.permanent,
            permanent_after=drawn("permanent_after") < faults.permanent_after,
            ack_lost=drawn("ack_lost") < faults.ack_lost,
            twice=drawn("twice") < faults.twice,
        )

    def change_of_mind(self, order_id: str) -> ChangeOfMind | None:
        """When the customer wants this order cancelled, the same in both styles; None where they keep it."""
        customers = self.plan.customers
        if customers is None or self._drawn(order_id, "customer", "cancel") >= customers.cancel:
            return None
        if self._drawn(order_id, "customer", "overtaking") < customers.overtaking:
            return ChangeOfMind(after_s=None)
        return ChangeOfMind(after_s=customers.after.at(self._drawn(order_id, "customer", "after")) / 1e3)

    def _drawn(self, order_id: str, *what: str) -> float:
        """A number between 0 and 1, both left out: always the same for the same order."""
        text = "|".join((str(self.seed), order_id.removesuffix(self.label), *what))
        # 53 bits, as many as a float holds exactly; the half keeps both ends out
        return ((int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) >> 11) + 0.5) / 2**53
