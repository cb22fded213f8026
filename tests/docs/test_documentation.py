"""What the documentation says works: configurations, commands, code, links, numbers."""

import doctest
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from cyclopts import CycloptsError

from mcproxy_server.cli import app

ROOT = Path(__file__).resolve().parents[2]
GENERATED = ("generated", "reference", "_build")
DOCS = [
    path
    for path in sorted((ROOT / "docs").rglob("*.md"))
    if path.relative_to(ROOT / "docs").parts[0] not in GENERATED
]
PAGES = [*sorted(ROOT.glob("*.md")), *DOCS]
BLOCK = re.compile(r"^```(?P<language>[a-z]+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?P<target>[^)#]*)[^)]*\)")
LIMIT = re.compile(r"([\d,]+)(?: [a-z]+)? \(`([A-Z_]+)`\)")


def blocks(language):
    found_blocks = []
    for page in PAGES:
        for number, found in enumerate(BLOCK.finditer(page.read_text()), 1):
            if found["language"] == language:
                name = f"{page.relative_to(ROOT)}-{number}"
                found_blocks.append(pytest.param(found["text"], id=name))
    return found_blocks


def commands():
    """Lines behind a prompt, continued lines joined."""
    lines = []
    for block in blocks("console"):
        text = block.values[0].replace("\\\n", " ")
        for line in text.splitlines():
            if line.startswith("$ "):
                lines.append(pytest.param(line[2:].partition("  #")[0], id=line[2:50]))
    return lines


def is_program(word):
    return word.rpartition("/")[2] == "mcproxy-server"


@pytest.mark.parametrize("text", blocks("toml"))
def test_a_configuration_passes_the_check(text, tmp_path):
    file = tmp_path / "mcproxy.toml"
    file.write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "mcproxy_server", "check", "-c", file],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_interactive_examples_give_what_is_shown(page):
    text = "\n".join(
        found["text"] for found in BLOCK.finditer(page.read_text()) if found["language"] == "pycon"
    )
    test = doctest.DocTestParser().get_doctest(text, {}, page.name, None, 0)
    shown = []
    doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, out=shown.append)
    assert "".join(shown) == ""


@pytest.mark.parametrize("text", blocks("python"))
def test_a_program_starts(text):
    text = text.replace(":25570", ":0")  # any free port: this one may be taken
    process = subprocess.Popen([sys.executable, "-c", text], stderr=subprocess.PIPE, text=True)
    try:
        with pytest.raises(subprocess.TimeoutExpired):
            process.communicate(timeout=3)  # it serves until it is stopped
    finally:
        process.kill()
        errors = process.communicate()[1]
    assert errors == ""


@pytest.mark.parametrize("line", [p for p in commands() if is_program(p.values[0].split()[0])])
def test_a_command_is_one_that_the_program_has(line):
    arguments = shlex.split(line.partition(" | ")[0])[1:]
    assert arguments
    try:
        app.parse_args(arguments, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        pytest.fail(f"{line}: {error}")


@pytest.mark.parametrize("line", [p for p in commands() if p.values[0].startswith("make")])
def test_a_make_target_exists(line):
    done = subprocess.run(["make", "-n", *shlex.split(line.partition("&&")[0])[1:]], cwd=ROOT)
    assert done.returncode == 0


def test_every_make_target_is_explained_to_contributors():
    targets = re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE)
    page = (ROOT / "CONTRIBUTING.md").read_text()
    assert [target for target in targets if f"`make {target}`" not in page] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_link_leads_to_a_file(page):
    targets = {found["target"] for found in LINK.finditer(page.read_text())}
    local = {target for target in targets if target and ":" not in target}
    made_by_the_build = {target for target in local if target.partition("/")[0] in GENERATED}
    missing = [t for t in local - made_by_the_build if not (page.parent / t).exists()]
    assert missing == []


def test_the_bounds_in_the_threat_model_are_those_of_the_code():
    code = (ROOT / "mcproxy/_speedups/plane/limits.pxd").read_text()
    told = LIMIT.findall((ROOT / "SECURITY.md").read_text())
    assert len(told) >= 6
    for value, name in told:
        assert re.search(rf"\b{name} = {value.replace(',', '')}\b", code), (name, value)


def test_every_example_is_in_the_docs():
    shown = "\n".join(page.read_text() for page in DOCS)
    assert [p.name for p in (ROOT / "examples").glob("*.py") if p.name not in shown] == []


def test_the_readme_names_a_requirement_once():
    rows = re.findall(r"^\| ((?:[MPS]-\d\d(?:, )?)+) \|", (ROOT / "README.md").read_text(), re.M)
    names = [name for row in rows for name in row.split(", ")]
    assert len(names) >= 14
    assert len(names) == len(set(names))
