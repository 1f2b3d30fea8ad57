"""Makes pairs of a pattern and an event, as JSON texts, of which many match and many do not.

Most of a pattern is made from what is in the event, with slips; some of it from nothing; some of it is no pattern.
"""

import json
import re
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

_NAMES = ["a", "a", "b", "b", "c", "a.b", "b.c", "a.b.c"]
_ODD_NAMES = ["", "a.", ".a", "b..c", ".", "prefix", "=", "é", "\U0001f600", "\uff5e"]
_TEXTS = ["", "a", "b", "ab", "aba", "abab", "abba", "ba", "Ab", "aB", "AB", "x", "1", "true", "null"]
_ODD_TEXTS = [
    *(
        "ß",
        "SS",
        "ss",
        "é",
        "É",
        "e\u0301",
        "\u017f",
        "S",
        "s",
        "\u212a",
        "k",
        "ǅ",
        "ǆ",
        "İ",
        "i̇",
        "ﬁ",
        "FI",
        "大雨",
        "雨",
        "\U0001f600",
    ),
    *("*", "a*b", "a\\b", "\\", 'a"', '"a', '"', "a\nb", "a.b", "??"),
]
_V4 = ["10.0.0.1", "10.0.0.001", "10.0.0.2", "10.0.1.1", "10.1.0.1", "192.168.0.255", "255.255.255.255", "0.0.0.0"]  # noqa: S104 - nothing is bound
_V6 = [
    "::1",
    "0:0:0:0:0:0:0:1",
    "0000:0::00001",
    "2001:db8::1",
    "2001:DB8::0001",
    "2001:db8:1::",
    "::",
    "1:2:3:4:5:6:7:8",
]
_V4_AS_V6 = "::ffff:a00:1"
_NO_ADDRESSES = ["999.1.1.1", "10.0.0", "10.0.0.1.1", "12:30", ":", "1::2::3", "10.0.0.1 ", "::ffff:10.0.0.1"]
_NUMBERS = [
    "0",
    "-0",
    "0.0",
    "1",
    "1.0",
    "1e0",
    "10e-1",
    "1.5",
    "15E-1",
    "2",
    "2.50",
    "-1",
    "-1.0",
    "100",
    "1e2",
    "1E+2",
    "5",
]
_ODD_NUMBERS = [
    *("9007199254740992", "9007199254740993", "1152921504606846976", "1e18", "1000000000000000000"),
    *("123456789012345678901234567890", "1e-7", "0.30000000000000004", "1e300", "-5e-300"),
]
_SIGNS = ["<", "<=", "=", ">", ">="]
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
        # Mixing families of addresses, or addresses with numbers, is a matter of its own: see docs/patterns.md.
        self._addresses = random.choice([[*_V4, _V4_AS_V6], _V6]) if random.random() < 0.2 else []

    def event(self) -> dict[str, Any]:
        made = self._object(3)
        return made or {"a": self._scalar()}

    def pattern(self, event: dict[str, Any]) -> dict[str, Any]:
        leaves = list(_leaves(event, ()))
        made = self._fields(leaves, 2)
        if self._chance(0.02):
            return self._broken_pattern()
        return made

    def _chance(self, probability: float) -> bool:
        return self._random.random() < probability

    def _name(self) -> str:
        return self._random.choice(_ODD_NAMES if self._odd and self._chance(0.15) else _NAMES)

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
        return self._random.choice(_ODD_TEXTS if self._odd and self._chance(0.5) else _TEXTS)

    def _address(self) -> str:
        return self._random.choice(_NO_ADDRESSES if self._odd and self._chance(0.2) else self._addresses)

    def _number(self) -> str:
        return f"#{self._random.choice(_ODD_NUMBERS if self._odd and self._chance(0.3) else _NUMBERS)}#"

    def _fields(self, leaves: list[Leaf], depth: int) -> dict[str, Any]:
        """A pattern of some leaves, in any sequence, with a `$or` here and there."""
        made: dict[str, Any] = {}
        for _ in range(self._random.choice([1, 1, 2, 2, 3])):
            if depth and self._chance(0.25):
                made["$or"] = [self._fields(leaves, depth - 1) for _ in range(self._random.choice([2, 2, 3]))]
                continue
            known = leaves and self._chance(0.85)
            steps, value = (
                self._random.choice(leaves)
                if known
                else ((self._name(), self._name())[: self._random.randint(1, 2)], None)
            )
            self._put(
                made,
                self._regrouped(steps),
                [self._alternative(value) for _ in range(self._random.choice([1, 1, 1, 2, 3]))],
                depth,
            )
        return made

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
                {"numeric": [self._random.choice(_SIGNS), self._random.choice([value, other])]},
                {"numeric": [self._random.choice(_SIGNS[3:]), low, self._random.choice(_SIGNS[:2]), high]},
                {"anything-but": self._random.choice([value, other, [other], [value, other]])},
            ]
        )

    def _of_text(self, value: str) -> Any:  # noqa: ANN401 - JSON
        if self._addresses:
            return self._random.choice(
                [
                    value,
                    self._address(),
                    {"cidr": self._network(value)},
                    {"exactly": value},
                    {"anything-but": value},
                    {"prefix": value[:4]},
                ]
            )
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
            lambda: {"anything-but": self._random.choice([value, self._text(), [value, self._text()]])},
            lambda: {"anything-but": {affix: self._random.choice([part, self._text(), [part, self._text()]])}},
            lambda: {
                "anything-but": {
                    "equals-ignore-case": self._random.choice([value.swapcase(), [value.upper(), self._text()]])
                }
            },
            lambda: {
                "anything-but": {
                    "wildcard": self._random.choice(
                        [self._wildcard(value), [self._wildcard(value), self._wildcard(self._text())]]
                    )
                }
            },
        ]
        return self._random.choice(operators)()

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

    def _network(self, address: str) -> str:
        return f"{address}/{self._random.choice([0, 1, 8, 15, 16, 24, 30, 31, 32, 64, 127, 128])}"

    def _broken(self) -> Any:  # noqa: ANN401 - JSON
        operator = self._random.choice(
            [
                "prefix",
                "suffix",
                "wildcard",
                "equals-ignore-case",
                "anything-but",
                "numeric",
                "cidr",
                "exists",
                "exactly",
                "regex",
                "$or",
            ]
        )
        operand: Any = self._random.choice(
            [
                *(None, True, "#1#", "", "a", "**", "\\", "a\\b", [], [None], ["a"], ["a", "#1#"], ["#1#", "#2#"], {}),
                *({"prefix": ""}, {"suffix": ["a", ""]}, {"wildcard": ["a**"]}, {"numeric": ["=", "#1#"]}),
                *({"equals-ignore-case": ["a"]}, {"equals-ignore-case": "#1#"}, {"prefix": "a", "suffix": "b"}),
                *(
                    ["=", "#1#"],
                    [">", "a"],
                    ["<", "#1#", ">", "#0#"],
                    [">", "#1#", "<", "#1#"],
                    ["!=", "#1#"],
                    [">", "#1#", "<"],
                ),
                *(
                    "10.0.0.1",
                    "10.0.0.1/",
                    "10.0.0.1/33",
                    "10.0.0.1/-1",
                    "10.0.0.1/+8",
                    "10.0.0.1/8/",
                    "::/129",
                    "a/8",
                    "/8",
                ),
            ]
        )
        return self._random.choice(
            [
                {operator: operand},
                {operator: operand},
                {operator: operand},
                {},
                [],
                ["a"],
                {"prefix": "a", "suffix": "b"},
            ]
        )

    def _broken_pattern(self) -> dict[str, Any]:
        return self._random.choice(
            [
                *(
                    {},
                    {"a": {}},
                    {"a": []},
                    {"a": "x"},
                    {"a": None},
                    {"a": "#1#"},
                    {"a": [{"anything-but": {"prefix": []}}]},
                    {"$or": []},
                    {"$or": [{"a": ["x"]}]},
                ),
                *(
                    {"$or": {"a": ["x"]}},
                    {"$or": [{"a": ["x"]}, {}]},
                    {"$or": ["x", "y"]},
                    {"$or": [{"prefix": "x"}, {"suffix": "y"}]},
                ),
                *(
                    {"$or": [{"a": ["x"]}, {"prefix": ["y"]}]},
                    {"$or": [{"a": ["x"]}, {"b": {"=": ["y"]}}]},
                    {"a": {"$or": ["x"]}},
                ),
            ]
        )


def _leaves(part: Any, steps: tuple[str, ...]) -> Iterator[Leaf]:  # noqa: ANN401 - JSON
    if isinstance(part, dict):
        for name, inner in part.items():
            yield from _leaves(inner, (*steps, name))
    elif isinstance(part, list):
        for element in part:
            yield from _leaves(element, steps)
    else:
        yield steps, part
