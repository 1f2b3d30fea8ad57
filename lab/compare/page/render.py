"""Puts the page together."""

from collections.abc import Mapping
from datetime import UTC

from jinja2 import Environment, PackageLoader, StrictUndefined

from lab import ratio_words
from lab.compare import answers
from lab.compare.comparison import Comparison
from lab.compare.page import bars, curves, drawing, intervals, stories, tables, words
from lab.parity import NetState
from lab.report import ENOUGH_PAIRS
from orders.model import STYLES

_MOST_LISTED = 50
"""Violations or differences on the page; `--json` gives them all."""


def render_html(comparison: Comparison) -> str:
    """The comparison as one HTML file that needs nothing else: no script, no font, no network.

    Args:
        comparison: what was run; what it did not measure is left out, or said not to be measured.
    """
    groups = tables.times(comparison)
    states = bars.states_of(comparison)
    return _ENVIRONMENT.get_template("page.html.j2").render(
        c=comparison,
        styles=STYLES,
        most_listed=_MOST_LISTED,
        started=comparison.started.astimezone(UTC).strftime("%-d %B %Y, %H:%M UTC"),
        times=[group for group in groups if group.is_measured],
        unmeasured=[group.name for group in groups if not group.is_measured],
        counts=tables.counts(comparison),
        references=tables.references(comparison),
        at_a_third=tables.at_a_third(comparison),
        against=tables.against(comparison),
        ratios=intervals.ratio_plot(comparison.ratios),
        reactions=curves.reaction_plots(
            comparison.samples_ms, {style: report.reaction_ms for style, report in comparison.styles.items()}
        ),
        enough=ENOUGH_PAIRS,
        rule=answers.RULE,
        methods=answers.METHODS,
        load=curves.load_plot(comparison.load or {}),
        ends=bars.ends_plot(comparison),
        states=tables.ends(comparison, states),
        retries=bars.retries_plot(comparison),
        cost=bars.cost_plot(comparison),
        pairs=stories.pairs(comparison.timelines, comparison.styles["saga"].reaction_ms),
        faults=_faults(comparison),
        modules={style: [one for one in comparison.coupling.modules if one.style == style] for style in STYLES},
    )


def _faults(comparison: Comparison) -> list[tuple[str, str, str]]:
    """What the plan does: service, effect, and the settings that are not the default."""
    plan = comparison.faults
    if plan is None:
        return []
    rows = [
        (service, effect, _settings(faults.model_dump(exclude_defaults=True)))
        for service, effects in plan.services.items()
        for effect, faults in effects.items()
    ]
    if plan.customers is not None:
        rows.append(("customers", "cancel", _settings(plan.customers.model_dump())))
    return rows


def _settings(values: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {_setting(value)}" for name, value in values.items())


def _setting(value: object) -> str:
    if isinstance(value, dict):
        return _settings(value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _net_state(state: NetState) -> str:
    """What is left of an order in a service, in one line."""
    return "; ".join(f"{effect} ({_settings(dict(says))})" for effect, says in state.items()) or "nothing"


def _is_web(address: str | None) -> bool:
    """Whether it may be linked: no other scheme is of use here, and some of them run code."""
    return address is not None and address.startswith(("http://", "https://"))


_ENVIRONMENT = Environment(
    loader=PackageLoader("lab.compare.page"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.globals |= {"symbol": drawing.symbol, "symbol_of": stories.SYMBOLS, "shape_of": curves.SHAPES}
_ENVIRONMENT.filters |= {
    "number": words.number,
    "tenths": words.tenths,
    "interval": ratio_words.interval,
    "reservation": words.reservation,
    "pairs": ratio_words.pairs,
    "difference": words.difference,
    "pairs_of": words.pairs_of,
    "faults": words.faults,
    "verdict_of": words.verdict_of,
    "state_class": bars.css_of,
    "state": _net_state,
}
_ENVIRONMENT.tests["web"] = _is_web
