"""Our tables and layouts against the npm package minecraft-data, for every version it has.

`make test` installs the package from tests/e2e/package.json.
"""

import json
import re
import struct
import subprocess
import sys
from pathlib import Path
from uuid import UUID

import pytest

from mcproxy.minecraft import versions
from mcproxy.minecraft.handshake import Handshake, Intent
from mcproxy.minecraft.login import LoginStart, decode_disconnect, disconnect, offline_uuid
from mcproxy.minecraft.packets import Direction, State, disconnect_id, packet_id, packet_name

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests/e2e/node_modules/minecraft-data/minecraft-data/data"
if not DATA.is_dir():
    pytest.fail(f"{DATA} is missing: run `make test`, which installs it", pytrace=False)

PROTOCOL_VERSIONS = json.loads((DATA / "pc/common/protocolVersions.json").read_text())
PATHS = {
    name: paths["protocol"]
    for name, paths in json.loads((DATA / "dataPaths.json").read_text())["pc"].items()
    if "protocol" in paths
}
NUMBERS = {entry["minecraftVersion"]: entry["version"] for entry in PROTOCOL_VERSIONS}
NUMBERS["1.7"] = NUMBERS["1.7.10"]  # its folder for 1.7.6 to 1.7.10
RELEASES = [name for name in PATHS if re.fullmatch(r"1\.7|\d+\.\d+(\.\d+)?", name)]
SNAPSHOTS = [name for name in PATHS if name in NUMBERS and name not in RELEASES]
STATES = {
    "handshaking": State.HANDSHAKE,
    "status": State.STATUS,
    "login": State.LOGIN,
    "configuration": State.CONFIGURATION,
    "play": State.PLAY,
}
DIRECTIONS = {"toServer": Direction.SERVERBOUND, "toClient": Direction.CLIENTBOUND}
# Listed by minecraft-data as serverbound although only servers send them.
WRONG = {
    (protocol, "configuration", "toServer", name)
    for protocol in (767, 768, 769, 770)
    for name in ("custom_report_details", "server_links")
}


def protocol_of(name):
    return json.loads((DATA / PATHS[name] / "protocol.json").read_text())


def test_the_package_has_versions_to_compare_with():
    assert len(RELEASES) > 50
    assert "26.1" in RELEASES


@pytest.mark.parametrize("name", ["versions.json", "packets.json"])
def test_our_tables_are_what_the_generator_writes(name, tmp_path):
    tool = ROOT / "tools" / "generate_protocol_data.py"
    subprocess.run([sys.executable, tool, DATA.parents[1], tmp_path], check=True)
    ours = ROOT / "mcproxy" / "minecraft" / name
    assert ours.read_text() == (tmp_path / name).read_text()


def test_every_release_has_the_number_of_minecraft_data():
    theirs = {
        entry["minecraftVersion"]: entry["version"]
        for entry in PROTOCOL_VERSIONS
        if entry["usesNetty"] and re.fullmatch(r"\d+\.\d+(\.\d+)?", entry["minecraftVersion"])
    }
    assert {version.name: version.protocol for version in versions.RELEASES} == theirs


def test_every_snapshot_number_is_known_as_one():
    theirs = [e["version"] for e in PROTOCOL_VERSIONS if e["version"] >= versions.SNAPSHOT_BIT]
    assert len(theirs) > 300
    assert all(versions.is_snapshot(number) for number in theirs)


@pytest.mark.parametrize(
    "entry",
    [
        entry
        for entry in PROTOCOL_VERSIONS
        if entry["version"] >= versions.SNAPSHOT_BIT
        and entry["minecraftVersion"] != "26w14a"  # 1 April 2026: its data version is a joke too
    ],
    ids=lambda entry: entry["minecraftVersion"],
)
def test_a_snapshot_is_handled_as_a_release_of_its_time(entry):
    handled_as = versions.nearest(entry["version"])
    later = [
        other["version"]
        for other in PROTOCOL_VERSIONS
        if other["dataVersion"] >= entry["dataVersion"]
        and other["version"] in versions.KNOWN
        and other["usesNetty"]
    ]
    # Two candidates can share a number, so the next release but one is allowed.
    assert handled_as.protocol in sorted(set(later))[:2]


@pytest.mark.parametrize("name", RELEASES)
def test_every_packet_has_the_id_of_minecraft_data(name):
    protocol = NUMBERS[name]
    theirs = protocol_of(name)
    compared = 0
    for state, ours in STATES.items():
        for side, direction in DIRECTIONS.items():
            if state not in theirs:
                assert packet_name(protocol, ours, direction, 0) is None
                continue
            mapper = theirs[state][side]["types"]["packet"][1][0]["type"][1]["mappings"]
            expected = {
                int(number, 16): packet
                for number, packet in mapper.items()
                if packet != "legacy_server_list_ping"
                and (protocol, state, side, packet) not in WRONG
            }
            for number, packet in expected.items():
                assert packet_name(protocol, ours, direction, number) == packet
                assert packet_id(protocol, ours, direction, packet) == number
            assert packet_name(protocol, ours, direction, len(expected)) is None
            compared += len(expected)
    assert compared > 90


