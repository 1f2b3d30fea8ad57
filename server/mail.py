"""The embedded mail server: keeps each mail once, as a file; `python -m server.mail --data DIR --port P` runs it.

It drops a mail whose Message-ID it already has: that makes sending exactly-once for a sender that tries again. A mail
server of the real world does not do so.
"""

import argparse
import hashlib
import logging
import os
import signal
import smtplib
import socket
import sys
import tempfile
import threading
import time
from contextlib import suppress
from email.parser import BytesHeaderParser
from pathlib import Path
from types import TracebackType
from typing import Self

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from runtime.errors import ExitCode
from runtime.leave import leave
from runtime.logs import configure_logs
from runtime.settings import Settings
from server.ports import LOOPBACK, free_port

# aiosmtpd tells each line of each conversation, addresses included, which also costs as much as keeping the mail.
logging.getLogger("mail.log").setLevel(logging.WARNING)

DROPS_REPEATS = "X-ORDERLAB-DROPS-REPEATS"
"""Tells senders, in the answer to EHLO, that a mail sent twice is kept once."""

_READY_S = 10.0
_CALL_S = 2.0
_PAUSE_S = 0.05


class MailServer:
    """An SMTP server on loopback, in a thread of its own between `with` and its end.

    Args:
        directory: holds `<sha256 of Message-ID>.eml` for each mail.
        port: on loopback; any free one if None.
    """

    def __init__(self, directory: Path, port: int | None = None) -> None:
        self._directory = directory
        self._port = free_port() if port is None else port
        self._controller = Controller(_Keeper(directory), hostname=LOOPBACK, port=self._port)

    @property
    def url(self) -> str:
        """For `Settings.smtp_url`."""
        return f"smtp://{LOOPBACK}:{self._port}"

    def __enter__(self) -> Self:
        """Start it and wait until it answers.

        Raises:
            OSError: the port is taken, or the directory can't be made.
        """
        self._directory.mkdir(parents=True, exist_ok=True)
        socket.create_server((LOOPBACK, self._port)).close()  # if it is taken: aiosmtpd would say so 5 s later only
        self._controller.start()
        wait_until_mail_is_taken(self._port)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._controller.stop()


def keep(directory: Path, mail: bytes) -> bool:
    """Keep a mail unless its Message-ID is kept already.

    Args:
        directory: must exist.
        mail: header and body as they were received; without a Message-ID it gets one that its content determines.

    Returns:
        Whether it is new.

    Raises:
        OSError: it can't be written.
    """
    message_id = str(BytesHeaderParser().parsebytes(mail).get("Message-ID", "")).strip()
    if not message_id:
        message_id = f"<{hashlib.sha256(mail).hexdigest()}@orderlab.invalid>"
        mail = f"Message-ID: {message_id}\r\n".encode() + mail
    name = hashlib.sha256(message_id.encode(errors="surrogateescape")).hexdigest() + ".eml"
    # Written under another name first, so that no reader and no crash ever meets half a mail under the final one;
    # a link, unlike a rename, refuses a name that is taken: of two at the same time, one is kept.
    with tempfile.NamedTemporaryFile(dir=directory, prefix="incoming-") as draft:
        draft.write(mail)
        draft.flush()
        try:
            os.link(draft.name, directory / name)
        except FileExistsError:
            return False
    return True


def wait_until_mail_is_taken(port: int, wait_s: float = _READY_S) -> None:
    """Wait until the mail server on this loopback port answers.

    Raises:
        TimeoutError: it does not within `wait_s` seconds.
    """
    deadline = time.monotonic() + wait_s
    while True:
        try:
            with smtplib.SMTP(LOOPBACK, port, timeout=_CALL_S) as smtp:
                smtp.noop()
        except (OSError, smtplib.SMTPException) as error:
            if time.monotonic() > deadline:
                raise TimeoutError(f"no mail server answers on port {port} within {wait_s:.0f} s: {error}") from error
            time.sleep(_PAUSE_S)
        else:
            return


class _Keeper:
    """What aiosmtpd calls for each mail."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def handle_EHLO(  # noqa: N802 - aiosmtpd's name
        self,
        server: SMTP,  # noqa: ARG002
        session: Session,
        envelope: Envelope,  # noqa: ARG002
        hostname: str,
        responses: list[str],
    ) -> list[str]:
        """Say what a sender that is not sure whether a mail was kept has to know."""
        session.host_name = hostname
        return [*responses[:-1], f"250-{DROPS_REPEATS}", responses[-1]]

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: ARG002, N802
        try:
            keep(self._directory, envelope.original_content or b"")
        except OSError as error:
            return f"451 Can't keep it now: {error.strerror}"  # 4xx: the sender shall try again
        return "250 Kept"


def serve(directory: Path, port: int) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        OSError: the port is taken.
    """
    asked_to_end = threading.Event()
    for which in (signal.SIGTERM, signal.SIGINT):
        signal.signal(which, lambda *_: asked_to_end.set())
    with MailServer(directory, port):
        asked_to_end.wait()


def main() -> None:
    """The process."""
    parser = argparse.ArgumentParser(prog="python -m server.mail", description="Keeps mails in DIR/mail.")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="data directory of the lab")
    parser.add_argument("--port", type=int, required=True, metavar="P", help="loopback port to listen on")
    arguments = parser.parse_args()
    configure_logs()
    try:
        serve(Settings.at(arguments.data).mail_dir, arguments.port)
    except OSError as error:
        with suppress(OSError):
            sys.stderr.write(f"no mail server on port {arguments.port}: {error}\n")
        leave(ExitCode.BROKEN)
    leave(ExitCode.DONE)


if __name__ == "__main__":
    main()
