"""Packet ids where minecraft-data has none; tests/reference compares the rest."""

import pytest

from mcproxy.errors import LocalProtocolError
from mcproxy.minecraft import packets, versions
from mcproxy.minecraft.packets import Direction, State, disconnect_id, packet_id, packet_name

CLIENTBOUND, SERVERBOUND = Direction.CLIENTBOUND, Direction.SERVERBOUND

# (state, direction, name, id in 26.2, id in 26.3) from Gate's register_26_3_test.go, which
# follows the order of registration in Mojang's client.
NEWEST = [
    (State.CONFIGURATION, CLIENTBOUND, "cookie_request", 0x00, 0x00),
    (State.CONFIGURATION, CLIENTBOUND, "custom_payload", 0x01, 0x01),
    (State.CONFIGURATION, CLIENTBOUND, "disconnect", 0x02, 0x02),
    (State.CONFIGURATION, CLIENTBOUND, "finish_configuration", 0x03, 0x03),
    (State.CONFIGURATION, CLIENTBOUND, "keep_alive", 0x04, 0x04),
    (State.CONFIGURATION, CLIENTBOUND, "registry_data", 0x07, 0x07),
    (State.CONFIGURATION, CLIENTBOUND, "store_cookie", 0x0A, 0x0B),
    (State.CONFIGURATION, CLIENTBOUND, "transfer", 0x0B, 0x0C),
    (State.CONFIGURATION, CLIENTBOUND, "feature_flags", 0x0C, 0x0D),
    (State.CONFIGURATION, CLIENTBOUND, "tags", 0x0D, 0x0E),
    (State.CONFIGURATION, CLIENTBOUND, "select_known_packs", 0x0E, 0x0F),
    (State.CONFIGURATION, CLIENTBOUND, "custom_report_details", 0x0F, 0x10),
    (State.CONFIGURATION, CLIENTBOUND, "server_links", 0x10, 0x11),
    (State.CONFIGURATION, CLIENTBOUND, "clear_dialog", 0x11, 0x12),
    (State.CONFIGURATION, CLIENTBOUND, "show_dialog", 0x12, 0x13),
    (State.CONFIGURATION, CLIENTBOUND, "code_of_conduct", 0x13, 0x14),
    (State.PLAY, CLIENTBOUND, "bundle_delimiter", 0x00, 0x00),
    (State.PLAY, CLIENTBOUND, "kick_disconnect", 0x20, 0x20),
    (State.PLAY, CLIENTBOUND, "keep_alive", 0x2C, 0x2D),
    (State.PLAY, CLIENTBOUND, "login", 0x31, 0x32),
    (State.PLAY, CLIENTBOUND, "player_remove", 0x45, 0x46),
    (State.PLAY, CLIENTBOUND, "player_info", 0x46, 0x47),
    (State.PLAY, CLIENTBOUND, "remove_resource_pack", 0x50, 0x51),
    (State.PLAY, CLIENTBOUND, "add_resource_pack", 0x51, 0x52),
    (State.PLAY, CLIENTBOUND, "respawn", 0x52, 0x54),
    (State.PLAY, CLIENTBOUND, "server_data", 0x56, 0x58),
    (State.PLAY, CLIENTBOUND, "action_bar", 0x57, 0x59),
    (State.PLAY, CLIENTBOUND, "set_title_subtitle", 0x70, 0x72),
    (State.PLAY, CLIENTBOUND, "set_title_text", 0x72, 0x74),
    (State.PLAY, CLIENTBOUND, "set_title_time", 0x73, 0x75),
    (State.PLAY, CLIENTBOUND, "entity_sound_effect", 0x74, 0x76),
    (State.PLAY, CLIENTBOUND, "start_configuration", 0x76, 0x78),
    (State.PLAY, CLIENTBOUND, "stop_sound", 0x77, 0x79),
    (State.PLAY, CLIENTBOUND, "store_cookie", 0x78, 0x7A),
    (State.PLAY, CLIENTBOUND, "system_chat", 0x79, 0x7C),
    (State.PLAY, CLIENTBOUND, "playerlist_header", 0x7A, 0x7D),
    (State.PLAY, CLIENTBOUND, "transfer", 0x81, 0x84),
    (State.PLAY, CLIENTBOUND, "custom_report_details", 0x88, 0x8B),
    (State.PLAY, CLIENTBOUND, "server_links", 0x89, 0x8C),
    (State.PLAY, SERVERBOUND, "message_acknowledgement", 0x06, 0x06),
    (State.PLAY, SERVERBOUND, "chat_message", 0x09, 0x09),
    (State.PLAY, SERVERBOUND, "settings", 0x0E, 0x0E),
    (State.PLAY, SERVERBOUND, "keep_alive", 0x1C, 0x1C),
    (State.PLAY, SERVERBOUND, "resource_pack_receive", 0x31, 0x32),
    (State.LOGIN, CLIENTBOUND, "disconnect", 0x00, 0x00),
    (State.LOGIN, CLIENTBOUND, "encryption_begin", 0x01, 0x01),
    (State.LOGIN, CLIENTBOUND, "success", 0x02, 0x02),
    (State.LOGIN, CLIENTBOUND, "compress", 0x03, 0x03),
]


