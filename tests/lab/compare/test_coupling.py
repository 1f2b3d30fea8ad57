"""The analysis, on a small project whose figures are known by hand, on this one, and on orders that are stuck."""

import asyncio
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from temporalio.client import WorkflowExecutionDescription

from events.catalogue import CATALOGUE
from events.parked import MEMO, ParkedDelivery
from lab.compare.comparison import Coupling, Module
from lab.compare.coupling import LOOKUPS_NOTE, coupling, coupling_of
from lab.runs import workflow_id
from orders.model import STYLES, Order, Style
from runtime.settings import PROJECT
from services.order_placed import SERVICES
from tests.labs import Lab, Labs, failing

ROOTS = {
    "saga": [("workflows.order", "OrderWorkflow")],
    "choreography": [("workflows.bus", "Bus"), ("services.scenario", "registry")],
}

BASE = """
class Service:
    def __init__(self, name, failure_event=None): ...
    def handles(self, handler, pattern, failure_event=None): ...

class Step: ...
"""

BUS = '''
class Bus:
    """Knows nobody."""
'''

REPORTING = """
class Reporter:
    def tell(self, event, **facts): ...

def order_of(event): ...
"""

DECLARATION = """
from events.catalogue import CANCELLING
from services.service import Service, Step

{CONSTANT} = Service("{name}"{failure})
DO = Step({CONSTANT}, "{name}.do")
ON_PLACED = "{name}.on_placed"

def subscriptions():
    return [{CONSTANT}.handles(ON_PLACED, {{"type": ["order.placed", *CANCELLING]}})]
"""

ACTIVITIES = """
from temporalio import activity
from activities.reporting import Reporter, order_of
from services.{name} import DO, ON_PLACED
from services.service import Step
from stores import {name}

class Activities:
    def __init__(self, reporter: Reporter):
        self.reporter = reporter

    @activity.defn(name=DO.activity)
    def do(self, order):
        return {name}.insert(order)

    @activity.defn(name=ON_PLACED)
    def on_placed(self, event):
        return self.reporter.tell(event, {name}__done=self.do(order_of(event)))
"""


def imports(names: Sequence[str], package: str, wanted: str) -> str:
    return "".join(f"from {package}.{name} import {wanted} as {name}_{wanted.lower()}\n" for name in names)


def used(names: Sequence[str], wanted: str) -> str:
    return ", ".join(f"{name}_{wanted.lower()}" for name in names)


def write_project(top: Path, names: Sequence[str]) -> Path:
    """A shop with these services; the first is critical."""
    facts = ", ".join(f'"{name}.done": Fact' for name in names)
    files = {
        "events/catalogue.py": f'FAILURES = ("{names[0]}.failed",)\nCANCELLING = (*FAILURES, "order.cancelled")\n'
        f'CATALOGUE = {{"order.placed": Fact, "order.cancelled": Fact, "{names[0]}.failed": Fact, {facts}}}\n',
        "services/service.py": BASE,
        "activities/reporting.py": REPORTING,
        "services/scenario.py": imports(names, "services", "subscriptions")
        + f"def registry():\n    return [{used(names, 'subscriptions')}]\n",
        "workflows/bus.py": BUS,
        "workflows/order.py": imports(names, "services", "DO")
        + f"class OrderWorkflow:\n    def run(self, order):\n        return [{used(names, 'DO')}]\n",
        "hosting/composition.py": imports(names, "activities", "Activities")
        + f"HOSTED = [{used(names, 'Activities')}]\n",
        "runtime/settings.py": "class Settings:\n" + "".join(f"    {name}_db_url: str\n" for name in names),
        "runtime/greeting.py": f'GREETING = "hello {names[0]}"\n',
        "lab/audit.py": f"EXPECTED = {list(names)!r}\n",
    }
    for name in names:
        failure = f', failure_event="{name}.failed"' if name == names[0] else ""
        files[f"services/{name}.py"] = DECLARATION.format(name=name, CONSTANT=name.upper(), failure=failure)
        files[f"activities/{name}.py"] = ACTIVITIES.format(name=name)
        files[f"stores/{name}.py"] = "def insert(order): ...\n"
    for path, text in files.items():
        file = top / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.with_name("__init__.py").touch()
        file.write_text(text, encoding="utf-8")
    return top


