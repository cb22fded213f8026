"""What the proxy says to players when nobody configured a text of their own."""

from __future__ import annotations

from typing import Any

from mcproxy._speedups.wire.frames import join_frame
from mcproxy.minecraft.login import disconnect
from mcproxy.minecraft.packets import State
from mcproxy.minecraft.versions import KNOWN

__all__ = [
    "HOOK_FAILED_TEXT",
    "LEGACY_TEXT",
    "UNAVAILABLE_TEXT",
    "UNKNOWN_TEXT",
    "login_disconnect",
]

UNAVAILABLE_TEXT = "§cThis server is not available right now.\n§7Please try again in a few minutes."
UNKNOWN_TEXT = "§cThere is no server at this address.\n§7Please check what you typed."
HOOK_FAILED_TEXT = "§cThe proxy could not decide where to send you.\n§7Please try again."
LEGACY_TEXT = "This server needs Minecraft 1.7 or newer."


def login_disconnect(text: str | dict[str, Any]) -> bytes:
    """The frame that turns a joining player away, whatever the version."""
    # In the login state the packet has been the same in every version.
    return join_frame(disconnect(KNOWN[-1], State.LOGIN, text))
