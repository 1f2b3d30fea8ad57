"""Standard output and standard error, to which writing never fails.

Who reads may go away at any time (`orderlab orders --json - | head -1`), and a disk may be full. Neither may end the
work that is told of, nor hide what came of it: the exit code is that of the work.
"""

import errno
import io
import os
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class Outlet(io.RawIOBase):
    """Writes to a file descriptor, as long as that takes anything; what it no longer takes is dropped."""

    def __init__(self, descriptor: int) -> None:
        """Take over an open descriptor."""
        self._descriptor = descriptor
        self._failure: OSError | None = None

    def writable(self) -> bool:
        """Always."""
        return True

    def fileno(self) -> int:
        """The descriptor."""
        return self._descriptor

    def isatty(self) -> bool:
        """Whether somebody reads along."""
        return os.isatty(self._descriptor)

    def write(self, data: "ReadableBuffer", /) -> int:
        """Write some bytes, and answer how many of them are done with."""
        if self._failure is None:
            try:
                return os.write(self._descriptor, data)
            except OSError as error:
                self._failure = error
        return memoryview(data).nbytes

    def trouble(self) -> str | None:
        """Why not everything could be written; None if it was, or if nobody wanted it any more."""
        if self._failure is None or self._failure.errno == errno.EPIPE:
            return None
        return self._failure.strerror


def keep_writing() -> Outlet:
    """Have standard output and standard error go through outlets from now on; answers that of standard output."""
    out, sys.stdout = _through_an_outlet(sys.stdout)
    _, sys.stderr = _through_an_outlet(sys.stderr)
    return out


def _through_an_outlet(stream: TextIO | None) -> tuple[Outlet, TextIO]:
    """The outlet of a stream, and the stream that writes to it as the given one did; to nowhere for a closed one."""
    if not isinstance(stream, io.TextIOWrapper):
        nowhere = Outlet(os.open(os.devnull, os.O_WRONLY))
        return nowhere, io.TextIOWrapper(io.BufferedWriter(nowhere), encoding="utf-8")
    stream.flush()
    outlet = Outlet(stream.fileno())
    is_told_at_once = stream.line_buffering or stream.write_through
    buffer = io.BufferedWriter(outlet)
    return outlet, io.TextIOWrapper(buffer, stream.encoding, stream.errors, line_buffering=is_told_at_once)
