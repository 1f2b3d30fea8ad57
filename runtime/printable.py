"""What may be shown as it is: names are held to it, and whatever a terminal gets is made so."""

import itertools
import unicodedata

_INVISIBLE = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})
"""Controls, format characters, unassigned and private ones, halves of surrogate pairs, separators of lines."""

_JOINERS = frozenset("\u200c\u200d")
"""Format characters that words and pictures are written with: Persian needs the first, a family of emoji the second."""

_VISIBLE_SIGNS = frozenset("\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd")
"""Signs put around numbers in Arabic and other scripts: format characters by name only."""

_TAGS = range(0xE0020, 0xE0080)
"""Spell the region in the emoji of a flag, as England's."""

_FLAG = "\U0001f3f4"
"""Begins such an emoji."""

_SELECTORS = frozenset(map(chr, range(0xFE00, 0xFE10)))
"""Say how what is before them is drawn, as text or as a picture."""

_BLANKS = frozenset("\u115f\u1160\u2800\u3164\uffa0")
"""Letters and signs by name, of which nothing is drawn."""

_PICTURES = range(0x1F000, 0x1FB00)
"""Kept for emoji: Python knows those of its own year only, and people write newer ones."""

_LAYOUT = frozenset("\n\t")


def is_printable(character: str) -> bool:
    """Whether a character is seen as what it is, and neither steers a terminal nor reorders the text around it."""
    category = unicodedata.category(character)
    if category not in _INVISIBLE:
        return True
    if category == "Cn":
        return ord(character) in _PICTURES
    return character in _JOINERS or character in _VISIBLE_SIGNS or ord(character) in _TAGS


def first_unprintable(text: str) -> tuple[int, str] | None:
    """Where a text can't be shown as it is: the position, counted from 1, and the character as `U+202E`."""
    return next(
        ((at, codepoint(character)) for at, character in enumerate(text, start=1) if not is_printable(character)), None
    )


def why_unseen(text: str) -> str | None:
    """What can't be seen of a text that is to be known by what is seen of it, in words; None where all of it is.

    Marks that are seen in what they join are not where they join nothing, and a text of blanks alone is none to see.
    """
    found = first_unprintable(text) or _first_lone_mark(text)
    if found is not None:
        at, character = found
        return f"character {at} is {character}, which can't be seen: leave it out"
    if all(character.isspace() or character in _BLANKS for character in text):
        return "nothing of it can be seen"
    return None


def _first_lone_mark(text: str) -> tuple[int, str] | None:
    return next(
        (
            (at, codepoint(mark))
            for at, (before, mark) in enumerate(itertools.pairwise(f" {text}"), start=1)
            if not _is_seen_after(before, mark)
        ),
        None,
    )


def _is_seen_after(before: str, character: str) -> bool:
    """Whether a character shows: marks do in a flag, in a letter that is not of our alphabet, or in a picture alone."""
    if ord(character) in _TAGS:
        return before == _FLAG or ord(before) in _TAGS
    if character in _SELECTORS:
        return not before.isspace()
    if character in _JOINERS:
        return not (before.isascii() or before.isspace())
    return True


def codepoint(character: str) -> str:
    """The character as Unicode's tables name it, such as `U+202E`."""
    return f"U+{ord(character):04X}"


def printable(text: str) -> str:
    r"""The text with everything that can't be shown written as an escape (`\x1b`, `\u202e`); lines stay lines.

    Whatever comes from a person, another system or a database goes through here on its way to a terminal, which would
    obey an escape sequence in it.
    """
    if text.isascii() and text.replace("\n", "").isprintable():
        return text
    return "".join(
        character if character in _LAYOUT or is_printable(character) else _escaped(character) for character in text
    )


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
