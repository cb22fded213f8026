"""Draw docs/terminal.svg: what the demo answers, as it really came out of the program.

    .venv/bin/python docs/capture.py

Starts `mcproxy-server demo` on port 25565, runs the commands below and draws their output.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

TARGET = Path(__file__).with_name("terminal.svg")
PROGRAM = Path(sys.executable).with_name("mcproxy-server")
COMMANDS = (
    ("ping", "lobby.localhost"),
    ("ping", "sky.survival.localhost"),
    ("ping", "elsewhere.localhost"),
)
COLUMNS = 72

# The picture of rich without its link to a font on somebody's server.
FORMAT = """\
<svg viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg" role="img"
  aria-label="mcproxy-server ping, asked for three host names, shows three different servers">
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace;
  font-size: {char_height}px; line-height: {line_height}px; }}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: system-ui, sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" /></clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})"
  clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def main() -> None:
    """Run the demo and draw."""
    environment = {**os.environ, "FORCE_COLOR": "1", "COLUMNS": str(COLUMNS)}
    with subprocess.Popen([PROGRAM, "demo"], stdout=subprocess.PIPE, text=True) as demo:
        try:
            if demo.stdout is None or not demo.stdout.readline().startswith("listening on"):
                sys.exit("the demo did not start; is port 25565 taken?")
            outputs = [
                subprocess.run(
                    [PROGRAM, *command],
                    capture_output=True,
                    text=True,
                    check=True,
                    env=environment,
                ).stdout
                for command in COMMANDS
            ]
        finally:
            demo.terminate()
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    for command, output in zip(COMMANDS, outputs, strict=True):
        console.print(Text.assemble(("$ ", "green"), ("mcproxy-server " + " ".join(command))))
        console.print(Text.from_ansi(output))
    drawn = console.export_svg(
        title="mcproxy-server", theme=MONOKAI, code_format=FORMAT, unique_id="terminal"
    )
    TARGET.write_text("\n".join(line.rstrip() for line in drawn.splitlines()) + "\n")
    print(f"wrote {TARGET.name}")


if __name__ == "__main__":
    main()