def analysed(project: Path) -> Coupling:
    return coupling_of(project, {style: ROOTS[style] for style in STYLES})


def figures(found: Coupling, style: Style) -> dict[str, tuple[int, int]]:
    """Module to Ce and Ca."""
    return {m.module: (m.efferent, m.afferent) for m in found.modules if m.style == style}


def module(found: Coupling, style: Style, path: str) -> Module:
    return next(m for m in found.modules if (m.style, m.module) == (style, path))


def test_a_small_project_has_the_figures_that_are_known_by_hand(tmp_path: Path) -> None:
    found = analysed(write_project(tmp_path, ["depot", "till"]))

    assert figures(found, "saga") == {
        "activities/depot.py": (1, 0),  # its declaration
        "activities/till.py": (1, 0),
        "services/depot.py": (0, 2),  # known to the workflow and to the activities
        "services/till.py": (0, 2),
        "workflows/order.py": (2, 0),
    }
    assert figures(found, "choreography") == {
        "activities/depot.py": (2, 0),  # its declaration, and how facts are told
        "activities/reporting.py": (0, 2),
        "activities/till.py": (2, 0),
        "services/depot.py": (0, 3),  # known to the registry, to the activities, and to the till, which hears of it
        "services/scenario.py": (2, 0),
        "services/till.py": (1, 2),
        "workflows/bus.py": (0, 0),
    }
    assert module(found, "choreography", "services/till.py").instability == pytest.approx(1 / 3)
    assert module(found, "choreography", "workflows/bus.py").instability is None
    assert module(found, "saga", "workflows/order.py").services == ["depot", "till"]


def test_hearing_what_another_tells_is_a_dependency_though_nothing_is_imported(tmp_path: Path) -> None:
    till = write_project(tmp_path, ["depot", "till"]) / "services" / "till.py"
    text = till.read_text(encoding="utf-8")
    till.write_text(text.replace(", *CANCELLING", ""), encoding="utf-8")
    deaf = analysed(tmp_path)
    till.write_text(text.replace("*CANCELLING", '"depot.done"'), encoding="utf-8")
    listening = analysed(tmp_path)

    assert figures(deaf, "choreography")["services/till.py"] == (0, 2)
    assert figures(listening, "choreography")["services/till.py"] == (1, 2)
    assert figures(listening, "choreography")["activities/depot.py"] == (2, 1)  # whose handler tells of it


def test_a_file_that_serves_both_styles_answers_in_each_for_what_that_style_needs(tmp_path: Path) -> None:
    found = analysed(write_project(tmp_path, ["depot", "till"]))

    told = "till.done"
    assert module(found, "choreography", "activities/till.py").events == [told]
    assert module(found, "saga", "activities/till.py").events == []  # the handler that tells it is not the saga's
    assert module(found, "saga", "services/till.py").events == []
    assert module(found, "choreography", "services/till.py").events == [
        "depot.failed",
        "order.cancelled",
        "order.placed",
    ]


def test_a_base_module_that_both_styles_need_is_counted_in_neither(tmp_path: Path) -> None:
    found = analysed(write_project(tmp_path, ["depot", "till"]))

    assert "services/service.py" not in {m.module for m in found.modules}


def test_one_more_service_is_one_more_dependency_where_all_are_named_and_none_elsewhere(tmp_path: Path) -> None:
    before = analysed(write_project(tmp_path / "two", ["depot", "till"]))
    after = analysed(write_project(tmp_path / "three", ["depot", "till", "loyalty"]))

    assert figures(after, "saga")["workflows/order.py"] == (3, 0)
    assert figures(after, "choreography")["services/scenario.py"] == (3, 0)
    assert figures(after, "choreography")["services/depot.py"] == (0, 4)  # one more that hears of its failure
    for style in STYLES:
        assert figures(after, style)["activities/till.py"] == figures(before, style)["activities/till.py"]
        assert after.touched_by_a_new_service[style] == before.touched_by_a_new_service[style]


