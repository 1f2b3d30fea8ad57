"""How each figure of a result has to be written: worked out from its JSON, by no code of the page or the record.

The derivations are all here. What is shown is a value of the JSON, rounded; or a share as percents; or the difference
of the two styles; or a count of what is listed.
"""

import math
from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]

STYLES = ("saga", "choreography")
ENOUGH = 6
MATTERS = 0.05
USD_OF_A_MILLION_ACTIONS = 50
Z_95 = 1.959963984540054
MEASURES = {
    "ack_ms": "acknowledged",
    "end_to_end_ms": "end to end",
    "orders_per_s": "orders per second",
    "cancellation_answered_ms": "cancellation answered",
}
REFERENCES = {
    "bare_workflow": "bare workflow",
    "naive_fanout": "naive fan-out",
    "one_activity": "one activity",
    "fresh": "itself in a fresh lab",
    "untuned": "itself on default server settings",
}
COUNTS = {
    "orders per second": "orders_per_s",
    "workflows per order": "workflows_per_order",
    "history events per order": "history_events_per_order",
    "Actions per order": "actions_per_order",
    "retries": "retries",
    "orders parked": "parked",
    "cancellations asked for": "cancellations.asked",
    "cancellations accepted": "cancellations.accepted",
    "cancellations refused": "cancellations.refused",
}


def number(value: float | None) -> str:
    if value is None:
        return "not measured"
    return f"{value:,.0f}" if value == int(value) or value >= 100 else f"{value:,.2f}"


def dollars(value: float | None) -> str:
    if value is None:
        return "not measured"
    return f"{value:,.0f} USD" if value >= 100 or value == int(value) else f"{value:,.2f} USD"


def duration(ms: float) -> str:
    if ms >= 10_000:
        return f"{ms / 1_000:,.1f} s"
    return f"{ms:,.0f} ms" if ms >= 100 else f"{ms:,.3g} ms"


def times(percentiles: Json | None) -> list[str]:
    """The five figures of a distribution."""
    if percentiles is None:
        return ["not measured"]
    return [*(f"{percentiles[name]:,.1f}" for name in ("p50", "p95", "p99", "max")), number(percentiles["n"])]


def rounded(value: float) -> str:
    """A part of a ratio: never 1.00 where it is not 1."""
    return f"{value:.3f}" if f"{value:.2f}" == "1.00" and value != 1 else f"{value:.2f}"


def ratio(found: Json) -> str:
    if found["pairs"] < ENOUGH:
        return rounded(found["median"])
    return f"{rounded(found['median'])} ({rounded(found['low'])} to {rounded(found['high'])})"


def says(name: str, found: Json) -> str:
    """What a ratio says: the one rule."""
    if found["pairs"] < ENOUGH:
        return f"too few pairs: {found['pairs']}"
    told = by_the_rule(found["median"] - 1, found["low"] - 1, found["high"] - 1, MATTERS)
    if told:
        return told
    if name not in MEASURES and not name.startswith("reaction_ms."):
        return ""
    more_is_better = name == "orders_per_s"
    return "choreography better" if (found["median"] > 1) is more_is_better else "saga better"


def by_the_rule(value: float, low: float, high: float, matters_from: float) -> str:
    """What an interval says of enough data; nothing where one is better."""
    value, low, high = (round(one, 9) for one in (value, low, high))
    if (low > 0 or high < 0) and abs(value) >= matters_from:
        return ""
    for answer, times_what_matters in (("too small to matter", 1), ("no clear difference", 2)):
        band = times_what_matters * matters_from
        if -band <= low and high <= band:
            return answer
    return "too little data"


def ratio_with_words(name: str, found: Json | None, *, are_measured: bool = False) -> str:
    """As in a cell of the page; where both styles are measured and there is no ratio, there was no pair, or one."""
    if found is None:
        return "too few pairs" if name and are_measured else ""
    told = says(name, found)
    if found["pairs"] < ENOUGH:
        return f"{ratio(found)} {told}"
    return f"{ratio(found)} {told}{'; ' if told else ''}{found['pairs']:,} pairs"


