"""Where a command speaks: results to standard output, what it is doing to standard error."""

import json
import sys
from pathlib import Path
from typing import Any

from pydantic import BaseModel, TypeAdapter
from rich.console import Console
from rich.text import Text

from runtime.errors import InputError
from runtime.printable import is_printable, printable


class _PlainConsole(Console):
    """Prints what it is given and obeys none of it, as much of what we show comes from others.

    No markup and no `:name:` of an emoji is looked for in it, and neither an escape sequence nor what reorders the text
    around it gets to the terminal. What the terminal's encoding lacks is escaped here, before tables are laid out.
    """

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, highlight=False, soft_wrap=True, markup=False, emoji=False)

    def render_str(self, text: str, **options: Any) -> Text:  # noqa: ANN401 - rich's, handed on
        """Every text that is given as such, in a table too, is made displayable here."""
        return super().render_str(
            printable(text).encode(self.encoding, "backslashreplace").decode(self.encoding), **options
        )


RESULTS = _PlainConsole()
PROGRESS = _PlainConsole(stderr=True)


def announce(line: str) -> None:
    """Tell what is being done."""
    PROGRESS.print(line, style="dim")


def check_writable(path: Path | None) -> None:
    """Make sure that a result can be written before the work is done that it comes from.

    Raises:
        InputError: it can't.
    """
    if path is None or str(path) == "-":
        return
    try:
        if path.is_dir() or not path.absolute().parent.is_dir():
            why = "it is a directory" if path.is_dir() else "its directory is missing"
            raise InputError(f"can't write {path}: {why}")
        is_new = not path.exists()
        with path.open("a", encoding="utf-8"):
            pass
    except OSError as error:
        raise InputError(f"can't write {path}: {error.strerror}") from error
    if is_new:  # an empty file would look like a result, should there come none
        path.unlink()


def write_json(path: Path, result: BaseModel | list[BaseModel]) -> None:
    """Write a result as JSON to a file, or to standard output for `-`.

    Standard output may be a terminal: the same document has escapes there for what would steer it, or what it lacks.
    """
    to_stdout = str(path) == "-"
    text = TypeAdapter(type(result) if isinstance(result, BaseModel) else list[BaseModel]).dump_json(
        result, indent=2, serialize_as_any=True, ensure_ascii=to_stdout and not _takes_all(sys.stdout.encoding)
    )
    if to_stdout:
        sys.stdout.writelines(f"{_shown(line)}\n" for line in text.decode().split("\n"))
    else:
        path.write_bytes(text + b"\n")


def _takes_all(encoding: str) -> bool:
    return encoding.lower().startswith("utf")


def _shown(line: str) -> str:
    """A line of JSON, in which only texts can hold what is not printable."""
    if line.isascii() and line.isprintable():
        return line
    return "".join(character if is_printable(character) else json.dumps(character)[1:-1] for character in line)
