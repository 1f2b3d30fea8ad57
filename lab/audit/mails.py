"""Reads the mails that the embedded mail server has kept."""

import ipaddress
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from email.header import decode_header, make_header
from email.message import Message
from email.parser import BytesParser
from pathlib import Path
from urllib.parse import urlsplit

from lab.audit.databases import Books
from lab.audit.report import Style
from runtime.settings import Settings

_MESSAGE_ID = re.compile(
    r"<(?P<style>saga|choreography)\.(?P<order>.+)\.marketing\.(confirmation|cancellation)\.sent(\.\d+)?@"
)
_SUBJECT = re.compile(r"Your order (?P<order>\S+)( was cancelled)?$")


@dataclass(frozen=True)
class Mail:
    """One mail that was kept."""

    message_id: str
    to: str
    style: Style | None
    """None where the mail does not tell."""
    order_id: str
    subject: str
    sender: str
    text: str


class Mailbox:
    """The mails about orders."""

    def __init__(self, mails: Iterable[Mail]) -> None:
        self._mails: dict[str, list[Mail]] = defaultdict(list)
        self._senders: Counter[str] = Counter()
        for mail in mails:
            self._mails[mail.message_id].append(mail)
            self._senders[mail.sender] += 1

    def has_a_sender_of_its_own(self, mail: Mail) -> bool:
        """Whether no other mail comes from its sender; which the shop's is, the auditor need not have been told."""
        return self._senders[mail.sender] == 1 < self._senders.total()

    def of(self, message_id: str) -> list[Mail]:
        """The mails of this id, of which there should be one."""
        return self._mails.get(message_id, [])

    def unexplained(self, books: Books) -> list[Mail]:
        """Mails that marketing has no note of."""
        return [
            mail
            for message_id, mails in self._mails.items()
            if not books.where("mails", "message_id", message_id)
            for mail in mails
        ]


def read_mails(settings: Settings) -> Mailbox | None:
    """Read the mails; None where they went to a mail server that is not ours to look into.

    One on this machine is ours if it keeps its mails in the data directory.
    """
    is_ours = settings.smtp_url is None or (_is_loopback(settings.smtp_url) and settings.mail_dir.is_dir())
    if not is_ours:
        return None
    files = sorted(settings.mail_dir.glob("*.eml")) if settings.mail_dir.is_dir() else []
    return Mailbox(mail for file in files if (mail := _read(file)) is not None)


def _read(file: Path) -> Mail | None:
    """The mail in a file; None where it is about no order."""
    with file.open("rb") as lines:
        headers = BytesParser().parse(lines)  # not as it was meant: what is wrong with a header has to be seen
    message_id = "".join(str(headers.get("Message-ID", "")).split())
    subject = _decoded(headers, "Subject")
    known, named = _MESSAGE_ID.match(message_id), _SUBJECT.match(subject)
    about = known or named
    if about is None:
        return None
    style: Style | None = None
    if known is not None:
        style = "saga" if known["style"] == "saga" else "choreography"
    return Mail(
        message_id=message_id,
        to=str(headers.get("To", "")).strip(),
        style=style,
        order_id=about["order"],
        subject=subject,
        sender=str(headers.get("From", "")).strip(),
        text=_text(headers),
    )


def _decoded(mail: Message, header: str) -> str:
    """A header that may have been folded and encoded on its way, as one that is long is; as it is where it can't be."""
    raw = str(mail.get(header, ""))
    try:
        return " ".join(str(make_header(decode_header(raw))).split())
    except (ValueError, LookupError):  # a wrong encoding, or one that there is not
        return " ".join(raw.split())


def _text(mail: Message) -> str:
    content = mail.get_payload(decode=True)
    return content.decode(errors="replace") if isinstance(content, bytes) else ""


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name
        return False
