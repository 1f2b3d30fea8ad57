"""The operators: whether one value of an event fits one alternative.

Each function names its section of `eb-create-pattern-operators.html`. AWS's engine compares texts together with the
quotes around them. So do affixes here: a quote at the end of a prefix is met by the end of the text.
"""

import math
import re
import sys
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from events.patterns.addresses import address_of, network_of
from events.patterns.errors import PatternError

OPERATORS = (
    *("anything-but", "cidr", "equals-ignore-case", "exactly", "exists"),
    *("numeric", "prefix", "suffix", "wildcard"),
)
_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "=": lambda value, bound: value == bound,
    "<": lambda value, bound: value < bound,
    "<=": lambda value, bound: value <= bound,
    ">": lambda value, bound: value > bound,
    ">=": lambda value, bound: value >= bound,
}
_LOWER = (">", ">=")
_UPPER = ("<", "<=")
_EXACT_BELOW = 2**53
"""Below it, every whole number is a double."""

Test = Callable[[Any], bool]
"""Whether one value of an event, no list or object, fits one alternative."""


def test_of(wanted: object, where: str) -> Test:
    """One alternative: a value, or an object with one operator.

    Args:
        wanted: as the pattern writes it.
        where: its place in the pattern, for the message.

    Raises:
        PatternError: it can't be used.
    """
    if isinstance(wanted, list):
        raise PatternError(f"{where}: a list inside a list of alternatives is not supported")
    if not isinstance(wanted, Mapping):
        return _value(wanted, where)
    if len(wanted) != 1:
        raise PatternError(f"{where}: one operator per object, not {sorted(wanted)}")
    ((operator, operand),) = wanted.items()
    make = _MAKERS.get(operator)
    if make is None:
        raise PatternError(
            f"{where}: the operator {operator!r} is not supported; there are {', '.join(OPERATORS)}, "
            "and $or in place of a field"
        )
    return make(operand, where)


def number_of(value: object) -> float | None:
    """The number that a value is compared as; none if it is no number, or one that AWS's engine compares only as text.

    Such is a number with more digits than a double has.
    """
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if not isinstance(value, int) or isinstance(value, bool):  # Python takes true and false for numbers
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if abs(value) < _EXACT_BELOW or Decimal(repr(number)) == value else None


def _value(wanted: object, where: str) -> Test:
    """Equal in value and kind: 1 equals 1.0, but neither true nor "1" ("Equals", "Null").

    An address equals the same address in another spelling.
    """
    if isinstance(wanted, str):
        address = address_of(wanted)
        if address is not None:
            return lambda value: isinstance(value, str) and address_of(value) == address
    if isinstance(wanted, float) and not math.isfinite(wanted):
        raise PatternError(f"{where}: {wanted!r} is no number in JSON")
    number = number_of(wanted)
    if number is not None:
        return lambda value: number_of(value) == number
    # The type tells apart what Python takes for equal: 1 and true, and a double and its neighbour, an endless integer.
    kind = type(wanted)
    return lambda value: type(value) is kind and value == wanted


def _exactly(operand: object, where: str) -> Test:
    """Equal to a text, even if that is an address. It is the engine's, and not in the guide."""
    if not isinstance(operand, str):
        raise PatternError(f"{where}: exactly takes a text, not {operand!r}")
    return lambda value: isinstance(value, str) and value == operand


def _exists(operand: object, where: str) -> Test:
    """Present, whatever the value ("Exists"). That a field is absent no value can tell: see `Field`."""
    if operand is not True:
        raise PatternError(f"{where}: exists takes true or false, not {operand!r}")
    return lambda _value: True


def _prefix(operand: object, where: str) -> Test:
    """How a text begins ("Begins with"); every text has the empty prefix."""
    if isinstance(operand, Mapping):
        begin = _ignoring_case(_case_operand("prefix", operand, where))
        return lambda value: isinstance(value, str) and begin.match(f'{value}"') is not None
    prefix = _text("prefix", operand, where, or_case=True)
    return lambda value: isinstance(value, str) and f'{value}"'.startswith(prefix)


def _suffix(operand: object, where: str) -> Test:
    """How a text ends ("Ends with")."""
    if isinstance(operand, Mapping):
        end = re.compile(f"{_ignoring_case(_case_operand('suffix', operand, where)).pattern}\\Z")
        return lambda value: isinstance(value, str) and end.search(f'"{value}') is not None
    suffix = _text("suffix", operand, where, or_case=True)
    return lambda value: isinstance(value, str) and f'"{value}'.endswith(suffix)


def _equals_ignore_case(operand: object, where: str) -> Test:
    """The same letters ("Equals (ignore case)")."""
    same = _ignoring_case(_text("equals-ignore-case", operand, where))
    return lambda value: isinstance(value, str) and same.fullmatch(value) is not None


def _wildcard(operand: object, where: str) -> Test:
    r"""Any characters, or none, in place of each `*` ("Wildcard"); `\*` and `\\` are those characters themselves."""
    first, *others = _pieces(_text("wildcard", operand, where), where)
    if not others:
        return lambda value: isinstance(value, str) and value == first
    *middle, last = others

    def test(value: Any) -> bool:  # noqa: ANN401 - JSON
        if not isinstance(value, str) or not value.startswith(first):
            return False
        at = len(first)
        for piece in middle:  # the first place is as good as any other
            found = value.find(piece, at)
            if found < 0:
                return False
            at = found + len(piece)
        return len(value) - len(last) >= at and value.endswith(last)

    return test


