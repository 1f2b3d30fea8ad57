"""Shows the fault matrix: as docs/faults.md, and on a terminal. As a program it runs the matrix and writes the page."""

import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from events.log import OrderState
from lab.console import announce
from lab.matrix import Matrix, run_matrix
from lab.matrix_rule import FAILED_ATTEMPTS, LATE_MS, Case, Cell, Expectation, expected
from lab.parity import UNDONE_BY
from lab.running import whole_lab
from orders.loader import load_orders
from orders.model import STYLES
from runtime.errors import ExitCode
from runtime.leave import leave
from runtime.settings import PROJECT, SHIPPED_ORDERS, Settings

PAGE = PROJECT / "docs" / "faults.md"

INTRODUCTION = f"""\
# What becomes of an order when something goes wrong

Each row is one fault. It befell a real order in both styles, of a customer in the campaign, so that every effect
applies. No row is written by hand: each tells what the services' databases, the dead-letter queue and the histories
said when the order had ended. `orderlab faults --matrix` runs all of it on your machine; `python -m lab.matrix_page`
does so, too, and writes this page.

What goes wrong:

| fault | before the effect | after the effect |
|---|---|---|
| transient | the first {FAILED_ATTEMPTS} attempts fail, the next one works | it happens, but no answer arrives |
| permanent | it fails, and no other attempt is made | it happens, but the answer is a failure for good |
| twice | | once it has happened, it is delivered a second time |
| late | the delivery is held for {LATE_MS} ms | |

Where the effect is one that undoes another (from `shipment.cancelled` on), invoicing makes the order fail for good,
or shipping where invoicing is the service looked at.

How an order has to end:

- **completed**: every effect happened, once. What passes leaves no trace.
- **cancelled**: a critical service (shipping, invoicing) gave up, or said that it did. Each effect that happened is
  undone, and what never happened has no undoing.
- **parked**: another service gave up. All the rest is done, and that service's work waits for a redrive.
- **attention**: an undoing gave up. All others are done; a person has to look at the order, and to redrive it.

*Effects* tells which happened, *undone* how many of those were undone. A service in brackets has work in the
dead-letter queue; of an order in need of attention, that is the undoing that gave up.

The verdict is *ok* where the order ended in both styles as it has to, with the effects that this end demands and no
other, and in the same business state; where a transient fault was followed by another attempt, so that it did come
about; and where the auditor found each service's own rows and mails in agreement with that. For killed processes see
`orderlab chaos`.

"""


def page(matrix: Matrix) -> str:
    """The whole matrix as Markdown: nothing in it differs from run to run, as long as the outcomes do not."""
    heads = ["service", "effect", "fault", "when", "has to end"]
    for style in STYLES:
        heads += [style, "effects", "undone"]
    heads.append("verdict")
    rows = [_row(pair) for pair in _pairs(matrix)]
    lines = [_line(heads), f"|{'---|' * len(heads)}", *(_line(row) for row in rows)]
    return INTRODUCTION + "\n".join(lines) + "\n"


def table(matrix: Matrix) -> RenderableType:
    """The whole matrix for a terminal."""
    shown = Table(title="how each order ended: +effects that happened, -effects undone", title_justify="left")
    for column in ("service", "effect", "fault", "when", "has to end", *STYLES, "retries", "verdict"):
        shown.add_column(column, overflow="fold", no_wrap=column == "effect")
    for pair in _pairs(matrix):
        case = pair[0]
        verdict = _verdict(pair)
        shown.add_row(
            case.service,
            case.effect,
            case.fault,
            case.when,
            _wanted(expected(case)),
            *(f"{_end(cell)} +{len(cell.effects)} -{len(cell.compensations)}" for cell in pair),
            " / ".join(str(cell.retries) for cell in pair),
            Text(verdict, "green" if verdict == "ok" else "bold red"),
        )
    broken = matrix.broken
    told = (
        Text("\n".join(["BROKEN:", *(f"  {line}" for line in broken)]), "bold red")
        if broken
        else Text(f"{len(matrix.cells)} cells, each as the guarantees demand and alike in both styles.", "green")
    )
    return Group(shown, told)


def beginning_of_row(case: Case) -> list[str]:
    """The columns of a case's row that say what it is, and how it has to end."""
    return [case.service, f"`{case.effect}`", case.fault, case.when, _wanted(expected(case))]


def _pairs(matrix: Matrix) -> list[tuple[Cell, ...]]:
    """The cells of each case, one per style."""
    by_order: dict[str, list[Cell]] = {}
    for cell in matrix.cells:
        by_order.setdefault(cell.order_id, []).append(cell)
    return [tuple(cells) for cells in by_order.values()]


def _row(pair: Sequence[Cell]) -> list[str]:
    row = beginning_of_row(pair[0])
    for cell in pair:
        happened = [UNDONE_BY[effect] for effect in cell.effects if effect in UNDONE_BY]
        row += [_end(cell), _share(cell.effects, list(UNDONE_BY)), _share(cell.compensations, happened)]
    return [*row, _verdict(pair)]


def _wanted(demanded: Expectation) -> str:
    must_park = demanded.parked if demanded.state is OrderState.PARKED else None
    return f"{demanded.state} ({must_park})" if must_park else demanded.state


def _end(cell: Cell) -> str:
    state = cell.state or "in no legal state"
    return f"{state} ({', '.join(cell.parked)})" if cell.parked else state


def _share(done: Sequence[str], of: Sequence[str]) -> str:
    """How much of something was done: `all`, `none`, or what was not."""
    missing = [effect for effect in of if effect not in done]
    if not done:
        return "none"
    return "all" if not missing else f"all but {', '.join(f'`{effect}`' for effect in missing)}"


def _verdict(pair: Sequence[Cell]) -> str:
    wrong = [f"{cell.style}: {what}" for cell in pair for what in cell.wrong]
    return f"broken: {'; '.join(wrong)}" if wrong else "ok"


def _line(parts: Sequence[str]) -> str:
    return f"| {' | '.join(part.replace('|', '/') for part in parts)} |"


async def _write() -> ExitCode:
    """Run the matrix in a lab of its own and write the page."""

    def told(cell: Cell) -> None:
        announce(f"{cell.effect}, {cell.fault} {cell.when}, {cell.style}: {_end(cell)}")

    with tempfile.TemporaryDirectory() as directory:
        settings = Settings(data=Path(directory))
        async with whole_lab(settings) as (session, _):
            matrix = await run_matrix(session, settings, load_orders(SHIPPED_ORDERS), told)
    PAGE.write_text(page(matrix), encoding="utf-8")
    for line in matrix.broken:
        announce(line)
    return ExitCode.BROKEN if matrix.broken else ExitCode.DONE


if __name__ == "__main__":
    leave(asyncio.run(_write()))
