"""Whether a lab can be kept in a data directory: found out before anything is made, or a server looked for."""

import os
import tempfile
from pathlib import Path

from runtime.errors import InputError

_LONGEST_DATABASE_BYTES = 504
"""SQLite opens no file whose path, with the 8 bytes of `-journal` after it, is longer than 512 bytes."""

_LONGEST_BELOW = "/references/services/marketing.db"
"""Of all databases of a lab, that of a second lab beside it (`Settings.beside`)."""

MAX_DIRECTORY_BYTES = _LONGEST_DATABASE_BYTES - len(_LONGEST_BELOW)

_CHOOSE = "choose another --data"


def check_directory(data: Path) -> None:
    """Make sure that a path can be that of a data directory, whether that is there yet or not.

    Raises:
        InputError: it can't be, as it leads through what is no directory, or is too long for the databases in it.
    """
    there = _deepest_there(data)
    if not there.is_dir():
        what = "a link to nothing" if there.is_symlink() else "a file"
        begins = "is" if there == data else f"can't be made: {there} is"
        raise InputError(f"the data directory {data} {begins} {what}; {_CHOOSE}")
    try:
        size = len(os.fsencode(data.resolve()))
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links, or a zero byte
        raise InputError(f"no data directory: {error}; {_CHOOSE}") from error
    if size > MAX_DIRECTORY_BYTES:
        raise InputError(
            f"the path of the data directory has {size:,} bytes; it can have {MAX_DIRECTORY_BYTES}, as SQLite opens no "
            f"database with a longer one: {_CHOOSE}"
        )


def check_can_be_filled(data: Path) -> None:
    """Make sure that a data directory can be made, if it is not there yet, and that directories can be made in it.

    It is tried out under another name, beside where it would be, and nothing of that is left.

    Raises:
        InputError: it can't.
    """
    there = _deepest_there(data)
    try:
        with tempfile.TemporaryDirectory(prefix=".orderlab-", dir=there) as tried:
            (Path(tried) / data.absolute().relative_to(there.absolute())).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        begins = "can't be written" if there == data else f"can't be made in {there}"
        why = error.strerror or error
        raise InputError(f"the data directory {data} {begins}: {why}; {_CHOOSE}") from error


def _deepest_there(data: Path) -> Path:
    """The directory, or of those that it is to be made in the first that is there."""
    return next(path for path in (data, *data.absolute().parents) if os.path.lexists(path))
