"""Which addresses are public: one list, for peers, trackers, web seeds and links."""

from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address

_IPV4 = tuple(
    IPv4Network(block)
    for block in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # shared by a provider's customers
        "127.0.0.0/8",  # loopback
        "169.254.0.0/16",  # link-local, where clouds keep their metadata
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/3",  # multicast and reserved
    )
)
_IPV6 = tuple(
    IPv6Network(block)
    for block in (
        "::/127",  # unspecified and loopback
        "::ffff:0:0/96",  # mapped IPv4
        "2001::/32",  # IPv4 in a Teredo tunnel
        "2001:db8::/32",  # documentation
        "2002::/16",  # IPv4 in a 6to4 tunnel
        "fc00::/7",  # private
        "fe80::/10",  # link-local
        "ff00::/8",  # multicast
    )
)
_NAT64 = int(IPv6Address("64:ff9b::"))
_BEHIND_NAT64 = tuple(IPv6Network((_NAT64 | int(block.network_address), 96 + block.prefixlen)) for block in _IPV4)

NOT_PUBLIC: tuple[IPv4Network | IPv6Network, ...] = _IPV4 + _IPV6 + _BEHIND_NAT64
"""Every block of addresses that is not part of the public internet."""


def is_public(address: str) -> bool:
    """Whether an IPv4 or IPv6 address is part of the public internet. Raises ValueError when it is no address."""
    parsed = ip_address(address.partition("%")[0])
    return not any(parsed in block for block in NOT_PUBLIC)
