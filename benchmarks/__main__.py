"""Runs benchmarks, prints their tables and writes them to docs/performance.md (`make bench`)."""

from __future__ import annotations

import argparse
import importlib
import sys
import time

from benchmarks.support.frame import PERFORMANCE, modules, replace_section, section, table


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def main() -> int:
    """Run the chosen benchmarks.

    A missed aim is printed and written, but it is no error.
    """
    available = modules()
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", type=_numbers, default=list(available), metavar="N[,N]", help=f"of {list(available)}")
    wanted: list[int] = parser.parse_args().only
    if unknown := [number for number in wanted if number not in available]:
        parser.error(f"no benchmark {', '.join(map(str, unknown))}; there are {', '.join(map(str, available))}")
    missed = []
    for number in wanted:
        module = importlib.import_module(f"benchmarks.{available[number]}")
        print(f"{number}. {module.TITLE}", flush=True)
        started = time.monotonic()
        rows = module.main()
        print(table(rows), f"\n({time.monotonic() - started:.0f} s)\n", sep="\n", flush=True)
        # Write each section at once, so that a later failure does not lose it. Read the document again each time,
        # because other processes may write it too.
        document = replace_section(PERFORMANCE.read_text(), number, section(number, module.TITLE, rows))
        PERFORMANCE.write_text(document)
        missed += [f"{number}. {row.name}: {row.value}, aim {row.aim}" for row in rows if row.met is False]
    print("every aim is met" if not missed else "missed aims:\n  " + "\n  ".join(missed))
    return 0


if __name__ == "__main__":
    sys.exit(main())
