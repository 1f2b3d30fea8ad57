"""Hosts one service, several, or all of them: `python worker.py`, `python worker.py --service shipping`."""

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import structlog
import typer
from temporalio.client import Client
from temporalio.worker import PollerBehaviorAutoscaling, UnsandboxedWorkflowRunner, Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from activities.analytics import AnalyticsActivities
from activities.invoicing import InvoicingActivities
from activities.mailer import Mailer, check_smtp_url
from activities.marketing import MarketingActivities
from activities.reacting import Reporter, Routing
from activities.shipping import ShippingActivities
from orders.loader import campaign_audience, load_orders
from runtime.leave import run_process
from runtime.logs import configure_logs
from runtime.settings import SHIPPED_ORDERS, Settings
from server.mail import MailServer
from server.session import open_session
from services.order_placed import WORKERS, check_worker_names, registry
from services.service import task_queue
from stores import analytics, invoicing, marketing, shipping
from stores.ledger import Ledger
from workflows.event_bus import EventBus
from workflows.order_saga import OrderSaga

_THREADS = 8
"""Activities of one service that run at once; its database takes one writer at a time anyway."""


@contextlib.asynccontextmanager
async def hosting(
    client: Client, names: Sequence[str], settings: Settings, lab: str, *, sandbox: bool = False, cached: int = 1_000
) -> AsyncIterator[None]:
    """Run the workers of these names until the block ends, then let what is under way finish.

    Args:
        client: of the Temporal server to work for.
        names: services, `saga`, `bus`.
        settings: where databases and mail server are.
        lab: suffix of the task queues.
        sandbox: run workflows in the SDK's sandbox, which refuses what is not deterministic. The tests and replays do; it
            costs each workflow task several milliseconds (docs/decisions), so the workers do without.
        cached: workflows kept in memory between their tasks; with 0, each task replays its workflow from the start.
    """
    runner = SandboxedWorkflowRunner() if sandbox else UnsandboxedWorkflowRunner()
    async with contextlib.AsyncExitStack() as stack:
        threads = stack.enter_context(ThreadPoolExecutor(_THREADS * len(names), thread_name_prefix="activity"))
        for name in names:
            workflows = {"saga": [OrderSaga], "bus": [EventBus]}.get(name, [])
            worker = Worker(
                client,
                task_queue=task_queue(name, lab),
                workflows=workflows,
                workflow_runner=runner,
                max_cached_workflows=cached,
                workflow_task_poller_behavior=PollerBehaviorAutoscaling(),
                activity_task_poller_behavior=PollerBehaviorAutoscaling(),
                no_remote_activities=bool(workflows),  # the bus has a local activity only
                activities=await asyncio.to_thread(activities_of, name, settings, lab, stack),
                identity=f"{name}:{os.getpid()}@{socket.gethostname()}",
                activity_executor=threads,
                max_concurrent_activities=_THREADS,
                graceful_shutdown_timeout=timedelta(seconds=5),
                # A workflow whose worker was killed is given to another after this time instead of the default 10 s.
                sticky_queue_schedule_to_start_timeout=timedelta(seconds=1),
            )
            await stack.enter_async_context(worker)
        yield


def activities_of(
    name: str, settings: Settings, lab: str, stack: contextlib.AsyncExitStack
) -> list[Callable[..., Any]]:
    """The activities that the worker of this name hosts, put together with what they need; `stack` closes it again."""
    subscribers = registry(lab)
    if name == "saga":
        return []
    if name == "bus":
        return [Routing(subscribers).route]

    def ledger(metadata: Any) -> Ledger:  # noqa: ANN401
        opened = Ledger(settings.database_url(name), metadata)
        stack.callback(opened.engine.dispose)
        return opened

    reporter = Reporter(name, subscribers)
    if name == "shipping":
        shop = ShippingActivities(ledger(shipping.METADATA), reporter)
        return [shop.begin_fulfilment, shop.cancel_shipment, shop.on_order_placed, shop.on_order_failed]
    if name == "invoicing":
        office = InvoicingActivities(ledger(invoicing.METADATA), reporter)
        return [office.issue_invoice, office.issue_credit_note, office.on_order_placed, office.on_order_failed]
    if name == "marketing":
        books = ledger(marketing.METADATA)
        marketing.enrol(books.engine, campaign_audience(load_orders(SHIPPED_ORDERS).orders))
        agency = MarketingActivities(books, reporter, _mailer(settings, stack))
        return [agency.thank_customer, agency.tell_customer, agency.on_order_placed, agency.on_order_failed]
    desk = AnalyticsActivities(ledger(analytics.METADATA), reporter)
    return [desk.record_sale, desk.reverse_sale, desk.on_order_placed, desk.on_order_failed]


def _mailer(settings: Settings, stack: contextlib.AsyncExitStack) -> Mailer:
    """The user's mail server, or an embedded one that lives as long as this worker."""
    url = settings.smtp_url or stack.enter_context(MailServer(settings.mail_dir)).url
    mailer = Mailer(url, sender=settings.mail_from, customer_domain=settings.customer_mail_domain)
    stack.callback(mailer.close)
    return mailer


async def serve(names: Sequence[str], settings: Settings) -> None:
    """Host workers until SIGTERM or Ctrl-C; where there is no Temporal server, one is started meanwhile."""
    log = structlog.get_logger("worker")
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with (
        open_session(settings, announce=log.info, lasting=True) as session,
        hosting(session.client, names, settings, session.lab),
    ):
        log.info("ready", hosts=list(names), temporal=session.address, ui=session.ui_url, data=str(settings.data))
        await stop.wait()
        log.info("stopping: finishing what is under way")


def run(
    service: Annotated[
        list[str] | None, typer.Option(help=f"What to host, once or several times: {', '.join(WORKERS)}. Default: all.")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Directory of the lab (default .orderlab).")] = None,
) -> None:
    """Host services and workflows until Ctrl-C.

    Without TEMPORAL_ADDRESS or a profile, the server that runs on the data directory is used, or one is started.
    """
    configure_logs()
    settings = Settings.at(data)
    names = check_worker_names(tuple(service or WORKERS))
    if settings.smtp_url is not None:
        check_smtp_url(settings.smtp_url)
    asyncio.run(serve(names, settings))


def main() -> None:
    """The process: runs, says in one line what went wrong, and leaves."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(run)
    run_process(app, "worker")


if __name__ == "__main__":
    main()
