"""Makes pairs of a pattern and an event, as JSON texts, of which many match and many do not.

Most of a pattern is made from what is in the event, with slips; some of it from nothing; some of it is no pattern.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any

from tests.events import pattern_values as values

_SPELLED = re.compile(r'"#([-+.0-9eE]*)#"')

Leaf = tuple[tuple[str, ...], Any]
"""A value of the event, under the names that lead there."""


def pairs(seed: int, number: int) -> Iterator[tuple[str, str]]:
    """So many pairs of pattern and event, the same for the same seed."""
    random = Random(seed)  # noqa: S311 - repeatable is what it shall be
    for _ in range(number):
        maker = _Maker(random)
        event = maker.event()
        yield _written(maker.pattern(event)), _written(event)


def _written(value: object) -> str:
    return _SPELLED.sub(r"\1", json.dumps(value, ensure_ascii=False))


class _Maker:
    """Makes one pair; numbers stand in it as texts between number signs, so that their spelling is kept."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._odd = random.random() < 0.25
        # Addresses of one family, and no numbers beside them: the engine confuses these, as docs/patterns.md shows.
        self._addresses = random.choice([values.V4, values.V6]) if random.random() < 0.2 else []

    def event(self) -> dict[str, Any]:
        made = self._object(3)
        return made or {"a": self._scalar()}

    def pattern(self, event: dict[str, Any]) -> dict[str, Any]:
        if self._chance(0.02):
            return self._random.choice(values.NO_PATTERNS)
        return self._fields(list(_leaves(event, ())), 2)

    def _chance(self, probability: float) -> bool:
        return self._random.random() < probability

    def _name(self) -> str:
        return self._random.choice(values.ODD_NAMES if self._odd and self._chance(0.15) else values.NAMES)

    def _object(self, depth: int) -> dict[str, Any]:
        return {self._name(): self._part(depth) for _ in range(self._random.randint(0 if depth < 3 else 1, 3))}

    def _part(self, depth: int) -> Any:  # noqa: ANN401 - JSON
        kind = self._random.random()
        if depth == 0 or kind < 0.45:
            return self._scalar()
        if kind < 0.7:
            return self._object(depth - 1)
        if kind < 0.8:
            return [self._scalar() for _ in range(self._random.randint(0, 3))]
        return [self._part(depth - 1) for _ in range(self._random.randint(1, 3))]

    def _scalar(self) -> Any:  # noqa: ANN401 - JSON
        kind = self._random.random()
        if kind < 0.15:
            return self._random.choice([None, True, False])
        if self._addresses:
            return self._address()
        return self._number() if kind < 0.4 else self._text()

    def _text(self) -> str:
        return self._random.choice(values.ODD_TEXTS if self._odd and self._chance(0.5) else values.TEXTS)

    def _address(self) -> str:
        return self._random.choice(values.NO_ADDRESSES if self._odd and self._chance(0.2) else self._addresses)

    def _number(self) -> str:
        return self._random.choice(values.ODD_NUMBERS if self._odd and self._chance(0.3) else values.NUMBERS)

    def _fields(self, leaves: list[Leaf], depth: int) -> dict[str, Any]:
        """A pattern of some leaves, in any sequence, with a `$or` here and there."""
        made: dict[str, Any] = {}
        for _ in range(self._random.choice([1, 1, 2, 2, 3])):
            if depth and self._chance(0.25):
                made["$or"] = [self._fields(leaves, depth - 1) for _ in range(self._random.choice([2, 2, 3]))]
                continue
            steps, value = self._leaf(leaves)
            alternatives = [self._alternative(value) for _ in range(self._random.choice([1, 1, 1, 2, 3]))]
            self._put(made, self._regrouped(steps), alternatives, depth)
        return made

    def _leaf(self, leaves: list[Leaf]) -> Leaf:
        """One of these, or one that most likely is in no event."""
        if leaves and self._chance(0.85):
            return self._random.choice(leaves)
        return tuple(self._name() for _ in range(self._random.randint(1, 2))), None

    def _put(self, made: dict[str, Any], steps: list[str], alternatives: list[Any], depth: int) -> None:
        *outer, last = steps
        for step in outer:
            inner = made.setdefault(step, {})
            if not isinstance(inner, dict):
                return
            made = inner
            if depth and self._chance(0.05):
                made["$or"] = [{self._name(): [self._alternative(None)]}, {last: [self._alternative(None)]}]
        made[last] = alternatives

    def _regrouped(self, steps: tuple[str, ...]) -> list[str]:
        """The same path, dots in place of some objects or objects in place of some dots."""
        pieces = ".".join(steps).split(".") if self._chance(0.3) else list(steps)
        made = pieces[:1]
        for piece in pieces[1:]:
            if self._chance(0.2):
                made[-1] += f".{piece}"
            else:
                made.append(piece)
        return made

    def _alternative(self, value: Any) -> Any:  # noqa: ANN401 - JSON
        if self._chance(0.015):
            return self._broken()
        if self._chance(0.12):
            return {"exists": self._chance(0.5)}
        if value is None or self._chance(0.2):
            value = self._scalar()
        if not isinstance(value, str):
            return value if self._chance(0.7) else {"anything-but": self._random.choice(["a", ["a", "b"], "#1#"])}
        return self._of_number(value) if value.startswith("#") else self._of_text(value)

    def _of_number(self, value: str) -> Any:  # noqa: ANN401 - JSON
        other = self._number()
        low, high = sorted([value, other], key=lambda one: float(one.strip("#")))
        return self._random.choice(
            [
                value,
                value,
                other,
                {"numeric": [self._random.choice(values.SIGNS), self._random.choice([value, other])]},
                {"numeric": [self._random.choice(values.LOWER), low, self._random.choice(values.UPPER), high]},
                {"anything-but": self._random.choice([value, other, [other], [value, other]])},
            ]
        )

    def _of_text(self, value: str) -> Any:  # noqa: ANN401 - JSON
        if self._addresses:
            network = f"{value}/{self._random.choice(values.MASKS)}"
            others = [{"cidr": network}, {"exactly": value}, {"anything-but": value}, {"prefix": value[:4]}]
            return self._random.choice([value, self._address(), *others])
        affix = self._random.choice(["prefix", "suffix"])
        cut = self._random.randint(0, len(value))
        part = value[:cut] if affix == "prefix" else value[cut:]
        if self._odd and self._chance(0.2):  # as the engine compares quotes, too
            part = f'{value}"' if affix == "prefix" else f'"{value}'
        swapped = self._random.choice([str.upper, str.lower, str.swapcase])(part)
        operators: list[Callable[[], Any]] = [
            lambda: value,
            self._text,
            lambda: {affix: part},
            lambda: {affix: {"equals-ignore-case": swapped}},
            lambda: {"equals-ignore-case": value.swapcase()},
            lambda: {"exactly": self._random.choice([value, self._text()])},
            lambda: {"wildcard": self._wildcard(value)},
            lambda: {"anything-but": self._few(value, self._text())},
            lambda: {"anything-but": {affix: self._few(part, self._text())}},
            lambda: {"anything-but": {"equals-ignore-case": self._few(value.swapcase(), self._text())}},
            lambda: {"anything-but": {"wildcard": self._few(self._wildcard(value), self._wildcard(self._text()))}},
        ]
        return self._random.choice(operators)()

    def _few(self, one: str, other: str) -> Sequence[str]:
        return self._random.choice([one, other, [one, other]])

    def _wildcard(self, value: str) -> str:
        if self._chance(0.2):  # begin and end overlap, or nearly
            begin, end = (self._random.randint(0, len(value)) for _ in range(2))
            return f"{value[:begin]}*{value[end:]}".replace("\\", "\\\\")
        escaped = [{"*": "\\*", "\\": "\\\\"}.get(one, one) for one in value]
        for _ in range(self._random.choice([0, 1, 1, 2])):
            at = self._random.randint(0, len(escaped))
            escaped[at : self._random.randint(at, len(escaped))] = ["*"]
        made = "".join(escaped)
        return made if self._chance(0.05) else re.sub(r"(?<!\\)\*+", "*", made)

    def _broken(self) -> Any:  # noqa: ANN401 - JSON
        if self._chance(0.4):
            return self._random.choice(values.NO_ALTERNATIVES)
        return {self._random.choice(values.OPERATORS): self._random.choice(values.OPERANDS)}


def _leaves(part: Any, steps: tuple[str, ...]) -> Iterator[Leaf]:  # noqa: ANN401 - JSON
    if isinstance(part, dict):
        for name, inner in part.items():
            yield from _leaves(inner, (*steps, name))
    elif isinstance(part, list):
        for element in part:
            yield from _leaves(element, steps)
    else:
        yield steps, part
