"""Reads what people hand in as files: text in UTF-8, however their editor marks that, and JSON that means one thing."""

import codecs
import json
import math
from collections import Counter
from pathlib import Path

from pydantic import JsonValue
from pydantic_core import from_json

from runtime.errors import InputError

_OTHER_ENCODINGS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}
"""By the mark that a file begins with; UTF-32's begin like UTF-16's, so they are looked at first."""

_UTF_32_BYTES = 4
_LONGEST_NUMBER = 24


def read_file(path: Path, *, what: str = "") -> bytes:
    """The bytes of a file.

    Args:
        path: the file.
        what: names it in the error message, such as "the baseline ".

    Raises:
        InputError: it can't be read.
    """
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:  # or a name that no file can have
        raise InputError(f"can't read {what}{path}: {getattr(error, 'strerror', error)}") from error


def text_of(content: bytes, *, where: str) -> str:
    """The text of a file in UTF-8, without the byte order mark that some editors begin it with.

    Args:
        content: the file.
        where: how to call it in an error message.

    Raises:
        InputError: it is in another encoding.
    """
    marked = next((name for mark, name in _OTHER_ENCODINGS.items() if content.startswith(mark)), None)
    # Our documents begin with an ASCII character: the zero bytes beside it are the rest of a wider one.
    zeros = content[:4].count(0) if 0 in content[:2] else 0
    encoding = marked or (("UTF-32" if zeros == _UTF_32_BYTES - 1 else "UTF-16") if zeros else None)
    if encoding is not None:
        raise InputError(f"can't read {where}: it is in {encoding}; save it as UTF-8")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"can't read {where}: it is not in UTF-8 (byte {error.start + 1}); save it as that") from error


def json_of(text: str, *, where: str) -> JsonValue:
    """The document that a text is in JSON.

    Raises:
        InputError: it is not JSON, or JSON that no two readers need to understand alike: a name twice in one object, or
            a number beyond what a double can hold.
    """
    try:
        # Unlike the standard library's, this parser refuses what no JSON can hold (NaN, half a surrogate pair).
        document: JsonValue = from_json(text, allow_inf_nan=False)
    except ValueError as error:
        if "recursion limit" in str(error):
            raise InputError(f"{where} is nested too deeply: flatten it") from error
        raise InputError(f"{where} is not JSON: {error}") from error
    try:
        json.loads(text, object_pairs_hook=_each_name_once, parse_float=_a_double)
    except ValueError as error:
        raise InputError(f"{where}: {error}") from error
    return document


def _each_name_once(members: list[tuple[str, object]]) -> None:
    """Called for each object."""
    if len(dict(members)) < len(members):
        twice, _ = Counter(name for name, _ in members).most_common(1)[0]
        raise ValueError(f"the name {twice!r} is there twice in one object")


def _a_double(text: str) -> float:
    """Called for each number with a fraction or an exponent."""
    number = float(text)
    is_zero = not any(digit in text.lower().partition("e")[0] for digit in "123456789")
    if math.isinf(number) or (number == 0) is not is_zero:
        raise ValueError(f"the number {_shortened(text)} is beyond what a double can hold")
    return number


def _shortened(number: str) -> str:
    """How it begins, and how it ends, as the exponent does."""
    return number if len(number) <= _LONGEST_NUMBER else f"{number[:12]}...{number[-8:]}"
