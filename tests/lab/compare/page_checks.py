"""What has to be on the page, and where: the tables cell by cell, and the figures in other texts."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime

from faults.plan import ActionFaults
from tests.lab.compare import expected
from tests.lab.compare.document import Parts
from tests.lab.compare.expected import STYLES, Json

_WORDS = {"95", "5", "6", "1", "0", "50", "99", "1,000", "1994", "1998", "10"}
"""Figures of the page's own words: 95 % intervals, p50, what matters, and years of publications."""

_ALARMS = {"Violations of the guarantees", "Orders that stand differently in the two styles"}


def numbers(text: str) -> list[str]:
    """The figures in a text, also signed ones and with thousands separators; none of what is part of a name."""
    return re.findall(r"(?<![\w.,-])[+-]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?!\w)", text)


def check_evidence(result: Json, parts: Parts) -> None:
    """The answer to each criterion, and the figures of its evidence in their sequence."""
    rows = {row[0]: row for row in parts.table("What the verdict rests on")}
    found = expected.findings(result)
    assert rows.keys() == found.keys()
    for criterion, (answer, figures) in found.items():
        _, told, _, evidence = rows[criterion]
        assert told == answer, criterion
        assert numbers(evidence.partition(" Named in")[0]) == figures, criterion


def check_tables(result: Json, parts: Parts) -> None:
    """Each cell of each table, but for the verdict's; and that there is no table beside those."""
    wanted = {caption: [[_squeezed(cell) for cell in row] for row in rows] for caption, rows in _tables(result)}
    for caption, rows in wanted.items():
        assert parts.table(caption) == rows, caption
    if result["growth"]:
        (head,) = (table.rows[0] for table in parts.tables if table.caption.startswith("Memory of each worker"))
        counts = [expected.number(result["growth"][name]) for name in ("orders_before", "orders_after")]
        assert head == ["process", *(f"after {count} orders" for count in counts)]
    captions = {table.caption for table in parts.tables if table.caption}
    assert captions <= {*wanted, "What the verdict rests on", *_ALARMS}
    of_faults = [row for table in parts.tables if not table.caption for row in table.rows[1:] if len(row) == 3]
    assert of_faults == [*_faults(result)]
    of_marks = [row for table in parts.tables if not table.caption for row in table.rows[1:] if len(row) == 5]
    assert of_marks == [
        [
            *(f"{mark[name]:,.1f}" for name in ("from_ms", "to_ms")),
            *(_squeezed(mark[name]) for name in ("lane", "kind", "what")),
        ]
        for timeline in expected.timelines(result)
        for mark in timeline["marks"]
    ]


def _tables(result: Json) -> Iterator[tuple[str, list[list[str]]]]:
    """Caption to the rows that have to be there."""
    rows = [
        [
            name,
            style,
            *_padded(expected.times(of[style])),
            expected.ratio_with_words(ratio, result["ratios"].get(ratio), are_measured=all(of.values())),
        ]
        for name, ratio, of in expected.measures(result)
        for style in STYLES
    ]
    yield "Times in ms", rows
    counts = [
        [name, *values, *([_beside_counts(result, name, ratio, values)] if _has_ratios(result) else [])]
        for name, values, ratio in expected.counts(result)
    ]
    yield "Counts", counts
    yield (
        "Each style divided by what it is held against",
        [
            [name, *(expected.ratio_with_words("/", ratios.get(style)) for style in STYLES)]
            for name, ratios in expected.against(result).items()
        ],
    )
    yield "References: what the styles are held against, times in ms", [*_reference_rows(result)]
    yield "Reactions at a third of the maximum throughput, times in ms", [*_third_rows(result)]
    yield (
        "The choreography with more subscribers, all equal",
        [
            [
                str(one["subscribers"]),
                *(
                    "" if one[name] is None else f"{one[name]['p50']:,.1f}"
                    for name in ("end_to_end_ms", "ms_per_subscriber")
                ),
                expected.number(one["deliveries_per_s"]),
                expected.number(one["actions_per_order"]),
            ]
            for one in result["fan_out"] or []
        ],
    )
    growth = result["growth"] or {"memory_before_mib": {}, "memory_after_mib": {}}
    yield (
        "Memory of each worker (resident set size) in MiB",
        [
            [process, f"{growth['memory_before_mib'][process]:,.1f}", f"{mib:,.1f}"]
            for process, mib in growth["memory_after_mib"].items()
        ],
    )
    yield "Orders by how they ended", [[state, *values] for state, values in expected.ends(result).items()]
    yield (
        "Effects of the other services while one was away",
        [
            [
                style,
                one["service"],
                "" if one["orders"] is None else f"{one['orders']:,}",
                *(f"{one[name]:,}" for name in ("expected", "delayed", "lost", "compensated")),
                f"{one['share'] * 100:.1f} %",
            ]
            for style, one in (result["blast"] or {}).items()
        ],
    )
    for style in STYLES:
        modules = [one for one in result["coupling"]["modules"] if one["style"] == style]
        yield f"Modules of the {style}", [_module_row(one) for one in modules]