def difference(found: Json) -> tuple[str, str]:
    """A difference with its interval, and of how many pairs it is."""
    shown = [f"{found[name]:+,.2f}" for name in ("mean", "low", "high")]
    told = shown[0] if found["pairs"] < ENOUGH else f"{shown[0]} ({shown[1]} to {shown[2]})"
    return told, f"{found['pairs']:,}" + (f" ({found['left_out']:,} left out)" if found["left_out"] else "")


def measure(name: str) -> str:
    pair, dot, rest = name.partition(".")
    if "/" in pair and dot:
        ours, _, theirs = pair.partition("/")
        return f"{reference(ours)} / {reference(theirs)}, {measure(rest)}"
    if name.startswith("at_a_third."):
        return f"{measure(name.removeprefix('at_a_third.'))} at a third of the maximum throughput"
    if name.startswith("reaction_ms."):
        return f"{name.removeprefix('reaction_ms.')} reacted"
    return MEASURES.get(name, name.replace("_", " "))


def reference(name: str) -> str:
    return REFERENCES.get(name, name.replace("_", " "))


def of(report: Json, path: str) -> Any:  # noqa: ANN401 - a value of the JSON
    found: Any = report
    for name in path.split("."):
        found = None if found is None else found[name]
    return found


def measures(result: Json) -> Iterator[tuple[str, str, dict[str, Json | None]]]:
    """The measures of time that were measured: what it is called, its ratio's name, and each style's distribution."""
    styles = result["styles"]
    services = dict.fromkeys(name for report in styles.values() for name in report["reaction_ms"])
    wishes = {style: styles[style]["cancellations"] or {} for style in STYLES}
    found: list[tuple[str, str, dict[str, Json | None]]] = [
        ("acknowledged", "ack_ms", {style: styles[style]["ack_ms"] for style in STYLES}),
        *(
            (f"{name} reacted", f"reaction_ms.{name}", {s: styles[s]["reaction_ms"].get(name) for s in STYLES})
            for name in services
        ),
        ("end to end", "end_to_end_ms", {style: styles[style]["end_to_end_ms"] for style in STYLES}),
        ("consistent", "", {style: (result["consistent_ms"] or {}).get(style) for style in STYLES}),
        (
            "cancellation answered",
            "cancellation_answered_ms",
            {style: wishes[style].get("answered_ms") for style in STYLES},
        ),
        ("cancellation consistent", "", {style: wishes[style].get("consistent_ms") for style in STYLES}),
    ]
    return (one for one in found if any(one[2].values()))


def counts(result: Json) -> Iterator[tuple[str, list[str], str]]:
    """The figures that are one number per style, as they are written, and the name of their ratio."""
    for name, path in COUNTS.items():
        values = [of(result["styles"][style], path) for style in STYLES]
        if any(value is not None for value in values):
            yield name, [number(value) for value in values], path if path == "orders_per_s" else ""
    prices = [result["styles"][style]["usd_per_million_orders"] for style in STYLES]
    if any(price is not None for price in prices):
        yield "Actions for a million orders", [dollars(price) for price in prices], ""


def against(result: Json) -> dict[str, dict[str, Json]]:
    """What the styles are divided by, and the measure, to the ratio of each style."""
    rows: dict[str, dict[str, Json]] = {}
    for key, found in result["ratios"].items():
        pair, _, what = key.partition(".")
        ours, divided, theirs = pair.partition("/")
        if divided and ours in STYLES:
            rows.setdefault(f"{reference(theirs)}: {measure(what)}", {})[ours] = found
        elif divided:
            rows.setdefault(measure(key), {})["choreography"] = found
    return rows