def _cidr(operand: object, where: str) -> Test:
    """An address in this network, IPv4 or IPv6 ("IP address")."""
    network = network_of(operand) if isinstance(operand, str) else None
    if network is None:
        raise PatternError(
            f'{where}: cidr takes an address and how many bits of it count, such as "10.0.0.0/24" or "2001:db8::/32" '
            f"(at most 31 or 127), not {operand!r}"
        )
    return lambda value: isinstance(value, str) and network.holds(address_of(value))


def _numeric(operand: object, where: str) -> Test:
    """A number that meets one comparison, or lies in a range ("Numeric").

    A range is a lower bound, then a higher upper bound: anything else would match nothing, or say one thing twice.
    """
    usage = (
        f'{where}: numeric takes one comparison or a range, such as ["=", 5] or [">", 0, "<=", 100], not {operand!r}'
    )
    if not isinstance(operand, list) or len(operand) not in {2, 4}:
        raise PatternError(usage)
    comparisons: list[tuple[str, float]] = []
    bottom, top = -sys.float_info.max, sys.float_info.max
    for sign, bound in zip(operand[::2], operand[1::2], strict=True):
        number = number_of(bound)
        if not isinstance(sign, str) or sign not in _COMPARISONS:
            raise PatternError(usage)
        if number is None:
            raise PatternError(f"{usage}: what is compared with are numbers, of at most 17 digits")
        comparisons.append((sign, number))
        bottom, top = number if sign in _LOWER else bottom, number if sign in _UPPER else top
    in_order = len(comparisons) == 1 or (comparisons[0][0] in _LOWER and comparisons[1][0] in _UPPER)
    if not in_order or bottom >= top:
        raise PatternError(f"{usage}: a range is a lower bound and then a higher upper bound")

    def test(value: Any) -> bool:  # noqa: ANN401 - JSON
        number = number_of(value)
        return number is not None and all(_COMPARISONS[sign](number, bound) for sign, bound in comparisons)

    return test


def _anything_but(operand: object, where: str) -> Test:
    """Any value that is there but these, of whatever kind ("Anything-but").

    These: one text or number, a list of either, or texts as another operator describes them. Of a list of values in the
    event, one other value is enough.
    """
    usage = (
        f"{where}: anything-but takes a text, a number, a list of texts, a list of numbers, or one of "
        f"{', '.join(_NEGATED)} with a text or a list of texts, a prefix or suffix not empty, not {operand!r}"
    )
    if isinstance(operand, Mapping):
        if len(operand) != 1 or not set(operand) <= set(_NEGATED):
            raise PatternError(usage)
        ((operator, texts),) = operand.items()
        texts = texts if isinstance(texts, list) else [texts]
        if not texts or ("" in texts and operator in {"prefix", "suffix"}):
            raise PatternError(usage)
        inside = f"{where}: anything-but"
        unwanted = [_NEGATED[operator](_text(operator, text, inside), inside) for text in texts]
    else:
        values = operand if isinstance(operand, list) else [operand]
        if not values or not (
            all(isinstance(value, str) for value in values) or all(number_of(value) is not None for value in values)
        ):
            raise PatternError(usage)
        unwanted = [_exactly(value, where) if isinstance(value, str) else _value(value, where) for value in values]
    return lambda value: not any(test(value) for test in unwanted)


_NEGATED: dict[str, Callable[[object, str], Test]] = {
    "equals-ignore-case": _equals_ignore_case,
    "prefix": _prefix,
    "suffix": _suffix,
    "wildcard": _wildcard,
}

_MAKERS: dict[str, Callable[[object, str], Test]] = {
    **_NEGATED,
    "anything-but": _anything_but,
    "cidr": _cidr,
    "exactly": _exactly,
    "exists": _exists,
    "numeric": _numeric,
}


def _text(operator: str, operand: object, where: str, *, or_case: bool = False) -> str:
    if not isinstance(operand, str):
        other = ' or {"equals-ignore-case": a text}' if or_case else ""
        raise PatternError(f"{where}: {operator} takes a text{other}, not {operand!r}")
    return operand


def _case_operand(operator: str, operand: Mapping[str, object], where: str) -> str:
    if set(operand) != {"equals-ignore-case"}:
        raise PatternError(f'{where}: {operator} takes a text or {{"equals-ignore-case": a text}}, not {operand!r}')
    return _text(f"{operator} with equals-ignore-case", operand["equals-ignore-case"], where)


def _ignoring_case(text: str) -> re.Pattern[str]:
    """Each letter as its own capital or small form, as AWS's engine does: "ß" also is "SS", but not "ss"."""
    forms = ({one.lower(), one.upper()} for one in text)
    return re.compile("".join(f"(?:{'|'.join(map(re.escape, sorted(both)))})" for both in forms))


def _pieces(text: str, where: str) -> list[str]:
    """What stands between the wildcards."""
    pieces, rest = [""], iter(text)
    star = False
    for character in rest:
        if character == "*":
            if star:
                raise PatternError(f"{where}: wildcard takes no two * in a row, not {text!r}")
            pieces.append("")
        elif character == "\\":
            escaped = next(rest, "")
            if escaped not in {"*", "\\"}:
                raise PatternError(rf"{where}: in a wildcard, a backslash stands only before * or \, not {text!r}")
            pieces[-1] += escaped
        else:
            pieces[-1] += character
        star = character == "*"
    return pieces
