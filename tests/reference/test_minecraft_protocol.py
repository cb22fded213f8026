"""Our packets as the npm package minecraft-protocol reads them, in every version it speaks.

`make test` installs the package from tests/e2e/package.json.
"""

import json
import subprocess
from pathlib import Path
from uuid import UUID

import pytest

from mcproxy.minecraft import Handshake, Intent, LoginStart, State, build_status, disconnect
from mcproxy.minecraft.status import encode_ping, encode_response

HERE = Path(__file__).parent
# A version for every protocol number that it has packets of.
VERSIONS = {
    "1.7": 5, "1.8.8": 47, "1.9": 107, "1.9.2": 109, "1.9.4": 110, "1.10.2": 210, "1.11": 315,
    "1.11.2": 316, "1.12": 335, "1.12.1": 338, "1.12.2": 340, "1.13": 393, "1.13.1": 401,
    "1.13.2": 404, "1.14": 477, "1.14.1": 480, "1.14.3": 490, "1.14.4": 498, "1.15": 573,
    "1.15.1": 575, "1.15.2": 578, "1.16": 735, "1.16.1": 736, "1.16.2": 751, "1.16.3": 753,
    "1.16.5": 754, "1.17": 755, "1.17.1": 756, "1.18.1": 757, "1.18.2": 758, "1.19": 759,
    "1.19.2": 760, "1.19.3": 761, "1.19.4": 762, "1.20.1": 763, "1.20.2": 764, "1.20.4": 765,
    "1.20.6": 766, "1.21.1": 767, "1.21.3": 768, "1.21.4": 769, "1.21.5": 770, "1.21.6": 771,
    "1.21.8": 772, "1.21.9": 773, "1.21.11": 774, "26.1": 775,
}  # fmt: skip
# No letter outside the basic plane: this reader takes NBT's modified UTF-8 for UTF-8.
REASON = {
    "text": "Full: ",
    "color": "red",
    "extra": [{"text": "é€", "bold": True}, {"text": "later", "color": "#12ab34"}],
}
STATUS = build_status("26.3", 777, description=REASON, sample=["line"])
UUID_1 = UUID("069a79f4-44e9-4726-a5be-fca90e38aaf5")


def packets(version, protocol):
    """(name, state, side, body) of everything we write."""
    handshake = Handshake(protocol, "mc.example.com", 25565, Intent.LOGIN)
    yield "set_protocol", "handshaking", "serverbound", handshake.encode()
    yield "ping_start", "status", "serverbound", b"\0"
    yield "ping", "status", "serverbound", encode_ping(-5)
    yield "server_info", "status", "clientbound", encode_response(STATUS)
    yield "login_start", "login", "serverbound", LoginStart("Notch", UUID_1).encode(protocol)
    yield "disconnect", "login", "clientbound", disconnect(protocol, State.LOGIN, REASON)
    if protocol >= 764:
        body = disconnect(protocol, State.CONFIGURATION, REASON)
        yield "disconnect", "configuration", "clientbound", body
    yield "kick_disconnect", "play", "clientbound", disconnect(protocol, State.PLAY, REASON)


@pytest.fixture(scope="module")
def read():
    """Everything, read by one process: (version, state, name) -> packet."""
    asked = [
        (version, state, side, name, body.hex())
        for version, protocol in VERSIONS.items()
        for name, state, side, body in packets(version, protocol)
    ]
    lines = [
        json.dumps({"version": version, "state": state, "side": side, "body": body})
        for version, state, side, _, body in asked
    ]
    done = subprocess.run(
        ["node", HERE / "read_packets.js"],
        input="\n".join(lines),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    keys = [(version, state, name) for version, state, _, name, _ in asked]
    return dict(zip(keys, answers, strict=True))


def plain(reason):
    """minecraft-protocol's tree of NBT, as the values in it; JSON as it is."""
    if isinstance(reason, str):
        return json.loads(reason)
    kind, value = reason["type"], reason["value"]
    if kind == "compound":
        return {key: plain(inner) for key, inner in value.items()}
    if kind == "list":
        return [plain({"type": value["type"], "value": inner}) for inner in value["value"]]
    return value


@pytest.mark.parametrize("version", VERSIONS)
def test_every_packet_is_read_as_what_it_is(read, version):  # M-15
    for name, state, _, _ in packets(version, VERSIONS[version]):
        packet = read[version, state, name]
        assert (packet["name"], packet["left"]) == (name, 0)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_handshake_and_the_status_keep_their_fields(read, version):
    assert read[version, "handshaking", "set_protocol"]["params"] == {
        "protocolVersion": VERSIONS[version],
        "serverHost": "mc.example.com",
        "serverPort": 25565,
        "nextState": 2,
    }
    assert json.loads(read[version, "status", "server_info"]["params"]["response"]) == STATUS


@pytest.mark.parametrize("version", VERSIONS)
def test_the_login_start_keeps_the_name_and_the_uuid(read, version):
    fields = read[version, "login", "login_start"]["params"]
    assert fields["username"] == "Notch"
    assert ("playerUUID" in fields) == (VERSIONS[version] >= 760)
    assert fields.get("playerUUID", str(UUID_1)) == str(UUID_1)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_text_of_a_disconnect_arrives_in_every_state(read, version):
    reasons = [
        plain(packet["params"]["reason"])
        for (of, _, name), packet in read.items()
        if of == version and name.endswith("disconnect")
    ]
    assert len(reasons) == (3 if VERSIONS[version] >= 764 else 2)
    assert all(reason == REASON for reason in reasons)
