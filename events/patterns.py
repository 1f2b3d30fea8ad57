"""Event patterns as in Amazon EventBridge: which events a subscriber wants.

A pattern has the shape of the events that it matches. Each field of it must match; a field lists alternatives, of which
one is enough: `{"type": ["order.placed"], "data": {"country": [{"prefix": "United"}], "coupon": [{"exists": true}]}}`.
What is not supported is refused when the pattern is made, never ignored: a subscriber who is told nothing would not
notice that a condition was dropped. That is also so for shapes that EventBridge refuses.

The rules are those of the EventBridge user guide, https://docs.aws.amazon.com/eventbridge/latest/userguide/, and each
function below names its page. `OPERATORS` stands for `eb-create-pattern-operators.html`. Where the guide is silent
(nested and empty arrays), the open source of the engine decides: https://github.com/aws/event-ruler.

Three differences are left:

- Operators that ignore case, `wildcard` and `cidr` are not supported.
- Numbers are compared exactly and without a limit, where EventBridge has 6 decimals and a largest number.
- In a list of objects, one object must meet all that is asked of it, `exists: false` too. EventBridge looks for the
  absent field in the other objects as well, depending on the alphabetical order of the fields.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeGuard

from pydantic import ConfigDict, JsonValue, PrivateAttr, RootModel, ValidationError

_OPERATORS = ("anything-but", "exists", "numeric", "prefix", "suffix")
_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "=": lambda value, bound: value == bound,
    "<": lambda value, bound: value < bound,
    "<=": lambda value, bound: value <= bound,
    ">": lambda value, bound: value > bound,
    ">=": lambda value, bound: value >= bound,
}
_LOWER = (">", ">=")
_UPPER = ("<", "<=")

Scalar = str | int | float | bool | None
Test = Callable[[Scalar], bool]
"""Whether one value of an event fits one alternative."""

Matcher = Callable[[Any], bool]
"""Whether an event, or a part of one, fits a pattern."""

_ABSENT: list[Any] = []
"""Stands for a field that is not there. It is an empty list, as the engine sees no difference between the two."""


class PatternError(ValueError):
    """The pattern can't be used; one line names the place and says what can be written there."""


class Pattern(RootModel[dict[str, JsonValue]]):
    """A pattern, checked when it is made; written and read as the JSON that it is.

    As the field of a model it is checked with the model: what is wrong with it is told by the model's ValidationError.
    """

    model_config = ConfigDict(frozen=True)

    _matches: Matcher = PrivateAttr()

    def model_post_init(self, _context: object) -> None:
        """Check the pattern, and prepare the matching.

        Raises:
            PatternError: it can't be used.
        """
        self._matches = _fields(self.root, "")

    @classmethod
    def parse(cls, raw: Mapping[str, object]) -> "Pattern":
        """The pattern that this JSON object writes.

        Raises:
            PatternError: it can't be used.
        """
        try:
            return cls.model_validate(raw)
        except ValidationError as error:
            raise _first_error(error) from error

    def matches(self, event: Mapping[str, object]) -> bool:
        """Whether the event fits: its attributes at the top, its payload under `data`."""
        return self._matches(event)

    # A model compares its private attributes as well, and no two prepared matchers are equal. The JSON tells 1 from
    # true, which Python's dictionaries do not.

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pattern) and self._canonical() == other._canonical()

    def __hash__(self) -> int:
        return hash(self._canonical())

    def _canonical(self) -> str:
        return json.dumps(self.root, sort_keys=True)


def _first_error(error: ValidationError) -> PatternError:
    """What is wrong, without pydantic's frame around it."""
    first = error.errors()[0]
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, PatternError):
        return cause
    # Not even JSON. Below the top-level field, pydantic's path has names of types in it and helps nobody.
    place = str(first["loc"][0]) if first["loc"] else "the pattern"
    return PatternError(f"{place}: a pattern is a JSON object of fields: {first['msg']}")


def _fields(pattern: Mapping[str, Any], where: str) -> Matcher:
    """All fields must match; what the event has besides is ignored (`eb-event-patterns.html`)."""
    if not pattern:
        raise PatternError(f"{where or 'the pattern'} is empty: it needs at least one field")
    matchers: list[Matcher] = []
    for name, wanted in pattern.items():
        inside = f"{where}.{name}" if where else name
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
    """`$or`: one of several patterns is enough, at any level (OPERATORS, "Or")."""
    if not isinstance(wanted, list) or len(wanted) < 2 or not all(isinstance(one, Mapping) for one in wanted):  # noqa: PLR2004 - of one there is no choice
        raise PatternError(f"{where} needs a list of two or more patterns")
    matchers = [_fields(one, f"{where}.{number}") for number, one in enumerate(wanted)]
    return lambda event: any(matcher(event) for matcher in matchers)


def _field(name: str, matcher: Matcher) -> Matcher:
    return lambda part: matcher(part.get(name, _ABSENT))


def _nested(matcher: Matcher) -> Matcher:
    """A field that is an object, or a list of objects of which one is enough (`eb-event-patterns-arrays.html`).

    Where there is no object, an empty one is matched: all that is in it is absent, which `exists: false` asks for.
    """

    def matches(part: Any) -> bool:  # noqa: ANN401 - JSON
        objects = [one for one in _elements(part) if isinstance(one, Mapping)]
        return any(matcher(one) for one in objects or [{}])

    return matches


