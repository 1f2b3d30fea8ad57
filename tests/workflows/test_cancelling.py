"""The customer changes their mind, at every stage of an order, in both styles, against real services."""

import asyncio

import pytest
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError

from events.log import OrderState
from events.reading import facts_of
from faults.dice import Dice
from faults.plan import Customers, FaultPlan
from hosting.workers import hosting
from lab.cancelling import Canceller
from lab.dead_letters import Outcome, parked, redrive
from lab.effects import all_effects
from lab.parity import UNDONE_BY, compare_styles
from lab.placing import Placer
from lab.runs import workflow_id
from lab.status import end_of
from orders.cancelling import BY_THE_CUSTOMER, CancelDecision
from orders.model import STYLES, Order, Style
from runtime.errors import InputError, OrderlabError
from tests.labs import Lab, Labs, ended, failing, holding, left_of, until, until_listed

BOTH = pytest.mark.parametrize("style", STYLES)

TOO_LATE = Dice(plan=FaultPlan(name="too late", customers=Customers(cancel=0, handover_ms=0)), seed=1)
"""The parcel is handed over the moment that it is made up."""

ACCEPTED = CancelDecision(accepted=True, reason=BY_THE_CUSTOMER)
REFUSED = CancelDecision(accepted=False, reason="the parcel has been handed over to the carrier")

THANKING = {"saga": "marketing.thank_customer", "choreography": "marketing.on_order_placed"}
TELLING = {"saga": "marketing.tell_customer", "choreography": "marketing.on_order_cancelled"}
INVOICING = {"saga": "invoicing.issue_invoice", "choreography": "invoicing.on_order_placed"}


def canceller(lab: Lab) -> Canceller:
    return Canceller(lab.client, lab.name)


@BOTH
async def test_a_cancellation_that_arrives_before_the_order_is_remembered_and_the_order_never_shipped(
    lab: Lab, order: Order, style: Style
) -> None:
    answer = await canceller(lab).cancel(order.order_id, style)
    placed = await lab.placer.place(order, style)
    status = await ended(lab, order, style)
    again = await lab.placer.place_once(order, (style,))

    assert answer == ACCEPTED
    assert not placed.known
    assert status.state is OrderState.CANCELLED
    assert lab.effects(order, style) == []
    assert [one.known for one in again] == [True]


async def test_a_customer_is_told_of_the_cancellation_only_once_the_log_has_it_so_an_order_after_it_is_never_begun(
    labs: Labs, order: Order
) -> None:
    shipping = holding("shipping.on_cancel_requested")

    async with labs(fakes=[shipping], absent=["bus"]) as lab:
        async with hosting(lab.client, ["bus"], lab.settings, lab.name):
            asked = asyncio.create_task(canceller(lab).cancel(order.order_id, "choreography"))
            await asyncio.to_thread(shipping.begun.wait, 30)
        shipping.released.set()
        async with asyncio.timeout(30):  # shipping has answered, and nobody has taken that into the log yet
            while len(await facts_of(lab.client, order.order_id)) == 1:  # noqa: ASYNC110 - the server tells nobody
                await asyncio.sleep(0.02)
        told_early, _ = await asyncio.wait({asked}, timeout=0.5)
        async with hosting(lab.client, ["bus"], lab.settings, lab.name):
            answer = await asyncio.wait_for(asked, 30)
            await lab.placer.place(order, "choreography")
            status = await ended(lab, order, "choreography")

    assert not told_early
    assert answer == ACCEPTED
    assert status.state is OrderState.CANCELLED
    assert lab.effects(order, "choreography") == []


@BOTH
async def test_an_order_cancelled_before_it_was_placed_keeps_its_id_from_another_one(
    lab: Lab, order: Order, style: Style
) -> None:
    await canceller(lab).cancel(order.order_id, style)
    await lab.placer.place(order, style)
    await ended(lab, order, style)

    with pytest.raises(InputError, match="placed before with other content"):
        await lab.placer.place_once(order.model_copy(update={"country": "France"}), (style,))


@BOTH
async def test_a_cancellation_of_an_order_that_is_never_placed_leaves_nothing_but_the_answer(
    lab: Lab, order: Order, style: Style
) -> None:
    answers = [await canceller(lab).cancel(order.order_id, style) for _ in range(2)]
    status = await ended(lab, order, style)

    assert answers == [ACCEPTED, ACCEPTED]
    assert status.state is OrderState.CANCELLED
    assert lab.effects(order, style) == []


