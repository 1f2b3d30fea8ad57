"""`orderlab compare` as a person uses it: real processes, a real server, real files."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from faults.plan import LogNormal
from lab.compare.comparison import Comparison
from lab.effects import all_effects
from orders.model import STYLES
from runtime.settings import Settings
from tests.lab.compare.all_checks import check_page
from tests.lab.compare.record_checks import check_record
from tests.processes import Ran, environment, orderlab, running


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ran]:
    """A comparison of 12 orders, with all that can be written of it, in a directory of its own."""
    directory = tmp_path_factory.mktemp("compared")
    outputs = ("--json", "c.json", "--html", "c.html", "--markdown", "c.md", "--junit", "c.xml")
    return directory, orderlab("compare", "--orders", "12", *outputs, cwd=directory)


def test_a_comparison_tells_both_styles_the_references_and_a_verdict_in_every_form(compared: tuple[Path, Ran]) -> None:
    directory, ran = compared

    assert ran.code == 0, ran.err
    result = Comparison.model_validate_json((directory / "c.json").read_bytes())
    assert (result.orders, result.parity.compared, result.parity.differences) == (12, 12, [])
    assert result.audit is not None
    assert (result.audit.checked, result.audit.violations) == (24, [])
    assert {style: sum(result.styles[style].end_states.values()) for style in STYLES} == dict.fromkeys(STYLES, 12)
    assert result.references is not None
    for name in ("bare_workflow", "naive_fanout"):
        assert (result.references[name].orders_per_s or 0) > 0
        assert result.references[name].end_to_end_ms is not None
    assert {"end_to_end_ms", "saga/bare_workflow.end_to_end_ms"} <= result.ratios.keys()
    assert result.load is None
    assert result.differences["actions_per_order"].pairs == 12
    assert len(result.timelines) == 2
    assert result.verdict.headline in ran.out
    assert result.verdict.headline in (directory / "c.html").read_text()
    assert "orderlab compare --orders 12" in (directory / "c.md").read_text()
    assert "<testsuite" in (directory / "c.xml").read_text()


def test_each_figure_of_the_page_and_of_the_record_is_the_one_of_the_json(compared: tuple[Path, Ran]) -> None:
    check_files(compared[0])


def check_files(directory: Path) -> None:
    """Hold the page and the record that were written against the JSON that was."""
    result = json.loads((directory / "c.json").read_text())
    check_page(result, (directory / "c.html").read_text())
    check_record(result, (directory / "c.md").read_text())


def test_references_and_warm_up_leave_nothing_in_the_services_stores(compared: tuple[Path, Ran]) -> None:
    directory, _ = compared
    placed = {record.order_id for record in all_effects(Settings(data=directory / ".orderlab"))}

    assert len(placed) == 12


def test_with_a_profile_faults_customers_and_a_rate_there_are_load_cancellations_and_an_outage(tmp_path: Path) -> None:
    ran = orderlab(
        *("compare", "--orders", "8", "--rate", "20", "--profile", "web-shop", "--cancel-share", "0.5"),
        *("--faults", "hostile", "--json", "c.json", "--html", "c.html", "--markdown", "c.md"),
        cwd=tmp_path,
    )

    assert ran.code == 0, ran.err
    result = Comparison.model_validate_json((tmp_path / "c.json").read_bytes())
    assert result.load is not None
    assert result.blast is not None
    assert result.consistent_ms is not None
    assert result.profile == "web-shop"
    assert result.faults is not None
    assert result.faults.name == "hostile over web-shop"
    created = result.faults.of("shipping", "shipment.created")
    assert created is not None
    assert created.service_time == LogNormal(p50_ms=40, p99_ms=250)
    assert created.transient == 0.08
    check_files(tmp_path)
    for style in STYLES:
        wishes = result.styles[style].cancellations
        assert wishes is not None
        assert wishes.asked == wishes.accepted + wishes.refused > 0
        assert [point.rate_per_s for point in result.load[style]] == [5, 10, 15, 20]
        assert result.blast[style].lost == 0


def test_against_a_baseline_that_was_better_it_exits_with_1(compared: tuple[Path, Ran]) -> None:
    directory, _ = compared
    before = json.loads((directory / "c.json").read_text())
    before["styles"]["saga"]["actions_per_order"] -= 1
    (directory / "before.json").write_text(json.dumps(before))
    ran = orderlab("compare", "--orders", "2", "--check", "before.json", cwd=directory)

    assert ran.code == 1
    assert "saga: actions per order" in ran.err.splitlines()[-1]


def test_interrupted_it_reports_what_it_has_measured_as_partial(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "client", "compare", "--orders", "60", "--json", "c.json", "--data", "lab"]
    with running(argv, cwd=tmp_path, until="orders have ended") as (process, _):
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)

    assert process.returncode == 130, out
    result = Comparison.model_validate_json((tmp_path / "c.json").read_bytes())
    assert result.partial
    assert 0 < result.orders < 60
    assert all(one.pairs == result.orders for one in result.differences.values())
    assert "PARTIAL" in out


def test_interrupted_before_anything_was_measured_it_writes_nothing(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "client", "compare", "--json", "c.json"]
    with running(argv, cwd=tmp_path, until="starting a Temporal server") as (process, _):
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)

    assert process.returncode == 130
    assert not (tmp_path / "c.json").exists()


def test_with_a_mail_server_of_one_s_own_the_references_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "mail").mkdir()
    server = subprocess.Popen(
        [sys.executable, "-m", "server.mail", "--data", str(tmp_path / "mail"), "--port", "2525"],
        env=environment(),
        cwd=tmp_path,
    )
    try:
        mine = environment(ORDERLAB_SMTP_URL="smtp://127.0.0.1:2525")
        ran = orderlab("compare", "--orders", "4", "--json", "c.json", cwd=tmp_path, env=mine)
    finally:
        server.terminate()
        server.wait()

    assert ran.code == 0, ran.err
    result = Comparison.model_validate_json((tmp_path / "c.json").read_bytes())
    assert result.references is None
    assert any("references were not run" in why for why in result.not_comparable)
