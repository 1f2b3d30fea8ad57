"""IP addresses: read as the engine's platform reads them, which knows more spellings than Python."""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

Address = IPv4Address | IPv6Address

_V4 = re.compile(r"[0-9.]{7,15}")
_V6 = re.compile(r"[0-9a-fA-F:]+")
_NETWORK = re.compile(r"([^/]*)/\+?([0-9]{1,9})/*")


@dataclass(frozen=True)
class Network:
    """All addresses whose first bits are the same."""

    first: Address
    bits: int

    def holds(self, address: Address | None) -> bool:
        """Whether the address lies in it; one of the other family never does."""
        if address is None or address.version != self.first.version:
            return False
        shift = self.first.max_prefixlen - self.bits
        return int(address) >> shift == int(self.first) >> shift


def address_of(text: str) -> Address | None:
    """The address that a text writes, if it writes one.

    Leading zeros mean nothing, and an IPv4 address mapped into IPv6 is an IPv4 address.
    """
    try:
        if _V4.fullmatch(text):
            return IPv4Address(".".join(part.lstrip("0") or part[:1] for part in text.split(".")))
        if ":" in text and _V6.fullmatch(text):
            address = IPv6Address(":".join(part.lstrip("0") or part[:1] for part in text.split(":")))
            return address.ipv4_mapped or address
    except ValueError:
        return None
    return None


def network_of(text: str) -> Network | None:
    """The network that a text such as "10.0.0.0/24" writes, if it does; a network of one address is none."""
    parts = _NETWORK.fullmatch(text)
    address = address_of(parts[1]) if parts else None
    if parts is None or address is None or int(parts[2]) >= address.max_prefixlen:
        return None
    return Network(address, int(parts[2]))
