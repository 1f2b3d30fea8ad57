"""Where a comparison is written to, and what it is held against."""

from dataclasses import dataclass
from pathlib import Path

from lab.compare.check import Check, check
from lab.compare.comparison import Comparison
from lab.compare.junit import junit_xml
from lab.compare.page import render_html
from lab.compare.record import render_record
from lab.compare.table import table
from lab.console import RESULTS, announce, check_writable, write_json


@dataclass(frozen=True)
class Outputs:
    """What a person wants to have of a comparison, each None where they do not."""

    json: Path | None = None
    html: Path | None = None
    markdown: Path | None = None
    junit: Path | None = None
    baseline: Comparison | None = None
    """An earlier result that the new one is checked against."""

    def check_writable(self) -> None:
        """Make sure that all can be written, before anything is measured.

        Raises:
            InputError: one can't.
        """
        for path in (self.json, self.html, self.markdown, self.junit):
            check_writable(path)

    def write(self, result: Comparison) -> None:
        """Write and print all of it."""
        if self.json is not None:
            write_json(self.json, result)
        if self.html is not None:
            self.html.write_text(render_html(result), encoding="utf-8")
        if self.markdown is not None:
            self.markdown.write_text(render_record(result), encoding="utf-8")
        checks = self._checks(result)
        if self.junit is not None:
            self.junit.write_text(junit_xml(result, checks), encoding="utf-8")
        if str(self.json) != "-":
            RESULTS.print(table(result, checks))
        for path in (self.html, self.markdown, self.junit):
            if path is not None:
                announce(f"written: {path}")

    def regressions(self, result: Comparison) -> list[str]:
        """What is worse than in the baseline, beyond the noise of both."""
        return [one.told for one in self._checks(result) if one.regressed]

    def _checks(self, result: Comparison) -> list[Check]:
        return [] if self.baseline is None else check(self.baseline, result)