@BOTH
async def test_an_order_placed_while_its_earlier_cancellation_waits_for_a_service_is_taken_in_at_once(
    labs: Labs, order: Order, style: Style
) -> None:
    async with labs(absent=["marketing"]) as lab:
        await canceller(lab).cancel(order.order_id, style)
        async with asyncio.timeout(5):
            await lab.placer.place(order, style)
            while not (await lab.placer.place_once(order, (style,)))[0].known:  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.02)
        async with hosting(lab.client, ["marketing"], lab.settings, lab.name):
            status = await ended(lab, order, style)

    assert status.state is OrderState.CANCELLED
    assert left_of(lab, order, style) == set()


@BOTH
async def test_a_step_under_way_when_the_customer_cancels_is_awaited_and_undone(
    labs: Labs, order: Order, style: Style
) -> None:
    thanking = holding(THANKING[style])
    async with labs(fakes=[thanking]) as lab:
        await lab.placer.place(order, style)
        await until(lambda: thanking.begun.is_set() and "sale.recorded" in lab.effects(order, style))
        answer = await canceller(lab).cancel(order.order_id, style)
        before_release = lab.effects(order, style)
        thanking.released.set()
        status = await ended(lab, order, style)

    assert answer == ACCEPTED
    assert "confirmation.sent" not in before_release
    assert status.state is OrderState.CANCELLED
    assert {"confirmation.sent", "cancellation.sent"} <= set(lab.effects(order, style))
    assert left_of(lab, order, style) == set()


async def test_after_an_accepted_cancellation_the_saga_asks_no_absent_service_for_its_step_any_more(
    labs: Labs, order: Order
) -> None:
    async with labs(absent=["invoicing"]) as lab:
        await lab.placer.place(order, "saga")
        await until(lambda: {"shipment.created", "campaign.left"} <= set(lab.effects(order, "saga")))
        await canceller(lab).cancel(order.order_id, "saga")
        async with hosting(lab.client, ["invoicing"], lab.settings, lab.name):
            status = await ended(lab, order, "saga")

    assert status.state is OrderState.CANCELLED
    assert "invoice.issued" not in lab.effects(order, "saga")
    assert left_of(lab, order, "saga") == set()


async def test_a_subscriber_that_was_away_hears_of_order_and_cancellation_in_sequence(labs: Labs, order: Order) -> None:
    async with labs(absent=["invoicing"]) as lab:
        await lab.placer.place(order, "choreography")
        await until(lambda: {"shipment.created", "campaign.left"} <= set(lab.effects(order, "choreography")))
        await canceller(lab).cancel(order.order_id, "choreography")
        await until(lambda: "cancellation.sent" in lab.effects(order, "choreography"))
        async with hosting(lab.client, ["invoicing"], lab.settings, lab.name):
            status = await ended(lab, order, "choreography")

    assert status.state is OrderState.CANCELLED
    assert [one for one in lab.effects(order, "choreography") if "invoice" in one or "credit" in one] == [
        "invoice.issued",
        "credit_note.issued",
    ]


@BOTH
async def test_a_request_is_kept_while_shipping_is_away_and_answered_when_it_is_back(
    labs: Labs, order: Order, style: Style
) -> None:
    async with labs(absent=["shipping"]) as lab:
        await lab.placer.place(order, style)
        await until(lambda: {"invoice.issued", "campaign.left"} <= set(lab.effects(order, style)))
        asked = asyncio.create_task(canceller(lab).cancel(order.order_id, style))
        # no one compensates on the request itself
        await until(lambda: "campaign.left" in lab.effects(order, style))
        nothing_undone = "invoice.issued" in left_of(lab, order, style)
        async with hosting(lab.client, ["shipping"], lab.settings, lab.name):
            answer = await asyncio.wait_for(asked, 30)
            status = await ended(lab, order, style)

    assert nothing_undone
    assert answer == ACCEPTED
    assert status.state is OrderState.CANCELLED
    assert left_of(lab, order, style) == set()


@BOTH
async def test_a_completed_order_is_undone_as_long_as_its_parcel_has_not_been_handed_over(
    lab: Lab, order: Order, style: Style
) -> None:
    completed = await lab.run(order, style)
    answer = await canceller(lab).cancel(order.order_id, style)
    status = await ended(lab, order, style)
    again = await lab.placer.place_once(order, (style,))

    assert completed.state is OrderState.COMPLETED
    assert answer == ACCEPTED
    assert status.state is OrderState.CANCELLED
    assert len(lab.effects(order, style)) == 2 * len(UNDONE_BY)
    assert left_of(lab, order, style) == set()
    assert [one.known for one in again] == [True]


