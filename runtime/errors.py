"""The errors a person sees: one clear line, and the exit code that goes with it."""

from enum import IntEnum

ATTEMPT = "attempt"
"""In the details of an activity's failure: which attempt it was."""


class ExitCode(IntEnum):
    """What a process of orderlab answers with."""

    DONE = 0
    """Everything ended in a legal state."""
    BROKEN = 1
    """A guarantee was broken, or an order did not end."""
    USAGE = 2
    """Wrong usage or input, found before a server was looked for."""
    NO_SERVER = 3
    """There is no Temporal server to be had."""
    INTERRUPTED = 130
    """Ctrl-C."""


class OrderlabError(Exception):
    """An error to be told in one line."""

    exit_code = ExitCode.BROKEN


class InputError(OrderlabError):
    """What the user gave can't be used; the message says what to do about it."""

    exit_code = ExitCode.USAGE


class NoServerError(OrderlabError):
    """No Temporal server could be found, started or used; the message says why."""

    exit_code = ExitCode.NO_SERVER


class OrderIdTakenError(Exception):
    """An order id belongs to an order with other content, of which the service knows: refused, and never retried."""


class SupersededError(Exception):
    """Work came too late: what it would do has been compensated already, so it is refused and never retried."""


class StoreRefusedError(Exception):
    """A service's database does not take this, and will not at any further attempt: it is never retried."""


class StoreUnavailableError(Exception):
    """A service's database can't do this now (locked, full, away, restarting): it is tried again."""


class NotDoneError(Exception):
    """What another system was asked to do has certainly not been done, so it may be asked again at once."""


class OutcomeUnknownError(Exception):
    """What another system was asked to do may have been done or not, and nobody can find out."""

    tries: int = 0
    """How often it was tried."""
    look_again_s: float | None = None
    """How long to wait before the next attempt; None where it may come as early as any."""
