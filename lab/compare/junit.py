"""The outcome of a comparison as JUnit XML, which a team's CI can show."""

from collections.abc import Sequence
from xml.etree import ElementTree as ET

from lab.compare.check import Check
from lab.compare.comparison import Comparison


def junit_xml(result: Comparison, checks: Sequence[Check]) -> str:
    """One test case for the guarantees, and one for each figure that was checked; skipped is one of too little data.

    Args:
        result: the comparison.
        checks: of its figures; none without a baseline.
    """
    cases: list[tuple[str, str | None]] = [("every guarantee holds", "; ".join(result.broken()) or None)]
    cases += [(one.name, one.told if one.regressed else None) for one in checks]
    skipped = {one.name: one.told for one in checks if one.answer == "too little data"}
    suite = ET.Element(
        "testsuite",
        name="orderlab compare",
        tests=str(len(cases)),
        failures=str(sum(failure is not None for _, failure in cases)),
        skipped=str(len(skipped)),
        timestamp=result.started.isoformat(timespec="seconds"),
    )
    for name, failure in cases:
        case = ET.SubElement(suite, "testcase", classname="orderlab.compare", name=name)
        if failure is not None:
            ET.SubElement(case, "failure", message=failure)
        elif name in skipped:
            ET.SubElement(case, "skipped", message=f"too little data: {skipped[name]}")
    ET.indent(suite)
    return ET.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"
