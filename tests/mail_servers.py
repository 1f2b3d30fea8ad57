"""Mail servers as they are met in the world: slow, refusing, gone in the middle of a sentence."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from email import message_from_bytes
from email.message import Message

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from server.ports import LOOPBACK, free_port


class SlowServer:
    """Keeps each mail at once, and answers when it is told to: `answers` is set from the start, and may be cleared."""

    def __init__(self) -> None:
        self.mails: list[Message] = []
        self.answers = threading.Event()
        self.answers.set()
        self.rcpt, self.data = "250 OK", "250 Kept"
        self.closes = False
        """Whether it goes away instead of an answer."""
        self.slow_to = ""
        """In the subjects of the mails that wait for `answers`, as they come; all others are answered at once."""
        self._port = free_port()

    @property
    def url(self) -> str:
        return f"smtp://{LOOPBACK}:{self._port}"

    @property
    def subjects(self) -> list[str]:
        return [str(mail["Subject"]) for mail in self.mails]

    @contextlib.contextmanager
    def running(self) -> Iterator["SlowServer"]:
        controller = Controller(self, hostname=LOOPBACK, port=self._port)
        controller.start()
        try:
            yield self
        finally:
            self.answers.set()
            controller.stop()

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self,
        server: SMTP,  # noqa: ARG002
        session: Session,  # noqa: ARG002
        envelope: Envelope,
        address: str,
        rcpt_options: list[str],  # noqa: ARG002
    ) -> str:
        if self.rcpt.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.rcpt

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: ARG002, N802
        mail = message_from_bytes(envelope.original_content or b"")
        if self.data.startswith("250"):
            self.mails.append(mail)
        waits = self.slow_to in mail["Subject"]
        while waits and not self.answers.is_set():  # noqa: ASYNC110 - set by another thread
            await asyncio.sleep(0.01)
        if self.closes and server.transport is not None:
            server.transport.close()
        return self.data


@contextlib.contextmanager
def rude(talk: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server whose whole side of each conversation is given; answers its URL."""
    ends = threading.Event()
    listening = socket.create_server((LOOPBACK, 0))

    def serve() -> None:
        while not ends.is_set():
            with contextlib.suppress(OSError):
                connection, _ = listening.accept()
                with connection:
                    connection.settimeout(10)
                    talk(connection)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"smtp://{LOOPBACK}:{listening.getsockname()[1]}"
    ends.set()
    listening.close()


def read_line(connection: socket.socket) -> bytes:
    """What the client says up to the end of the line; nothing when it has gone."""
    line = b""
    while not line.endswith(b"\n"):
        byte = connection.recv(1)
        if not byte:
            break
        line += byte
    return line


def up_to_data(connection: socket.socket) -> None:
    """Say yes to everything up to the mail itself."""
    connection.sendall(b"220 rude\r\n")
    while line := read_line(connection):
        if line.upper().startswith(b"DATA"):
            connection.sendall(b"354 go on\r\n")
            return
        connection.sendall(b"250 OK\r\n")


def whole_mail(connection: socket.socket) -> None:
    """Read a mail up to its final dot."""
    while read_line(connection) not in {b".\r\n", b""}:
        pass
