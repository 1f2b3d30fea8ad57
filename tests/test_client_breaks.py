"""The commands that break things and look at what came of it, as a person uses them."""

import json
import re
from pathlib import Path
from typing import Any

from events.log import OrderState
from lab.report import Report
from tests.processes import orderlab

POISON = {
    "name": "test",
    "services": {"marketing": {"confirmation.sent": {"permanent": 1}}, "analytics": {"sale.recorded": {"twice": 1}}},
}


def parked(cwd: Path) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = json.loads(orderlab("parked", "--json", "-", cwd=cwd).out)
    return listed


def test_what_is_parked_is_listed_with_its_reason_and_finished_by_a_redrive(tmp_path: Path) -> None:
    # given an order that marketing can't confirm, in both styles
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps(POISON))
    placed = orderlab("order", "536365", "--faults", str(plan), "--wait", cwd=tmp_path)
    # when it is looked at, and redriven: one by its id, then all
    listed = parked(tmp_path)
    saga = next(one["id"] for one in listed if one["id"].startswith("saga/"))
    one = orderlab("redrive", saga, cwd=tmp_path)
    again = orderlab("redrive", saga, cwd=tmp_path)
    rest = orderlab("redrive", "--all", cwd=tmp_path)
    audited = orderlab("audit", cwd=tmp_path)

    # then all of it is delivered, and no guarantee was broken
    assert placed.out.count("parked") == 2
    assert {(letter["order_id"], letter["delivery"]["service"]) for letter in listed} == {("536365", "marketing")}
    assert all("permanent fault" in letter["delivery"]["reason"] for letter in listed)
    assert all(letter["delivery"]["attempts"] == 1 and "536365" in letter["delivery"]["payload"] for letter in listed)
    assert (one.code, one.out.split()) == (0, [saga, "delivered"])
    assert again.code == 2
    assert rest.out.count("delivered") == 1
    assert parked(tmp_path) == []
    assert (audited.code, "no guarantee was broken" in audited.out) == (0, True)


def test_orders_survive_kills_of_everything_and_the_auditor_finds_nothing(tmp_path: Path) -> None:
    ran = orderlab("chaos", "--orders", "40", "--every", "0.7", "--faults", "flaky", "--json", "r.json", cwd=tmp_path)
    report = Report.model_validate_json((tmp_path / "r.json").read_text())

    assert ran.code == 0, ran.err
    assert report.kills is not None
    assert report.audit is not None
    assert {kill.target for kill in report.kills} == {"worker", "bus", "server"}
    assert all(kill.in_flight > 0 for kill in report.kills)
    assert (report.audit.checked, report.audit.violations, report.parity.differences) == (80, [], [])
    for style in report.styles.values():
        assert style.end_states == {OrderState.COMPLETED: 40}


def test_too_few_kills_prove_nothing(tmp_path: Path) -> None:
    ran = orderlab("chaos", "--orders", "1", "--kill", "bus", "--every", "3", cwd=tmp_path)

    assert ran.code == 1
    assert re.search(r"bus was killed [0-2] times with orders in flight, and 3 are needed", ran.err)


def test_a_service_that_was_away_catches_up(tmp_path: Path) -> None:
    ran = orderlab("chaos", "--orders", "12", "--down", "analytics", "--json", "r.json", cwd=tmp_path)
    report = Report.model_validate_json((tmp_path / "r.json").read_text())

    assert ran.code == 0, ran.err
    assert report.down is not None
    assert report.down.caught_up_s is not None
    assert set(report.down.reaction_ratio["saga"]) == {"shipping", "invoicing", "marketing"}
    assert {name: sum(done.values()) for name, done in report.styles["saga"].effects.items()}["analytics"] == 12
