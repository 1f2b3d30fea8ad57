"""What is shown: nothing that a terminal would obey, and nothing that hides; what people write stays as it is."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.printable import first_unprintable, is_printable, printable, why_unseen

SEEN = [
    "order 536365",
    "Grüße, 世界, שלום, नमस्ते",
    "\u3000 between ideographs",
    "\N{FAMILY} \U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466",
    "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",  # the flag of England
    "❤️",
    "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
    "\u06dd\u0627\u0628",
    "\U0001fae8",  # an emoji of Unicode 15, younger than Python 3.11
]
HIDDEN = ["\x00", "\x07", "\x1b", "\x7f", "\x9b", "\u202e", "\u2066", "\u200f", "\u2028", "\ufeff", "\ue000", "\uffff"]


@pytest.mark.parametrize("text", SEEN)
def test_what_people_write_is_shown_as_it_is(text: str) -> None:
    assert first_unprintable(text) is None
    assert printable(text) == text


@pytest.mark.parametrize("character", HIDDEN, ids=ascii)
def test_what_steers_a_terminal_or_hides_is_found_and_shown_as_an_escape(character: str) -> None:
    assert first_unprintable(f"ab{character}") == (3, f"U+{ord(character):04X}")
    assert printable(f"ab{character}").isascii()
    assert character not in printable(f"ab{character}")


@pytest.mark.parametrize("text", [*SEEN, "1\ufe0f\u20e3", "\u1112\u1161\u11ab", "\u0647\u200d", "a b", "\u2803\u2800"])
def test_a_name_of_what_people_write_is_seen_whole(text: str) -> None:
    assert why_unseen(text) is None


@pytest.mark.parametrize(
    ("text", "where"),
    [
        *((f"ab{character}", f"character 3 is U+{ord(character):04X}") for character in HIDDEN),
        ("\u200d", "character 1 is U+200D"),
        ("\u200c\u200d", "character 1 is U+200C"),
        ("ab\u200d", "character 3 is U+200D"),
        ("a\u200db", "character 2 is U+200D"),
        ("\u4e16 \u200c", "character 3 is U+200C"),
        ("\ufe0f", "character 1 is U+FE0F"),
        ("a \ufe0f", "character 3 is U+FE0F"),
        ("\U000e0067", "character 1 is U+E0067"),
        ("\U000e007f", "character 1 is U+E007F"),
        ("a\U000e0067", "character 2 is U+E0067"),
        ("\u4e16\U000e0067", "character 2 is U+E0067"),
    ],
    ids=ascii,
)
def test_a_mark_that_joins_nothing_is_as_unseen_as_a_control(text: str, where: str) -> None:
    assert why_unseen(text) == f"{where}, which can't be seen: leave it out"


@pytest.mark.parametrize(
    "text", [" ", "\u00a0", "\u3000", "\u115f", "\u1160", "\u2800", "\u3164", "\uffa0", " \u3164 "], ids=ascii
)
def test_of_blanks_alone_nothing_can_be_seen(text: str) -> None:
    assert why_unseen(text) == "nothing of it can be seen"


def test_lines_stay_lines() -> None:
    assert printable("one\n\ttwo") == "one\n\ttwo"


@given(st.text(st.characters()))
def test_whatever_the_text_what_is_shown_has_no_control_and_no_format_that_reorders_it(text: str) -> None:
    shown = printable(text)

    assert printable(shown) == shown
    assert shown.encode().decode() == shown
    assert all(character in "\n\t" or unicodedata.category(character) != "Cc" for character in shown)
    assert all(unicodedata.bidirectional(c) not in {"RLO", "LRO", "RLE", "LRE", "PDF", "RLI", "LRI"} for c in shown)
    assert all(is_printable(character) or character in "\n\t" for character in shown)
