"""The fault matrix: what it runs is real, its judge is not to be fooled, and its page is complete."""

from typing import Any

import pytest

from events.log import OrderState
from lab.audit import AuditReport, Violation
from lab.audit.report import EVERYTHING
from lab.matrix import Matrix, run_matrix
from lab.matrix_page import INTRODUCTION, PAGE, beginning_of_row, page, table
from lab.matrix_rule import CASES, Cell, Fault, When, complaints
from lab.parity import Parity
from orders.loader import OrderBook
from orders.model import STYLES
from server.session import Session
from services.order_placed import ACTIONS
from tests.labs import Lab, Labs, failing

TRIED = {"shipment.created", "shipment.cancelled", "confirmation.sent", "cancellation.sent"}
"""Of a critical service and of one that is not, forward and back."""

DONE = ("shipment.created", "invoice.issued", "confirmation.sent", "campaign.left", "sale.recorded")
UNDONE = ("shipment.cancelled", "credit_note.issued", "cancellation.sent", "campaign.rejoined", "sale.reversed")


@pytest.fixture(scope="module")
async def matrix(labs: Labs, book: OrderBook) -> Matrix:
    """Every kind of fault on what is tried, with real orders and real services."""
    told: list[Cell] = []
    cases = [case for case in CASES if case.effect in TRIED]
    async with labs() as lab:
        ran = await run_matrix(session_of(lab), lab.settings, book, told.append, cases)
    assert len(told) == len(ran.cells) == 2 * len(cases)
    return ran


def session_of(lab: Lab) -> Session:
    return Session(lab.client, lab.name, ui_url=None, database="file", tuned=True)


def rows(text: str) -> list[list[str]]:
    """The rows of the page's last table."""
    lines = text.rsplit("\n\n", maxsplit=1)[-1].splitlines()
    return [[part.strip() for part in line.strip("|").split("|")] for line in lines[2:]]


def cell(effect: str, fault: Fault, when: When, **came_of_it: Any) -> Cell:  # noqa: ANN401 - fields of a model
    """A cell that ended as it should, but for what is given."""
    case = next(case for case in CASES if (case.effect, case.fault, case.when) == (effect, fault, when))
    as_it_should = {
        "style": "saga",
        "order_id": "1",
        "state": OrderState.COMPLETED,
        "detail": None,
        "effects": DONE,
        "compensations": (),
        "effect_after_ms": 1_000,
        "retries": 2,
        "parked": (),
    }
    return Cell.model_validate(case.model_dump() | as_it_should | came_of_it)


