"""The commands as a person uses them: real processes, a real server, real files."""

import json
import re
import signal
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from lab.report import Report
from orders.loader import load_orders
from orders.model import Order
from runtime.settings import PROJECT, SHIPPED_ORDERS
from server.embedded import EmbeddedServer
from server.state import read_state
from tests.processes import environment, orderlab, running

FORWARD = {"campaign.left", "confirmation.sent", "invoice.issued", "sale.recorded", "shipment.created"}


@pytest.fixture
def shared(server: EmbeddedServer) -> dict[str, str]:
    """The environment of someone who has a Temporal server already."""
    return environment(TEMPORAL_ADDRESS=server.address, ORDERLAB_UI_URL=server.ui_url)


@pytest.fixture
def my_order(order: Order, tmp_path: Path) -> Path:
    file = tmp_path / "my.json"
    file.write_text(order.model_dump_json())
    return file


def effects(cwd: Path, order_id: str) -> list[dict[str, Any]]:
    """What `orderlab effects` tells of an order."""
    ran = orderlab("effects", order_id, "--json", "-", cwd=cwd)
    found: list[dict[str, Any]] = json.loads(ran.out)
    return found


def still_running(children: list[psutil.Process]) -> list[psutil.Process]:
    """Those that have not ended soon after their parent; the fork server notices its parent's end a moment later."""
    left = psutil.wait_procs(children, timeout=10)[1]
    return [child for child in left if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]


def test_an_order_is_placed_in_both_styles_and_its_effects_are_listed(
    shared: dict[str, str], tmp_path: Path, my_order: Path, order: Order
) -> None:
    ran = orderlab("order", str(my_order), cwd=tmp_path, env=shared)

    assert ran.code == 0, ran.err
    assert "no `orderlab up` is running here" in ran.err
    assert re.search(rf"{order.order_id} +saga +completed +http\S+/workflows/saga%2F{order.order_id}/", ran.out)
    assert re.search(rf"{order.order_id} +choreography +completed +http\S+/workflows/bus%2F{order.order_id}/", ran.out)
    done = effects(tmp_path, order.order_id)
    assert {(one["style"], one["effect"]) for one in done} == {
        (style, effect) for style in ("saga", "choreography") for effect in FORWARD
    }
    assert len(done) == len({one["idempotency_key"] for one in done}) == 10
    assert set(done[0]) >= {"order_id", "style", "service", "effect", "idempotency_key", "at"}


def test_an_order_is_cancelled_where_it_was_placed_and_nothing_is_left_of_it(
    shared: dict[str, str], tmp_path: Path, my_order: Path, order: Order
) -> None:
    orderlab("order", str(my_order), "--style", "saga", cwd=tmp_path, env=shared)
    cancelled = orderlab("cancel", order.order_id, cwd=tmp_path, env=shared)
    again = orderlab("cancel", order.order_id, "--json", "-", cwd=tmp_path, env=shared)

    told = rf"{order.order_id} +saga +accepted: cancelled by the customer +\(now cancelled\) +http\S+/workflows/saga%2F"
    assert cancelled.code == 0, cancelled.err
    assert re.search(told, cancelled.out)
    assert "choreography" not in cancelled.out
    assert [(one["style"], one["accepted"], one["state"]) for one in json.loads(again.out)] == [
        ("saga", True, "cancelled")
    ]
    assert len(effects(tmp_path, order.order_id)) == 2 * len(FORWARD)


def test_a_customer_who_comes_too_late_is_told_why_and_the_order_stays(
    shared: dict[str, str], tmp_path: Path, my_order: Path, order: Order
) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps({"name": "quick", "customers": {"cancel": 0, "handover_ms": 0}}))
    orderlab("order", str(my_order), "--faults", str(plan), cwd=tmp_path, env=shared)
    refused = orderlab("cancel", order.order_id, cwd=tmp_path, env=shared)

    assert refused.code == 0, refused.err
    assert refused.out.count("refused: the parcel has been handed over to the carrier  (now completed)") == 2
    assert {one["effect"] for one in effects(tmp_path, order.order_id)} == FORWARD


