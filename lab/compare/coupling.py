"""How much the parts of each style know of one another, read from the code.

The metric: Robert C. Martin, "OO Design Quality Metrics: An Analysis of Dependencies" (1994). Ce of a module is the
number of modules that it depends on, Ca of those that depend on it, and I = Ce / (Ce + Ca) its instability. Martin
counts packages of classes; here a module is a file.

**What belongs to a style** is what it needs to run an order: all that can be reached in `workflows/`, `services/` and
`activities/` from the workflows that its worker hosts (`hosting/composition.py`), and, in the choreography, from the
registry of subscriptions, as a broker without subscribers runs nothing. One file of a service serves both styles; it
counts in each with those of its definitions which that style needs, so that neither answers for what is the other's.

**What is left out**, of both: base modules that both need and that belong to no service (`services/service.py`,
`workflows/failures.py`, `workflows/uninterrupted.py`); the packages below, which are common ground (`events/`,
`orders/`, `runtime/`) or a service's own (`stores/`); the composition root, which builds all services for both; who
places an order or asks how it stands, as that is one client for both; and what only measures or judges them (`lab/`,
`workflows/references.py`).

**What is a dependency**, by one rule in both styles: a definition of the module refers to one of another module, or the
module hears an event that another tells. The second is coupling just as well: who renames the event breaks the
subscriber. Imports alone would flatter the choreography, whose services import nothing of one another, while a saga has
to import what it calls. The failure event of a critical service is told by the module that declares it. A saga hears no
event, so there the second rule finds nothing.

**What a module names**: services other than its own, by import or by text (`"shipping"`, `"shipping.cancel_shipment"`);
event types of the catalogue, as text, as keyword of `Reporter.tell`, or by a constant (`CANCELLING`). An effect is
called like the event that tells of it; naming it counts, in both styles.
"""

import ast
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hosting.composition import WORKFLOWS_OF
from lab.compare.anatomy import Code, Symbol
from lab.compare.comparison import Coupling, Module
from lab.runs import workflow_id
from orders.model import STYLES, Style
from runtime.settings import PROJECT
from services.order_placed import registry

PARTS = ("workflows", "services", "activities")
"""Packages that hold what one style has and the other has not."""

JUDGES = ("lab", "tests")
"""Packages that run no order: they measure and judge."""

LOOKUPS_NOTE = (
    "A stuck order takes one look-up in either style because our bus keeps one log per order; in a choreography over a "
    "plain broker each service knows its own part only, and it would take one look-up per service."
)

_CATALOGUE = ("events.catalogue", "CATALOGUE")

_NAME = re.compile(r"[a-z_]+(\.[a-z_]+)?")
"""A service, or something of its: `shipping`, `shipping.on_order_placed`."""


@dataclass
class Knowledge:
    """What the definitions of one module know that one style needs."""

    module: str
    own: str | None
    """The service that it belongs to."""
    modules: set[str] = field(default_factory=set)
    """Those that it refers to."""
    services: set[str] = field(default_factory=set)
    """Those that it names, its own among them."""
    events: set[str] = field(default_factory=set)
    """Those that it names."""
    heard: set[str] = field(default_factory=set)
    """Events that it subscribes to."""
    told: set[str] = field(default_factory=set)
    """Events that it tells, or that the bus tells on its behalf."""

    def depends_on(self, other: "Knowledge") -> bool:
        """Whether it refers to another module, or hears of it."""
        return self.module != other.module and (other.module in self.modules or bool(self.heard & other.told))


def coupling() -> Coupling:
    """Both styles of this project, as their code is now."""
    hosted = {name: [(one.__module__, one.__qualname__) for one in types] for name, types in WORKFLOWS_OF.items()}
    subscriptions = (registry.__module__, registry.__qualname__)
    return coupling_of(PROJECT, {"saga": hosted["saga"], "choreography": [*hosted["bus"], subscriptions]})


def coupling_of(project: Path, roots: Mapping[Style, Sequence[Symbol]]) -> Coupling:
    """The two styles of a project that is laid out like this one.

    Args:
        project: its top directory.
        roots: style to the definitions that it starts from.
    """
    survey = _Survey(Code(project, without=JUDGES), roots)
    return Coupling(
        modules=[module for style in STYLES for module in survey.modules(style)],
        touched_by_a_new_service={style: survey.touched(style) for style in STYLES},
        lookups_to_explain_a_stuck_order={style: [_page_of(workflow_id(style, "ORDER"))] for style in STYLES},
    )


def _page_of(workflow: str) -> str:
    """The look-up: the state of an order is kept in one workflow in either style, under an id made from the order's."""
    return f"page of workflow {workflow} in Temporal's UI (what is pending, why it failed, what is parked)"


