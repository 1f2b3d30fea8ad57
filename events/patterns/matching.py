"""Looks in an event for the values that a pattern asks for.

An event is taken apart as a pattern is: what counts is the path of each value, its names joined with dots. Lists leave
no trace in the path, but in the *place* of a value: which element of which list it is in. Values in different elements
of one list do not go together, so in a list of objects one object must meet all that is asked of it
(`eb-event-patterns-arrays.html`).
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from itertools import count
from typing import Any

from events.patterns.reading import Field, Way

Place = frozenset[tuple[int, int]]
"""Where a value is: of each list around it, the list's number and the position in it."""

Values = Mapping[str, Sequence[tuple[Any, Place]]]
"""An event's values and their places, by path."""

_ANYWHERE: Place = frozenset()


class Matcher:
    """Tells of any event whether it fits one of the ways."""

    def __init__(self, ways: Iterable[Way]) -> None:
        self._ways = [sorted(way.items(), key=_engines_order) for way in ways]
        paths = {path for way in self._ways for path, _ in way}
        self._leading_there = {path[:end] for path in paths for end, one in enumerate(path) if one == "."} | paths
        self._empty_names = any(_has_empty_name(path) for path in paths)

    def matches(self, event: Mapping[str, Any]) -> bool:
        """Whether the event fits."""
        values = self._values(event)
        return any(_fits(way, values) for way in self._ways)

    def _values(self, event: Mapping[str, Any]) -> Values:
        """The event's values at the paths that are asked for."""
        values: dict[str, list[tuple[Any, Place]]] = defaultdict(list)
        numbers = count()
        pending: list[tuple[Any, str | None, Place]] = [(event, None, _ANYWHERE)]
        while pending:  # no recursion: the event decides how deep it is
            part, path, place = pending.pop()
            if isinstance(part, Mapping):
                for name, inner in part.items():
                    inside = name if path is None else f"{path}.{name}"
                    if inside in self._leading_there and (name or self._empty_names):
                        pending.append((inner, inside, place))
            elif path is not None:
                if isinstance(part, list):
                    pending += _elements(part, path, place, next(numbers))
                else:
                    values[path].append((part, place))
        return values


def _elements(elements: list[Any], path: str, place: Place, number: int) -> Iterator[tuple[Any, str, Place]]:
    """The elements of a list, each with its place; that of a value is the list's own, as values stand for no object."""
    for position, element in enumerate(elements):
        lone = len(elements) == 1 or not isinstance(element, Mapping | list)
        yield element, path, place if lone else place | {(number, position)}


def _fits(way: Sequence[tuple[str, Field]], values: Values) -> bool:
    """Whether there is a place where all fields fit."""
    found = {_ANYWHERE}
    for number, (path, field) in enumerate(way, start=1):
        here = values.get(path, ())
        fitting = {both for _, both in _together(found, {place for value, place in here if field.fits(value)})}
        if field.may_be_absent:
            fitting |= found - {place for place, _ in _together(found, {place for _, place in here})}
        if not fitting:
            return False
        found = fitting if fitting == {_ANYWHERE} else _still_of_use(fitting, way[number:], values)
    return True


def _still_of_use(places: AbstractSet[Place], fields: Sequence[tuple[str, Field]], values: Values) -> set[Place]:
    """The places without the lists that none of these fields is in: otherwise lists side by side would multiply."""
    lists = frozenset(number for path, _ in fields for _, place in values.get(path, ()) for number, _ in place)
    return {_within(place, lists) for place in places}


def _together(some: AbstractSet[Place], others: AbstractSet[Place]) -> Iterator[tuple[Place, Place]]:
    """Each of some with each of the others that is not in another element of the same list, and the two in one.

    A join by the lists that both are in, so that long lists take no longer than they must.
    """
    grouped = _by_lists(others)
    for lists, alike in _by_lists(some).items():
        for other_lists, others_alike in grouped.items():
            common = lists & other_lists
            partners: dict[Place, list[Place]] = defaultdict(list)
            for other in others_alike:
                partners[_within(other, common)].append(other)
            for place in alike:
                yield from ((place, place | other) for other in partners.get(_within(place, common), ()))


def _by_lists(places: AbstractSet[Place]) -> Mapping[frozenset[int], list[Place]]:
    if places == {_ANYWHERE}:  # as mostly
        return {frozenset(): [_ANYWHERE]}
    grouped: dict[frozenset[int], list[Place]] = defaultdict(list)
    for place in places:
        grouped[frozenset(number for number, _ in place)].append(place)
    return grouped


def _within(place: Place, lists: frozenset[int]) -> Place:
    return frozenset(one for one in place if one[0] in lists)


def _engines_order(field: tuple[str, Field]) -> bytes:
    """In which sequence AWS's engine looks at the fields: whether one is absent is asked of the places found so far."""
    path, _ = field
    return path.encode("utf-16-be", "surrogatepass")


def _has_empty_name(path: str) -> bool:
    """Whether AWS's engine sees an empty name in it: it forgets those at the end, and then sees none in events."""
    kept = path.rstrip(".")
    return not path or kept.startswith(".") or ".." in kept