def test_an_order_cancelled_before_it_is_placed_is_placed_and_cancelled(
    shared: dict[str, str], tmp_path: Path, my_order: Path, order: Order
) -> None:
    early = orderlab("cancel", order.order_id, cwd=tmp_path, env=shared)
    placed = orderlab("order", str(my_order), "--wait", cwd=tmp_path, env=shared)

    assert early.code == 0, early.err
    assert early.out.count("accepted: cancelled by the customer") == 2
    assert placed.code == 0, placed.err
    assert len(re.findall(r"(?:saga|choreography) +cancelled \(cancelled by the customer", placed.out)) == 2
    assert effects(tmp_path, order.order_id) == []


def test_the_same_order_again_is_one_order_and_another_under_its_id_is_refused(
    shared: dict[str, str], tmp_path: Path, my_order: Path, order: Order
) -> None:
    orderlab("order", str(my_order), "--style", "saga", cwd=tmp_path, env=shared)
    again = orderlab("order", str(my_order), "--style", "saga", cwd=tmp_path, env=shared)
    other = tmp_path / "other.json"
    other.write_text(order.model_copy(update={"country": "Norway"}).model_dump_json())
    contradiction = orderlab("order", str(other), "--style", "both", cwd=tmp_path, env=shared)

    assert again.code == 0
    assert "was placed already (saga); nothing was changed" in again.err
    assert contradiction.code == 2
    assert "other content" in contradiction.err.splitlines()[-1]
    assert {one["style"] for one in effects(tmp_path, order.order_id)} == {"saga"}
    assert len(effects(tmp_path, order.order_id)) == len(FORWARD)


def test_two_data_directories_on_one_server_never_meet(
    shared: dict[str, str], tmp_path: Path, my_order: Path, order: Order
) -> None:
    first = orderlab("order", str(my_order), "--data", "a", cwd=tmp_path, env=shared)
    second = orderlab("order", str(my_order), "--data", "b", cwd=tmp_path, env=shared)

    assert first.code == 0
    assert second.code == 2
    assert "another data directory" in second.err
    assert not (tmp_path / "b" / "services").exists() or not orderlab(
        "effects", order.order_id, "--data", "b", "--json", "-", cwd=tmp_path
    ).out.strip("[]\n")


def test_any_event_can_be_published_and_is_known_when_it_comes_again(shared: dict[str, str], tmp_path: Path) -> None:
    event = {"specversion": "1.0", "id": "t-1", "source": "desk", "type": "ticket.created", "subject": "ticket-1"}
    file = tmp_path / "event.json"
    file.write_text(json.dumps(event))

    first = orderlab("publish", str(file), cwd=tmp_path, env=shared)
    second = orderlab("publish", str(file), cwd=tmp_path, env=shared)
    log = orderlab("events", "ticket-1", "--json", "-", cwd=tmp_path, env=shared)

    assert (first.code, second.code) == (0, 0)
    assert "handed to: nobody" in first.out
    assert "was published already" in second.out
    assert [entry["id"] for entry in json.loads(log.out)["entries"]] == ["t-1"]
    assert json.loads(orderlab("orders", "--json", "-", cwd=tmp_path, env=shared).out) == [], "a ticket is no order"


def test_an_order_published_as_an_event_is_handled_and_can_t_be_contradicted(
    shared: dict[str, str], tmp_path: Path, order: Order
) -> None:
    data = order.model_dump(mode="json")
    event = {"specversion": "1.0", "id": "o-1", "source": "shop", "type": "order.placed", "subject": order.order_id}
    file = tmp_path / "event.json"
    file.write_text(json.dumps({**event, "data": data}))
    first = orderlab("publish", str(file), cwd=tmp_path, env=shared)
    file.write_text(json.dumps({**event, "id": "o-2", "data": {**data, "country": "Norway"}}))
    other = orderlab("publish", str(file), cwd=tmp_path, env=shared)

    assert first.code == 0, first.err
    assert "shipping, invoicing, marketing, analytics" in first.out
    assert other.code == 2
    assert {one["effect"] for one in effects(tmp_path, order.order_id)} == FORWARD


def test_another_content_under_the_id_of_a_saga_is_refused_when_it_is_published(
    shared: dict[str, str], tmp_path: Path, my_order: Path, order: Order
) -> None:
    orderlab("order", str(my_order), "--style", "saga", cwd=tmp_path, env=shared)
    event = {"specversion": "1.0", "id": "o-1", "source": "shop", "type": "order.placed", "subject": order.order_id}
    file = tmp_path / "event.json"
    file.write_text(json.dumps({**event, "data": {**order.model_dump(mode="json"), "country": "Norway"}}))

    ran = orderlab("publish", str(file), cwd=tmp_path, env=shared)

    assert ran.code == 2
    assert f"order {order.order_id} was placed before with other content (saga); nothing was changed" in ran.err
    assert {one["style"] for one in effects(tmp_path, order.order_id)} == {"saga"}


