"""Event patterns mean what AWS's own engine takes them for, but for the differences that docs/patterns.md lists."""

import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from events.patterns import Pattern, PatternError
from runtime.settings import PROJECT
from tests.events.pattern_pairs import pairs
from tests.ruler import NoRulerError, Pair, Ruler, find_ruler, open_ruler

PAIRS = 20_000
SEED = 14
PAGE = PROJECT / "docs" / "patterns.md"
ANSWERS = {"matches": True, "no": False, "refused": None}
ROWS = [line.strip("| ").split(" | ") for line in PAGE.read_text(encoding="utf-8").splitlines() if "| `{" in line]
EXAMPLES = [(row[1].strip("`"), row[2].strip("`"), row[3].strip("`")) for row in ROWS if len(row) == 4]
DIFFERENCES = [
    ((row[1].strip("`"), row[2].strip("`")), ANSWERS[row[3]], ANSWERS[row[4]]) for row in ROWS if len(row) == 6
]
CASELESS = "龍"
"""In place of a character beyond U+FFFF: like most of those, it has no capital."""


@pytest.fixture(scope="session")
def ruler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ruler]:
    try:
        command = find_ruler()
    except NoRulerError as error:
        pytest.skip(f"AWS's engine for patterns can't be had here: {error}")
    with open_ruler(command, tmp_path_factory.mktemp("ruler") / "log") as running:
        yield running


def answer(pair: Pair) -> bool | None:
    """Whether the event matches the pattern; None if that is refused."""
    pattern, event = (json.loads(text) for text in pair)
    try:
        return Pattern.parse(pattern).matches(event)
    except PatternError:
        return None


def is_listed(pair: Pair, ours: bool | None, ruler: Ruler) -> bool:
    """Whether the engine's other answer is one of the differences that docs/patterns.md lists.

    It is ours if the engine is asked in another way: for one alternative at a time and without taking `$or` for a
    name, or with other characters in place of those beyond U+FFFF.
    """
    if ruler.matches_apart([pair]) == [ours]:
        return ours is not None or '"$or"' in pair[0]
    pattern, event = ("".join(one if ord(one) <= 0xFFFF else CASELESS for one in text) for text in pair)
    return (
        pattern != pair[0] and '"equals-ignore-case"' in pattern and ruler.matches_apart([(pattern, event)]) == [ours]
    )


def test_aws_engine_answers_20_000_generated_pairs_as_we_do_but_for_the_listed_differences(ruler: Ruler) -> None:
    """Given patterns and events made for it, when both are asked, then each other answer has its line in the docs."""
    asked = list(pairs(SEED, PAIRS))

    ours = [answer(pair) for pair in asked]
    theirs = ruler.matches(asked)

    differing = [(pair, mine) for pair, mine, other in zip(asked, ours, theirs, strict=True) if mine is not other]
    assert [(pair, mine) for pair, mine in differing if not is_listed(pair, mine, ruler)] == []
    assert len(differing) < PAIRS / 100
    shares = Counter(theirs)
    assert min(shares[True], shares[False], shares[None]) > PAIRS / 10, "pairs that say nothing"


@pytest.mark.parametrize(("pattern", "matching", "other"), EXAMPLES)
def test_every_example_in_the_docs_is_true(pattern: str, matching: str, other: str) -> None:
    assert answer((pattern, matching)) is True
    assert answer((pattern, other)) is False


@pytest.mark.parametrize(("pattern", "matching", "other"), EXAMPLES)
def test_every_example_in_the_docs_is_true_of_aws_engine(pattern: str, matching: str, other: str, ruler: Ruler) -> None:
    assert ruler.matches([(pattern, matching), (pattern, other)]) == [True, False]


@pytest.mark.parametrize(("pair", "theirs", "ours"), DIFFERENCES)
def test_every_difference_in_the_docs_is_one(pair: Pair, theirs: bool | None, ours: bool | None, ruler: Ruler) -> None:
    assert theirs is not ours
    assert answer(pair) is ours
    assert ruler.matches([pair]) == [theirs]


def test_the_docs_have_an_example_of_every_operator_and_every_difference() -> None:
    assert len(EXAMPLES) > 30
    assert len(DIFFERENCES) == 11


def test_an_engine_that_ends_is_no_reason_to_skip_and_says_why(tmp_path: Path) -> None:
    """Given a command that ends at once, when the engine is opened, then its complaint is told."""
    command = [sys.executable, "-c", "import sys; sys.exit('a slip in the program')"]

    with pytest.raises(NoRulerError, match="a slip in the program"), open_ruler(command, tmp_path / "log"):
        pass
