"""What `orderlab repair` does: shows how an order stands and what is half done, and has that finished."""

import asyncio
from pathlib import Path

from pydantic import BaseModel
from temporalio.client import Client

from events.log import OrderState
from lab.console import RESULTS, announce, write_json
from lab.repair.finding import Finding, Repair, Todo
from lab.repair.repairing import Repairer
from lab.running import PATIENCE_S, for_this_command
from lab.status import status_of
from orders.model import Style
from runtime.errors import InputError, OrderlabError
from runtime.settings import Settings
from services.order_placed import ORCHESTRATORS, WORKERS

_LOOK_EVERY_S = 0.1


class Repaired(BaseModel):
    """What became of an order in one style."""

    order_id: str
    style: Style
    found: list[Finding]
    """What was half done, in sequence, each with what was done about it; nothing where all was whole."""
    now: Finding
    """How it stands then."""
    is_whole: bool
    """Whether it stands as an order may, or is on its way there by itself."""


async def repair(
    settings: Settings, order_id: str, styles: tuple[Style, ...], *, dry_run: bool, json: Path | None
) -> None:
    """Finish what is half done of an order.

    Args:
        settings: the data directory.
        order_id: of the order.
        styles: in which styles; those that it is known in are repaired.
        dry_run: only show what would be done.
        json: where to write the result.

    Raises:
        InputError: nobody has heard of the order in any of the styles, or it is another lab's.
        OrderlabError: it does not stand as an order may.
    """
    async with for_this_command(settings, ORCHESTRATORS if dry_run else WORKERS) as (session, must_wait):
        one_style = _Repair(
            Repairer(session.client, session.lab, settings), session.client, order_id, patient=must_wait, json=json
        )
        results = [
            result
            for style in styles
            if (result := await (one_style.look(style) if dry_run else one_style.run(style))) is not None
        ]
    if not results:
        raise InputError(f"nobody has heard of order {order_id} in {' or '.join(styles)}; see `orderlab orders`")
    if json is not None:
        write_json(json, list(results))
    broken = [f"{one.style}: {one.now.why}" for one in results if not one.is_whole]
    if broken:
        raise OrderlabError(f"order {order_id} does not stand as an order may: {'; '.join(broken)}")


class _Repair:
    """The command for one style after the other."""

    def __init__(self, repairer: Repairer, client: Client, order_id: str, *, patient: bool, json: Path | None) -> None:
        self._repairer = repairer
        self._client = client
        self._order_id = order_id
        self._patient = patient
        self._quiet = str(json) == "-"

    async def look(self, style: Style) -> Repaired | None:
        """Only show what would be done."""
        found = await self._repairer.examine(self._order_id, style)
        return None if found is None else self._result(style, found, [])

    async def run(self, style: Style) -> Repaired | None:
        """Show, do, and show how it stands then."""
        told: list[Finding] = []

        def tell(repair: Repair) -> None:
            told.append(repair.finding)
            if not self._quiet:
                _show(repair.finding)

        async def ended(todo: Todo) -> None:
            patient = self._patient or todo is not Todo.WAIT
            await _until_ended(self._client, self._order_id, style, patient=patient)

        found = await self._repairer.repair(self._order_id, style, ended=ended, tell=tell)
        return None if found is None else self._result(style, found, told)

    def _result(self, style: Style, found: Repair, told: list[Finding]) -> Repaired:
        if not self._quiet:
            _show(found.finding, is_news=not told)
        return Repaired(order_id=self._order_id, style=style, found=told, now=found.finding, is_whole=found.is_whole)


def _show(finding: Finding, *, is_news: bool = True) -> None:
    """How an order stands, and, if that is news, what is done about it."""
    detail = f" ({finding.detail})" if finding.detail else ""
    state = finding.state or "broken, or forgotten by Temporal"
    lines = [f"{finding.order_id}  {finding.style:<12}  {state}{detail}"]
    if is_news:
        lines.append(
            f"  stands: {', '.join(finding.stands) or 'nothing'}; undone: {', '.join(finding.undone) or 'nothing'}"
        )
        lines.append(f"  {finding.why}" if finding.todo is Todo.NOTHING else f"  {finding.todo}: {finding.why}")
    RESULTS.print("\n".join(lines), markup=False)


async def _until_ended(client: Client, order_id: str, style: Style, *, patient: bool) -> None:
    """Wait until an order is no longer under way; where that takes long, tell why, or, if impatient, leave it alone."""
    loop = asyncio.get_running_loop()
    tell_at = loop.time() + PATIENCE_S
    while (status := await status_of(client, style, order_id)) and status.state is OrderState.RUNNING:
        if loop.time() > tell_at:
            if not patient:
                return
            why = f": {status.detail}" if status.detail else ""
            announce(f"order {order_id} has not ended yet ({style}){why}")
            tell_at = loop.time() + PATIENCE_S
        await asyncio.sleep(_LOOK_EVERY_S)
