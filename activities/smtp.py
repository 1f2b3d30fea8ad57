"""One conversation with a mail server: waits as long as the standard asks for, unless it is called off."""

import io
import smtplib
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

_LOOK_S = 0.5
"""How often whoever waits for the server looks whether the mail is called off."""


@dataclass(frozen=True)
class Patience:
    """How long a mail server may take: what RFC 5321, 4.5.3.2, asks a client to wait at least."""

    connect_s: float = 30
    """Until it is connected, or TLS is agreed on, of which the standard says nothing."""
    answer_s: float = 5 * 60
    """Its greeting, and its answer to all that the others are not about."""
    data_s: float = 2 * 60
    """Its answer to DATA."""
    block_s: float = 3 * 60
    """Until it has taken in what we send."""
    kept_s: float = 10 * 60
    """Its answer when it has got all of a mail, and is responsible for it."""
    called_off_s: float = 10
    """The same, when the mail is called off by then: most servers need no longer, and nobody has to guess."""


def never() -> bool:
    """Nothing is called off."""
    return False


class Conversation(smtplib.SMTP):
    """What we say, and how long we wait for each answer: for the whole of it, not for its next byte."""

    def __init__(self, host: str, port: int, patience: Patience, is_called_off: Callable[[], bool] = never) -> None:
        """Connect, and wait for the greeting.

        Args:
            host: where the server is.
            port: likewise.
            patience: how long it may take.
            is_called_off: as for `begin`.

        Raises:
            OSError: there is no connection, or no greeting.
        """
        self._patience = patience
        self._limit_s = patience.answer_s
        self._is_called_off = is_called_off
        self._pauses: Iterator[float] = iter(())
        self.may_be_kept = False
        """Whether the whole mail has been handed over: then it may arrive, whatever we hear. Of a part of one a server
        must keep nothing (RFC 5321, 4.1.1.10)."""
        super().__init__(host, port, local_hostname="orderlab.example", timeout=patience.connect_s)

    def begin(self, is_called_off: Callable[[], bool]) -> None:
        """Begin a mail; while the server lets us wait, it is asked now and then whether that is called off."""
        self.may_be_kept = False
        self._is_called_off = is_called_off

    def putcmd(self, cmd: str, args: str = "") -> None:
        """Send a command."""
        self._limit_s = self._patience.data_s if cmd.lower() == "data" else self._patience.answer_s
        super().putcmd(cmd, args)

    def send(self, s: "ReadableBuffer | str") -> None:
        """Send a command, as text, or a mail, as bytes."""
        is_mail = not isinstance(s, str)
        try:
            self._send_all(memoryview(s.encode(self.command_encoding) if isinstance(s, str) else s))
        except OSError as error:
            self.close()
            raise smtplib.SMTPServerDisconnected(str(error)) from error
        if is_mail:
            self.may_be_kept = True
            self._limit_s = self._patience.kept_s

    def _send_all(self, rest: memoryview) -> None:
        if self.sock is None:
            raise smtplib.SMTPServerDisconnected("not connected")
        self._pauses = self._waiting("the mail server has not taken in what we send", self._patience.block_s)
        while rest:
            self.sock.settimeout(next(self._pauses))
            try:
                rest = rest[self.sock.send(rest) :]
            except TimeoutError:
                continue

    def getreply(self) -> tuple[int, bytes]:
        """Wait for the answer to what was sent last."""
        if self.file is None and self.sock is not None:
            self.file = io.BufferedReader(_Answers(self.sock, lambda: next(self._pauses)))
        self._pauses = self._waiting("no answer", self._limit_s)
        try:
            return super().getreply()
        finally:
            if self.sock is not None:  # TLS may be begun next
                self.sock.settimeout(self._patience.connect_s)

    def _waiting(self, complaint: str, limit_s: float) -> Iterator[float]:
        """How long to wait until this is asked again, for as long as there is to wait.

        Raises:
            TimeoutError: it is enough.
        """
        until = time.monotonic() + limit_s
        why = f"{complaint} within {limit_s:g} s"
        called_off = False
        while (left_s := until - time.monotonic()) > 0:
            if not called_off and self._is_called_off():
                called_off, why = True, "called off while the mail server let us wait"
                until = min(until, time.monotonic() + (self._patience.called_off_s if self.may_be_kept else 0))
                continue
            yield min(left_s, _LOOK_S)
        raise TimeoutError(why)


class ConversationOverTls(Conversation, smtplib.SMTP_SSL):
    """The same, encrypted from the start."""


class _Answers(io.RawIOBase):
    """Reads from a socket in small pieces of time."""

    def __init__(self, sock: socket.socket, pause_s: Callable[[], float]) -> None:
        self._sock = sock
        self._pause_s = pause_s
        """How long to wait until it is asked again; raises TimeoutError when it is enough."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        while True:
            self._sock.settimeout(self._pause_s())
            try:
                return self._sock.recv_into(buffer)
            except TimeoutError:
                continue