def _alternatives(wanted: list[Any], where: str) -> Matcher:
    """A leaf: one alternative is enough, and of a list of values one value (`eb-event-patterns-arrays.html`).

    `exists` is about leaves only (OPERATORS, "Exists matching"): an object is none, so it is as good as absent. Null is
    a value like others, and not absent (`eb-event-patterns-null-values.html`).
    """
    if not wanted:
        raise PatternError(f"{where} is an empty list: it needs at least one alternative")
    presences: list[bool] = []
    tests: list[Test] = []
    for one in wanted:
        if isinstance(one, Mapping) and set(one) == {"exists"}:
            presences.append(_presence(one["exists"], where))
        else:
            tests.append(_test(one, where))

    def matches(part: Any) -> bool:  # noqa: ANN401 - JSON
        values = [one for one in _elements(part) if not isinstance(one, Mapping)]
        return bool(values) in presences or any(test(value) for value in values for test in tests)

    return matches


def _elements(part: Any) -> Iterator[Any]:  # noqa: ANN401 - JSON
    """What is in a list, also in lists inside it; anything else is taken as a list of one."""
    pending = [part]
    while pending:  # no recursion: the event decides how deep its lists are
        one = pending.pop()
        if isinstance(one, list):
            pending.extend(reversed(one))
        else:
            yield one


def _presence(operand: object, where: str) -> bool:
    if not isinstance(operand, bool):
        raise PatternError(f"{where}: exists takes true or false, not {operand!r}")
    return operand


def _test(wanted: object, where: str) -> Test:
    """One alternative: a value, or an object with one operator (OPERATORS)."""
    if isinstance(wanted, list):
        raise PatternError(f"{where}: a list inside a list of alternatives is not supported")
    if not isinstance(wanted, Mapping):
        return _exactly(wanted, where)
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
        f"{where}: the operator {operator!r} is not supported; there are {', '.join(_OPERATORS)}, "
        "and $or in place of a field"
    )


def _exactly(wanted: object, where: str) -> Test:
    """Equal in value and kind: 1 equals 1.0, but neither true nor "1" (`eb-event-patterns.html`)."""
    if isinstance(wanted, float) and not math.isfinite(wanted):
        raise PatternError(f"{where}: {wanted!r} is no number in JSON")
    return lambda value: value == wanted and isinstance(value, bool) == isinstance(wanted, bool)


def _affix(operator: str, operand: object, where: str) -> Test:
    """Begin or end of a text (OPERATORS, "Prefix matching", "Suffix matching"); every text has the empty one."""
    if not isinstance(operand, str):
        raise PatternError(f"{where}: {operator} takes a text, not {operand!r}")
    if operator == "prefix":
        return lambda value: isinstance(value, str) and value.startswith(operand)
    return lambda value: isinstance(value, str) and value.endswith(operand)


def _anything_but(operand: object, where: str) -> Test:
    """Any value that is there but these, of whatever kind (OPERATORS, "Anything-but matching").

    These: one text or number, a list of either, or texts with a prefix or suffix. Of a list of values in the event, one
    other value is enough.
    """
    usage = (
        f"{where}: anything-but takes a text, a number, a list of texts, a list of numbers, "
        f"or a prefix or suffix that is not empty, not {operand!r}"
    )
    if isinstance(operand, Mapping):
        if len(operand) != 1 or not set(operand) <= {"prefix", "suffix"} or "" in operand.values():
            raise PatternError(usage)
        ((operator, affix),) = operand.items()
        fits = _affix(operator, affix, f"{where}: anything-but")
        return lambda value: not fits(value)
    values = operand if isinstance(operand, list) else [operand]
    texts = [isinstance(value, str) for value in values]
    if not values or not (all(texts) or all(_is_number(value) for value in values)):
        raise PatternError(usage)
    unwanted = [_exactly(value, where) for value in values]
    return lambda value: not any(test(value) for test in unwanted)


def _numeric(operand: object, where: str) -> Test:
    """A number that meets one comparison, or lies in a range (OPERATORS, "Numeric matching").

    A range is a lower bound, then a higher upper bound: anything else would match nothing, or say one thing twice.
    """
    usage = (
        f'{where}: numeric takes one comparison or a range, such as ["=", 5] or [">", 0, "<=", 100], not {operand!r}'
    )
    if not isinstance(operand, list) or len(operand) not in {2, 4}:
        raise PatternError(usage)
    comparisons = list(zip(operand[::2], operand[1::2], strict=True))
    for sign, bound in comparisons:
        if not isinstance(sign, str) or sign not in _COMPARISONS or not _is_number(bound):
            raise PatternError(usage)
    if len(comparisons) > 1:
        (lower, bottom), (upper, top) = comparisons
        if lower not in _LOWER or upper not in _UPPER or bottom >= top:
            raise PatternError(f"{usage}: a range is a lower bound and then a higher upper bound")
    return lambda value: _is_number(value) and all(_COMPARISONS[sign](value, bound) for sign, bound in comparisons)


def _is_number(value: object) -> TypeGuard[float]:
    """Whether it is a number in JSON: Python takes true and false for numbers, too, and knows numbers without end."""
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and not isinstance(value, bool)
