"""A configuration is read whole, or every mistake in it is named with its place."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from mcproxy.proxy.model import (
    Balance,
    Filters,
    Health,
    Mode,
    Motd,
    Pool,
    StatusPolicy,
    Timeouts,
)
from mcproxy_server.config import Configuration, ConfigurationProblems, load
from tests.unit.server.icons import png

SERVER = """
[[server]]
name = "lobby"
addresses = ["127.0.0.1:25566"]
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which the tests run, so that files have short names."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def read(text: str) -> Configuration:
    Path("mcproxy.toml").write_text(text, encoding="utf-8")
    return load(Path("mcproxy.toml"))


def mistakes(text: str) -> list[str]:
    with pytest.raises(ConfigurationProblems) as caught:
        read(text)
    return str(caught.value).splitlines()


@pytest.mark.usefixtures("folder")
class TestWhatIsRead:
    def test_every_key_reaches_the_settings(self) -> None:  # M-20
        Path("icon.png").write_bytes(png())
        configuration = read(
            """
            bind = ["127.0.0.1:25570", "[::1]:25571"]
            default = "survival"
            unknown_message = "nothing here"
            workers = 3
            max_connections = 1000
            [timeouts]
            connect = "250ms"
            handshake = 2
            idle = "2m"
            dead_peer = "20s"
            drain = 0
            [status_cache]
            ttl = 0.5
            max_stale = "1h"
            negative_ttl = "4s"
            [ip_filter]
            whitelist = ["192.0.2.0/24"]
            blacklist = ["192.0.2.7", "2001:db8::/32"]
            [proxy_protocol]
            trusted = ["10.0.0.0/24", "2001:db8::2"]
            [motd.unknown]
            text = { text = "who?", color = "red" }
            [log]
            level = "debug"
            format = "json"
            [control]
            socket = "run/control.sock"
            [[server]]
            name = "survival"
            domains = ["survival.example.com", "*.creative.example.com"]
            addresses = ["10.0.0.5:25565", { address = "backup.example.com", weight = 2 }]
            listen = ["127.0.0.1:25570"]
            proxy_mode = "server_only"
            balance = "least_conn"
            slow_start = "1m"
            health = { interval = "5s", timeout = 1, fall = 4, rise = 5, type = "tcp" }
            pool = { warm = 8, max_idle = "20s" }
            disconnect_message = "down"
            send_proxy_protocol = "v2"
            ip_filter.blacklist = ["198.51.100.0/24"]
            [server.motd.online]
            version_name = "1.21"
            [server.motd.offline]
            text = "§7Back soon"
            favicon = "icon.png"
            max_players = 0
            online_players = 0
            sample = ["one", "two"]
            [server.motd.starting]
            text = "in a minute"
            """
        )
        settings = configuration.settings
        assert settings.bind == ("127.0.0.1:25570", "[::1]:25571")
        assert (settings.default, settings.unknown_message) == ("survival", "nothing here")
        assert (settings.workers, settings.max_connections) == (3, 1000)
        assert settings.timeouts == Timeouts(0.25, 2, idle=120, dead_peer=20, drain=0)
        assert settings.status == StatusPolicy(ttl=0.5, max_stale=3600, negative_ttl=4)
        assert settings.filters == Filters(("192.0.2.0/24",), ("192.0.2.7/32", "2001:db8::/32"))
        assert settings.proxy_trusted == ("10.0.0.0/24", "2001:db8::2/128")
        assert settings.motd_unknown == Motd(text={"text": "who?", "color": "red"})
        assert (configuration.log.level, configuration.log.format) == ("debug", "json")
        assert configuration.control_socket == Path("run/control.sock")
        (server,) = settings.servers
        # Compiled code takes no subclasses.
        assert {type(text) for text in (*server.domains, *server.addresses)} == {str}
        assert server.domains == ("survival.example.com", "*.creative.example.com")
        assert server.addresses == ("10.0.0.5:25565", "backup.example.com")
        assert server.weights == (1, 2)
        assert (server.balance, server.slow_start) == (Balance.LEAST_CONN, 60)
        assert server.health == Health(5, timeout=1, fall=4, rise=5, status=False)
        assert server.pool == Pool(warm=8, max_idle=20)
        assert server.listen == ("127.0.0.1:25570",)
        assert server.mode is Mode.SERVER_ONLY
        assert server.disconnect_message == "down"
        assert server.send_proxy_protocol == "v2"
        assert server.filters == Filters(blacklist=("198.51.100.0/24",))
        assert server.motd_online == Motd(version_name="1.21")
        assert server.motd_offline == Motd(
            text="§7Back soon",
            favicon="data:image/png;base64," + base64.b64encode(png()).decode(),
            max_players=0,
            online_players=0,
            sample=("one", "two"),
        )
        assert server.motd_starting == Motd(text="in a minute")

    def test_what_is_left_out_has_its_default(self) -> None:
        configuration = read(SERVER)
        assert configuration.settings.bind == ("0.0.0.0:25565",)
        assert configuration.settings.timeouts == Timeouts()
        assert configuration.settings.status == StatusPolicy()
        assert configuration.settings.servers[0].mode is Mode.PASSTHROUGH
        assert configuration.settings.servers[0].motd_offline is None
        assert configuration.settings.proxy_trusted == ()
        assert configuration.settings.servers[0].send_proxy_protocol is False
        assert configuration.settings.servers[0].balance is Balance.FIRST_AVAILABLE
        assert configuration.settings.servers[0].health == Health()
        assert configuration.settings.servers[0].pool == Pool()
        assert configuration.control_socket == Path("mcproxy.sock")

    @pytest.mark.parametrize(("value", "read_as"), [('"v1"', "v1"), ("false", False)])
    def test_a_proxy_header_is_sent_in_one_version_or_not(
        self, value: str, read_as: object
    ) -> None:  # M-16
        server = read(SERVER + f"send_proxy_protocol = {value}").settings.servers[0]
        assert server.send_proxy_protocol == read_as

    def test_a_drop_in_holds_the_keys_of_one_server(self, folder: Path) -> None:
        (folder / "servers").mkdir()
        (folder / "servers" / "icon.png").write_bytes(png())
        (folder / "servers" / "survival.toml").write_text(
            'addresses = ["10.0.0.5"]\nmotd.offline.favicon = "icon.png"\n'
        )
        (folder / "servers" / "README.md").write_text("not a drop-in")
        configuration = read('servers_dir = "servers"\ndefault = "survival"\n' + SERVER)
        names = [server.name for server in configuration.settings.servers]
        assert names == ["lobby", "survival"]  # without a name, that of the file
        assert Path("servers/icon.png") in configuration.files  # beside the file that names it
        assert Path("servers/survival.toml") in configuration.files

    def test_an_icon_may_be_a_data_uri(self) -> None:
        uri = "data:image/png;base64," + base64.b64encode(png()).decode()
        configuration = read(f'motd.unknown.favicon = "{uri}"\n{SERVER}')
        assert configuration.settings.motd_unknown == Motd(favicon=uri)


