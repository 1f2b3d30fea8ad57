"""What `--scaling` adds to a comparison: an easy load, default server settings, more orders, more subscribers."""

from collections.abc import Mapping, Sequence

from lab.compare.comparison import FanOut, Growth
from lab.compare.contestants import BESIDE, NAIVE_FANOUT, References, styles
from lab.compare.fan_out import ALONE, COUNTS, CROWD, fan_out
from lab.compare.measuring import OnOrder, Results
from lab.compare.plan import ComparePlan
from lab.compare.third import MAXIMUM_ORDERS, at_a_third
from lab.compare.third import ORDERS as THIRD_ORDERS
from lab.compare.two_labs import FEW, MANY, PROBES, against_untuned, growth
from lab.console import announce
from lab.placing import Placer
from lab.report import Ratio
from orders.loader import OrderBook
from orders.model import STYLES
from runtime.settings import Settings
from server.session import Session
from services.service import lab_beside


class Scaling:
    """The longer part of a comparison, without dice; what it has measured can be reported at any moment."""

    def __init__(
        self, session: Session, settings: Settings, book: OrderBook, plan: ComparePlan, *, has_references: bool
    ) -> None:
        self._session = session
        self._settings = settings
        self._book = book
        self._plan = plan
        references = References(session.client, lab_beside(session.lab, BESIDE), None).contestants()
        self._contestants = [
            *styles(session.client, Placer(session.client, session.lab)),
            *(one for one in references if has_references and one.name != NAIVE_FANOUT),
        ]
        # A second lab needs a server of its own, and stores that are not the user's.
        self._may_open_labs = session.database == "file" and settings.keeps_all_under_data
        self.third = Results()
        self.growth: Growth | None = None
        self.fan_out: list[FanOut] | None = None
        self.ratios: dict[str, Ratio] = {}

    async def measure(self, rounds: Mapping[str, Sequence[tuple[int, float]]], on_order: OnOrder) -> None:
        """Measure all of it.

        Args:
            rounds: of the closed loop of each style.
            on_order: is told of each order's end.
        """
        session, settings, book, plan = self._session, self._settings, self._book, self._plan
        await at_a_third(self._contestants, book, plan, rounds, self.third, on_order)
        if self._may_open_labs:
            self.ratios |= await against_untuned(session, settings, book, plan, on_order)
            self.growth, grown = await growth(settings, book, plan, on_order)
            self.ratios |= grown
        else:
            announce("default settings and 2,000 orders are left out: they need a server and databases of our own")
        self.fan_out, per_subscriber = await fan_out(session, settings, book, plan, on_order)
        self.ratios |= per_subscriber

    @property
    def placements(self) -> int:
        """Orders to run, counted once for each contestant that runs them."""
        placements = len(self._contestants) * THIRD_ORDERS + len(COUNTS) * (ALONE + CROWD)
        if self._plan.concurrency is None:
            placements += len(STYLES) * MAXIMUM_ORDERS
        if self._may_open_labs:
            two_labs = 2 * len(STYLES) * PROBES
            placements += 2 * two_labs + len(STYLES) * (MANY + FEW)
        return placements
