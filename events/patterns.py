"""Event patterns as in Amazon EventBridge: which events a subscriber wants.

https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html

A pattern has the shape of the events that it matches. Each field of it must match; a field lists alternatives, of which
one is enough: `{"type": ["order.placed"], "data": {"country": [{"prefix": "United"}], "lines": [{"exists": true}]}}`.
An operator that is not listed here is refused, never ignored.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import ConfigDict, JsonValue, PrivateAttr, RootModel

_OPERATORS = ("anything-but", "exists", "numeric", "prefix", "suffix")
_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "=": lambda value, bound: value == bound,
    "<": lambda value, bound: value < bound,
    "<=": lambda value, bound: value <= bound,
    ">": lambda value, bound: value > bound,
    ">=": lambda value, bound: value >= bound,
}

Scalar = str | int | float | bool | None
Test = Callable[[Scalar], bool]
"""Whether one value of an event fits one alternative."""

Matcher = Callable[[Any], bool]
"""Whether an event, or a part of one, fits a pattern."""

_ABSENT = object()


class PatternError(ValueError):
    """The pattern can't be used; the message names the place and says what can be written there."""


class Pattern(RootModel[dict[str, JsonValue]]):
    """A pattern, checked when it is made; written and read as the JSON that it is."""

    model_config = ConfigDict(frozen=True)

    _matches: Matcher = PrivateAttr()

    def model_post_init(self, _context: object) -> None:
        """Check the pattern, and prepare the matching.

        Raises:
            PatternError: it can't be used.
        """
        self._matches = _fields(self.root, "the pattern")

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> "Pattern":
        """The pattern that this JSON object writes.

        Raises:
            ValueError: it can't be used; the message names the place.
        """
        return cls(dict(raw))

    def matches(self, event: Mapping[str, Any]) -> bool:
        """Whether the event fits: its attributes at the top, its payload under `data`."""
        return self._matches(event)


def _fields(pattern: Mapping[str, Any], where: str) -> Matcher:
    """All fields must match."""
    if not pattern:
        raise PatternError(f"{where} is empty: it needs at least one field")
    matchers: list[Matcher] = []
    for name, wanted in pattern.items():
        inside = name if where == "the pattern" else f"{where}.{name}"
        if name == "$or":
            matchers.append(_either(wanted, inside))
        elif isinstance(wanted, Mapping):
            matchers.append(_field(name, _nested(_fields(wanted, inside))))
        elif isinstance(wanted, list):
            matchers.append(_field(name, _alternatives(wanted, inside)))
        else:
            raise PatternError(f"{inside} must be a list of alternatives or a pattern of its own, not {wanted!r}")
    return lambda event: all(matcher(event) for matcher in matchers)


def _either(wanted: object, where: str) -> Matcher:
    """`$or`: one of several patterns is enough."""
    if not isinstance(wanted, list) or len(wanted) < 2 or not all(isinstance(one, Mapping) for one in wanted):  # noqa: PLR2004
        raise PatternError(f"{where} needs a list of two or more patterns")
    matchers = [_fields(one, f"{where}.{number}") for number, one in enumerate(wanted)]
    return lambda event: any(matcher(event) for matcher in matchers)


def _field(name: str, matcher: Matcher) -> Matcher:
    return lambda part: matcher(part.get(name, _ABSENT) if isinstance(part, Mapping) else _ABSENT)


def _nested(matcher: Matcher) -> Matcher:
    """A field that is an object; one that is absent is matched as an empty one, for the sake of `exists: false`.

    Of a list of objects, one is enough.
    """

    def matches(part: Any) -> bool:  # noqa: ANN401 - JSON
        if isinstance(part, list):
            return any(matcher(one) for one in part if isinstance(one, Mapping))
        return matcher(part if isinstance(part, Mapping) else {})

    return matches