async def test_every_kind_of_fault_ends_in_both_styles_as_the_guarantees_demand(matrix: Matrix) -> None:
    assert matrix.broken == []
    assert {(one.verdict, one.style) for one in matrix.cells} == {("ok", style) for style in STYLES}
    assert {(one.fault, one.when) for one in matrix.cells} == {(case.fault, case.when) for case in CASES}
    assert {one.state for one in matrix.cells} == {"completed", "cancelled", "parked", "attention"}
    assert (matrix.parity.compared, matrix.audit.checked) == (len(matrix.cells) // 2, len(matrix.cells))


async def test_a_service_that_does_not_undo_its_work_in_one_style_is_found_out(labs: Labs, book: OrderBook) -> None:
    cancels = next(case for case in CASES if case.effect == "shipment.created" and case.fault == "permanent")
    async with labs(fakes=[failing("analytics.reverse_sale")]) as lab:  # which only the saga calls
        ran = await run_matrix(session_of(lab), lab.settings, book, lambda _: None, [cancels])
    saga, choreography = ran.cells

    assert (saga.verdict, choreography.verdict) == ("broken", "broken")
    assert saga.wrong[:2] == ("ended attention instead of cancelled", "sale.reversed never happened")
    assert choreography.wrong == ("analytics stands differently in the other style",)
    assert len(ran.broken) == 2


async def test_the_page_says_what_these_cases_come_to(matrix: Matrix) -> None:
    written = rows(PAGE.read_text(encoding="utf-8"))

    assert [row for row in rows(page(matrix)) if row not in written] == [], "run `python -m lab.matrix_page`"


def test_the_page_has_a_row_for_every_case_and_none_is_broken() -> None:
    text = PAGE.read_text(encoding="utf-8")

    assert text.startswith(INTRODUCTION), "run `python -m lab.matrix_page`"
    assert [row[:5] for row in rows(text)] == [beginning_of_row(case) for case in CASES]
    assert {row[-1] for row in rows(text)} == {"ok"}


def test_the_matrix_has_every_effect_of_every_service_and_each_fault_once() -> None:
    assert {(case.service, case.effect) for case in CASES} == {(name, one) for name in ACTIONS for one in ACTIONS[name]}
    assert len(CASES) == len(set(CASES)) == 5 * 6 + 5 * 2
    for case in CASES:
        faults = case.plan.of(case.service, case.effect)
        assert faults is not None
        thrown = {kind: share for kind, share in faults.model_dump().items() if share == 1}
        assert len(thrown) == 1, case


@pytest.mark.parametrize(
    "good",
    [
        cell("sale.recorded", "transient", "before"),
        cell("invoice.issued", "permanent", "before", state="cancelled", effects=DONE[2:], compensations=UNDONE[2:]),
        cell("invoice.issued", "permanent", "before", state="cancelled", effects=()),
        cell("shipment.created", "permanent", "after", state="cancelled", effects=DONE, compensations=UNDONE),
        cell(
            "campaign.left", "permanent", "before", state="parked", effects=(*DONE[:3], DONE[4]), parked=("marketing",)
        ),
        cell("sale.reversed", "permanent", "before", state="attention", effects=DONE[4:]),
    ],
    ids=str,
)
def test_what_the_guarantees_demand_or_leave_open_is_no_complaint(good: Cell) -> None:
    assert complaints(good) == ()


CANCELLED: dict[str, Any] = {"state": "cancelled", "effects": DONE, "compensations": UNDONE}
GAVE_UP: dict[str, Any] = {"state": "attention", "effects": (DONE[0], *DONE[2:]), "compensations": UNDONE[2:]}


@pytest.mark.parametrize(
    ("bad", "what"),
    [
        (cell("sale.recorded", "transient", "before", state=None), "ended in no legal state instead of completed"),
        (cell("sale.recorded", "twice", "after", state="running"), "ended running instead of completed"),
        (cell("sale.recorded", "twice", "after", effects=(*DONE, DONE[4])), "sale.recorded happened 2 times"),
        (cell("sale.recorded", "twice", "after", effects=DONE[:4]), "sale.recorded never happened"),
        (
            cell("sale.recorded", "twice", "after", effects=(*DONE, "gift.sent")),
            "gift.sent happened and should not have",
        ),
        (cell("sale.recorded", "late", "before", effect_after_ms=299), "sale.recorded was not 300 ms late"),
        (cell("sale.recorded", "transient", "before", retries=1), "1 retries instead of 2"),
        (cell("sale.recorded", "transient", "after", retries=0), "0 retries instead of 1"),
        (cell("sale.recorded", "late", "before", compensations=UNDONE[4:]), "sale.reversed happened and should not"),
        (cell("sale.recorded", "late", "before", parked=("analytics",)), "analytics has work parked and should have"),
        (
            cell("shipment.created", "permanent", "after", **CANCELLED | {"compensations": UNDONE[1:]}),
            "shipment.cancelled never happened",
        ),
        (
            cell("shipment.created", "permanent", "after", **CANCELLED | {"compensations": (*UNDONE, UNDONE[0])}),
            "shipment.cancelled happened 2 times",
        ),
        (
            cell("shipment.created", "permanent", "before", **CANCELLED | {"effects": DONE[1:]}),
            "shipment.cancelled happened and should not have",
        ),
        (
            cell("sale.recorded", "permanent", "before", state="parked", effects=DONE[:4]),
            "analytics has nothing parked",
        ),
        (
            cell("sale.recorded", "permanent", "before", state="parked", effects=DONE[1:4], parked=("analytics",)),
            "shipment.created never happened",
        ),
        (
            cell("sale.recorded", "permanent", "before", state="parked", parked=("analytics",)),
            "sale.recorded happened and should not have",
        ),
        (cell("shipment.cancelled", "permanent", "before", **GAVE_UP | {"state": "cancelled"}), "instead of attention"),
        (
            cell("shipment.cancelled", "permanent", "before", **GAVE_UP | {"compensations": UNDONE[2:4]}),
            "sale.reversed never happened",
        ),
        (
            cell("shipment.cancelled", "permanent", "before", **GAVE_UP | {"parked": ("analytics",)}),
            "analytics has work parked and should have none",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else value.effect,
)
def test_what_the_guarantees_do_not_allow_is_one_complaint(bad: Cell, what: str) -> None:
    (complaint,) = complaints(bad)

    assert what in complaint


def test_a_broken_cell_and_a_broken_book_are_told_and_shown() -> None:
    cells = [cell("sale.recorded", "twice", "after", style=style) for style in STYLES]
    cells[1] = cells[1].model_copy(update={"wrong": ("sale.recorded happened 2 times",)})
    gap = Violation(order_id=EVERYTHING, style=None, guarantee=1, what="invoices: the series has no number 7")
    broken = Matrix(
        cells=cells, parity=Parity(compared=1, differences=[]), audit=AuditReport(checked=2, violations=[gap])
    )

    assert [one.verdict for one in broken.cells] == ["ok", "broken"]
    assert [line.partition(": ")[2] for line in broken.broken] == ["sale.recorded happened 2 times", gap.what]
    assert rows(page(broken))[0][-1] == "broken: choreography: sale.recorded happened 2 times"
    assert table(broken) is not None