@pytest.mark.parametrize(("state", "direction", "name", "in_26_2", "in_26_3"), NEWEST)
def test_the_newest_releases_have_the_ids_of_the_client(state, direction, name, in_26_2, in_26_3):
    assert packet_id(776, state, direction, name) == in_26_2
    assert packet_id(777, state, direction, name) == in_26_3
    assert packet_name(777, state, direction, in_26_3) == name


# Clientbound play disconnect from Velocity's and Gate's registries, each from its first version.
PLAY_DISCONNECT = [
    (4, 0x40), (107, 0x1A), (393, 0x1B), (477, 0x1A), (573, 0x1B), (735, 0x1A), (751, 0x19),
    (755, 0x1A), (759, 0x17), (760, 0x19), (761, 0x17), (762, 0x1A), (764, 0x1B), (766, 0x1D),
    (770, 0x1C), (773, 0x20),
]  # fmt: skip


@pytest.mark.parametrize("protocol", versions.KNOWN)
def test_the_play_disconnect_is_where_other_proxies_have_it(protocol):
    expected = [number for first, number in PLAY_DISCONNECT if first <= protocol][-1]
    assert disconnect_id(protocol, State.PLAY) == expected


@pytest.mark.parametrize(("protocol", "number"), [(764, 1), (765, 1), (766, 2), (775, 2), (777, 2)])
def test_the_configuration_disconnect_moved_once(protocol, number):
    assert disconnect_id(protocol, State.CONFIGURATION) == number


def test_the_login_disconnect_never_moved():
    assert {disconnect_id(protocol, State.LOGIN) for protocol in versions.KNOWN} == {0}


def test_there_is_no_configuration_before_1_20_2():
    assert packet_name(763, State.CONFIGURATION, CLIENTBOUND, 2) is None
    with pytest.raises(LocalProtocolError, match="763"):
        disconnect_id(763, State.CONFIGURATION)


@pytest.mark.parametrize("state", [State.HANDSHAKE, State.STATUS])
def test_there_is_no_disconnect_before_login(state):
    with pytest.raises(LocalProtocolError):
        disconnect_id(770, state)


def test_an_id_behind_the_table_has_no_name():
    assert packet_name(777, State.PLAY, CLIENTBOUND, 0x8F) is not None
    assert packet_name(777, State.PLAY, CLIENTBOUND, 0x90) is None
    assert packet_name(777, State.PLAY, CLIENTBOUND, -1) is None


def test_an_unknown_protocol_is_read_as_the_nearest():
    assert packet_name(778, State.PLAY, CLIENTBOUND, 0x84) == "transfer"


@pytest.mark.parametrize("protocol", versions.KNOWN)
def test_every_table_says_where_it_comes_from(protocol):
    source = packets.source(protocol)
    assert "minecraft-data" in source or "Gate" in source
