"""`orderlab repair` as a person uses it, and what is kept of a wish to cancel: real processes, killed and stopped."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from temporalio.client import Client

from orders.model import Order
from runtime.settings import Settings
from server.connect import connect_to
from server.embedded import EmbeddedServer
from tests.processes import environment, orderlab, running

STUCK_UNDO = {
    "name": "stuck-undo",
    "services": {
        "invoicing": {"invoice.issued": {"permanent": 1.0}},
        "marketing": {"cancellation.sent": {"transient": 1.0, "transient_attempts": 1000}},
    },
}


@pytest.fixture
def my_order(order: Order, tmp_path: Path) -> Path:
    file = tmp_path / "my.json"
    file.write_text(order.model_dump_json())
    return file


@pytest.fixture
def shared(server: EmbeddedServer) -> dict[str, str]:
    """The environment of someone who has a Temporal server already."""
    return environment(TEMPORAL_ADDRESS=server.address)


@pytest.fixture
def up(tmp_path: Path) -> Iterator[list[str]]:
    """A lab that stays up; what it printed."""
    with running([sys.executable, "-m", "client", "up"], cwd=tmp_path, until="Ready") as (_, lines):
        yield lines


def until(holds: Callable[[], bool], within_s: float = 60) -> None:
    give_up_at = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < give_up_at
        time.sleep(0.1)


def effects(cwd: Path, order: Order, style: str) -> set[str]:
    told = json.loads(orderlab("effects", order.order_id, "--json", "-", cwd=cwd).out)
    return {one["effect"] for one in told if one["style"] == style}


async def client_of(lines: list[str]) -> Client:
    address = re.search(r"Temporal +(\S+), namespace", "".join(lines))
    assert address is not None
    return await connect_to(address[1])


async def test_a_saga_terminated_while_it_was_undone_is_finished_by_the_command_that_orders_and_audit_name(
    up: list[str], tmp_path: Path, my_order: Path, order: Order
) -> None:
    # given an order whose undoing is stuck, and somebody who has had enough of it
    (tmp_path / "plan.json").write_text(json.dumps(STUCK_UNDO))
    orderlab("order", str(my_order), "--style", "saga", "--faults", "plan.json", cwd=tmp_path)
    until(lambda: "campaign.rejoined" in effects(tmp_path, order, "saga"))
    await (await client_of(up)).get_workflow_handle(f"saga/{order.order_id}").terminate()
    left = effects(tmp_path, order, "saga")
    listed, audited = orderlab("orders", cwd=tmp_path), orderlab("audit", cwd=tmp_path)

    # when it is looked at, and repaired
    looked = orderlab("repair", order.order_id, "--dry-run", "--json", "-", cwd=tmp_path)
    after_the_look = effects(tmp_path, order, "saga")
    repaired = orderlab("repair", order.order_id, cwd=tmp_path)
    again = orderlab("repair", order.order_id, "--json", "-", cwd=tmp_path)

    # then
    named = f"orderlab repair {order.order_id}"
    assert named in " ".join(listed.out.split())
    assert (audited.code, named in audited.out) == (1, True)
    assert looked.code == 1
    [seen] = json.loads(looked.out)
    assert (seen["style"], seen["now"]["todo"], seen["now"]["state"]) == ("saga", "undo", None)
    assert set(seen["now"]["stands"]) == {"shipment.created", "confirmation.sent", "sale.recorded"}
    assert after_the_look == left
    assert repaired.code == 0, repaired.err
    assert "what stands is undone" in repaired.out
    assert re.search(rf"{order.order_id} +saga +cancelled", repaired.out)
    [now] = json.loads(again.out)
    assert (again.code, now["found"], now["is_whole"], now["now"]["stands"]) == (0, [], True, [])
    assert orderlab("audit", cwd=tmp_path).code == 0
    assert orderlab("cancel", order.order_id, cwd=tmp_path).code == 0


def test_a_wish_is_called_kept_once_it_is_and_acted_upon_though_the_server_died_and_nobody_asks_again(
    up: list[str], tmp_path: Path, my_order: Path, order: Order
) -> None:
    # given a completed order, and a saga worker that is frozen
    orderlab("order", str(my_order), "--style", "saga", "--wait", cwd=tmp_path)
    worker = psutil.Process(int(re.findall(r"^saga +pid (\d+)", "".join(up), re.MULTILINE)[0]))
    worker.suspend()
    try:
        # when its customer cancels, is told that this is kept, and leaves; and the server is killed
        asking = subprocess.Popen(
            [sys.executable, "-m", "client", "cancel", order.order_id],
            cwd=tmp_path,
            env=environment(),
            stderr=subprocess.PIPE,
            text=True,
        )
        assert asking.stderr is not None
        told = next(line for line in asking.stderr if "shipping" in line)
        asking.send_signal(signal.SIGINT)
        left_with = asking.wait(timeout=30)
        state = json.loads((Settings(data=tmp_path / ".orderlab").data / "server.json").read_text())
        os.kill(state["pid"], signal.SIGKILL)
    finally:
        worker.resume()

    # then the order is cancelled
    assert "the request is kept" in told
    assert left_with == 130
    until(lambda: {"shipment.cancelled", "credit_note.issued"} <= effects(tmp_path, order, "saga"))
    until(lambda: "cancelled" in orderlab("orders", cwd=tmp_path).out)


def test_a_whole_order_is_left_as_it_is_also_where_no_lab_is_up(
    shared: dict[str, str], tmp_path: Path, my_order: Path, order: Order
) -> None:
    orderlab("order", str(my_order), cwd=tmp_path, env=shared)
    ran = orderlab("repair", order.order_id, cwd=tmp_path, env=shared)

    assert ran.code == 0, ran.err
    assert ran.out.count("nothing of it is half done, so nothing is changed") == 2


def test_an_order_that_nobody_has_heard_of_is_refused(
    shared: dict[str, str], tmp_path: Path, my_order: Path, order: Order
) -> None:
    orderlab("order", str(my_order), "--style", "saga", cwd=tmp_path, env=shared)
    unknown = orderlab("repair", "nobodys", cwd=tmp_path, env=shared)
    in_the_other = orderlab("repair", order.order_id, "--style", "choreography", cwd=tmp_path, env=shared)

    assert (unknown.code, in_the_other.code) == (2, 2)
    assert "nobody has heard of order nobodys in saga or choreography" in unknown.err.splitlines()[-1]
    assert f"nobody has heard of order {order.order_id} in choreography" in in_the_other.err.splitlines()[-1]
