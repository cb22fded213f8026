"""Commands reach a running proxy through a socket that is its owner's alone."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from mcproxy_server.control import ControlError, ControlServer, NotRunning, ask


async def echo(request: dict[str, Any]) -> Any:
    return {"you said": request.get("text")}


async def refuse(request: dict[str, Any]) -> Any:
    raise ControlError("not today")


async def break_down(request: dict[str, Any]) -> Any:
    raise KeyError("a bug")


COMMANDS = {"echo": echo, "refuse": refuse, "break": break_down}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "control.sock"


@pytest.fixture
async def server(path: Path) -> AsyncIterator[ControlServer]:
    server = ControlServer(path, COMMANDS)
    await server.start()
    yield server
    await server.close()


async def exchange(path: Path, *lines: bytes) -> list[Any]:
    reader, writer = await asyncio.open_unix_connection(path)
    answers = []
    for line in lines:
        writer.write(line + b"\n")
        answers.append(json.loads(await reader.readline()))
    writer.close()
    await writer.wait_closed()
    return answers


@pytest.mark.usefixtures("server")
class TestARunningServer:
    async def test_answers_a_command_with_its_arguments(self, path: Path) -> None:
        answer = await asyncio.to_thread(ask, path, "echo", text="§ grüße")
        assert answer == {"you said": "§ grüße"}

    async def test_says_why_it_refuses(self, path: Path) -> None:
        with pytest.raises(ControlError, match="not today"):
            await asyncio.to_thread(ask, path, "refuse")

    async def test_names_its_commands_to_those_who_ask_for_another(self, path: Path) -> None:
        with pytest.raises(ControlError, match="commands are break, echo, refuse"):
            await asyncio.to_thread(ask, path, "bann")

    async def test_answers_several_lines_of_one_connection(self, path: Path) -> None:
        answers = await exchange(path, b"nonsense", b"[]", b'{"command": "echo", "text": 1}')
        assert [answer["ok"] for answer in answers] == [False, False, True]

    async def test_survives_a_command_that_fails(self, path: Path) -> None:
        with pytest.raises(ControlError, match="the command break failed"):
            await asyncio.to_thread(ask, path, "break")
        assert await asyncio.to_thread(ask, path, "echo", text="still here")

    async def test_closes_on_a_line_without_end(self, path: Path) -> None:
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b"x" * (1 << 20))
        with contextlib.suppress(ConnectionError):  # closed with bytes of ours unread
            assert await reader.read() == b""
        writer.close()

    async def test_has_a_socket_for_its_owner_alone(self, path: Path) -> None:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600

    async def test_is_not_replaced_by_another(self, path: Path) -> None:
        with pytest.raises(ControlError, match="another mcproxy-server is running"):
            await ControlServer(path, COMMANDS).start()
        assert await asyncio.to_thread(ask, path, "echo", text="still here")


async def test_the_socket_is_gone_when_the_server_has_closed(path: Path) -> None:
    server = ControlServer(path, COMMANDS)
    await server.start()
    await server.close()
    assert not path.exists()
    with pytest.raises(NotRunning, match="no running mcproxy-server at"):
        ask(path, "echo")


async def test_a_folder_may_be_deeper_than_a_socket_s_address_is_long(tmp_path: Path) -> None:
    folder = tmp_path / ("f" * 100) / ("g" * 100)
    folder.mkdir(parents=True)
    path = folder / "control.sock"
    server = ControlServer(path, COMMANDS)
    await server.start()
    assert stat.S_ISSOCK(path.stat().st_mode)
    assert await asyncio.to_thread(ask, path, "echo", text="x") == {"you said": "x"}
    with pytest.raises(ControlError, match="another mcproxy-server is running"):
        await ControlServer(path, COMMANDS).start()
    await server.close()
    assert not path.exists()


async def test_a_socket_that_nobody_listens_on_is_replaced(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left_over:
        left_over.bind(str(path))
    with pytest.raises(NotRunning):
        ask(path, "echo")
    server = ControlServer(path, COMMANDS)
    await server.start()
    assert await asyncio.to_thread(ask, path, "echo", text="x")
    await server.close()


async def test_what_is_not_a_socket_is_left_alone(path: Path) -> None:
    path.write_text("precious")
    with pytest.raises(ControlError, match="is not a socket"):
        await ControlServer(path, COMMANDS).start()
    assert path.read_text() == "precious"


async def test_a_socket_that_somebody_else_put_there_is_left_alone(path: Path) -> None:
    first = ControlServer(path, COMMANDS)
    await first.start()
    os.unlink(path)
    second = ControlServer(path, COMMANDS)
    await second.start()
    await first.close()
    assert await asyncio.to_thread(ask, path, "echo", text="x")
    await second.close()


async def test_a_folder_that_is_not_there_is_named_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ControlError, match=r"nope/c\.sock: No such file or directory; set control"):
        await ControlServer(tmp_path / "nope" / "c.sock", COMMANDS).start()


async def test_a_command_that_closes_the_socket_is_still_answered(path: Path) -> None:
    async def close(request: dict[str, Any]) -> Any:
        await server.close()
        return "closed"

    server = ControlServer(path, {"close": close})
    await server.start()
    assert await asyncio.to_thread(ask, path, "close") == "closed"
    assert not path.exists()