def test_the_files_that_a_new_service_changes_are_those_that_name_every_service(tmp_path: Path) -> None:
    project = write_project(tmp_path, ["depot", "till"])
    common = ["events/catalogue.py", "hosting/composition.py", "runtime/settings.py"]

    touched = analysed(project).touched_by_a_new_service
    (project / "runtime" / "settings.py").write_text("class Settings:\n    depot_db_url: str\n", encoding="utf-8")
    fewer = analysed(project).touched_by_a_new_service

    assert touched == {
        "saga": [*common, "workflows/order.py"],
        "choreography": [*common, "services/scenario.py"],
    }
    assert fewer["saga"] == ["events/catalogue.py", "hosting/composition.py", "workflows/order.py"]


def test_the_guide_for_a_new_service_names_the_files_that_are_computed() -> None:
    guide = (PROJECT / "docs" / "add-your-own-service.md").read_text(encoding="utf-8")
    both, saga = guide.split("For the saga there are two more places")

    def existing(text: str) -> set[str]:
        return {path for path in re.findall(r"`([\w/]+\.py)`", text) if (PROJECT / path).exists()}

    touched = {style: set(files) for style, files in coupling().touched_by_a_new_service.items()}
    assert touched["choreography"] == existing(both)
    assert touched["saga"] == existing(both) | existing(saga)


def test_the_saga_names_every_service_and_the_bus_none() -> None:
    found = coupling()

    assert module(found, "saga", "workflows/order_saga.py").services == sorted(service.name for service in SERVICES)
    bus = module(found, "choreography", "workflows/event_bus.py")
    assert (bus.services, bus.events, bus.efferent) == ([], [], 0)
    for service in SERVICES:
        heard = module(found, "choreography", f"services/{service.name}.py")
        assert {"order.placed", "shipment.failed", "invoice.failed", "order.cancelled"} <= set(heard.events)
        assert heard.services == []


def test_no_workflow_of_a_style_is_forgotten() -> None:
    workflows = {file.relative_to(PROJECT).as_posix() for file in (PROJECT / "workflows").glob("*.py")}
    counted = {m.module for m in coupling().modules}

    assert workflows - counted == {
        "workflows/__init__.py",
        "workflows/failures.py",  # both need it
        "workflows/references.py",  # what both are held against
        "workflows/uninterrupted.py",  # both need it
    }


def test_every_dependency_has_two_ends_and_every_event_is_in_the_catalogue() -> None:
    found = coupling()

    for style in STYLES:
        ends = figures(found, style).values()
        assert sum(efferent for efferent, _ in ends) == sum(afferent for _, afferent in ends) > 0
    assert {event for m in found.modules for event in m.events} <= set(CATALOGUE)


async def page_of(lab: Lab, style: Style, order: Order) -> WorkflowExecutionDescription:
    """What the only look-up shows."""
    (look_up,) = coupling().lookups_to_explain_a_stuck_order[style]
    workflow = workflow_id(style, order.order_id)
    assert workflow.replace(order.order_id, "ORDER") in look_up
    return await lab.client.get_workflow_handle(workflow).describe()


@pytest.mark.parametrize("style", STYLES)
async def test_the_look_up_names_the_service_that_an_order_waits_for(labs: Labs, order: Order, style: Style) -> None:
    async with labs(absent=["analytics"]) as lab:
        await lab.placer.place(order, style)
        page = await page_of(lab, style, order)
        async with asyncio.timeout(30):
            while len(page.raw_description.pending_activities) != 1:  # the others are at work at first
                await asyncio.sleep(0.05)
                page = await page_of(lab, style, order)

        (work,) = page.raw_description.pending_activities
        assert work.activity_type.name.startswith("analytics.")
        assert not work.HasField("last_started_time")  # so it is its workers that are missing


@pytest.mark.parametrize(
    ("style", "activity_type"), [("saga", "analytics.record_sale"), ("choreography", "analytics.on_order_placed")]
)
async def test_the_look_up_names_what_was_given_up_and_why(
    labs: Labs, order: Order, style: Style, activity_type: str
) -> None:
    async with labs(fakes=[failing(activity_type)]) as lab:
        await lab.run(order, style)
        page = await page_of(lab, style, order)
        (parked,) = await page.memo_value(MEMO, type_hint=list[ParkedDelivery])

    assert parked.work == activity_type
    assert "broken for the test" in parked.reason


def test_the_note_says_what_a_plain_broker_would_take() -> None:
    assert "one look-up per service" in LOOKUPS_NOTE
    assert LOOKUPS_NOTE.endswith(".")
