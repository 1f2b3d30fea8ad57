"""What has to be in the decision record: tables cell by cell, and sentences by their figures."""

import re
from collections.abc import Iterator
from typing import Any

from tests.lab.compare import expected
from tests.lab.compare.expected import STYLES, Json, dollars, number
from tests.lab.compare.page_checks import numbers


def check_record(result: Json, record: str) -> None:
    """All figures of a record."""
    _tables(result, record)
    _evidence(result, record)
    _sentences(result, record)


def _tables(result: Json, record: str) -> None:
    tables = _read_tables(record)
    figures = [
        [
            *(name, *(_times(of[style]) for style in STYLES)),
            *_ratio(result["ratios"].get(ratio) if ratio else None, ratio, are_measured=all(of.values())),
        ]
        for name, ratio, of in expected.measures(result)
    ]
    figures += [
        [
            *(name, *values),
            *(
                _difference(result)
                if name == "Actions per order" and result["differences"]
                else _ratio(result["ratios"].get(ratio), ratio, are_measured="not measured" not in values)
            ),
        ]
        for name, values, ratio in expected.counts(result)
    ]
    against = [
        [name, *(_told(of.get(style)) for style in STYLES), *(_pairs(of.get(style)) for style in STYLES)]
        for name, of in expected.against(result).items()
    ]
    modules = [
        [
            *(one["style"], one["module"], ", ".join(one["services"]) or "none"),
            *(str(one["efferent"]), str(one["afferent"])),
            "" if one["instability"] is None else f"{one['instability']:.2f}",
        ]
        for one in result["coupling"]["modules"]
    ]
    wanted = {
        "figure": figures,
        "divided by: figure": against,
        "orders": [[state, *values] for state, values in expected.ends(result).items()],
        "style": modules,
    }
    assert {head: rows for head, rows in wanted.items() if rows} == tables


def _read_tables(record: str) -> dict[str, list[list[str]]]:
    """The first cell of the head to the rows."""
    tables: dict[str, list[list[str]]] = {}
    for block in re.findall(r"(?:^\|.*\|\n)+", record, flags=re.MULTILINE):
        head, _, *rows = ([cell.strip() for cell in line[1:-1].split("|")] for line in block.splitlines())
        assert head[0] not in tables
        assert all(len(row) == len(head) for row in rows)
        tables[head[0]] = rows
    return tables


def _times(percentiles: Json | None) -> str:
    if percentiles is None:
        return "not measured"
    told = " / ".join(f"{percentiles[name]:,.1f}" for name in ("p50", "p95", "p99"))
    return f"{told} ({percentiles['n']:,})"


def _ratio(found: Json | None, name: str, *, are_measured: bool) -> list[str]:
    if found is None:
        return ["too few pairs" if name and are_measured else "", ""]
    says = "too few pairs" if found["pairs"] < expected.ENOUGH else expected.says(name, found)
    return [", ".join(filter(None, (expected.ratio(found), says))), _pairs(found)]


def _difference(result: Json) -> list[str]:
    told, pairs = expected.difference(result["differences"]["actions_per_order"])
    return [f"{told}, difference", pairs]


def _told(found: Json | None) -> str:
    return "" if found is None else ", ".join(filter(None, (expected.ratio(found), expected.says("/", found))))


def _pairs(found: Json | None) -> str:
    return "" if found is None else f"{found['pairs']:,}"


def _evidence(result: Json, record: str) -> None:
    """Each finding: under the heading of its answer, or as good or bad of both options; with its figures."""
    options = record.partition("## Considered options")[2].partition("## Evidence: figures")[0]
    sections = {head.partition(":")[0].lower(): text for head, text in re.findall(r"### (.*)\n([^#]*)", options)}
    for criterion, (answer, figures) in expected.findings(result).items():
        (finding,) = (one for one in result["verdict"]["findings"] if one["criterion"] == criterion)
        matters = numbers(finding["matters_from"])
        for section, text in sections.items():
            quality = "Good: " if section == answer else "Bad: "
            start = f"- {quality}{criterion}. " if section in STYLES else f"- {criterion.capitalize()}. "
            lines = [line for line in text.splitlines() if line.startswith(start)]
            assert len(lines) == ((answer in STYLES and section in STYLES) or section == answer), (criterion, section)
            for line in lines:
                said = line.removeprefix(start).partition(" (Named in")[0]
                assert numbers(said) == [*figures, *matters], criterion
    told = sum(line.startswith("- ") for text in sections.values() for line in text.splitlines())
    answers = [answer for answer, _ in expected.findings(result).values()]
    assert told == sum(2 if answer in STYLES else 1 for answer in answers)


def _sentences(result: Json, record: str) -> None:
    lines = record.splitlines()
    for start, figures in _wanted(result):
        (line,) = (one for one in lines if one.startswith(start))
        assert numbers(line.removeprefix(start)) == figures, start
    assert f"orderlab ran {number(result['orders'])} orders" in record
    assert f"Seed: {result['seed']}." in record
    flips = record.partition("## What would flip it")[2].partition("##")[0]
    assert set(numbers(flips)) <= expected.flips(result) | {"5", "1,000", "50"}


def _wanted(result: Json) -> Iterator[tuple[str, list[str]]]:
    """How a line begins, and the figures in the rest of it."""
    parity, audit = result["parity"], result["audit"]
    yield "- Business state:", [number(parity["compared"]), str(len(parity["differences"]))]
    if audit:
        acts = [str(len(audit["acts"]))] if audit["acts"] else []
        yield "- Audit:", [number(audit["checked"]), str(len(audit["violations"])), *acts]
    blast: dict[str, Any] = result["blast"] or {}
    for style, one in blast.items():
        counts = [one["expected"], *([] if one["orders"] is None else [one["orders"]])]
        counts += [one["delayed"], one["lost"], one["compensated"]]
        share = f"{one['share'] * 100:.1f}"
        yield f"- While {one['service']} was away ({style}):", [*(number(count) for count in counts), share]
    for style, report in result["styles"].items():
        actions = report["actions_per_order"]
        figures = [dollars(report["usd_per_million_orders"]).removesuffix(" USD"), number(actions)]
        yield f"- Temporal Actions ({style}):", [one for one in figures if one != "not measured"]
    for style, usd in result["eventbridge_usd_per_million_orders"].items():
        if usd is not None:
            yield f"- The events of the {style} on Amazon EventBridge instead:", [dollars(usd).removesuffix(" USD")]
