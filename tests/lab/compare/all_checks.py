"""All that has to be on a page."""

from tests.lab.compare.document import Parts
from tests.lab.compare.expected import Json
from tests.lab.compare.page_checks import check_evidence, check_tables, check_text
from tests.lab.compare.plot_checks import check_plots


def check_page(result: Json, html: str) -> None:
    """Hold every figure of a page against the JSON of the same result."""
    parts = Parts(html)
    check_tables(result, parts)
    check_evidence(result, parts)
    check_plots(result, parts)
    check_text(result, parts)
