"""The comparison as a proposed decision record, for a team's own repository (after MADR, https://adr.github.io/madr)."""

import re
from collections.abc import Iterator
from datetime import UTC

from jinja2 import Environment, PackageLoader, StrictUndefined

from lab import ratio_words
from lab.compare import answers
from lab.compare.comparison import Comparison
from lab.compare.page import bars, tables, words
from lab.report import ENOUGH_PAIRS, Percentiles
from orders.model import STYLES, Style

_OPTIONS: dict[Style, str] = {
    "saga": "one workflow tells each service what to do, and undoes what was done when a step fails",
    "choreography": "each service reacts to events, and undoes its own work when it hears of a failure",
}

_MOST_LISTED = 20
"""Of each kind of what went wrong; `--json` gives all."""


class _Code(str):
    """A block of code, which is not escaped."""

    __slots__ = ()


def render_record(comparison: Comparison) -> str:
    """A decision record in Markdown with the run's evidence; the decision itself is left to the team.

    Args:
        comparison: what was run; what it did not measure is left out, or said not to be measured.
    """
    started = comparison.started.astimezone(UTC)
    text = _ENVIRONMENT.get_template("record.md.j2").render(
        c=comparison,
        date=started.strftime("%Y-%m-%d"),
        started=started.strftime("%Y-%m-%d %H:%M UTC"),
        command=_code(comparison.command),
        options=_OPTIONS,
        figures=[*_figures(comparison)],
        against=tables.against(comparison),
        ends=tables.ends(comparison, bars.states_of(comparison)),
        wrongs=[*_wrongs(comparison)],
        enough=ENOUGH_PAIRS,
        rule=answers.RULE,
        methods=answers.METHODS,
    )
    return re.sub(r"\n{3,}", "\n\n", text)


def _figures(comparison: Comparison) -> Iterator[tuple[str, str, str, str, str]]:
    """Each figure that was measured: its name, in the saga, in the choreography, the ratio, and of how many pairs."""
    for group in tables.times(comparison):
        if group.is_measured:
            saga, choreography = (_times(row.times) for row in group.rows)
            yield group.name, saga, choreography, _ratio(group), ratio_words.pairs(group.ratio)
    for row in tables.counts(comparison):
        saga, choreography = (row.values[style] for style in STYLES)
        if row.difference is not None:
            told = f"{words.difference(row.difference)}, difference"
            yield row.name, saga, choreography, told, words.pairs_of(row.difference)
        else:
            yield row.name, saga, choreography, _ratio(row), ratio_words.pairs(row.ratio)


def _ratio(row: tables.TimesGroup | tables.CountsRow) -> str:
    if row.ratio is None:
        return "too few pairs" if row.lacks_pairs else ""
    if not row.ratio.has_interval:
        return f"{ratio_words.interval(row.ratio)}, too few pairs"
    says = words.verdict_of(row.ratio_name, row.ratio)
    return f"{ratio_words.interval(row.ratio)}{f', {says}' if says else ''}"


def _times(times: Percentiles | None) -> str:
    if times is None:
        return words.NOT_MEASURED
    return f"{' / '.join(words.tenths(ms) for ms in (times.p50, times.p95, times.p99))} ({times.n:,})"


def _wrongs(comparison: Comparison) -> Iterator[str]:
    """What must not be, each in one sentence."""
    violations = comparison.audit.violations if comparison.audit else []
    for violation in violations[:_MOST_LISTED]:
        where = f"{violation.order_id} ({violation.style or 'both'})"
        yield f"Order {where}, guarantee {violation.guarantee}: {violation.what}"
    for difference in comparison.parity.differences[:_MOST_LISTED]:
        yield f"Order {difference.order_id} stands differently in {difference.service}"
    for workflow in comparison.unfinished[:_MOST_LISTED]:
        yield f"Did not end: {workflow}"


def _code(text: str) -> _Code:
    """A block of code, fenced by more backticks than the text has in a row."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return _Code(f"{fence}\n{text}\n{fence}")


def _plain(value: object) -> str:
    """A value in one line, in which nothing is markup."""
    if isinstance(value, _Code):
        return value
    return re.sub(r"([\\`*<\[\]|])", r"\\\1", re.sub(r"\s+", " ", str(value)))


_ENVIRONMENT = Environment(
    loader=PackageLoader("lab.compare.page"),
    autoescape=False,  # noqa: S701 - it is no HTML; `finalize` escapes what Markdown would take for markup
    finalize=_plain,
    undefined=StrictUndefined,
    keep_trailing_newline=True,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.filters |= {"number": words.number, "with_reservation": words.with_reservation, "usd": words.dollars}
_ENVIRONMENT.filters |= {"pairs": ratio_words.pairs, "faults": words.faults}