@BOTH
async def test_an_order_whose_parcel_has_been_handed_over_stays_as_it_is_and_the_customer_is_told_why(
    lab: Lab, order: Order, style: Style
) -> None:
    placed = await Placer(lab.client, lab.name, TOO_LATE).place(order, style)
    await end_of(lab.client, placed)
    before = lab.effects(order, style)
    answers = [await canceller(lab).cancel(order.order_id, style) for _ in range(2)]
    status = await ended(lab, order, style)

    assert answers == [REFUSED, REFUSED]
    assert status.state is OrderState.COMPLETED
    assert lab.effects(order, style) == before


@BOTH
async def test_a_refusal_while_the_order_is_on_its_way_stops_none_of_its_steps(
    labs: Labs, order: Order, style: Style
) -> None:
    thanking = holding(THANKING[style])
    async with labs(fakes=[thanking]) as lab:
        await Placer(lab.client, lab.name, TOO_LATE).place(order, style)
        await until(lambda: thanking.begun.is_set() and "shipment.created" in lab.effects(order, style))
        answers = [await canceller(lab).cancel(order.order_id, style) for _ in range(2)]
        thanking.released.set()
        status = await ended(lab, order, style)

    assert answers == [REFUSED, REFUSED]
    assert status.state is OrderState.COMPLETED
    assert left_of(lab, order, style) == set(UNDONE_BY)


@BOTH
async def test_many_who_cancel_at_once_are_all_given_one_answer(lab: Lab, order: Order, style: Style) -> None:
    placed = asyncio.create_task(lab.placer.place(order, style))
    answers = await asyncio.gather(*(canceller(lab).cancel(order.order_id, style) for _ in range(6)))
    await placed
    status = await ended(lab, order, style)

    assert answers == [ACCEPTED] * 6
    assert status.state is OrderState.CANCELLED
    assert left_of(lab, order, style) == set()


@BOTH
async def test_cancelling_again_what_is_being_undone_is_answered_at_once_and_changes_nothing(
    labs: Labs, order: Order, style: Style
) -> None:
    telling = holding(TELLING[style])
    async with labs(fakes=[failing(INVOICING[style]), telling]) as lab:
        await lab.placer.place(order, style)
        await until(telling.begun.is_set)
        # the compensation is held, so an answer that waited for it would never come
        answer = await asyncio.wait_for(canceller(lab).cancel(order.order_id, style), 10)
        telling.released.set()
        status = await ended(lab, order, style)

    assert answer.accepted
    assert status.state is OrderState.CANCELLED
    assert left_of(lab, order, style) == set()


@BOTH
async def test_an_order_with_something_parked_is_cancelled_and_what_was_parked_is_never_done(
    labs: Labs, order: Order, style: Style
) -> None:
    async with labs(fakes=[failing(THANKING[style], times=1)]) as lab:
        before = await lab.run(order, style)
        answer = await canceller(lab).cancel(order.order_id, style)
        status = await ended(lab, order, style)
        await until_listed(lab.client, workflow_id(style, order.order_id))
        # the bus keeps what is parked until somebody redrives it, the saga has no more use for it
        letters = await parked(lab.client, lab.name)
        outcomes = [(await redrive(lab.client, letter, 10)).outcome for letter in letters]

    assert before.state is OrderState.PARKED
    assert answer == ACCEPTED
    assert status.state is OrderState.CANCELLED
    assert outcomes == ([] if style == "saga" else [Outcome.SUPERSEDED])
    assert left_of(lab, order, style) == set()
    assert "confirmation.sent" not in lab.effects(order, style)


@BOTH
async def test_a_parked_order_that_can_not_be_cancelled_any_more_is_still_completed_by_a_redrive(
    labs: Labs, order: Order, style: Style
) -> None:
    async with labs(fakes=[failing(THANKING[style], times=1)]) as lab:
        placed = await Placer(lab.client, lab.name, TOO_LATE).place(order, style)
        await end_of(lab.client, placed, look_every_s=0.1)
        answer = await canceller(lab).cancel(order.order_id, style)
        before = await ended(lab, order, style)
        [letter] = await parked(lab.client, lab.name)
        redriven = await redrive(lab.client, letter, 10)
        status = await ended(lab, order, style)

    assert answer == REFUSED
    assert before.state is OrderState.PARKED
    assert redriven.outcome is Outcome.DELIVERED
    assert status.state is OrderState.COMPLETED
    assert left_of(lab, order, style) == set(UNDONE_BY)


