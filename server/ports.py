"""Free ports on loopback."""

import socket
from contextlib import ExitStack

LOOPBACK = "127.0.0.1"
"""The only interface that our servers listen on."""


def free_ports(*preferred: int) -> list[int]:
    """Pick one free port per wish, all different.

    A port may be taken by somebody else before it is used: whoever starts a server on it must be ready for that.

    Args:
        preferred: the port to take if it is free; 0 if any will do.

    Returns:
        A port for each wish, in the same order.
    """
    with ExitStack() as held:  # all are held until the last is chosen: that is what makes them different
        return [_hold(port, held) for port in preferred]


def free_port(preferred: int = 0) -> int:
    """Pick one free port; as `free_ports`."""
    return free_ports(preferred)[0]


def _hold(port: int, held: ExitStack) -> int:
    holder = held.enter_context(socket.socket())
    # A server stopped a moment ago leaves connections in TIME_WAIT, which do not hinder the next one from listening.
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        holder.bind((LOOPBACK, port))
        holder.listen()  # only a listener keeps others with SO_REUSEADDR off its port
    except OSError:
        return _hold(0, held)
    chosen: int = holder.getsockname()[1]
    return chosen
