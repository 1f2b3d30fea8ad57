"""Sends mails over SMTP, on connections that are kept open."""

import contextlib
import queue
import select
import smtplib
from email.message import EmailMessage
from urllib.parse import unquote, urlsplit

from runtime.errors import InputError

_TIMEOUT_S = 4
"""Shorter than one attempt of the activity that sends."""


class MailRefusedError(Exception):
    """The mail server will never take this mail; no further attempt can cure it."""


class Mailer:
    """A mail server to send through; safe to use from several threads."""

    def __init__(self, url: str, *, sender: str, customer_domain: str) -> None:
        """Take a mail server.

        Args:
            url: `smtp://[user:password@]host[:port]`, or `smtps://…` for TLS from the start.
            sender: address that mails come from.
            customer_domain: customers are written to at their number at this domain.

        Raises:
            InputError: the URL is not of this form.
        """
        self._url = check_smtp_url(url)
        self.sender = sender
        self._customer_domain = customer_domain
        self._idle: queue.LifoQueue[smtplib.SMTP] = queue.LifoQueue()

    def address_of(self, customer_id: str) -> str:
        """The mail address of a customer."""
        return f"{customer_id}@{self._customer_domain}"

    def send(self, mail: EmailMessage) -> None:
        """Hand one mail over.

        Raises:
            MailRefusedError: refused for good (an SMTP reply of 5xx).
            OSError: the server can't be reached or refused for now; to be tried again.
        """
        server = self._open_connection() or self._connect()
        try:
            server.send_message(mail)
        except smtplib.SMTPRecipientsRefused as error:
            server.close()
            code, text = next(iter(error.recipients.values()))
            raise _refusal(code, text) from error
        except smtplib.SMTPResponseException as error:
            server.close()
            raise _refusal(error.smtp_code, error.smtp_error) from error
        except BaseException:
            server.close()
            raise
        self._idle.put(server)

    def close(self) -> None:
        """Close the open connections."""
        while not self._idle.empty():
            with contextlib.suppress(queue.Empty, smtplib.SMTPException, OSError):
                self._idle.get_nowait().quit()

    def _open_connection(self) -> smtplib.SMTP | None:
        """One that the server has not closed meanwhile, if there is one."""
        with contextlib.suppress(queue.Empty):
            while True:
                server = self._idle.get_nowait()
                # Between two mails a server has nothing to say but that it leaves. Asking it would be a round trip.
                if server.sock is not None and not select.select([server.sock], [], [], 0)[0]:
                    return server
                server.close()
        return None

    def _connect(self) -> smtplib.SMTP:
        parts = urlsplit(self._url)
        kind = smtplib.SMTP_SSL if parts.scheme == "smtps" else smtplib.SMTP
        server = kind(parts.hostname or "", parts.port or 0, timeout=_TIMEOUT_S, local_hostname="orderlab.example")
        if parts.username is not None:
            if parts.scheme == "smtp":
                server.starttls()
            server.login(unquote(parts.username), unquote(parts.password or ""))
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


def _refusal(code: int, text: bytes | str) -> Exception:
    told = text.decode(errors="replace") if isinstance(text, bytes) else text
    if code >= 500:  # noqa: PLR2004 - RFC 5321, 4.2.1: 5yz is a permanent failure
        return MailRefusedError(f"{code} {told}")
    return OSError(f"mail server says {code} {told}")