def test_a_person_s_act_in_a_service_s_place_is_told_by_every_command(
    shared: dict[str, str], tmp_path: Path, my_order: Path, order: Order
) -> None:
    # given an order, and an event that says that shipping gave it up
    orderlab("order", str(my_order), "--style", "choreography", cwd=tmp_path, env=shared)
    data = {"order_id": order.order_id, "service": "shipping", "reason": "lost in the fire"}
    event = {"specversion": "1.0", "id": "f-1", "source": "/desk", "type": "shipment.failed", "subject": order.order_id}
    file = tmp_path / "event.json"
    file.write_text(json.dumps({**event, "data": data}))
    # when it is published as anybody's, and then by a person who answers for it
    anybody = orderlab("publish", str(file), cwd=tmp_path, env=shared)
    by_hand = orderlab("publish", str(file), "--by-hand", "Ann B.", cwd=tmp_path, env=shared)

    # then the first changes nothing, and the second cancels the order and is told by name
    entries = json.loads(orderlab("events", order.order_id, "--json", "-", cwd=tmp_path, env=shared).out)["entries"]
    (told,) = (entry for entry in entries if entry["type"] == "shipment.failed")
    audited = json.loads(orderlab("audit", "--json", "-", cwd=tmp_path, env=shared).out)
    assert (anybody.code, by_hand.code) == (2, 0)
    assert "handed to: shipping, invoicing, marketing, analytics" in by_hand.out
    assert (told["by_hand"], told["told_by"], told["counts"]) == ("Ann B.", "", True)
    assert {entry["told_by"] for entry in entries if entry["type"] == "shipment.created"} == {"shipping"}
    assert "by hand of Ann B." in re.sub(
        r"[│\s]+", " ", orderlab("events", order.order_id, cwd=tmp_path, env=shared).out
    )
    assert audited["violations"] == []
    assert audited["acts"] == [
        {"order_id": order.order_id, "what": "shipment.failed (f-1 of /desk)", "by": "Ann B."},
    ]
    assert f"{order.order_id}: shipment.failed (f-1 of /desk), by Ann B." in orderlab(
        "audit", cwd=tmp_path, env=shared
    ).out.replace("\n", " ").replace("  ", " ")
    assert (
        "lost in the fire (by hand of Ann B.)"
        in json.loads(orderlab("orders", "--json", "-", cwd=tmp_path, env=shared).out)[0]["detail"]
    )


def test_what_was_placed_is_listed_and_replays(
    shared: dict[str, str], tmp_path: Path, my_order: Path, order: Order
) -> None:
    orderlab("order", str(my_order), cwd=tmp_path, env=shared)

    listed = orderlab("orders", "--json", "-", cwd=tmp_path, env=shared)
    replayed = orderlab("replay", order.order_id, cwd=tmp_path, env=shared)

    mine = [(one["order_id"], one["style"], one["state"]) for one in json.loads(listed.out)]
    assert sorted(mine) == [(order.order_id, style, "completed") for style in ("choreography", "saga")]
    assert replayed.code == 0
    assert replayed.out.count(": replays") == 2


def test_a_history_that_today_s_code_can_t_have_made_fails_the_replay(tmp_path: Path) -> None:
    recorded = (PROJECT / "tests" / "histories" / "saga-completed.json").read_text()
    (tmp_path / "saga-reordered.json").write_text(
        recorded.replace("shipping.begin_fulfilment", "?").replace(
            "invoicing.issue_invoice", "shipping.begin_fulfilment"
        )
    )

    ran = orderlab("replay", ".", cwd=tmp_path)

    assert ran.code == 1
    assert "Nondeterminism" in ran.out


@pytest.mark.parametrize("command", [["events", "nothing"], ["replay", "nothing"]], ids=" ".join)
def test_what_was_never_placed_is_said_so(shared: dict[str, str], tmp_path: Path, command: list[str]) -> None:
    ran = orderlab(*command, cwd=tmp_path, env=shared)

    assert ran.code == 2
    assert "nothing" in ran.err.splitlines()[-1]


