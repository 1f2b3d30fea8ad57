"""The pattern: checked when it is made, and prepared for matching."""

import json
from collections.abc import Mapping

from pydantic import ConfigDict, JsonValue, PrivateAttr, RootModel, ValidationError

from events.patterns.errors import PatternError
from events.patterns.matching import Matcher
from events.patterns.reading import Way, read


class Pattern(RootModel[dict[str, JsonValue]]):
    """A pattern, checked when it is made; written and read as the JSON that it is.

    As the field of a model it is checked with the model: what is wrong with it is told by the model's ValidationError.
    """

    model_config = ConfigDict(frozen=True)

    _ways: list[Way] = PrivateAttr()
    _matcher: Matcher = PrivateAttr()

    def model_post_init(self, _context: object) -> None:
        """Check the pattern, and prepare the matching.

        Raises:
            PatternError: it can't be used.
        """
        self._ways = read(self.root)
        self._matcher = Matcher(self._ways)

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
        return self._matcher.matches(event)

    # A model compares its private attributes as well, and no two prepared matchers are equal. Compared is what is asked
    # of which path: the sequence of the fields means something only where a path is written twice. It is compared as
    # JSON, which tells 1 from true: Python does not.

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pattern) and self._canonical() == other._canonical()

    def __hash__(self) -> int:
        return hash(self._canonical())

    def _canonical(self) -> str:
        asked = [{path: field.alternatives for path, field in way.items()} for way in self._ways]
        return json.dumps(asked, sort_keys=True)


def _first_error(error: ValidationError) -> PatternError:
    """What is wrong, without pydantic's frame around it."""
    first = error.errors()[0]
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, PatternError):
        return cause
    # Not even JSON. Below the top-level field, pydantic's path has names of types in it and helps nobody.
    place = str(first["loc"][0]) if first["loc"] else "the pattern"
    return PatternError(f"{place}: a pattern is a JSON object of fields: {first['msg']}")
