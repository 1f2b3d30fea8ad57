"""Sends mails over SMTP, on connections that are kept open."""

import contextlib
import queue
import select
import smtplib
import threading
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from urllib.parse import unquote, urlsplit

from activities.smtp import Conversation, ConversationOverTls, Patience, never
from runtime.errors import InputError, NotDoneError, OutcomeUnknownError
from server.mail import DROPS_REPEATS

_AT_ONCE = 6
"""Mails under way at the same time: fewer than the threads of a service, so that a mail server that answers nobody
leaves some of them to what needs no mail."""

_WAIT_FOR_TURN_S = 2.0


class MailRefusedError(NotDoneError):
    """The mail server will never take this mail; no further attempt can cure it."""


class MailNotTakenError(NotDoneError, OSError):
    """The mail server can't be reached, or does not take this mail now; to be tried again."""


class Mailer:
    """A mail server to send through; safe to use from several threads."""

    def __init__(self, url: str, *, sender: str, customer_domain: str, patience: Patience | None = None) -> None:
        """Take a mail server.

        Args:
            url: `smtp://[user:password@]host[:port]`, or `smtps://…` for TLS from the start.
            sender: address that mails come from.
            customer_domain: customers are written to at their number at this domain.
            patience: how long the mail server may take; what the standard says if None.

        Raises:
            InputError: the URL is not of this form.
        """
        self._url = check_smtp_url(url)
        self.sender = sender
        self._customer_domain = customer_domain
        self._patience = patience or Patience()
        self._idle: queue.LifoQueue[Conversation] = queue.LifoQueue()
        self._turns = threading.BoundedSemaphore(_AT_ONCE)
        self._drops_repeats: bool | None = None

    def address_of(self, customer_id: str) -> str:
        """The mail address of a customer."""
        return f"{customer_id}@{self._customer_domain}"

    def drops_repeats(self, is_called_off: Callable[[], bool] = never) -> bool | None:
        """Whether the mail server keeps a mail once, by its Message-ID, however often it is sent: ours says so.

        Args:
            is_called_off: as for `send`.

        Returns:
            None where nobody can say, as it can't be reached and never was.
        """
        if self._drops_repeats is None:
            with contextlib.suppress(MailNotTakenError), self._turn():
                self._idle.put(self._connect(is_called_off))
        return self._drops_repeats

    def send(self, mail: EmailMessage, is_called_off: Callable[[], bool] = never) -> None:
        """Hand one mail over.

        Args:
            mail: with its Message-ID.
            is_called_off: asked while the mail server lets us wait; if so, it is waited for no longer.

        Raises:
            MailRefusedError: refused for good (an SMTP reply of 5xx).
            MailNotTakenError: the server can't be reached or refused for now, or it was called off in time.
            OutcomeUnknownError: the mail was handed over, but the server has not said that it keeps it.
        """
        with self._turn():
            if is_called_off():
                raise MailNotTakenError("called off before it was sent")
            server = self._open_connection() or self._connect(is_called_off)
            server.begin(is_called_off)
            try:
                server.send_message(mail)
            except BaseException as error:
                server.close()
                failure = _failure(error, may_be_kept=server.may_be_kept)
                if failure is None:
                    raise
                raise failure from error
            self._idle.put(server)

    def close(self) -> None:
        """Close the open connections."""
        while not self._idle.empty():
            with contextlib.suppress(queue.Empty, smtplib.SMTPException, OSError):
                self._idle.get_nowait().quit()

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._turns.acquire(timeout=_WAIT_FOR_TURN_S):
            raise MailNotTakenError(f"the mail server is slow: {_AT_ONCE} mails are under way")
        try:
            yield
        finally:
            self._turns.release()

    def _open_connection(self) -> Conversation | None:
        """One that the server has not closed meanwhile, if there is one."""
        with contextlib.suppress(queue.Empty):
            while True:
                server = self._idle.get_nowait()
                # Between two mails a server has nothing to say but that it leaves. Asking it would be a round trip.
                if server.sock is not None and not select.select([server.sock], [], [], 0)[0]:
                    return server
                server.close()
        return None

    def _connect(self, is_called_off: Callable[[], bool]) -> Conversation:
        """Open a connection.

        Raises:
            MailNotTakenError: that failed.
        """
        parts = urlsplit(self._url)
        kind = ConversationOverTls if parts.scheme == "smtps" else Conversation
        try:
            server = kind(parts.hostname or "", parts.port or 0, self._patience, is_called_off)
            if parts.username is not None:
                if parts.scheme == "smtp":
                    server.starttls()
                server.login(unquote(parts.username), unquote(parts.password or ""))
            server.ehlo_or_helo_if_needed()
        except OSError as error:  # as smtplib's own errors are
            raise MailNotTakenError(str(error)) from error
        self._drops_repeats = server.has_extn(DROPS_REPEATS)
        return server


def check_smtp_url(url: str) -> str:
    """The URL as it is, if a mailer can use it.

    Raises:
        InputError: it is no `smtp://host[:port]` or `smtps://host[:port]`.
    """
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"smtp", "smtps"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise InputError(f"ORDERLAB_SMTP_URL={url!r} is no mail server; write smtp://host:port or smtps://host:port")
    return url


def _failure(error: BaseException, *, may_be_kept: bool) -> Exception | None:
    """What a failed attempt to send means; None where it is no failure of that kind."""
    code: int
    text: bytes | str
    match error:
        case smtplib.SMTPRecipientsRefused():
            code, text = next(iter(error.recipients.values()))
        case smtplib.SMTPSenderRefused() | smtplib.SMTPDataError():
            code, text = error.smtp_code, error.smtp_error
        case OSError():
            code, text = 0, str(error.__context__ or error)
        case _:
            return None
    told = text.decode(errors="replace") if isinstance(text, bytes) else text
    if code >= 500:  # noqa: PLR2004 - RFC 5321, 4.2.1: 5yz is a permanent failure
        return MailRefusedError(f"{code} {told}")
    if code >= 400:  # noqa: PLR2004 - 4yz is a failure for now
        return MailNotTakenError(f"mail server says {code} {told}")
    if may_be_kept:
        return OutcomeUnknownError(f"nobody knows whether the mail server has kept the mail: {told}")
    return MailNotTakenError(told)
