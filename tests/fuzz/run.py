"""Run the fuzz targets: ``python -m tests.fuzz.run [--seconds N] [--seed N] [TARGET ...]``.

The compiled modules are not instrumented for coverage; instead an input is kept for further
mutation when its signature is new. The input in work stands in ``build/fuzz/TARGET`` before it
runs, so that it survives a crash of the process; run it again with ``--input FILE``.
"""

from __future__ import annotations

import argparse
import faulthandler
import mmap
import random
import sys
import time
from collections.abc import Hashable
from pathlib import Path

from .targets import TARGETS, Target

INPUTS = Path(__file__).resolve().parents[2] / "build" / "fuzz"
LONGEST = 4096
KEPT = 2000
WORDS = (
    b"\0", b"\x7f", b"\x80", b"\xff", b"\x80\1", b"\xff\x7f", b"\xff\xff\x7f", b"\x80\x80\1",
    b"\xff\xff\xff\xff\x07", b"\xff\xff\xff\xff\x0f", b"\x80\x80\x80\x80\x08", b"\x80\x80\x80\0",
    b"\x7f\xff\xff\xff", b"\xff\xff\xff\xff", b"\x80\0\0\0", b"\xfe\1", b"\xfe\1\xfa", b"///",
    b"\0FML\0", b"_dc-srv.", b"._minecraft._tcp.", b"\xed\xa0\x80", b"\xf0\x9f\x98\x80",
    b"\xc0\x80", b"PROXY TCP4 ", b"PROXY TCP6 ", b"\r\n", b"\r\n\r\n\0\r\nQUIT\n\x21",
)  # fmt: skip


def mutated(data: bytes, other: bytes, rng: random.Random) -> bytes:
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 3, 6))):
        at = rng.randrange(len(out) + 1)
        size = min(rng.choice((1, 1, 2, 4, 8, 32)), len(out) - at)
        match rng.randrange(7):
            case 0 if size:
                out[at] ^= 1 << rng.randrange(8)
            case 1 if size:
                out[at] = rng.randrange(256)
            case 2:
                del out[at : at + size]
            case 3:
                out[at:at] = out[at : at + size] * rng.choice((1, 2, 20))
            case 4:
                out[at : at + rng.choice((0, 1, size))] = rng.choice(WORDS)
            case 5:
                start = rng.randrange(len(other) + 1)
                out[at:] = other[start:]
            case _:
                out[at:at] = rng.randbytes(size)
    return bytes(out[:LONGEST])


def fuzz(name: str, target: Target, seconds: float, seed: int) -> tuple[int, int]:
    """The number of inputs tried, and of signatures seen. A finding raises with its input."""
    rng = random.Random(f"{name} {seed}")
    corpus = list(target.seeds)
    seen: set[Hashable] = {target.run(data) for data in corpus}
    INPUTS.mkdir(parents=True, exist_ok=True)
    path = INPUTS / name
    path.write_bytes(bytes(4 + LONGEST))
    deadline = time.monotonic() + seconds
    tried = 0
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as current:
        while time.monotonic() < deadline:
            for _ in range(100):
                data = mutated(rng.choice(corpus), rng.choice(corpus), rng)
                current[: 4 + len(data)] = len(data).to_bytes(4, "big") + data
                try:
                    result = target.run(data)
                except Exception as error:
                    error.add_note(f"target {name}, seed {seed}, input {data!r}")
                    raise
                if result not in seen and len(corpus) < KEPT:
                    seen.add(result)
                    corpus.append(data)
            tried += 100
    path.unlink()
    return tried, len(seen)


def main() -> None:
    parser = argparse.ArgumentParser(description="Fuzz the parsers of the wire.")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    parser.add_argument("--seconds", type=float, default=60.0, help="for each target")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--input", type=Path, help="run one input that a crash left behind")
    options = parser.parse_args()
    faulthandler.enable()
    seed = random.SystemRandom().randrange(2**32) if options.seed is None else options.seed
    for name in options.targets or TARGETS:
        if name not in TARGETS:
            parser.error(f"no target is called {name}; there are {', '.join(TARGETS)}")
        if options.input:
            saved = options.input.read_bytes()
            TARGETS[name].run(saved[4 : 4 + int.from_bytes(saved[:4], "big")])
            continue
        tried, signatures = fuzz(name, TARGETS[name], options.seconds, seed)
        print(f"{name}: {tried} inputs, {signatures} signatures, seed {seed}")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
