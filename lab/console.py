"""Where a command speaks: results to standard output, what it is doing to standard error."""

import sys
from pathlib import Path

from pydantic import BaseModel, TypeAdapter
from rich.console import Console

from runtime.errors import InputError

RESULTS = Console(highlight=False, soft_wrap=True)
PROGRESS = Console(stderr=True, highlight=False, soft_wrap=True)


def announce(line: str) -> None:
    """Tell what is being done."""
    PROGRESS.print(line, style="dim", markup=False)


def check_writable(path: Path | None) -> None:
    """Make sure that a result can be written before the work is done that it comes from.

    Raises:
        InputError: it can't.
    """
    if path is None or str(path) == "-":
        return
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise InputError(f"can't write {path}: {'it is a directory' if path.is_dir() else 'its directory is missing'}")
    is_new = not path.exists()
    try:
        with path.open("a", encoding="utf-8"):
            pass
    except OSError as error:
        raise InputError(f"can't write {path}: {error.strerror}") from error
    if is_new:  # an empty file would look like a result, should there come none
        path.unlink()


def write_json(path: Path, result: BaseModel | list[BaseModel]) -> None:
    """Write a result as JSON to a file, or to standard output for `-`."""
    text = TypeAdapter(type(result) if isinstance(result, BaseModel) else list[BaseModel]).dump_json(
        result, indent=2, serialize_as_any=True
    )
    if str(path) == "-":
        sys.stdout.write(text.decode() + "\n")
    else:
        path.write_bytes(text + b"\n")
