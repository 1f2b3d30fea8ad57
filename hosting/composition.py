"""The composition root: what the worker of each name hosts, all on one screen."""

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import MetaData

from activities.analytics import AnalyticsActivities
from activities.invoicing import InvoicingActivities
from activities.mailer import Mailer, check_smtp_url
from activities.marketing import MarketingActivities
from activities.reacting import Reporter, Routing
from activities.shipping import ShippingActivities
from activities.succession import collect, take_over_log
from orders.loader import campaign_audience, load_orders
from runtime.directories import check_can_be_filled
from runtime.settings import SHIPPED_ORDERS, Settings
from server.connect import configured_elsewhere
from server.mail import MailServer
from services.order_placed import REFERENCES, SERVICES, registry
from stores import analytics, invoicing, marketing, shipping
from stores.database import check_database_url
from stores.ledger import Ledger
from workflows.bus_succession import BusSuccession
from workflows.event_bus import EventBus
from workflows.order_cancellation import OrderCancellation
from workflows.order_repair import OrderRepair
from workflows.order_saga import OrderSaga
from workflows.references import BareWorkflow, NaiveSubscriber, OneActivity

WORKFLOWS_OF: dict[str, list[type]] = {
    "saga": [OrderSaga, OrderCancellation, OrderRepair],
    "bus": [EventBus, BusSuccession],
    REFERENCES: [BareWorkflow, OneActivity, NaiveSubscriber],
}
"""What the workflow workers host."""

WORKFLOWS: list[type] = [workflow for hosted in WORKFLOWS_OF.values() for workflow in hosted]


def check_settings(settings: Settings) -> Settings:
    """The settings as they are, if services can work with them.

    Raises:
        InputError: the URL of the mail server or of a database is none.
    """
    if settings.smtp_url is not None:
        check_smtp_url(settings.smtp_url)
    for service in SERVICES:
        check_database_url(settings.database_url(service.name))
    return settings


def check_room(settings: Settings, hosted: Sequence[str]) -> Settings:
    """The settings as they are, if what is kept under the data directory can be.

    Args:
        settings: where the data directory is.
        hosted: the workers that may be at work here: a service keeps a database there, and marketing its mails, where
            the user names no others; a server that nobody names keeps its own.

    Raises:
        InputError: nothing can be kept there.
    """
    files = any(service.name in hosted and settings.keeps_under_data(service.name) for service in SERVICES)
    mails = "marketing" in hosted and settings.smtp_url is None
    if files or mails or not configured_elsewhere():
        check_can_be_filled(settings.data)
    return settings


def activities_of(
    name: str, settings: Settings, lab: str, stack: contextlib.AsyncExitStack
) -> list[Callable[..., Any]]:
    """The activities that the worker of this name hosts, put together with what they need; `stack` closes it again."""
    subscribers = registry(lab)
    if name in {"saga", REFERENCES}:
        return []
    if name == "bus":
        return [Routing(subscribers).route, take_over_log, collect]

    def ledger(metadata: MetaData) -> Ledger:
        opened = Ledger(settings.database_url(name), metadata)
        stack.callback(opened.engine.dispose)
        return opened

    reporter = Reporter(name, subscribers)
    if name == "shipping":
        shop = ShippingActivities(ledger(shipping.METADATA), reporter)
        return [
            shop.begin_fulfilment,
            shop.cancel_shipment,
            shop.decide_cancellation,
            shop.on_order_placed,
            shop.on_cancel_requested,
            shop.on_order_cancelled,
        ]
    if name == "invoicing":
        office = InvoicingActivities(ledger(invoicing.METADATA), reporter)
        return [office.issue_invoice, office.issue_credit_note, office.on_order_placed, office.on_order_cancelled]
    if name == "marketing":
        books = ledger(marketing.METADATA)
        marketing.enrol(books.engine, campaign_audience(load_orders(SHIPPED_ORDERS).orders))
        agency = MarketingActivities(books, reporter, _mailer(settings, stack))
        return [agency.thank_customer, agency.tell_customer, agency.on_order_placed, agency.on_order_cancelled]
    desk = AnalyticsActivities(ledger(analytics.METADATA), reporter)
    return [desk.record_sale, desk.reverse_sale, desk.on_order_placed, desk.on_order_cancelled]


def _mailer(settings: Settings, stack: contextlib.AsyncExitStack) -> Mailer:
    """The user's mail server, or an embedded one that lives as long as this worker."""
    url = settings.smtp_url or stack.enter_context(MailServer(settings.mail_dir)).url
    mailer = Mailer(url, sender=settings.mail_from, customer_domain=settings.customer_mail_domain)
    stack.callback(mailer.close)
    return mailer