@BOTH
async def test_a_cancelled_order_of_which_something_could_not_be_undone_asks_for_attention_and_a_redrive_finishes_it(
    labs: Labs, order: Order, style: Style
) -> None:
    async with labs(fakes=[failing(TELLING[style], times=1)]) as lab:
        await lab.run(order, style)
        answer = await canceller(lab).cancel(order.order_id, style)
        before = await ended(lab, order, style)
        again = await canceller(lab).cancel(order.order_id, style)
        [letter] = await parked(lab.client, lab.name)
        await redrive(lab.client, letter, 10)
        status = await ended(lab, order, style)

    assert (answer, again) == (ACCEPTED, ACCEPTED)
    assert before.state is OrderState.ATTENTION
    assert status.state is OrderState.CANCELLED
    assert left_of(lab, order, style) == set()


@BOTH
async def test_cancelling_an_order_that_has_failed_changes_nothing(labs: Labs, order: Order, style: Style) -> None:
    async with labs(fakes=[failing(INVOICING[style])]) as lab:
        failed = await lab.run(order, style)
        before = lab.effects(order, style)
        answer = await canceller(lab).cancel(order.order_id, style)
        status = await ended(lab, order, style)

    assert failed.state is OrderState.CANCELLED
    assert answer.accepted
    assert status.state is OrderState.CANCELLED
    assert lab.effects(order, style) == before


@BOTH
async def test_a_customer_is_answered_though_shipping_has_something_else_parked_for_the_order(
    labs: Labs, order: Order, style: Style
) -> None:
    calling_off = {"saga": "shipping.cancel_shipment", "choreography": "shipping.on_order_cancelled"}[style]
    async with labs(fakes=[failing(INVOICING[style]), failing(calling_off, times=1)]) as lab:
        before = await lab.run(order, style)
        answer = await canceller(lab).cancel(order.order_id, style)

    assert before.state is OrderState.ATTENTION
    assert answer.accepted


async def test_a_question_that_shipping_gives_up_is_parked_and_the_caller_told_so(labs: Labs, order: Order) -> None:
    async with labs(fakes=[failing("shipping.on_cancel_requested")]) as lab:
        await lab.run(order, "choreography")
        with pytest.raises(OrderlabError, match="nobody could decide"):
            await canceller(lab).cancel(order.order_id, "choreography")
        status = await ended(lab, order, "choreography")

    assert status.state is OrderState.PARKED
    assert left_of(lab, order, "choreography") == set(UNDONE_BY)


async def test_cancelling_an_order_again_that_is_cancelled_starts_no_workflow(lab: Lab, order: Order) -> None:
    await lab.run(order, "saga")
    await canceller(lab).cancel(order.order_id, "saga")
    first = await ended(lab, order, "saga")
    again = await canceller(lab).cancel(order.order_id, "saga")
    second = await ended(lab, order, "saga")

    assert again == ACCEPTED
    assert second.run_id == first.run_id


async def test_cancelling_a_saga_that_was_terminated_undoes_what_it_left_behind(labs: Labs, order: Order) -> None:
    async with labs(absent=["invoicing"]) as lab:
        await lab.placer.place(order, "saga")
        await until(lambda: {"shipment.created", "campaign.left"} <= set(lab.effects(order, "saga")))
        await lab.client.get_workflow_handle(workflow_id("saga", order.order_id)).terminate()
        async with hosting(lab.client, ["invoicing"], lab.settings, lab.name):
            answer = await canceller(lab).cancel(order.order_id, "saga")
            status = await ended(lab, order, "saga")

    assert answer == ACCEPTED
    assert status.state is OrderState.CANCELLED
    assert left_of(lab, order, "saga") == set()


async def test_a_terminated_saga_whose_parcel_is_gone_stays_broken_when_its_customer_cancels(
    labs: Labs, order: Order
) -> None:
    async with labs(absent=["invoicing"]) as lab:
        await Placer(lab.client, lab.name, TOO_LATE).place(order, "saga")
        await until(lambda: {"shipment.created", "campaign.left"} <= set(lab.effects(order, "saga")))
        await lab.client.get_workflow_handle(workflow_id("saga", order.order_id)).terminate()
        answer = await canceller(lab).cancel(order.order_id, "saga")
        status = await ended(lab, order, "saga")

    assert answer == REFUSED
    assert status.state is None
    assert "broken saga" in (status.detail or "")