def ends(result: Json) -> dict[str, list[str]]:
    """How orders ended, to how many in each style; nothing where none did."""
    if not any(count for style in STYLES for count in result["styles"][style]["end_states"].values()):
        return {}
    found = {state for style in STYLES for state in result["styles"][style]["end_states"]}
    known = [state for state in ("completed", "parked", "cancelled", "attention") if state in found]
    states = [*known, *sorted(found - {*known})]
    return {state: [f"{result['styles'][s]['end_states'].get(state, 0):,}" for s in STYLES] for state in states}


def findings(result: Json) -> dict[str, tuple[str, list[str]]]:
    """Criterion to the answer, and to the figures of its evidence in their sequence."""
    styles, ratios = result["styles"], result["ratios"]
    judged: dict[str, tuple[str, list[str]]] = {}
    by_ratio = {"end-to-end latency": "end_to_end_ms", "throughput": "orders_per_s"}
    by_ratio |= {f"reaction of {name}": f"reaction_ms.{name}" for name in styles["saga"]["reaction_ms"]}
    for criterion, name in by_ratio.items():
        if name in ratios:
            judged[criterion] = (_answer(name, ratios[name]), _evidence(ratios[name]))
        else:
            judged[criterion] = ("too little data", [])
    prices = [styles[style]["usd_per_million_orders"] for style in STYLES]
    judged["cost"] = ("too little data", []) if None in prices else _cost(result, prices)
    judged["blast radius"] = _blast(result) if result["blast"] else ("too little data", [])
    judged["cancellation"] = ("too little data", [])
    wishes = [styles[style]["cancellations"] for style in STYLES]
    if all(wish and wish["answered_ms"] for wish in wishes):
        found = ratios.get("cancellation_answered_ms")
        figures = [duration(wish["answered_ms"]["p50"]).split()[0] for wish in wishes]
        figures += [*(f"{wish['answered_ms']['n']:,}" for wish in wishes), *(_evidence(found) if found else [])]
        figures += [str(count) for wish in wishes for count in (wish["accepted"], wish["asked"])]
        answer = _answer("cancellation_answered_ms", found) if found else "too little data"
        judged["cancellation"] = (answer, figures)
    return judged | _exact(result["coupling"])


def _answer(name: str, found: Json) -> str:
    told = says(name, found)
    return "too little data" if told.startswith("too few") else told.removesuffix(" better")


def _evidence(found: Json) -> list[str]:
    if found["pairs"] < ENOUGH:
        return [rounded(found["median"]), str(found["pairs"])]
    return [*(rounded(found["median"]), "95", rounded(found["low"]), rounded(found["high"])), f"{found['pairs']:,}"]


def _cost(result: Json, prices: list[float]) -> tuple[str, list[str]]:
    told = [dollars(price).removesuffix(" USD") for price in prices]
    actions = result["differences"].get("actions_per_order")
    if actions is None:
        return "too little data", told
    mean, low, high = (round(USD_OF_A_MILLION_ACTIONS * actions[name], 2) for name in ("mean", "low", "high"))
    answer, figures = _by_difference(result, "cost", (mean, low, high), prices[0] * MATTERS, actions["pairs"], told)
    return answer, [*figures, *([f"{actions['left_out']:,}"] if actions["left_out"] else [])]


def _blast(result: Json) -> tuple[str, list[str]]:
    both = [result["blast"][style] for style in STYLES]
    orders = min(one["expected"] if one["orders"] is None else min(one["orders"], one["expected"]) for one in both)
    saga, choreography = (one["share"] for one in both)
    (low_s, high_s), (low_c, high_c) = _wilson(saga, orders), _wilson(choreography, orders)
    difference = choreography - saga
    worked_out = (
        difference,
        difference - math.hypot(choreography - low_c, high_s - saga),
        difference + math.hypot(high_c - choreography, saga - low_s),
    )
    told = [f"{one['share'] * 100:.1f}" for one in both]
    return _by_difference(result, "blast radius", worked_out, MATTERS, orders, told)


