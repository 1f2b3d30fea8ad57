"""Takes a pattern's JSON apart: what is asked of which path, in how many ways."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from events.patterns.errors import PatternError
from events.patterns.operators import OPERATORS, Test, test_of

_MOST_WAYS = 1_000
_MOST_FIELDS = 256
_RESERVED = (
    *OPERATORS,
    *("=", "<", "<=", ">", ">=", "regex", "not-wildcard", "not-equals-ignore-case"),
    *("date-after", "date-on-or-after", "date-before", "date-on-or-before", "in-date-range"),
    *("ip-address-in-range", "ip-address-not-in-range"),
)
"""Names that AWS's engine allows to no field inside `$or`: `{"$or": [{"prefix": "a"}, …]}` is most likely a slip."""


@dataclass(frozen=True)
class Field:
    """What is asked of one path: one alternative is enough.

    `exists` is about leaves only (`eb-create-pattern-operators.html`): an object is none, so it is as good as absent.
    Null is a value like others, and not absent (`eb-event-patterns-null-values.html`).
    """

    alternatives: Sequence[Any]
    tests: Sequence[Test]
    may_be_absent: bool

    def fits(self, value: object) -> bool:
        """Whether this value of an event fits one alternative."""
        return any(test(value) for test in self.tests)


Way = Mapping[str, Field]
"""One way to match: all of these paths must fit. A pattern without `$or` has one."""


def read(pattern: Mapping[str, Any]) -> list[Way]:
    """What the pattern asks for, of which one way is enough.

    Names are joined with dots to paths, as AWS's engine does: `{"a": {"b": …}}` and `{"a.b": …}` are the same. If a
    path is written twice, what comes later counts: so a field inside `$or` takes the place of its namesake before it.

    Raises:
        PatternError: it can't be used.
    """
    ways = _object(pattern, [], "", [{}], inside_or=False)
    if any(len(way) > _MOST_FIELDS for way in ways):
        raise PatternError(f"the pattern has more than {_MOST_FIELDS} fields")
    return ways


def _object(pattern: Mapping[str, Any], steps: list[str], where: str, ways: list[Way], *, inside_or: bool) -> list[Way]:
    """The ways so far, each with all fields of this object; what the event has besides is ignored."""
    if not pattern:
        raise PatternError(f"{where or 'the pattern'} is empty: it needs at least one field")
    for name, wanted in pattern.items():
        inside = f"{where}.{name}" if where else name
        if name == "$or":
            ways = _either(wanted, steps, inside, ways)
        elif inside_or and name in _RESERVED:
            raise PatternError(f"{inside}: inside $or no field can have the name of an operator")
        elif isinstance(wanted, Mapping):
            ways = _object(wanted, [*steps, name], inside, ways, inside_or=inside_or)
        elif isinstance(wanted, list):
            base, field = ".".join(steps), _field(wanted, inside)
            # An empty name at the beginning leaves no dot behind. In events it does.
            ways = [{**way, f"{base}.{name}" if base else name: field} for way in ways]
        else:
            raise PatternError(f"{inside} must be a list of alternatives or a pattern of its own, not {wanted!r}")
    return ways


def _either(wanted: object, steps: list[str], where: str, ways: list[Way]) -> list[Way]:
    """`$or`: one of several patterns is enough, at any level (`eb-create-pattern-operators.html`, "Or")."""
    if not isinstance(wanted, list) or len(wanted) < 2 or not all(isinstance(one, Mapping) for one in wanted):  # noqa: PLR2004 - of one there is no choice
        raise PatternError(f"{where} needs a list of two or more patterns")
    forked: list[Way] = []
    for number, one in enumerate(wanted):
        forked += _object(one, steps, f"{where}.{number}", ways, inside_or=True)
        if len(forked) > _MOST_WAYS:  # each $or multiplies them
            raise PatternError(
                f"{where}: with it, the pattern can be met in more than {_MOST_WAYS} ways: use fewer $or"
            )
    return forked


def _field(wanted: list[Any], where: str) -> Field:
    """A leaf (`eb-event-patterns-arrays.html`)."""
    if not wanted:
        raise PatternError(f"{where} is an empty list: it needs at least one alternative")
    absent = [one == {"exists": False} and isinstance(one["exists"], bool) for one in wanted]
    tests = [test_of(one, where) for one, is_absence in zip(wanted, absent, strict=True) if not is_absence]
    return Field(wanted, tests, may_be_absent=any(absent))