async def test_a_customer_who_was_refused_is_told_that_the_order_is_off_once_the_saga_was_cancelled_in_the_ui(
    labs: Labs, order: Order
) -> None:
    async with labs(fakes=[failing(THANKING["saga"])]) as lab:
        placed = await Placer(lab.client, lab.name, TOO_LATE).place(order, "saga")
        await end_of(lab.client, placed, look_every_s=0.1)
        before = await canceller(lab).cancel(order.order_id, "saga")
        await lab.client.get_workflow_handle(workflow_id("saga", order.order_id)).cancel()
        await ended(lab, order, "saga")
        after = await canceller(lab).cancel(order.order_id, "saga")
        status = await ended(lab, order, "saga")

    assert before == REFUSED
    assert after.accepted
    assert status.state is OrderState.CANCELLED
    assert left_of(lab, order, "saga") == set()


async def test_cancelling_the_cancellation_in_the_ui_does_not_keep_it_from_being_finished(
    labs: Labs, order: Order
) -> None:
    telling = holding(TELLING["saga"])
    async with labs(fakes=[telling]) as lab:
        await lab.run(order, "saga")
        await canceller(lab).cancel(order.order_id, "saga")
        await until(telling.begun.is_set)
        await lab.client.get_workflow_handle(workflow_id("saga", order.order_id)).cancel()
        telling.released.set()
        status = await ended(lab, order, "saga")

    assert status.state is OrderState.CANCELLED
    assert left_of(lab, order, "saga") == set()


async def test_a_saga_cancelled_in_the_ui_while_shipping_decides_still_answers_the_customer(
    labs: Labs, order: Order
) -> None:
    deciding = holding("shipping.decide_cancellation")
    async with labs(fakes=[deciding]) as lab:
        await Placer(lab.client, lab.name, TOO_LATE).place(order, "saga")
        asked = asyncio.create_task(canceller(lab).cancel(order.order_id, "saga"))
        await until(lambda: deciding.begun.is_set() and "campaign.left" in lab.effects(order, "saga"))
        run = lab.client.get_workflow_handle(workflow_id("saga", order.order_id))
        await run.cancel()
        await until(lambda: left_of(lab, order, "saga") == set())
        deciding.released.set()
        answer = await asyncio.wait_for(asked, 30)
        with pytest.raises(WorkflowFailureError):
            await run.result()
        closed = (await run.describe()).status

    # shipping would have refused, but the order is off for another reason, and that is what the customer is told
    assert answer == CancelDecision(accepted=True, reason="the workflow was cancelled")
    assert closed is WorkflowExecutionStatus.CANCELED


async def test_both_styles_end_alike_where_the_state_of_the_order_decides_the_moment(labs: Labs, order: Order) -> None:
    first, second = (order.model_copy(update={"order_id": f"{order.order_id}-{moment}"}) for moment in ("a", "b"))
    async with labs(fakes=[failing(THANKING[style], times=1) for style in STYLES]) as lab:
        for style in STYLES:
            # cancelled before it is placed
            await canceller(lab).cancel(first.order_id, style)
            await lab.placer.place(first, style)
            # cancelled while its mail is parked
            await lab.run(second, style)
            await canceller(lab).cancel(second.order_id, style)
        states = [(await ended(lab, one, style)).state for one in (first, second) for style in STYLES]

    assert states == [OrderState.CANCELLED] * 4
    assert compare_styles([first.order_id, second.order_id], all_effects(lab.settings)).differences == []


@BOTH
async def test_an_order_of_another_data_directory_is_not_cancelled(lab: Lab, order: Order, style: Style) -> None:
    await lab.run(order, style)

    with pytest.raises(InputError, match="another data directory"):
        await Canceller(lab.client, "another-lab").cancel(order.order_id, style)

    assert (await ended(lab, order, style)).state is OrderState.COMPLETED


@BOTH
async def test_a_cancelled_order_replayed_from_the_start_at_each_task_ends_the_same(
    labs: Labs, order: Order, style: Style
) -> None:
    async with labs(cached=0) as lab:
        await lab.placer.place(order, style)
        answer = await canceller(lab).cancel(order.order_id, style)
        status = await ended(lab, order, style)

    assert answer == ACCEPTED
    assert status.state is OrderState.CANCELLED
    assert left_of(lab, order, style) == set()
