"""The benchmarks: `make bench`, or `python -m bench` with `tests` on the path."""

import argparse
import os
import re
import sys
import tempfile
import time
from pathlib import Path

from bench import approvals, audit, flow, grpc_verify, ingest, report, resolve, rest_verify
from bench.context import Context
from bench.loads.generator import generating
from bench.measure import Cores, cores

BENCHMARKS = {
    "a": [grpc_verify.measure],
    "b": [rest_verify.measure],
    "c": [flow.measure],
    "d": [resolve.measure, ingest.measure],
    "e": [audit.measure],
    "f": [approvals.measure],
}


def main() -> None:
    """Run what is asked for and print its tables."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="What the service costs, beside baselines.")
    parser.add_argument("--quick", action="store_true", help="fewer repetitions, a hundred thousand sessions")
    parser.add_argument(
        "--only", default=",".join(BENCHMARKS), metavar="A,B", help=f"which ones, of {', '.join(BENCHMARKS)}"
    )
    parser.add_argument("--rounds", type=int, help="how often each pair is measured")
    arguments = parser.parse_args()
    wanted = arguments.only.split(",")
    if unknown := set(wanted) - set(BENCHMARKS):
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}")
    out = report.console()
    chosen = cores()
    out.print(f"{time.strftime('%Y-%m-%d')}, {_machine(chosen)}\n", highlight=False)
    rounds = arguments.rounds or (3 if arguments.quick else 7)
    requests, sessions = (2_000, (10_000, 100_000)) if arguments.quick else (6_000, (10_000, 1_000_000))
    reached = True
    with tempfile.TemporaryDirectory(prefix="bench-") as directory, generating(chosen.load) as generate:
        for name in wanted:
            for benchmark in BENCHMARKS[name]:
                with tempfile.TemporaryDirectory(dir=directory) as own:
                    found = benchmark(Context(Path(own), chosen, generate, rounds, requests, sessions))
                for table in found:
                    report.show(table, out)
                    reached = reached and all(row.reach is None or row.reach.reached for row in table.rows)
    out.print(
        "Values are the median of the rounds, with the least and the greatest; a ratio is taken within each round, in "
        "which all are measured in turn (A B A B). CPU is what the operating system counts, user and system, for all "
        "processes of the server. The operator's log is written to a file."
    )
    if not reached:
        out.print("[bold red]Not everything is reached: see NO above.[/]")


def _machine(chosen: Cores) -> str:
    information = Path("/proc/cpuinfo").read_text()
    speed = re.search(r"cpu MHz\s*:\s*([0-9.]+)", information)
    gigahertz = f" of {float(speed[1]) / 1000:.1f} GHz" if speed else ""
    where = "each on a core of its own" if chosen.are_apart else "on one core together, which blurs everything"
    version = ".".join(map(str, sys.version_info[:3]))
    return f"{os.cpu_count()} cores{gigahertz}, Python {version}; server and load generator {where}"


if __name__ == "__main__":
    main()
