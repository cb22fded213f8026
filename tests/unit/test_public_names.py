"""`import mcproxy` offers every name that it promises, from the place that it says."""

from __future__ import annotations

import mcproxy


def test_every_public_name_exists_and_has_a_home():  # S-01
    promised = set(mcproxy.__all__) - {"__version__"}
    assert promised == set(mcproxy._HOME_OF)
    for name in promised:
        assert getattr(mcproxy, name).__name__ == name


def test_names_of_type_checkers_and_of_the_run_time_are_the_same():
    import ast
    from pathlib import Path

    assert mcproxy.__file__ is not None
    tree = ast.parse(Path(mcproxy.__file__).read_text())
    checked = {
        (node.module, alias.name)
        for block in tree.body
        if isinstance(block, ast.If)
        for node in ast.walk(block)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert checked == {(home, name) for name, home in mcproxy._HOME_OF.items()}
