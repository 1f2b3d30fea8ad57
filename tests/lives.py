"""What can be done to one order in a shop, by its customer, its staff, and those who look after Temporal."""

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import JsonValue
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from events.envelope import Event
from events.reading import whole_log_of
from faults.dice import Dice
from lab.audit import Violation, audit
from lab.dead_letters import parked, redrive
from lab.effects import all_effects
from lab.patience import persistently
from lab.placing import Placed, Placer
from lab.repair.finding import Repair, Todo
from lab.repair.repairing import Repairer
from lab.replay import histories_of, replay
from lab.runs import workflow_id
from lab.status import OrderStatus, end_of, status_of
from orders.cancelling import CancelDecision
from orders.model import STYLES, Order, Style
from runtime.errors import OrderlabError
from runtime.settings import Settings

_LOOK_EVERY_S = 0.1


@dataclass(frozen=True)
class Life:
    """One order, and what can be done to it; whatever is done outlasts a server that is away for a moment."""

    client: Client
    lab: str
    settings: Settings
    order: Order
    dice: Dice
    seen: Counter[str]
    """How often what occurred."""

    @property
    def _placer(self) -> Placer:
        return Placer(self.client, self.lab, self.dice)

    def event(self, event_id: str, event_type: str, data: JsonValue = None) -> Event:
        """Another system's event about it."""
        key = self.order.order_id
        return Event(id=event_id, source="/erp", type=event_type, subject=key, time=datetime.now(UTC), data=data)

    async def place(self, order: Order, *styles: Style) -> None:
        """Place it, or another one under its id."""
        await persistently(lambda: self._placer.place_once(order, styles))

    async def publish(self, event: Event) -> None:
        await persistently(lambda: self._placer.publish(event))

    async def cancel(self, style: Style) -> CancelDecision:
        answer = await persistently(lambda: self._placer.canceller.cancel(self.order.order_id, style))
        self.seen["accepted" if answer.accepted else "refused"] += 1
        return answer

    async def redrive(self) -> None:
        """Have all of it that is parked tried again."""
        mine = {workflow_id(style, self.order.order_id) for style in STYLES}
        for letter in await persistently(lambda: parked(self.client, self.lab)):
            if letter.workflow_id in mine:
                outcome = await persistently(lambda letter=letter: redrive(self.client, letter, 10))  # type: ignore[misc]
                self.seen[f"redriven: {outcome.outcome}"] += 1

    async def repair(self, style: Style) -> None:
        """Have it repaired; whether it is whole then is seen later."""

        async def ended(_: Todo) -> None:
            await self.end(style)

        def told(repair: Repair) -> None:
            self.seen[f"repair: {repair.finding.todo}"] += 1

        repairer = Repairer(self.client, self.lab, self.settings)
        await persistently(lambda: repairer.repair(self.order.order_id, style, ended=ended, tell=told))

    async def end(self, style: Style) -> None:
        """Wait until it has ended, if there is anything of it."""
        if await self.status(style) is not None:
            placed = Placed(style, self.order.order_id, known=True)
            await persistently(lambda: end_of(self.client, placed, look_every_s=_LOOK_EVERY_S))

    async def terminate(self, style: Style) -> bool:
        """Terminate its workflow, as a person can in the UI; tells whether it was open."""
        status = await self.status(style)
        if status is None:
            return False
        run = self.client.get_workflow_handle(status.workflow_id, run_id=status.run_id)
        if (await persistently(run.describe)).status is not WorkflowExecutionStatus.RUNNING:
            return False
        try:
            await persistently(lambda: run.terminate("a person's wish"))
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:  # it has closed meanwhile
                raise
        self.seen["terminated"] += 1
        return True

    async def reset(self, style: Style) -> bool:
        """Reset the latest run of its workflow to the beginning, as a person can; tells whether there was one."""
        status = await self.status(style)
        if status is None:
            return False
        run = self.client.get_workflow_handle(status.workflow_id, run_id=status.run_id)
        history = await persistently(run.fetch_history)
        begun = [e.event_id for e in history.events if e.HasField("workflow_task_completed_event_attributes")]
        if not begun:  # it has not had its first workflow task yet
            return False
        request = ResetWorkflowExecutionRequest(
            namespace=self.client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=status.workflow_id, run_id=status.run_id or ""),
            workflow_task_finish_event_id=begun[0],
            reason="a person's wish",
            request_id=f"{status.run_id} {datetime.now(UTC)}",
        )
        await persistently(lambda: self.client.workflow_service.reset_workflow_execution(request, retry=True))
        self.seen["reset"] += 1
        return True

    async def status(self, style: Style) -> OrderStatus | None:
        """How it is shown."""
        return await persistently(lambda: status_of(self.client, style, self.order.order_id))

    def effects(self, style: Style) -> list[str]:
        """What was done for it."""
        return [record.effect for record in all_effects(self.settings, self.order.order_id) if record.style == style]

    async def log(self, event_type: str) -> list[str]:
        """Ids of the events of this type in its log."""
        log = await persistently(lambda: whole_log_of(self.client, self.order.order_id))
        return [entry.id for entry in log.entries if entry.type == event_type] if log else []

    async def audited(self) -> list[Violation]:
        """What the auditor has to say."""
        ids = {self.order.order_id}
        report = await persistently(lambda: audit(self.client, self.settings, self.lab, order_ids=ids, parity=False))
        return report.violations

    async def not_to_be_replayed(self) -> list[str]:
        """Histories of it that today's code would not have made."""
        try:
            histories = await persistently(lambda: histories_of(self.client, self.order.order_id))
        except OrderlabError:  # there is none
            return []
        return [f"{one.workflow_id} does not replay: {one.failure}" for one in await replay(histories) if one.failure]
