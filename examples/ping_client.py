"""Ask a server for its status and measure the latency.

Usage: python examples/ping_client.py HOST [PORT]
"""

import socket
import sys
import time

from mcproxy.minecraft import ClientConnection, ConnectionClosed, PongReceived, StatusReceived

host, port = sys.argv[1], int((*sys.argv, "25565")[2])
client = ClientConnection(host, port)
with socket.create_connection((host, port), timeout=5) as connection:
    connection.sendall(client.request_status())
    while not client.finished:
        for event in client.receive(connection.recv(65536)):
            match event:
                case StatusReceived(status):
                    print(f"{status.version_name} (protocol {status.protocol})")
                    print(status.text)
                    print(f"{status.online}/{status.max_players} players")
                    asked = time.perf_counter()
                    connection.sendall(client.ping())
                case PongReceived():
                    print(f"{1000 * (time.perf_counter() - asked):.1f} ms")
                case ConnectionClosed():
                    sys.exit("the server hung up")