@pytest.mark.usefixtures("folder")
class TestWhatIsRefused:
    def test_an_unknown_key_with_the_nearest_known_one(self) -> None:
        assert mistakes('binds = ["0.0.0.0:1"]' + SERVER) == [
            'mcproxy.toml:1: binds: unknown key; did you mean "bind"?'
        ]
        assert mistakes(SERVER + "\n[server.motd.ofline]\ntext = 'x'") == [
            'mcproxy.toml:6: server[0].motd.ofline: unknown key; did you mean "offline"?'
        ]

    def test_an_unknown_key_that_is_near_to_nothing_with_all_that_are_known(self) -> None:
        assert mistakes("[log]\nzzz = 1") == [
            "mcproxy.toml:2: log.zzz: unknown key; known here: format, level"
        ]

    @pytest.mark.parametrize(
        ("text", "key"),
        [
            (SERVER + "wake = {}", "server[0].wake"),
            (SERVER + "forwarding = {}", "server[0].forwarding"),
        ],
    )
    def test_a_key_of_a_later_version_by_name(self, text: str, key: str) -> None:
        (mistake,) = mistakes(text)
        assert f": {key}: not available yet: " in mistake

    @pytest.mark.parametrize(
        ("line", "word"),
        [
            ('proxy_mode = "client_only"', "client_only"),
            ('proxy_mode = "offline"', "offline"),
        ],
    )
    def test_a_value_of_a_later_version_by_name(self, line: str, word: str) -> None:
        (mistake,) = mistakes(SERVER + line)
        assert mistake.startswith("mcproxy.toml:5: server[0].")
        assert f'"{word}" is not available yet' in mistake

    @pytest.mark.parametrize(
        ("weight", "said"),
        [
            ("0", "expected a whole number >= 1, not 0"),
            ("1001", "expected a whole number <= 1000, not 1001"),
            ('"2"', 'expected a whole number, not "2"'),
        ],
    )
    def test_a_weight_that_is_none(self, weight: str, said: str) -> None:
        (mistake,) = mistakes(
            f'[[server]]\nname = "a"\naddresses = [\n"b",\n{{ address = "c", weight = {weight} }}]'
        )
        assert mistake == f"mcproxy.toml:5: server[0].addresses[1].weight: {said}"

    @pytest.mark.parametrize(
        ("line", "said"),
        [
            (
                "health = { interval = 1, fall = 0 }",
                "health.fall: expected a whole number >= 1, not 0",
            ),
            (
                "health = { interval = 1, rise = 0 }",
                "health.rise: expected a whole number >= 1, not 0",
            ),
            (
                "health = { interval = 1, timeout = 0 }",
                "health.timeout: 0 would end every connection at once",
            ),
            (
                'health = { interval = 1, type = "ping" }',
                'health.type: expected one of "status", "tcp", not "ping"',
            ),
            ("pool.warm = -1", "pool.warm: expected a whole number >= 0, not -1"),
            (
                "pool = { warm = 1, max_idle = 0 }",
                "pool.max_idle: 0 would end every connection at once",
            ),
            ("pool = { warm = 1, size = 1 }", "pool.size: unknown key; known here: max_idle, warm"),
            ("slow_start = 5", 'slow_start: has no effect with balance = "first_available"; use'),
            ("health.fall = 2", 'health: has no effect without interval; write interval = "5s"'),
            ("pool.max_idle = 5", "pool: has no effect without warm; write warm = 4"),
            ("weight = 2", "weight: a weight belongs to an address: addresses = [{ address ="),
            ("health_check = {}", "health_check: health checks are set in [server.health]"),
        ],
    )
    def test_what_cannot_balance_or_check(self, line: str, said: str) -> None:
        (mistake,) = mistakes(SERVER + line)
        assert mistake.startswith(f"mcproxy.toml:5: server[0].{said}")

    def test_a_weight_where_the_first_address_takes_all(self) -> None:
        (mistake,) = mistakes(
            '[[server]]\nname = "a"\naddresses = [\n"b",\n{ address = "c", weight = 2 }]'
        )
        assert mistake.startswith(
            "mcproxy.toml:5: server[0].addresses[1].weight: has no effect with balance = "
        )

    def test_health_and_pool_of_no_server(self) -> None:
        assert mistakes("[health]\ninterval = 5\n[pool]\nwarm = 1") == [
            "mcproxy.toml:1: health: health checks belong to a server: [server.health]",
            "mcproxy.toml:3: pool: connections in advance belong to a server: [server.pool]",
        ]

    def test_a_dead_peer_of_less_than_a_second(self) -> None:
        (mistake,) = mistakes('timeouts.dead_peer = "500ms"')
        assert mistake == (
            "mcproxy.toml:1: timeouts.dead_peer: 500ms is too short; write a second or more"
        )

    @pytest.mark.parametrize(
        "address", ["10.0.0.5:99999", "10.0.0.5:0", "10.0.0.5:x", "a b", "", "10.0.0.256"]
    )
    def test_a_bad_backend_address(self, address: str) -> None:
        (mistake,) = mistakes(f'[[server]]\nname = "a"\naddresses = ["{address}"]')
        assert mistake.startswith(f"mcproxy.toml:3: server[0].addresses[0]: {address!r}")

    @pytest.mark.parametrize("bind", ["localhost:1", "0.0.0.0:70000", "1.2.3:4", "[::1:25565"])
    def test_a_bad_address_to_listen_on(self, bind: str) -> None:
        (mistake,) = mistakes(f'bind = ["{bind}"]\n')
        assert mistake.startswith(f'mcproxy.toml:1: bind[0]: "{bind}"')

    def test_a_domain_of_two_servers_with_both_names(self) -> None:
        assert mistakes(
            """\
[[server]]
name = "lobby"
domains = ["a.example.com"]
addresses = ["10.0.0.1"]
[[server]]
name = "survival"
domains = ["b.example.com", "A.example.com."]
addresses = ["10.0.0.1"]
"""
        ) == [
            'mcproxy.toml:7: server[1].domains[1]: "A.example.com." leads to server "lobby" '
            'already (mcproxy.toml:3) and cannot lead to "survival" too'
        ]

    def test_a_domain_of_a_drop_in_and_the_file_with_both_places(self, folder: Path) -> None:
        (folder / "servers").mkdir()
        (folder / "servers" / "b.toml").write_text('addresses = ["x"]\ndomains = ["*.a.org"]\n')
        (mistake,) = mistakes(f'servers_dir = "servers"\n{SERVER}domains = ["*.A.org"]')
        assert mistake.startswith("servers/b.toml:2: domains[0]: ")
        assert '"lobby" already (mcproxy.toml:6)' in mistake
        assert '"b" too' in mistake

    def test_a_local_address_of_two_servers_with_both_names(self) -> None:  # M-04
        second = SERVER.replace("lobby", "survival")
        (mistake,) = mistakes(f'{SERVER}listen = ["127.0.0.1:1"]\n{second}listen = ["127.0.0.1:1"]')
        assert mistake.startswith("mcproxy.toml:10: server[1].listen[0]: ")
        assert '"lobby" already (mcproxy.toml:5)' in mistake

    def test_two_servers_of_one_name(self) -> None:
        assert mistakes(SERVER + SERVER) == [
            'mcproxy.toml:7: server[1].name: "lobby" is the name of another server already '
            "(mcproxy.toml:3)"
        ]

    def test_a_default_that_is_no_server(self) -> None:
        assert mistakes('default = "loby"' + SERVER) == [
            'mcproxy.toml:1: default: there is no server "loby"; did you mean "lobby"?'
        ]

    def test_a_missing_icon(self) -> None:
        (mistake,) = mistakes(SERVER + '[server.motd.offline]\nfavicon = "icons/x.png"')
        assert mistake.startswith("mcproxy.toml:6: server[0].motd.offline.favicon: ")
        assert "there is no icon file icons/x.png" in mistake

    def test_an_icon_of_the_wrong_size(self) -> None:
        Path("big.png").write_bytes(png(128, 64))
        (mistake,) = mistakes('motd.unknown.favicon = "big.png"\n')
        assert "the icon has 128 x 64 pixels; clients show 64 x 64 only" in mistake

    @pytest.mark.parametrize("data", [b"", b"GIF89a", b"\x89PNG\r\n\x1a\n" + bytes(40)])
    def test_an_icon_that_is_not_a_png(self, data: bytes) -> None:
        Path("icon.png").write_bytes(data)
        (mistake,) = mistakes('motd.unknown.favicon = "icon.png"\n')
        assert mistake.endswith("motd.unknown.favicon: the icon is not a PNG file")

    def test_an_icon_that_is_not_base64(self) -> None:
        (mistake,) = mistakes('motd.unknown.favicon = "data:image/png;base64,%%%"\n')
        assert "the data URI is not base64" in mistake

    @pytest.mark.parametrize("value", ['"5 parsecs"', "-1", "true", "[]", '"soon"', "1e9", '""'])
    def test_a_bad_duration(self, value: str) -> None:
        (mistake,) = mistakes(f"[status_cache]\nttl = {value}")
        assert mistake.startswith("mcproxy.toml:2: status_cache.ttl: ")

    def test_a_time_out_of_nothing(self) -> None:
        (mistake,) = mistakes("[timeouts]\nhandshake = 0")
        assert "timeouts.handshake: 0 would end every connection at once" in mistake

    @pytest.mark.parametrize("network", ["10.0.0.0/33", "10.0.0", "example.com", "::/129"])
    def test_a_bad_network(self, network: str) -> None:
        (mistake,) = mistakes(f'[ip_filter]\nblacklist = ["192.0.2.1", "{network}"]')
        assert mistake.startswith(f'mcproxy.toml:2: ip_filter.blacklist[1]: "{network}" is not')

    def test_a_network_with_bits_behind_its_prefix_and_what_was_meant(self) -> None:
        (mistake,) = mistakes('[ip_filter]\nwhitelist = ["10.1.2.3/8"]')
        assert 'did you mean "10.0.0.0/8" or "10.1.2.3"?' in mistake

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ('workers = "2"', 'workers: expected a whole number, not "2"'),
            ("workers = -1", "workers: expected a whole number >= 0, not -1"),
            ('bind = "0.0.0.0:1"', 'bind: expected an array, not text; write ["0.0.0.0:1"]'),
            ("timeouts = 5", "timeouts: expected a table, not a number"),
            ("default = 5", "default: expected text, not 5"),
            ("bind = []", "bind: is empty; for example"),
            ("[server]\nname = 'x'", "server: servers are an array of tables: write [[server]]"),
            ("[log]\nlevel = 'warn'", '"error", not "warn"; did you mean "warning"?'),
            ("servers_dir = ''", "servers_dir: '' is not a path"),
            (
                "motd.unknown.favicon = '\\u0000'".replace("'", '"'),
                "favicon: '\\x00' is not a path",
            ),
            ("motd.unknown.text = {a = 1979-05-27}", "motd.unknown.text: a text component is made"),
            (f"motd.unknown.text = '{'x' * 5000}'", "have at most 4000 characters as JSON"),
            ("[[server]]\nname = ' '\naddresses = ['x']", "name: a name has 1 to 64 characters"),
            (SERVER + "send_proxy_protocol = true", 'expected one of "v1", "v2", false, not'),
            (SERVER + 'send_proxy_protocol = "v3"', '"v3" is not one of "v1", "v2", false'),
            ("proxy_protocol = true", "proxy_protocol: expected a table, not true or false"),
            ("receive_proxy_protocol = true", "[proxy_protocol] trusted"),
            ("[motd.offline]\ntext = 'x'", "motd.offline: this state belongs to a server"),
        ],
    )
    def test_a_value_of_the_wrong_kind(self, text: str, message: str) -> None:
        (mistake,) = mistakes(text)
        assert message in mistake

    def test_a_missing_key(self) -> None:
        assert mistakes("[[server]]\ndomains = []") == [
            'mcproxy.toml:1: server[0].name: this key is missing; for example "survival"',
            "mcproxy.toml:1: server[0].addresses: this key is missing; for example "
            '["10.0.0.5:25565", "backup.example.com"]',
        ]

    def test_everything_at_once(self) -> None:
        found = mistakes('bnid = 1\nworkers = "x"\n[[server]]\nname = "a"\naddresses = ["b:c"]\n')
        assert [line.split(": ")[1] for line in found] == [
            "bnid",
            "workers",
            "server[0].addresses[0]",
        ]

    def test_what_is_not_toml(self) -> None:
        (mistake,) = mistakes("bind = [\n'x'\nworkers = 3")
        assert mistake.startswith("mcproxy.toml:3: not TOML: ")

    def test_what_is_not_text(self) -> None:
        Path("mcproxy.toml").write_bytes(b"a = '\xff'")
        with pytest.raises(ConfigurationProblems, match="is not UTF-8 text"):
            load(Path("mcproxy.toml"))

    def test_a_file_that_is_not_there(self) -> None:
        with pytest.raises(ConfigurationProblems, match=r"nope\.toml: no such file"):
            load(Path("nope.toml"))

    def test_a_folder_of_drop_ins_that_is_not_there(self) -> None:
        (mistake,) = mistakes('servers_dir = "nope"')
        assert mistake.startswith("mcproxy.toml:1: servers_dir: cannot read the folder nope")

    def test_a_socket_name_that_the_kernel_would_refuse(self) -> None:
        (mistake,) = mistakes(f'control.socket = "{"x" * 120}"')
        assert "a socket's has at most 80" in mistake
