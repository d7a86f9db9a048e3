"""What one step costs, against torch and pytorch_optimizer, in one run.

    python benchmarks/step.py                  every case, about 5 minutes on a quiet machine with 2 cores
    python benchmarks/step.py --quick          fewer samples and no GPT-2
    python benchmarks/step.py --cases 'adamw*' groups startup

The figure is the median time of a whole ``step()`` right after a backward pass, with gradients that are other
tensors than at the last step, as after ``zero_grad()``. ``ratio`` is the fastest of the peers named in
``against`` over ours; ``counted`` says how many of its samples were quiet enough to count (see probe.py).
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

from contenders import OURS, Case, Params, cases, groups
from probe import Times, measure
from shapes import coordinates, gradients, parameters
from startup import IMPORT_ALLOWED, METHODS, WARM_ALLOWED, time_compile, time_import

GROUPS_ALLOWED = 2.5
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


def samples_for(shapes: str, quick: bool) -> tuple[int, float]:
    """Quiet samples to collect, and seconds to wait for them."""
    big = coordinates(shapes) > 10_000_000
    return (5, 10.0) if quick else ((9, 40.0) if big else (41, 15.0))


def run_case(case: Case, args: argparse.Namespace) -> dict[str, Any]:
    """Time one case."""
    params = parameters(case.shapes)
    renew = renewer(params, case.shapes, args.kept)
    renew()
    contenders = case.build(params)
    if case.shapes in BANDWIDTH_SHAPES:
        contenders["memory"] = trivial_step(coordinates(case.shapes), case.states)
    samples, seconds = samples_for(case.shapes, args.quick)
    times = measure(contenders, renew, samples=samples, seconds=seconds)
    return record(case, times)


def trivial_step(n: int, states: int) -> Callable[[], None]:
    """Reads and writes the very streams of a step, each once, and does next to nothing with them."""
    p, g, *rest = [torch.ones(n) for _ in range(2 + states)]

    def move() -> None:
        p.add_(g)
        for state in rest:
            state.add_(1.0)

    return move


def record(case: Case, times: dict[str, Times]) -> dict[str, Any]:
    """One line of the results."""
    ours = times[OURS]
    best = min((name for name in times if name in case.against), key=lambda name: times[name].after_backward)
    row: dict[str, Any] = {
        "case": case.name,
        "ratio": times[best].after_backward / ours.after_backward,
        "ratio_alone": times[best].alone / ours.alone,
        "against": best,
        "bound": case.bound,
        "times": {name: asdict(t) for name, t in times.items()},
    }
    if "memory" in times:
        moved = (12 + 8 * case.states) * coordinates(case.shapes)  # p, g read, p written; each state both
        row["bandwidth_share"] = times["memory"].after_backward / ours.after_backward
        row["bandwidth_gb_s"] = moved / times["memory"].after_backward / 1e6
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
    share = f"  {row['bandwidth_share']:.0%} of {row['bandwidth_gb_s']:.1f} GB/s" if "bandwidth_share" in row else ""
    counted = f"{ours['counted']}/{ours['samples']}"
    print(
        f"{row['case']:34s}{ours['after_backward']:9.3f}{row['ratio']:8.2f}{row['ratio_alone']:8.2f}"
        f"  {verdict(row['ratio'], row['bound']):12s}{counted:>8s}  {peers}{share}",
        flush=True,
    )


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
    parser.add_argument("--cases", nargs="+", default=["*"], metavar="PATTERN", help="cases, groups, startup")
    parser.add_argument("--kept", action="store_true", help="the same gradient tensors at every step")
    default = Path(__file__).parent / "results" / "step.json"
    parser.add_argument("--json", type=Path, default=default, metavar="PATH", help=f"default: {default.name}")
    return parser.parse_args()


def main() -> None:
    """Run, print and write."""
    args = parse()

    def chosen(name: str) -> bool:
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
            gc.collect()
    if chosen("groups"):
        results["groups"] = run_groups(args)
    if chosen("startup"):
        results["startup"] = run_startup(args)
    args.json.parent.mkdir(parents=True, exist_ok=True)
    args.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
