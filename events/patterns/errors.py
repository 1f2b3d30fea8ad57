"""What is wrong with a pattern."""


class PatternError(ValueError):
    """The pattern can't be used; one line names the place and says what can be written there."""