def _wilson(share: float, count: int) -> tuple[float, float]:
    """The roots of (p - share)² = z² p (1 - p) / count."""
    if not count:
        return 0, 1
    a, b, c = 1 + Z_95**2 / count, -(2 * share + Z_95**2 / count), share**2
    root = math.sqrt(max(0, b * b - 4 * a * c))
    return (-b - root) / (2 * a), (-b + root) / (2 * a)


def _by_difference(  # noqa: PLR0913, PLR0917 - an interval, and what it takes to matter
    result: Json,
    criterion: str,
    worked_out: tuple[float, float, float],
    matters_from: float,
    orders: int,
    told: list[str],
) -> tuple[str, list[str]]:
    """The answer and the figures by the difference in the JSON, which has to be the one that is worked out here."""
    (finding,) = (one for one in result["verdict"]["findings"] if one["criterion"] == criterion)
    value, low, high = (finding["difference"][name] for name in ("value", "low", "high"))
    for one, other in zip((value, low, high), worked_out, strict=True):
        assert math.isclose(one, other, abs_tol=1e-4, rel_tol=1e-9), (criterion, one, other)
    decimals, factor = (0, 1) if criterion == "cost" else (1, 100)
    figures = [f"{round(one * factor, decimals) + 0.0:+,.{decimals}f}" for one in (value, low, high)]
    if orders < ENOUGH:
        return "too little data", [*told, figures[0], str(orders)]
    shown = [*told, figures[0], "95", *figures[1:], f"{orders:,}"]
    return by_the_rule(value, low, high, matters_from) or ("choreography" if value < 0 else "saga"), shown


def _exact(coupling: Json) -> dict[str, tuple[str, list[str]]]:
    unmeasured: tuple[str, list[str]] = ("too little data", [])
    judged = dict.fromkeys(("coupling", "a new service", "visibility"), unmeasured)
    modules = {style: [one for one in coupling["modules"] if one["style"] == style] for style in STYLES}
    if coupling["modules"]:
        names = [sum(len(one["services"]) for one in modules[style]) for style in STYLES]
        depends = [sum(one["efferent"] for one in modules[style]) for style in STYLES]
        judged["coupling"] = (_fewer(names), [str(one) for one in (*names, *depends)])
    for criterion, name in (
        ("a new service", "touched_by_a_new_service"),
        ("visibility", "lookups_to_explain_a_stuck_order"),
    ):
        if set(coupling[name]) == set(STYLES):
            listed = [len(coupling[name][style]) for style in STYLES]
            judged[criterion] = (_fewer(listed), [str(one) for one in listed])
    return judged


def _fewer(values: list[int]) -> str:
    return "too small to matter" if values[0] == values[1] else STYLES[values.index(min(values))]


def timelines(result: Json) -> list[Json]:
    """As the page shows them: by title, and the saga first."""
    titles = dict.fromkeys(one["title"] for one in result["timelines"])
    return [
        one
        for title in titles
        for style in STYLES
        for one in result["timelines"]
        if one["title"] == title and one["style"] == style
    ]


def flips(result: Json) -> set[str]:
    """What would flip the verdict: how far apart the styles are, and how much that would be of a slower service."""
    styles = result["styles"]
    figures: set[str] = set()
    ends_ms = [styles[s]["end_to_end_ms"]["p50"] for s in STYLES if styles[s]["end_to_end_ms"]]
    if len(ends_ms) == len(STYLES):
        apart = abs(ends_ms[0] - ends_ms[1])
        figures |= {f"{apart:.1f}", f"{apart / MATTERS - min(ends_ms):,.0f}"}
    actions = result["differences"].get("actions_per_order")
    if actions and actions["mean"]:
        figures.add(f"{1e9 / abs(round(actions['mean'] * USD_OF_A_MILLION_ACTIONS, 2)):,.0f}")
    return figures
