"""Warm sockets to a backend that is far away."""

import json
import subprocess
import sys

from benchmarks.warm_join import __file__ as program


def test_every_join_at_its_leisure_is_spared_the_connect() -> None:  # M-02
    # In a process of its own: it goes to another network namespace.
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.warm_join", "--joins", "5", "--json"],
        cwd=program.partition("/benchmarks/")[0],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    used = [(each["warm"], each["warm_used"]) for each in json.loads(done.stdout)]
    assert used == [(0, 0), (4, 5), (0, 0), (4, 5)]
