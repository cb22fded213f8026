"""Who listens hears; what nobody wants to hear costs nothing."""

from __future__ import annotations

from mcproxy.proxy import Refused, SessionClosed, SessionOpened
from tests.integration.peers import Net, eventually, join, server


async def test_sessions_are_not_told_to_those_who_do_not_want_them(net: Net) -> None:
    backend = net.backend()
    proxy = await net.proxy(server("a", backend), workers=1)
    heard: list[object] = []
    for end in net.subscriptions:
        end()
    end = proxy.subscribe(heard.append, sessions=False)
    client, far = await net.relay(proxy, backend)
    client.close()
    far.close()
    await eventually(lambda: proxy.counters()["ended"]["client_closed"])
    stranger = await net.client(proxy, join("nowhere.example"))
    await stranger.rest_or_reset()
    await eventually(lambda: heard)
    assert [type(event) for event in heard] == [Refused]
    end()
    proxy.subscribe(heard.append)
    client, far = await net.relay(proxy, backend)
    client.close()
    far.close()
    await eventually(lambda: len(heard) == 3)
    assert [type(event) for event in heard[1:]] == [SessionOpened, SessionClosed]
