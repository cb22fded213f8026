"""A status server: shows in the server list, turns players away, whatever their version.

Usage: python examples/status_server.py [PORT]
"""

import contextlib
import socketserver
import sys

import mcproxy.minecraft as mc
from mcproxy.errors import RemoteProtocolError

STATUS = mc.build_status("26.3", 777, description="§aHello §lworld", online_players=3)


class Handler(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        connection = mc.ServerConnection()
        self.request.settimeout(1)
        with contextlib.suppress(RemoteProtocolError, OSError):
            while not connection.finished:
                try:
                    events = connection.receive(self.request.recv(4096))
                except TimeoutError:
                    if not connection.undecided:
                        raise
                    events = connection.timer_expired()  # an old client, which says no more
                for event in events:
                    match event:
                        case mc.StatusRequested() | mc.LegacyPingReceived():
                            self.request.sendall(connection.send_status(STATUS))
                        case mc.PingRequested():
                            self.request.sendall(connection.send_pong())
                        case mc.LoginStarted() | mc.LegacyLoginReceived():
                            self.request.sendall(connection.send_disconnect("§cNo world here"))


with socketserver.ThreadingTCPServer(("", int((*sys.argv, "25565")[1])), Handler) as server:
    server.serve_forever()
