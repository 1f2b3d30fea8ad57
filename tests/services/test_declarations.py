"""What the services declare is what their workers host."""

import contextlib
from pathlib import Path

import pytest

from events.edge import order_placed
from hosting.composition import activities_of
from orders.model import Order
from runtime.errors import InputError
from runtime.settings import Settings
from services import analytics, invoicing, marketing, shipping
from services.order_placed import ORCHESTRATORS, SERVICES, check_worker_names, registry, subscriptions
from services.service import Step
from tests.labs import type_of

MODULES = (shipping, invoicing, marketing, analytics)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
async def test_a_worker_hosts_exactly_what_its_service_declares(module: object, tmp_path: Path) -> None:
    declared = {value for name, value in vars(module).items() if name.startswith("ON_")}
    steps = [value for value in vars(module).values() if isinstance(value, Step)]
    declared |= {step.activity for step in steps}
    name = steps[0].service.name

    async with contextlib.AsyncExitStack() as stack:
        hosted = [type_of(one) for one in activities_of(name, Settings(data=tmp_path), "", stack)]

    assert sorted(hosted) == sorted(declared)


def test_each_subscription_leads_to_the_subscriber_s_own_queue_and_handler() -> None:
    for subscription in subscriptions("lab"):
        recipient = subscription.recipient
        assert recipient.task_queue == f"{recipient.subscriber}-lab"
        assert recipient.handler.startswith(f"{recipient.subscriber}.")


def test_each_service_is_critical_or_not_in_both_styles_alike() -> None:
    for service in SERVICES:
        on_placed = [s.recipient for s in subscriptions("") if s.recipient.handler == f"{service.name}.on_order_placed"]
        assert [recipient.failure_event for recipient in on_placed] == [service.failure_event]


def test_an_order_goes_to_all_and_a_guest_s_to_all_but_marketing(order: Order) -> None:
    def subscribers(of: Order) -> set[str]:
        return {recipient.subscriber for recipient in registry("").route(order_placed(of)).recipients}

    names = {service.name for service in SERVICES}
    assert subscribers(order) == names
    assert subscribers(order.model_copy(update={"customer_id": None})) == names - {"marketing"}


def test_an_unknown_worker_is_refused() -> None:
    assert check_worker_names(ORCHESTRATORS) == ORCHESTRATORS
    with pytest.raises(InputError, match="unknown service 'sagas'"):
        check_worker_names(("sagas",))
