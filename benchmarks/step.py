"""What one step costs, against torch and pytorch_optimizer, in one run.

    python benchmarks/step.py                  about 5 minutes on a quiet machine with 2 cores
    python benchmarks/step.py --quick          fewer samples and no GPT-2
    python benchmarks/step.py --cases 'adamw*' groups startup
    python benchmarks/step.py --cases 'every/*'    every method against every library, about 40 minutes

The figure is the median time of a whole ``step()`` right after a backward pass, with gradients that are other
tensors than at the last step, as after ``zero_grad()``. ``ratio`` is the fastest of the peers named in
``against`` over ours; ``counted`` says how many of its samples were quiet enough to count (see probe.py). On models
that do not fit into the caches, ``bytes`` is our time over the one that the bytes that ``explain()`` counts would take
at the bandwidth that a trivial step reached in the same turns.
"""

import argparse
import fnmatch
import gc
import json
import os
import platform
import time
from collections.abc import Callable
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from contenders import EVERY, OURS, Case, cases, count_bytes, groups
from peers import Params
from probe import Times, measure
from shapes import coordinates, gradients, parameters
from startup import IMPORT_ALLOWED, METHODS, WARM_ALLOWED, time_compile, time_import

GROUPS_ALLOWED = 2.5
BYTES_ALLOWED = 1.3
BANDWIDTH_SHAPES = ("resnet50", "gpt2")  # the others fit into the caches


def renewer(params: Params, shapes: str, kept: bool) -> Callable[[], None]:
    """Hands each parameter a gradient; of two in turn, unless ``kept``."""
    sets = [gradients(shapes)] if kept else [gradients(shapes), gradients(shapes)]
    turn = 0

    def renew() -> None:
        nonlocal turn
        turn += 1
        for p, grad in zip(params, sets[turn % len(sets)], strict=True):
            p.grad = grad

    return renew


def samples_for(case: Case, quick: bool) -> tuple[int, float]:
    """Quiet samples to collect, and seconds to wait for them."""
    big = coordinates(case.shapes) > 10_000_000
    if case.name.startswith(EVERY):
        return 5, 25.0
    return (5, 10.0) if quick else ((9, 40.0) if big else (41, 15.0))


def run_case(case: Case, args: argparse.Namespace) -> dict[str, Any]:
    """Time one case."""
    params = parameters(case.shapes)
    renew = renewer(params, case.shapes, args.kept)
    renew()
    contenders = case.build(params)
    if case.shapes in BANDWIDTH_SHAPES:
        contenders["memory"] = trivial_step(coordinates(case.shapes), case.states)
    samples, seconds = samples_for(case, args.quick)
    times = measure(contenders, renew, samples=samples, seconds=seconds)
    return record(case, times, count_bytes(contenders[OURS]))


def trivial_step(n: int, states: int) -> Callable[[], None]:
    """Reads and writes the very streams of a step, each once, and does next to nothing with them."""
    p, g, *rest = [torch.ones(n) for _ in range(2 + states)]

    def move() -> None:
        p.add_(g)
        for state in rest:
            state.add_(1.0)

    return move


def record(case: Case, times: dict[str, Times], counted: int) -> dict[str, Any]:
    """One line of the results.

    Args:
        case: what was timed.
        times: of each contender.
        counted: bytes that our step moves, as ``explain()`` counts them.
    """
    ours = times[OURS]
    row: dict[str, Any] = {"case": case.name, "times": {name: asdict(t) for name, t in times.items()}}
    peers = [n for n in times if n not in (OURS, "memory") and (case.against is None or n in case.against)]
    if peers:
        best = min(peers, key=lambda name: times[name].after_backward)
        row["ratio"] = times[best].after_backward / ours.after_backward
        row["ratio_alone"] = times[best].alone / ours.alone
        row |= {"against": best, "bound": case.bound}
    if "memory" in times:
        moved = (12 + 8 * case.states) * coordinates(case.shapes)  # p, g read, p written; each state both
        row["bandwidth_gb_s"] = moved / times["memory"].after_backward / 1e6
        row["bytes"] = ours.after_backward * row["bandwidth_gb_s"] * 1e6 / counted
        row["bytes_bound"] = BYTES_ALLOWED
    return row


def verdict(value: float, bound: float | None, *, least: bool = True) -> str:
    """The bound and whether it holds."""
    if bound is None:
        return "-"
    holds = value >= bound if least else value <= bound
    return f"{bound:g} {'ok' if holds else ('BELOW' if least else 'ABOVE')}"


