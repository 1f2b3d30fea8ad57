"""What is shown: nothing that a terminal would obey, and nothing that hides; what people write stays as it is."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.printable import first_unprintable, is_printable, printable

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
