"""From limits as they are configured to limits as the workers know them."""

from __future__ import annotations

from mcproxy._speedups.match.prefixes import PrefixSet
from mcproxy.errors import ConfigurationError
from mcproxy.proxy.dataplane import Protection
from mcproxy.proxy.model import Action, Limit, Mode, Settings
from mcproxy.proxy.status_cache import StatusAnswer

__all__ = ["check_limits", "protection"]

COUNT_MOST = 1_000_000
"""Of what is counted per second or address."""
BYTES_MOST = 1 << 40
SECONDS_MOST = 366 * 86400.0
ACTIONS = {Action.CLOSE: 0, Action.DROP: 1, Action.TARPIT: 2, Action.MESSAGE: 3}


def protection(settings: Settings, shown: StatusAnswer, told: bytes) -> Protection:
    """The workers' part of ``settings``, with what the action ``message`` answers."""
    limits, flood = settings.limits, settings.flood
    return Protection(
        connections=_bucket(limits.connections),
        status=_bucket(limits.status),
        logins=_bucket(limits.logins),
        open=limits.open.most,
        prefixes=(limits.prefix_v4, limits.prefix_v6),
        actions=(
            ACTIONS[limits.connections.action],
            ACTIONS[limits.status.action],
            ACTIONS[limits.logins.action],
            ACTIONS[limits.open.action],
        ),
        exempt=PrefixSet(limits.exempt) if limits.exempt else None,
        texts=(told, shown.frame, shown.legacy, shown.legacy_beta),
        serverbound=limits.session.serverbound,
        clientbound=limits.session.clientbound,
        packets=limits.session.packets,
        pace_close=limits.session.action == "close",
        flood_begin=flood.begin,
        flood_end=min(flood.end, flood.begin),
        flood_calm=flood.calm,
        flood_handshake=flood.handshake,
    )


def check_limits(settings: Settings) -> None:
    """Raises `ConfigurationError` for numbers out of range and lists that cannot be read."""
    limits, flood = settings.limits, settings.flood
    bounds: list[tuple[str, float, float, float]] = [
        ("limits.prefix_v4", limits.prefix_v4, 0, 32),
        ("limits.prefix_v6", limits.prefix_v6, 0, 64),
        ("limits.open.most", limits.open.most, 0, COUNT_MOST),
        ("flood.begin", flood.begin, 0, COUNT_MOST),
        ("flood.end", flood.end, 0, COUNT_MOST),
        ("flood.calm", flood.calm, 0, SECONDS_MOST),
        ("flood.handshake", flood.handshake, 0, SECONDS_MOST),
        ("buffers.session", settings.buffers.session, 0, BYTES_MOST),
        ("buffers.total", settings.buffers.total, 0, BYTES_MOST),
        ("limits.session.serverbound", limits.session.serverbound, 0, BYTES_MOST),
        ("limits.session.clientbound", limits.session.clientbound, 0, BYTES_MOST),
        ("limits.session.packets", limits.session.packets, 0, COUNT_MOST),
    ]
    for name in ("connections", "status", "logins"):
        limit = getattr(limits, name)
        bounds.append((f"limits.{name}.rate", limit.rate, 0, COUNT_MOST))
        bounds.append((f"limits.{name}.burst", limit.burst, 1, COUNT_MOST))
    for where, value, least, most in bounds:
        if not least <= value <= most:
            raise ConfigurationError(f"{where}: {value} is not within {least} and {most}")
    try:
        PrefixSet(limits.exempt)
    except ConfigurationError as error:
        raise ConfigurationError(f"limits.exempt: {error}") from error
    blind = [server.name for server in settings.servers if server.mode == Mode.ZERO_COPY]
    if limits.session.packets and blind:
        raise ConfigurationError(
            f"limits.session.packets: mode zero_copy of server {blind[0]!r} sees no packets"
        )


def _bucket(limit: Limit) -> tuple[float, int]:
    return limit.rate, limit.burst
