"""One conversation with a mail server: waits as long as the standard asks for, unless it is called off."""

import io
import smtplib
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

_LOOK_S = 0.5
"""How often whoever waits for an answer looks whether the mail is called off."""


@dataclass(frozen=True)
class Patience:
    """How long a mail server may take: what RFC 5321, 4.5.3.2, asks a client to wait at least."""

    connect_s: float = 30
    """Until it is connected, of which the standard says nothing."""
    answer_s: float = 5 * 60
    """Its greeting, and its answer to all that the others are not about."""
    data_s: float = 2 * 60
    """Its answer to DATA."""
    block_s: float = 3 * 60
    """Until it has taken in what we send."""
    kept_s: float = 10 * 60
    """Its answer when it has got all of a mail, and is responsible for it."""


def never() -> bool:
    """Nothing is called off."""
    return False


class Conversation(smtplib.SMTP):
    """What we say, and how long we wait for each answer: for the whole of it, not for its next byte."""

    def __init__(self, host: str, port: int, patience: Patience) -> None:
        """Connect, and wait for the greeting.

        Raises:
            OSError: there is no connection, or no greeting.
        """
        self._patience = patience
        self._limit_s = patience.answer_s
        self._until = 0.0
        self._is_called_off: Callable[[], bool] = never
        self.may_be_kept = False
        """Whether the whole mail has been handed over, or nearly so: then it may arrive, whatever we hear."""
        super().__init__(host, port, local_hostname="orderlab.example", timeout=patience.connect_s)

    def begin(self, is_called_off: Callable[[], bool]) -> None:
        """Begin a mail; while an answer is waited for, it is asked now and then whether that is called off."""
        self.may_be_kept = False
        self._is_called_off = is_called_off

    def putcmd(self, cmd: str, args: str = "") -> None:
        """Send a command."""
        self._limit_s = self._patience.data_s if cmd.lower() == "data" else self._patience.answer_s
        super().putcmd(cmd, args)

    def send(self, s: "ReadableBuffer | str") -> None:
        """Send a command, as text, or a mail, as bytes."""
        if not isinstance(s, str):
            self.may_be_kept = True
            self._limit_s = self._patience.kept_s
        if self.sock is not None:
            self.sock.settimeout(self._patience.block_s)
        super().send(s)

    def getreply(self) -> tuple[int, bytes]:
        """Wait for the answer to what was sent last."""
        if self.file is None and self.sock is not None:
            self.file = io.BufferedReader(_Answers(self.sock, self._go_on_waiting))
        self._until = time.monotonic() + self._limit_s
        try:
            return super().getreply()
        finally:
            if self.sock is not None:  # TLS may be begun next
                self.sock.settimeout(self._patience.answer_s)

    def _go_on_waiting(self) -> float:
        left_s = self._until - time.monotonic()
        if left_s <= 0:
            raise TimeoutError(f"no answer within {self._limit_s:g} s")
        if self._is_called_off():
            raise TimeoutError("called off while waiting for an answer")
        return min(left_s, _LOOK_S)


class ConversationOverTls(Conversation, smtplib.SMTP_SSL):
    """The same, encrypted from the start."""


class _Answers(io.RawIOBase):
    """Reads from a socket in small pieces of time."""

    def __init__(self, sock: socket.socket, go_on_waiting: Callable[[], float]) -> None:
        self._sock = sock
        self._go_on_waiting = go_on_waiting
        """How long to wait until it is asked again; raises TimeoutError when it is enough."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        while True:
            self._sock.settimeout(self._go_on_waiting())
            try:
                return self._sock.recv_into(buffer)
            except TimeoutError:
                continue