def test_without_a_server_to_be_had_the_exit_code_is_3_and_one_line_says_why(tmp_path: Path) -> None:
    ran = orderlab("order", "536365", cwd=tmp_path, env=environment(TEMPORAL_ADDRESS="127.0.0.1:1"))

    assert ran.code == 3
    assert "127.0.0.1:1" in ran.err
    assert len(ran.err.splitlines()) == 1


def test_the_two_terminals_of_the_readme_work(tmp_path: Path) -> None:
    readme = (PROJECT / "README.md").read_text(encoding="utf-8")
    first, second = re.findall(r"^(?:\.venv/bin/)?python ((?:worker|client)\.py.*)$", readme, flags=re.MULTILINE)
    worker = [sys.executable, str(PROJECT / first.split()[0]), *first.split()[1:]]

    with running(worker, cwd=tmp_path, until=r'"ready"|ready'):
        ran = orderlab(*second.split()[1:], cwd=tmp_path)

    assert second == "client.py order 536365 --style both --wait"
    assert ran.code == 0, ran.err
    assert "no `orderlab up` is running here" not in ran.err
    assert ran.out.count("completed") == 2
    assert len(effects(tmp_path, "536365")) == 10


def test_up_restarts_a_worker_that_dies_and_leaves_nothing_running(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "client", "up"]
    with running(command, cwd=tmp_path, until="^Ready") as (process, lines):
        supervisor = psutil.Process(process.pid)
        children = supervisor.children(recursive=True)
        shipping = next(int(match[1]) for line in lines if (match := re.match(r"shipping +pid (\d+)", line)))
        psutil.Process(shipping).kill()
        ran = orderlab("order", "536365", "--wait", cwd=tmp_path)
        process.send_signal(signal.SIGINT)
        code = process.wait(30)

    assert {"Temporal", "UI", "mail", "shipping", "invoicing", "marketing", "analytics", "saga", "bus"} <= {
        line.split()[0] for line in lines
    }
    assert ran.out.count("completed") == 2
    assert len(effects(tmp_path, "536365")) == 10
    assert len(list((tmp_path / ".orderlab" / "mail").glob("*.eml"))) == 2
    assert code == 0
    assert not still_running(children)


def test_up_restarts_a_server_that_dies_and_the_orders_go_on(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "client", "up"]
    with running(command, cwd=tmp_path, until="^Ready"):
        placed = orderlab("order", "536365", "--wait", cwd=tmp_path)
        state = read_state(tmp_path / ".orderlab")
        assert state is not None
        psutil.Process(state.pid).kill()
        again = orderlab("order", "536365", cwd=tmp_path)
        other = orderlab("order", "536366", "--wait", cwd=tmp_path)

    assert placed.out.count("completed") == 2
    assert again.out.count("completed") == 2
    assert again.err.count("was placed already") == 2
    assert other.out.count("completed") == 2


def test_a_demo_compares_both_styles_and_is_quick_the_second_time(tmp_path: Path) -> None:
    ran = orderlab("demo", "--orders", "6", "--seed", "3", "--json", "r.json", cwd=tmp_path)
    report = Report.model_validate_json((tmp_path / "r.json").read_text())

    assert ran.code == 0, ran.err
    assert "Same business state in both styles: 6 of 6 orders" in ran.out
    assert (report.orders, report.parity.compared, report.parity.differences) == (6, 6, [])
    assert report.server.tuned
    book = load_orders(SHIPPED_ORDERS)
    drawn = [book.find(one.order_id.removesuffix(".x")) for one in book.take(6, 3, "x")]
    known = sum(not order.is_guest for order in drawn)
    for style in report.styles.values():
        assert style.end_states == {"completed": 6}
        assert style.effects["shipping"] == {"shipment.created": 6}
        assert style.effects["marketing"].get("confirmation.sent", 0) == known
        assert style.actions_per_order == pytest.approx((6 * 4 + known) / 6, abs=0.01)
        assert style.end_to_end_ms is not None
        assert style.end_to_end_ms.n == 3
    stored = json.loads(orderlab("effects", "--json", "-", cwd=tmp_path).out)
    assert len({one["order_id"] for one in stored}) == 6, "the warm-up left something behind"


def test_an_interrupted_demo_ends_with_130_and_leaves_nothing_running(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "client", "demo", "--orders", "400"]
    with running(command, cwd=tmp_path, until="200 of 800") as (process, _):
        children = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGINT)
        code = process.wait(30)

    assert code == 130
    assert not still_running(children)
