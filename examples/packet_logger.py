"""Name the Minecraft packets of a TCP conversation that tshark or Wireshark has captured.

Usage: tshark -r game.pcap -qz follow,tcp,raw,0 | python examples/packet_logger.py
"""

import sys

from mcproxy.minecraft import Direction, Dissector, EncryptionStarted, LegacySeen, Packet

dissector = Dissector()
for line in sys.stdin:
    # Each line is one segment in hexadecimal; those of the server begin with a tab.
    direction = Direction.CLIENTBOUND if line[0] == "\t" else Direction.SERVERBOUND
    try:
        data = bytes.fromhex(line)
    except ValueError:
        continue  # the head and the foot of tshark's output
    for seen in dissector.feed(direction, data):
        match seen:
            case Packet(direction, state, number, name, body):
                arrow = "<-" if direction is Direction.CLIENTBOUND else "->"
                print(f"{arrow} {state:13} {number:#04x} {name or '?':24} {len(body):6} bytes")
            case EncryptionStarted():
                print("the rest is encrypted")
            case LegacySeen(ping):
                print("a client from before 1.7:", ping)
