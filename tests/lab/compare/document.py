"""A page that was taken apart: its tables row by row, its plots by their texts, and the rest."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "link", "br", "hr", "img", "input"}


@dataclass
class Table:
    """Its rows, the head first; a cell that spans rows is repeated in each."""

    caption: str = ""
    rows: list[list[str]] = field(default_factory=list)
    spans: dict[int, tuple[str, int]] = field(default_factory=dict)
    """Column to what is still to be repeated there, and in how many rows."""


@dataclass
class Plot:
    """The texts that are written into it, the tips of its marks with what they lie on, and its description."""

    name: str
    desc: str = ""
    texts: list[str] = field(default_factory=list)
    tips: list[tuple[str, str]] = field(default_factory=list)
    """Path and tip."""
    labels: list[str] = field(default_factory=list)
    """Texts behind bars and intervals, and at the ends of curves."""
    ticks: list[tuple[str, float]] = field(default_factory=list)
    """What is written at the x axis, and where."""
    marks: list[tuple[str, str]] = field(default_factory=list)
    """Class names and path of all that shows data."""


class Parts(HTMLParser):
    """What a reader is told, by where."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tables: list[Table] = []
        self.plots: dict[str, Plot] = {}
        self.rest: dict[str, str] = {"": ""}
        """Section to its texts outside of tables and plots."""
        self._open: list[tuple[str, dict[str, str]]] = []
        self._text = ""
        self.feed(html)
        self.close()

    def table(self, caption: str) -> list[list[str]]:
        """The rows of the one table of this caption, without its head; none where there is no such table."""
        found = [table for table in self.tables if table.caption == caption]
        assert len(found) <= 1
        return found[0].rows[1:] if found else []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        if tag == "table":
            self.tables.append(Table())
        elif tag == "tr":
            self.tables[-1].rows.append([])
        elif tag == "svg" and "data-plot" in attributes:
            self.plots[attributes["data-plot"]] = Plot(attributes["data-plot"])
        elif tag == "path" and self._plot is not None and "mark" in attributes["class"].split():
            self._plot.marks.append((attributes["class"], attributes["d"]))
        if tag in {"th", "td", "caption", "text", "title", "desc"}:
            self._text = ""
        if tag not in VOID:
            self._open.append((tag, attributes))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_data(self, data: str) -> None:
        self._text += data
        tags = {tag for tag, _ in self._open}
        if not tags & {"table", "svg", "style", "head"}:
            section = next((a["id"] for tag, a in self._open if tag in {"section", "aside"} and "id" in a), "")
            self.rest[section] = f"{self.rest.get(section, '')} {data}"

    def handle_endtag(self, tag: str) -> None:
        opened, attributes = self._open.pop()
        assert opened == tag
        text = " ".join(self._text.split())
        if tag == "caption":
            self.tables[-1].caption = text
        elif tag in {"th", "td"}:
            self._add_cell(text, attributes)
        elif self._plot is not None and tag == "text":
            self._plot.texts.append(text)
            if attributes["class"] == "tick" and attributes["text-anchor"] == "middle":
                self._plot.ticks.append((text, float(attributes["x"])))
            if attributes["class"] == "label" and attributes["text-anchor"] == "start":
                self._plot.labels.append(text)
        elif self._plot is not None and tag == "desc":
            self._plot.desc = text
        elif self._plot is not None and tag == "title" and self._open[-1][0] == "path":
            path = self._open[-1][1]
            self._plot.tips.append((path["d"], text))

    @property
    def _plot(self) -> Plot | None:
        names = [
            attributes["data-plot"] for tag, attributes in self._open if tag == "svg" and "data-plot" in attributes
        ]
        return self.plots[names[0]] if names else None

    def _add_cell(self, text: str, attributes: dict[str, str]) -> None:
        table = self.tables[-1]
        row = table.rows[-1]
        self._repeat(table, row)
        if "rowspan" in attributes:
            table.spans[len(row)] = (text, int(attributes["rowspan"]) - 1)
            row.append(text)
            return
        row += [text, *[""] * (int(attributes.get("colspan", "1")) - 1)]
        self._repeat(table, row)

    @staticmethod
    def _repeat(table: Table, row: list[str]) -> None:
        """Add what comes here from a cell of a row above."""
        while table.spans.get(len(row), ("", 0))[1]:
            text, left = table.spans[len(row)]
            table.spans[len(row)] = (text, left - 1)
            row.append(text)