# A reading of minecraft-data's layouts that is independent of our codecs: enough of ProtoDef
# to write the packets compared here.


def varint(value):
    out = b""
    while value >= 0x80:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def write(layout, value):
    kind, options = layout if isinstance(layout, list) else (layout, None)
    if kind == "container":
        return b"".join(write(field["type"], value[field["name"]]) for field in options)
    if kind == "option":
        return b"\0" if value is None else b"\1" + write(options, value)
    if kind == "string":
        return varint(len(value.encode())) + value.encode()
    if kind == "buffer" and options["countType"] == "varint":
        return varint(len(value)) + value
    if kind == "varint":
        return varint(value)
    if kind == "UUID":
        return value.bytes
    formats = {"i64": ">q", "u16": ">H", "i32": ">i", "u8": ">B", "i8": ">b"}
    return struct.pack(formats[kind], value)


def layout_of(name, state, side, packet):
    return protocol_of(name)[state][side]["types"][f"packet_{packet}"]


UUID_1 = UUID("069a79f4-44e9-4726-a5be-fca90e38aaf5")


@pytest.mark.parametrize("name", RELEASES + SNAPSHOTS)
def test_a_handshake_has_the_layout_of_minecraft_data(name):
    fields = {
        "protocolVersion": NUMBERS[name],
        "serverHost": "mc.example.com",
        "serverPort": 25565,
        "nextState": 2,
    }
    layout = layout_of(name, "handshaking", "toServer", "set_protocol")
    body = b"\0" + write(layout, fields)
    ours = Handshake(NUMBERS[name], "mc.example.com", 25565, Intent.LOGIN)
    assert ours.encode() == body
    found = Handshake.decode(body)
    assert (found.protocol, found.host, found.port, found.intent) == (
        NUMBERS[name],
        "mc.example.com",
        25565,
        Intent.LOGIN,
    )


@pytest.mark.parametrize("uuid", [None, UUID_1])
@pytest.mark.parametrize("name", RELEASES)
def test_a_login_start_has_the_layout_of_minecraft_data(name, uuid):
    protocol = NUMBERS[name]
    layout = layout_of(name, "login", "toServer", "login_start")
    fields = {field["name"]: field["type"] for field in layout[1]}
    if fields.get("playerUUID") == "UUID":
        uuid = uuid or offline_uuid("Notch")
    body = b"\0" + write(layout, {"username": "Notch", "signature": None, "playerUUID": uuid})
    assert LoginStart("Notch", uuid).encode(protocol) == body
    expected = uuid if "playerUUID" in fields else None
    assert LoginStart.decode(body, protocol) == LoginStart("Notch", expected)


@pytest.mark.parametrize("name", ["1.19", "1.19.2"])
def test_a_login_start_with_a_chat_key_is_read(name):
    layout = layout_of(name, "login", "toServer", "login_start")
    key = {"timestamp": 1_700_000_000_000, "publicKey": b"k" * 294, "signature": b"s" * 512}
    body = b"\0" + write(layout, {"username": "Notch", "signature": key, "playerUUID": UUID_1})
    expected = UUID_1 if name == "1.19.2" else None
    assert LoginStart.decode(body, NUMBERS[name]) == LoginStart("Notch", expected)


@pytest.mark.parametrize("name", RELEASES)
@pytest.mark.parametrize(
    ("state", "packet"),
    [
        (State.LOGIN, "disconnect"),
        (State.CONFIGURATION, "disconnect"),
        (State.PLAY, "kick_disconnect"),
    ],
)
def test_a_disconnect_has_the_layout_of_minecraft_data(name, state, packet):
    protocol = NUMBERS[name]
    theirs = protocol_of(name)
    if state is State.CONFIGURATION and protocol < 764:
        assert str(state) not in theirs
        return
    mapper = theirs[state]["toClient"]["types"]["packet"][1][0]["type"][1]["mappings"]
    ids = {packet: int(number, 16) for number, packet in mapper.items()}
    body = disconnect(protocol, state, "§cBye")
    assert varint(ids[packet]) == body[:1] == bytes([disconnect_id(protocol, state)])
    [reason] = theirs[state]["toClient"]["types"][f"packet_{packet}"][1]
    if reason["type"] == "string":
        written = json.loads(body[2:].decode())
        assert body[1] == len(body) - 2
    else:
        assert reason["type"] == "anonymousNbt"
        # Two strings in a compound without a name (the NBT page of the Minecraft Wiki).
        expected = b"\x0a" + b"\x08\0\x04text\0\x03Bye" + b"\x08\0\x05color\0\x03red" + b"\0"
        assert body[1:] == expected
        written = decode_disconnect(protocol, state, body)
    assert written == {"text": "Bye", "color": "red"}
