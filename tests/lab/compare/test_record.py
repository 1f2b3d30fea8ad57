"""The decision record: the evidence is in it, the decision is not."""

from hypothesis import HealthCheck, given, settings
from markdown_it import MarkdownIt

from lab.audit import AuditReport, Violation
from lab.compare.comparison import Comparison
from lab.compare.record import render_record
from tests.lab.compare import samples
from tests.lab.compare.generated import COMPARISONS

EVIL = "<script>alert(1)</script> | `x` [y](javascript:z)\n# no heading"


MARKDOWN = MarkdownIt().enable("table")


def test_it_is_proposed_and_leaves_the_decision_to_the_team() -> None:
    record = render_record(samples.comparison())

    assert record.startswith("---\nstatus: proposed\ndate: 2026-10-03\n---\n")
    assert record.rstrip().endswith("- Decided by, on:")
    assert "- Chosen option:\n" in record


def test_it_has_the_evidence_of_the_run() -> None:
    record = render_record(samples.comparison())

    for told in (
        "```\norderlab compare --orders 200 --faults hostile --seed 7 --html compare.html\n```",
        "Seed: 7.",
        "2 processors, 7.8 GiB, Linux 6.1, Debian 12",
        "1.09 (1.03 to 1.14), saga better",
        "| completed | 176 | 176 |",
        "Temporal Actions (saga): 282 USD; Actions per order: 5.64",
        "| saga | workflows/order_saga.py |",
        "Changed for one more service (choreography): nothing",
        "5.0 % delayed or lost",
        "117,647,059 orders a year",
        "| bare workflow: end to end | 1.12 (1.08 to 1.17) |  |",
        "| naive fan-out: orders per second |  | 2.61 (2.40 to 2.90) |",
        "| one activity: shipping reacted at a third of the maximum throughput | 1.13 (1.05 to 1.22) |  |",
    ):
        assert told in record
    assert "None" not in record


def test_what_was_not_measured_is_said() -> None:
    record = render_record(samples.nothing_measured())

    assert "**Partial result.**" in record
    assert "Audit: not run." in record
    assert "None" not in record.replace("None were named", "")


def test_what_must_not_be_is_said() -> None:
    wrong = Violation(order_id="m-17", style="saga", guarantee=1, what="shipment.created happened twice")
    record = render_record(samples.comparison(audit=AuditReport(checked=400, violations=[wrong])))

    assert "1 violation of the guarantees" in record
    assert "- Order m-17 (saga), guarantee 1: shipment.created happened twice\n" in record


def test_nothing_that_was_recorded_is_taken_for_markup() -> None:
    verdict = samples.verdict().model_copy(update={"headline": EVIL, "flips": [EVIL]})
    record = render_record(
        samples.comparison(scenario=EVIL, command=f"```\n{EVIL}", verdict=verdict, not_comparable=[EVIL])
    )
    html, plain = MARKDOWN.render(record), MARKDOWN.render(render_record(samples.comparison()))

    assert "<script" not in html
    assert 'href="javascript' not in html
    for tag in ("<h1>", "<h2>", "<h3>", "<table>", "<code>"):
        assert html.count(tag) == plain.count(tag), tag


@given(COMPARISONS)
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_whatever_was_measured_the_record_is_whole(comparison: Comparison) -> None:
    assert render_record(comparison).endswith("- Decided by, on:\n")