def print_row(row: dict[str, Any]) -> None:
    """One line of the table."""
    times, ours = row["times"], row["times"][OURS]
    peers = "  ".join(f"{n} {t['after_backward']:.3f}" for n, t in times.items() if n not in (OURS, "memory"))
    counted = f"{ours['counted']}/{ours['samples']}"
    ratios = f"{'-':>8s}{'-':>8s}  {'-':12s}"
    if "ratio" in row:
        ratios = f"{row['ratio']:8.2f}{row['ratio_alone']:8.2f}  {verdict(row['ratio'], row['bound']):12s}"
    if "bytes" in row:
        held = verdict(row["bytes"], row["bytes_bound"], least=False)
        peers += f"  its bytes at {row['bandwidth_gb_s']:.0f} GB/s x {row['bytes']:.2f} ({held})"
    print(f"{row['case']:34s}{ours['after_backward']:9.3f}{ratios}{counted:>8s}  {peers}", flush=True)


def run_groups(args: argparse.Namespace) -> dict[str, Any]:
    """1000 groups with their own values against one."""
    params = parameters("1000x128")
    renew = renewer(params, "1000x128", args.kept)
    times = measure(groups(params), renew, samples=5 if args.quick else 41, seconds=15.0)
    many, one = (times[name].after_backward for name in ("1000 groups", "one group"))
    ratio = many / one
    held = verdict(ratio, GROUPS_ALLOWED, least=False)
    print(
        f"\n1000 groups {many:.3f} ms, one group {one:.3f} ms: {ratio:.2f} times  (at most {held})",
        flush=True,
    )
    return {"ratio": ratio, "bound": GROUPS_ALLOWED, "times": {name: asdict(t) for name, t in times.items()}}


def run_startup(args: argparse.Namespace) -> dict[str, Any]:
    """Import and compile times, in processes of their own."""
    seconds = time_import(3 if args.quick else 7)
    print(f"\nimport descend after torch: {seconds:.3f} s  ({verdict(seconds, IMPORT_ALLOWED, least=False)})")
    print(f"{'first step, seconds':20s}{'empty store':>12s}{'warm store':>26s}{'first of all':>26s}")
    compiles = []
    for method in METHODS:
        c = time_compile(method, 1 if args.quick else 3)
        cold, warm = verdict(c.cold, c.cold_allowed, least=False), verdict(c.warm, WARM_ALLOWED, least=False)
        print(f"{c.method:20s}{c.cold:12.3f}  {cold:12s}{c.warm:12.4f}  {warm:12s}{c.start:12.3f}", flush=True)
        compiles.append(asdict(c))
    return {
        "import": seconds,
        "import_bound": IMPORT_ALLOWED,
        "warm_bound": WARM_ALLOWED,
        "compile": compiles,
    }


def machine() -> dict[str, Any]:
    """Where this was measured."""
    model = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), model)
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "system": platform.system(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "descend": version("descend"),
    }


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer samples, no GPT-2")
    parser.add_argument("--cases", nargs="+", metavar="PATTERN", help="cases, groups, startup")
    parser.add_argument("--kept", action="store_true", help="the same gradient tensors at every step")
    default = Path(__file__).parent / "results" / "step.json"
    parser.add_argument("--json", type=Path, default=default, metavar="PATH", help=f"default: {default.name}")
    return parser.parse_args()


def main() -> None:
    """Run, print and write."""
    args = parse()

    def chosen(name: str) -> bool:
        if args.cases is None:
            return not name.startswith(EVERY)
        return any(fnmatch.fnmatch(name, pattern) for pattern in args.cases)

    results: dict[str, Any] = {
        "machine": machine(),
        "when": time.strftime("%Y-%m-%d"),
        "kept": args.kept,
        "steps": [],
    }
    print(", ".join(f"{key} {value}" for key, value in results["machine"].items()))
    print(f"{'case':34s}{'ms':>9s}{'ratio':>8s}{'alone':>8s}  {'asked':12s}{'counted':>8s}  peers, ms")
    for case in cases():
        if chosen(case.name) and not (args.quick and case.shapes == "gpt2"):
            row = run_case(case, args)
            print_row(row)
            results["steps"].append(row)
            keep(results, args.json)
            gc.collect()
    if chosen("groups"):
        results["groups"] = run_groups(args)
    if chosen("startup"):
        results["startup"] = run_startup(args)
    keep(results, args.json)


def keep(results: dict[str, Any], path: Path) -> None:
    """Write what has been measured so far."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