def _alternatives(wanted: Sequence[Any], where: str) -> Matcher:
    """A field that is a leaf. One alternative is enough, and of a list of values one value."""
    if not wanted:
        raise PatternError(f"{where} is an empty list: it needs at least one alternative")
    exists = [one["exists"] for one in wanted if isinstance(one, Mapping) and set(one) == {"exists"}]
    for one in exists:
        if not isinstance(one, bool):
            raise PatternError(f"{where}: exists takes true or false, not {one!r}")
    tests = [_test(one, where) for one in wanted if not (isinstance(one, Mapping) and set(one) == {"exists"})]

    def matches(part: Any) -> bool:  # noqa: ANN401 - JSON
        # `exists` is about leaves: an object is none.
        leaf = part is not _ABSENT and not isinstance(part, Mapping)
        if leaf in exists:
            return True
        values = part if isinstance(part, list) else [part]
        return leaf and any(test(value) for value in values if not isinstance(value, Mapping | list) for test in tests)

    return matches


def _test(wanted: object, where: str) -> Test:
    """One alternative: a value, or an object with one operator."""
    if isinstance(wanted, Mapping):
        if len(wanted) != 1:
            raise PatternError(f"{where}: one operator per object, not {sorted(wanted)}")
        ((operator, operand),) = wanted.items()
        if operator in {"prefix", "suffix"}:
            return _affix(operator, operand, where)
        if operator == "anything-but":
            return _anything_but(operand, where)
        if operator == "numeric":
            return _numeric(operand, where)
        raise PatternError(
            f"{where}: the operator {operator!r} is not supported; there are: {', '.join(_OPERATORS)}, $or"
        )
    if isinstance(wanted, list):
        raise PatternError(f"{where}: a list inside a list of alternatives is not supported")
    return _exactly(wanted)


def _exactly(wanted: object) -> Test:
    """Equal in value and kind: 1 equals 1.0, but neither true nor "1"."""
    return lambda value: value == wanted and isinstance(value, bool) == isinstance(wanted, bool)


def _affix(operator: str, operand: object, where: str) -> Test:
    if not isinstance(operand, str) or not operand:
        raise PatternError(f"{where}: {operator} takes a text that is not empty, not {operand!r}")
    if operator == "prefix":
        return lambda value: isinstance(value, str) and value.startswith(operand)
    return lambda value: isinstance(value, str) and value.endswith(operand)


def _anything_but(operand: object, where: str) -> Test:
    """Any value that is there but these: texts or numbers, one or a list, or texts with a prefix or suffix."""
    if isinstance(operand, Mapping):
        if len(operand) != 1 or next(iter(operand)) not in {"prefix", "suffix"}:
            raise PatternError(
                f"{where}: anything-but takes texts, numbers, a prefix or a suffix, not {sorted(operand)}"
            )
        ((operator, affix),) = operand.items()
        fits = _affix(operator, affix, where)
        return lambda value: not fits(value)
    values = operand if isinstance(operand, list) else [operand]
    if not values or not all(isinstance(value, str) or _is_number(value) for value in values):
        raise PatternError(f"{where}: anything-but takes texts, numbers, a prefix or a suffix, not {operand!r}")
    unwanted = [_exactly(value) for value in values]
    return lambda value: not any(test(value) for test in unwanted)


def _numeric(operand: object, where: str) -> Test:
    """One comparison or two: `["=", 5]`, `[">", 0, "<=", 100]`."""
    usage = f'{where}: numeric takes one or two comparisons, such as [">", 0, "<=", 100], not {operand!r}'
    if not isinstance(operand, list) or len(operand) not in {2, 4}:
        raise PatternError(usage)
    pairs = list(zip(operand[::2], operand[1::2], strict=True))
    if not all(isinstance(sign, str) and sign in _COMPARISONS and _is_number(bound) for sign, bound in pairs):
        raise PatternError(usage)
    return lambda value: (
        _is_number(value)
        and all(
            _COMPARISONS[sign](value, bound)  # type: ignore[arg-type] # `_is_number` has seen to it
            for sign, bound in pairs
        )
    )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