class _Survey:
    """What is asked of the code."""

    def __init__(self, code: Code, roots: Mapping[Style, Sequence[Symbol]]) -> None:
        self._code = code
        self._catalogue = code.keys(_CATALOGUE)
        self._services = {name.rpartition(".")[2] for name in code.sources if self._declares_a_service(name)}
        self._facts = {service: self._facts_of(service) for service in self._services}
        self._needed = {style: code.needed_by(roots[style], PARTS) for style in STYLES}

    def modules(self, style: Style) -> list[Module]:
        """The modules of a style, by path: what each knows, and how many know it."""
        known: dict[str, Knowledge] = {}
        for symbol in sorted(self._needed[style]):
            if self._counts(symbol[0]):
                self._learn(known.setdefault(symbol[0], Knowledge(symbol[0], self._owner(symbol[0]))), symbol)
        return [self._module(style, one, known.values()) for one in known.values()]

    def touched(self, style: Style) -> list[str]:
        """Files, other than the services' own, that name every service: one more would have to be named there, too.

        What only the other style needs does not count. Naming a fact of a service, or calling something by its name, is
        naming the service here.
        """
        (other,) = (one for one in STYLES if one != style)
        foreign = self._needed[other] - self._needed[style]
        run = {module for needed in self._needed.values() for module, _ in needed}
        found = []
        for module, source in self._code.sources.items():
            if self._owner(module) or (module.partition(".")[0] in PARTS and module not in run):
                continue
            symbols = [(module, name) for name in source.definitions if (module, name) not in foreign]
            named = set[str]().union(*(self._named(one) | self._hinted_at(one) for one in symbols))
            if named == self._services:
                found.append(source.path)
        return found

    def _learn(self, knowledge: Knowledge, symbol: Symbol) -> None:
        told = self._told(symbol)
        named = self._catalogue & self._code.strings(symbol) | told
        knowledge.modules |= {module for module, _ in self._code.references(symbol)}
        knowledge.services |= self._named(symbol)
        knowledge.events |= named
        knowledge.told |= told
        if any(called == "handles" for called, _ in self._code.calls(symbol)):
            knowledge.heard |= named - told

    def _module(self, style: Style, knowledge: Knowledge, others: Iterable[Knowledge]) -> Module:
        efferent = sum(knowledge.depends_on(other) for other in others)
        afferent = sum(other.depends_on(knowledge) for other in others)
        return Module(
            style=style,
            module=self._code.sources[knowledge.module].path,
            services=sorted(knowledge.services - {knowledge.own}),
            events=sorted(knowledge.events),
            efferent=efferent,
            afferent=afferent,
            instability=efferent / (efferent + afferent) if efferent + afferent else None,
        )

    def _counts(self, module: str) -> bool:
        """Whether a module is no base module, which both styles need and no service owns."""
        needing = [style for style in STYLES if any(module == one for one, _ in self._needed[style])]
        return len(needing) == 1 or self._owner(module) is not None

    def _owner(self, module: str) -> str | None:
        """The service whose own module it is, by its name: `stores.shipping`."""
        name = module.rpartition(".")[2]
        return name if name in self._services else None

    def _declares_a_service(self, module: str) -> bool:
        """Whether a module of `services/` declares the service that it is called by."""
        package, _, name = module.rpartition(".")
        return package == "services" and any(
            called == "Service" and call.args and _text_of(call.args[0]) == name
            for definition in self._code.sources[module].definitions
            for called, call in self._code.calls((module, definition))
        )

    def _named(self, symbol: Symbol) -> set[str]:
        """The services that a definition names, by import or by text."""
        words = {text.partition(".")[0] for text in self._code.strings(symbol) if _NAME.fullmatch(text)}
        referred = {self._owner(module) for module, _ in self._code.references(symbol)}
        return self._services & (words | referred)

    def _hinted_at(self, symbol: Symbol) -> set[str]:
        """The services of which a definition names a fact, or by whose name it calls anything (`shipping_db_url`)."""
        words = {word for name in self._code.identifiers(symbol) for word in name.split("_")}
        texts = self._code.strings(symbol)
        return self._services & words | {service for service, facts in self._facts.items() if facts & texts}

    def _told(self, symbol: Symbol) -> set[str]:
        """Facts that a definition tells: keywords of `tell`, where `__` stands for the dot, and `failure_event`."""
        told = set[str]()
        for called, call in self._code.calls(symbol):
            for keyword in call.keywords:
                if called == "tell" and keyword.arg is not None:
                    told.add(keyword.arg.replace("__", "."))
                elif keyword.arg == "failure_event":
                    told.add(_text_of(keyword.value))
        return told & self._catalogue

    def _facts_of(self, service: str) -> set[str]:
        """All that a service tells."""
        own = [module for module in self._code.sources if self._owner(module) == service]
        return set[str]().union(
            *(self._told((one, name)) for one in own for name in self._code.sources[one].definitions)
        )


def _text_of(node: ast.expr) -> str:
    """The text that is written there; nothing where it is no text."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
