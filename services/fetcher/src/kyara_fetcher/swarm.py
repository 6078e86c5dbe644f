"""A BitTorrent session as Kyara wants it: honest, quiet, and only with the addresses that are allowed."""

import libtorrent as lt

from kyara_outside import NOT_PUBLIC

USER_AGENT = "Kyara/0.1"
_BLOCKED = 1


def open_session(listen: str, *, dht: bool, allow_private: bool) -> lt.session:
    """A session that listens on `listen` (host:port). Without `allow_private` it speaks to public addresses only."""
    category = lt.alert_category
    settings: lt.settings_pack = {
        "listen_interfaces": listen,
        "user_agent": USER_AGENT,
        "peer_fingerprint": "-KY0100-",
        # A port that is taken is an error, not a reason to take the next.
        "max_retry_port_bind": 0,
        "listen_system_port_fallback": False,
        # With uTP on, a peer that was restarted on the same port is not found again.
        "enable_outgoing_utp": False,
        "enable_incoming_utp": False,
        "enable_dht": dht,
        "enable_lsd": False,
        "enable_upnp": False,
        "enable_natpmp": False,
        # A lone seeder that comes a little later is found within seconds and not after minutes.
        "min_reconnect_time": 3,
        "max_failcount": 100,
        "alert_mask": category.error | category.status | category.storage | category.tracker,
    }
    session = lt.session(settings)
    if not allow_private:
        session.set_ip_filter(_public_only())
    return session


def _public_only() -> lt.ip_filter:
    addresses = lt.ip_filter()
    for block in NOT_PUBLIC:
        addresses.add_rule(str(block.network_address), str(block.broadcast_address), _BLOCKED)
    return addresses
