"""The page: complete in itself, legible, and right whatever was measured."""

import re
from html.parser import HTMLParser
from itertools import pairwise

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lab.audit import Act, AuditReport, Violation
from lab.compare.comparison import Comparison
from lab.compare.page import render_html
from lab.compare.page.time_axis import time_axis
from lab.parity import Difference, Parity
from tests.lab.compare import samples
from tests.lab.compare.generated import COMPARISONS

VOID = {"meta", "link", "br", "hr", "img", "input"}


class Document(HTMLParser):
    """A page that was taken apart; elements have to be closed in the right sequence."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._texts: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open[-1:] != ["style"]:
            self._texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self._texts).split())

    def plots(self) -> list[str | None]:
        return [attributes["data-plot"] for tag, attributes in self.tags if tag == "svg" and "data-plot" in attributes]


def test_all_that_was_measured_is_drawn_once() -> None:
    page = Document(render_html(samples.comparison()))

    assert sorted(page.plots(), key=str) == sorted(samples.PLOTS)
    assert "None" not in page.text
    assert page.text.count("not measured") == 1  # what samples leaves out: consistent_ms of the choreography
    assert "Not measured" not in page.text


def test_the_verdict_comes_first_and_then_what_would_flip_it() -> None:
    text = Document(render_html(samples.comparison())).text
    parts = ["The saga does better", "ISO/IEC 25010", "Same business state in both styles", "What would flip it", "p99"]

    assert [part for part in parts if part in text] == parts
    assert sorted(parts, key=text.index) == parts


def test_what_was_not_measured_is_said_and_breaks_nothing() -> None:
    page = Document(render_html(samples.nothing_measured()))

    assert page.plots() == []
    assert "None" not in page.text
    for told in ("--rate R measures it", "--faults measures it", "The run was not audited", "No reference was run"):
        assert told in page.text


def test_a_partial_result_says_so_before_its_verdict() -> None:
    text = Document(render_html(samples.comparison(partial=True))).text

    assert text.index("Partial result") < text.index("Verdict The saga")
    assert "Partial result" not in Document(render_html(samples.comparison())).text


def test_what_must_not_be_is_told_before_the_verdict() -> None:
    wrong = Violation(order_id="m-17", style="saga", guarantee=1, what="shipment.created happened twice")
    differs = Difference(order_id="m-18", service="shipping", saga={"shipment.created": {"lines": 3}}, choreography={})
    text = Document(
        render_html(
            samples.comparison(
                audit=AuditReport(checked=400, violations=[wrong]),
                parity=Parity(compared=200, differences=[differs]),
                unfinished=["saga/m-19"],
            )
        )
    ).text

    verdict = text.index("Verdict The saga")
    for told in ("m-17", "happened twice", "m-18", "shipment.created (lines 3)", "saga/m-19"):
        assert text.index(told) < verdict
    assert "no guarantee was broken" not in text


def test_what_persons_told_in_place_of_services_is_told_with_the_audit() -> None:
    acts = [Act(order_id=f"m-{number}", what="shipment.failed (f1 of /erp)", by="Ann") for number in range(120)]
    some, many = (
        Document(render_html(samples.comparison(audit=AuditReport(checked=2, violations=[], acts=acts[:count])))).text
        for count in (1, 120)
    )

    assert "Told by hand, in place of a service: m-0: shipment.failed (f1 of /erp), by Ann." in some
    assert "m-49: shipment.failed (f1 of /erp), by Ann; and 70 more" in many
    assert "Told by hand" not in Document(render_html(samples.comparison())).text


def test_nothing_that_was_recorded_is_taken_for_markup() -> None:
    page = Document(render_html(samples.evil()))

    assert "script" not in {tag for tag, _ in page.tags}
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    assert not any("javascript" in (attributes.get("href") or "") for _, attributes in page.tags)
    assert samples.EVIL in page.text


@given(COMPARISONS)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_whatever_was_measured_the_page_is_whole(comparison: Comparison) -> None:
    html = render_html(comparison)

    Document(html)
    assert not re.search(r' (d|x|y)="[^"]*(nan|inf)', html)


@given(st.lists(st.floats(0, 1e7), min_size=1, max_size=30))
@example([1.0, 5e-324])
def test_a_later_moment_is_never_drawn_before_an_earlier_one(times_ms: list[float]) -> None:
    axis = time_axis(times_ms)
    places = [axis.scale.unit(time) for time in sorted(times_ms)]

    assert all(before <= after + 1e-9 for before, after in pairwise(places))
    assert places[0] >= 0
    assert places[-1] <= 1 + 1e-9


def test_a_long_wait_is_shortened_and_what_surrounds_it_can_be_told_apart() -> None:
    axis = time_axis([0, 5, 20, 10_000, 10_010])

    assert axis.waits == [(20, 10_000)]
    assert axis.scale.unit(20) - axis.scale.unit(5) > 0.3
    assert time_axis([0, 5, 20, 30, 40]).waits == []
