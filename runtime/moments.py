"""Moments as people write them, who have clocks of their own."""

from datetime import UTC, datetime


def in_utc(moment: datetime) -> datetime:
    """The same moment, told in UTC.

    Args:
        moment: with its offset.

    Raises:
        ValueError: UTC has no such moment, as it is in the years before 1 or after 9999 there.
    """
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("is no moment of the years 1 to 9999 in UTC") from error


def on_our_clock(moment: datetime) -> datetime:
    """The time that the clock of this machine shows at a moment, which is without an offset, as clocks are.

    Where that has no such time, as it is in another year than UTC, it is the moment as it was told, with its offset.

    Args:
        moment: with its offset.
    """
    try:
        return moment.astimezone().replace(tzinfo=None)
    except (OverflowError, ValueError, OSError):  # which of them it is depends on the platform's own clock functions
        return moment
