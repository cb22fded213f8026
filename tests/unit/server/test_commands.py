"""The commands of mcproxy-server, run as people run them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mcproxy import __version__

CHECKOUT = Path(__file__).resolve().parents[3]
PROGRAM = Path(sys.executable).parent / "mcproxy-server"
COMMANDS = [
    "init",
    "check",
    "run",
    "routes",
    "stats",
    "servers",
    "drain",
    "reload",
    "upgrade",
    "ping",
    "demo",
]


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PROGRAM, *arguments], capture_output=True, text=True, timeout=60, check=False
    )


def test_what_init_writes_passes_check() -> None:
    written = run("init")
    assert (written.returncode, written.stderr) == (0, "")
    assert written.stdout.startswith("wrote mcproxy.toml\n")
    checked = run("check")
    assert (checked.returncode, checked.stderr) == (0, "")
    assert checked.stdout == "mcproxy.toml: ok (1 server, 1 domain)\n"


def test_what_init_writes_has_every_key_ready_to_be_used() -> None:
    run("init", "all.toml")
    text = Path("all.toml").read_text(encoding="utf-8")
    used = "".join(
        line.removeprefix("#") if line.startswith("#") and not line.startswith("# ") else line
        for line in text.splitlines(keepends=True)
        # These name things that are not there.
        if not line.startswith(("#servers_dir", "#favicon", "#listen"))
    )
    assert "workers = 0\n" in used
    Path("all.toml").write_text(used, encoding="utf-8")
    checked = run("check", "-c", "all.toml")
    assert (checked.returncode, checked.stderr) == (0, "")


def test_init_leaves_a_file_alone_unless_forced() -> None:
    Path("mine.toml").write_text("precious")
    refused = run("init", "mine.toml")
    assert refused.returncode == 1
    assert refused.stderr == "mine.toml exists already; --force replaces it\n"
    assert Path("mine.toml").read_text() == "precious"
    assert run("init", "mine.toml", "--force").returncode == 0


def test_check_names_the_mistake_and_exits_with_1() -> None:
    Path("mcproxy.toml").write_text("\nbnid = []\n")
    checked = run("check")
    assert (checked.returncode, checked.stdout) == (1, "")
    assert checked.stderr == (
        'mcproxy.toml:2: bnid: unknown key; did you mean "bind"?\nmcproxy.toml: 1 mistake\n'
    )


@pytest.mark.parametrize("command", ["run", "routes"])
def test_the_others_name_it_too(command: str) -> None:
    Path("mcproxy.toml").write_text("workers = 'x'\n")
    done = run(command)
    assert (done.returncode, done.stdout) == (1, "")
    assert 'mcproxy.toml:1: workers: expected a whole number, not "x"' in done.stderr


def test_a_missing_configuration_is_told_with_what_to_do() -> None:
    done = run("run", "-c", "nope.toml")
    assert done.returncode == 1
    assert done.stderr.startswith("nope.toml: no such file; `mcproxy-server init` writes one")


def test_routes_without_a_running_proxy_says_so_and_uses_the_file() -> None:
    Path("mcproxy.toml").write_text(
        '[[server]]\nname = "survival"\ndomains = ["*.example.com"]\naddresses = ["10.0.0.5"]\n'
    )
    done = run("routes", "Creative.Example.com.")
    assert (done.returncode, done.stderr) == (
        0,
        "no running mcproxy-server at mcproxy.sock; answering from mcproxy.toml\n",
    )
    assert done.stdout == (
        "creative.example.com → survival (10.0.0.5)\n"
        "  creative.example.com matches *.example.com of survival\n"
    )
    table = json.loads(run("routes", "--json").stdout)["table"]
    assert table == [{"rule": "wildcard", "pattern": "*.example.com", "server": "survival"}]


def test_routes_by_local_address() -> None:  # M-04
    Path("mcproxy.toml").write_text(
        'bind = ["0.0.0.0:25566"]\n[[server]]\nname = "lobby"\naddresses = ["10.0.0.5"]\n'
        'listen = ["192.0.2.1:25566"]\n'
    )
    found = run("routes", "192.0.2.1", "--via", "192.0.2.1:25566", "--json")
    route = json.loads(found.stdout)["route"]
    assert (route["server"], route["rule"]) == ("lobby", "address")


def test_stats_without_a_running_proxy_says_so() -> None:
    Path("mcproxy.toml").write_text("")
    done = run("stats")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "no running mcproxy-server at mcproxy.sock\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_explains_itself_with_an_example(command: str) -> None:
    done = run(command, "--help")
    assert done.returncode == 0
    assert f"mcproxy-server {command}" in done.stdout.partition("Example")[2]


def test_a_wrong_option_is_one_line_and_status_2() -> None:
    done = run("run", "--confg", "x")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "--confg" in done.stderr


def test_the_version() -> None:
    assert run("--version").stdout == f"{__version__}\n"


def test_the_example_in_the_checkout_is_what_init_writes() -> None:
    written = run("init", "fresh.toml")
    assert written.returncode == 0
    example = CHECKOUT / "server" / "mcproxy.toml"
    assert Path("fresh.toml").read_text(encoding="utf-8") == example.read_text(encoding="utf-8")


def test_the_reference_of_the_docs_names_every_key_of_the_example() -> None:
    reference = subprocess.run(
        [sys.executable, "-m", "mcproxy_server.config.reference"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout
    example = (CHECKOUT / "server" / "mcproxy.toml").read_text(encoding="utf-8")
    keys = re.findall(r"^#?(\w+) = ", example, re.MULTILINE)
    tables = re.findall(r"^\[.+\]$", example, re.MULTILINE)
    assert len(keys) > 20
    assert [key for key in keys if f"| `{key}` |" not in reference] == []
    assert [table for table in tables if f"## `{table}`" not in reference] == []


def test_without_its_extra_it_names_the_extra_in_one_line() -> None:
    code = (
        "import runpy, sys; sys.modules['cyclopts'] = None; "
        "runpy.run_module('mcproxy_server', run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "cyclopts is missing" in line
    assert "pip install '.[server]'" in line