def _padded(cells: list[str]) -> list[str]:
    return [*cells, *[""] * (5 - len(cells))]


def _has_ratios(result: Json) -> bool:
    """Whether the counts have a column for a ratio or a difference."""
    return any(ratio or _difference(result, name) for name, _, ratio in expected.counts(result))


def _difference(result: Json, count: str) -> Json | None:
    found: Json | None = result["differences"].get("actions_per_order") if count == "Actions per order" else None
    return found


def _beside_counts(result: Json, count: str, name: str, values: list[str]) -> str:
    if difference := _difference(result, count):
        told, pairs = expected.difference(difference)
        return f"{told} difference; {pairs} pairs"
    found = result["ratios"].get(name) if name else None
    return expected.ratio_with_words(name, found, are_measured="not measured" not in values)


def _reference_rows(result: Json) -> Iterator[list[str]]:
    for name, report in (result["references"] or {}).items():
        rate = report["orders_per_s"]
        told = f"{expected.reference(name)}" + ("" if rate is None else f", {expected.number(rate)} orders per second")
        distributions = {"end to end": report["end_to_end_ms"]}
        distributions |= {f"{service} reacted": ms for service, ms in report["reaction_ms"].items()}
        for what, ms in distributions.items():
            if ms is not None:
                yield [told, what, *expected.times(ms)]


def _third_rows(result: Json) -> Iterator[list[str]]:
    points = result["at_a_third"] or {}
    for service in dict.fromkeys(service for point in points.values() for service in point["reaction_ms"]):
        found = {name: point["reaction_ms"].get(service) for name, point in points.items()}
        if any(found.values()):
            for name, ms in found.items():
                yield [f"{service} reacted", expected.reference(name), *_padded(expected.times(ms))]


def _module_row(one: Json) -> list[str]:
    listed = [", ".join(one[name]) or "none" for name in ("services", "events")]
    instability = "–" if one["instability"] is None else f"{one['instability']:.2f}"  # noqa: RUF001 - as on the page
    return [one["module"], *listed, str(one["efferent"]), str(one["afferent"]), instability]


def _p50(percentiles: Json | None) -> str:
    return "" if percentiles is None else f"{percentiles['p50']:,.1f}"


def _squeezed(text: str) -> str:
    return " ".join(text.split())


def _faults(result: Json) -> Iterator[list[str]]:
    """What the plan does: the settings that are not the default."""
    plan = result["faults"] or {"services": {}, "customers": None}
    usual = ActionFaults().model_dump()
    for service, effects in plan["services"].items():
        for effect, settings in effects.items():
            yield [service, effect, _settings({k: v for k, v in settings.items() if v != usual[k]})]
    if plan["customers"]:
        yield ["customers", "cancel", _settings(plan["customers"])]


def _settings(values: Json) -> str:
    return ", ".join(f"{name} {_settings(v) if isinstance(v, dict) else f'{v:g}'}" for name, v in values.items())


def check_text(result: Json, parts: Parts) -> None:
    """No other figure stands in the text than those of the JSON, each in its section."""
    started = datetime.fromisoformat(result["started"]).astimezone(UTC)
    date = {str(started.day), str(started.year)}
    orders = expected.number(result["orders"])
    customers = (result["faults"] or {}).get("customers")
    share = {f"{customers['cancel'] * 100:.3g}"} if customers else set()
    audit = result["audit"] or {"checked": 0, "violations": [], "acts": []}
    coupling = result["coupling"]
    listed = (coupling["touched_by_a_new_service"], coupling["lookups_to_explain_a_stuck_order"])
    allowed = {
        "": {orders, *date, *share},
        "plots": share,
        "verdict": {
            *(orders, expected.number(result["parity"]["compared"]), expected.number(audit["checked"])),
            *numbers(json.dumps(audit["acts"], ensure_ascii=False)),
            *expected.flips(result),
        },
        "figures": {expected.number(point["rate_per_s"]) for point in (result["at_a_third"] or {}).values()},
        "timelines": {
            *(figure for one in result["timelines"] for figure in numbers(one["order_id"])),
            *(str(len(one["marks"])) for one in result["timelines"]),
            *(_took(one) for one in result["timelines"]),
        },
        "coupling": {str(len(places)) for by_style in listed for places in by_style.values()},
        "limits": set(numbers(json.dumps(result["not_comparable"]))),
        "run": {
            *(
                orders,
                *date,
                *share,
                str(result["seed"]),
                *numbers(result["links"]["order_id"]),
                str(result["machine"]["processors"]),
            ),
            *(f"{result['machine']['memory_gib']:.1f}", *numbers(result["command"])),
            *numbers(result["machine"]["system"]),
        },
    }
    for section, text in parts.rest.items():
        found = numbers(re.sub(r"\b\d\d:\d\d\b|\b\d+\.\d+\.\d+\b", "", text))  # no time of day, no version
        assert set(found) <= _WORDS | allowed.get(section, set()), section
    for section in ("", "run"):
        assert {orders, *share} <= set(numbers(parts.rest[section]))


def _took(timeline: Json) -> str:
    return expected.duration(max(mark["to_ms"] for mark in timeline["marks"])).split()[0]
