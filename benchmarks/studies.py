"""The comparisons whose records lie in docs/results: what was compared with which settings, one row each.

    python benchmarks/studies.py list                    every command
    python benchmarks/studies.py run NAME...             trains them into results/NAME (goes on where it stopped)
    python benchmarks/studies.py keep NAME...            packs results/NAME into docs/results/NAME, with a picture

`results_page.py` and `claims_page.py` write the pages from what is kept.
"""

import argparse
import gzip
import io
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from descend.compare import Comparison, read_comparison
from descend.compare.archive import PLAN
from descend.compare.records import PACKED, PROTOCOL, RUNS
from descend.draw.figures import draw_overview

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KEPT = Path(__file__).parents[1] / "docs" / "results"
PICTURE, DPI, COLORS = "picture.png", 80, 64
MANY = "sgd,sgd-momentum,nesterov,adagrad,rmsprop,adam,adamw,lion,lamb,lars,radam,adafactor"
FULL_BATCH = 1078
"""Training images of the digits."""


@dataclass(frozen=True)
class Study:
    """One call of ``descend compare``; ``tasks``, ``optimizers`` and ``options`` as on the command line."""

    name: str
    tasks: str
    optimizers: str
    options: str = ""

    @property
    def words(self) -> list[str]:
        """The arguments of ``descend``."""
        return ["compare", *self.tasks.split(), "-o", self.optimizers, *self.options.split()]

    @property
    def command(self) -> str:
        """What to type to train it again."""
        return shlex.join(["descend", *self.words, "--out", f"results/{self.name}"])

    def read(self, folder: Path = KEPT) -> Comparison:
        """Its results."""
        return read_comparison(folder / self.name)


_WIDE = "--search-seeds 5 --seeds 10"
_ONCE = "--search-seeds 1"

TASK_STUDIES = (
    Study("digits", "digits-mlp digits-cnn", MANY, _WIDE),
    Study("tabular", "breast-cancer wine diabetes", MANY, _WIDE),
    Study("diamonds", "diamonds", "sgd-momentum,nesterov,adagrad,rmsprop,adam,adamw,lion", f"{_ONCE} --trials 5"),
    Study("vowels-gru", "vowels-gru", "sgd-momentum,nesterov,rmsprop,adam,adamw,lion",
          f"{_ONCE} --trials 5 --lrs sgd-momentum=0.01,0.03,0.1,0.3,1 --lrs nesterov=0.01,0.03,0.1,0.3,1 "
          "--lrs adam=0.001,0.003,0.01,0.03,0.1 --lrs adamw=0.001,0.003,0.01,0.03,0.1"),
    Study("snippets-bag", "snippets-bag", "sgd,sgd-momentum,adagrad,adam,adamw",
          f"{_ONCE} --lrs sgd=0.3,1,3,10 --lrs sgd-momentum=0.1,0.3,1,3 --lrs adagrad=0.01,0.03,0.1,0.3 "
          "--lrs adam=0.0003,0.001,0.003,0.01 --lrs adamw=0.0003,0.001,0.003,0.01"),
    Study("snippets-bag-dense", "benchmarks/dense_bag.py:dense_bag", "sgd-momentum,adagrad,adam,adamw,adafactor",
          f"{_ONCE} --lrs sgd-momentum=0.1,0.3,1 --lrs adagrad=0.01,0.03,0.1 --lrs adam=0.0003,0.001,0.003 "
          "--lrs adamw=0.0003,0.001,0.003 --lrs adafactor=0.003,0.01,0.03"),
    Study("b3db-gin", "b3db-gin", "sgd-momentum,adagrad,adafactor,adamw",
          f"{_ONCE} --lrs sgd-momentum=0.03,0.1 --lrs adagrad=0.01,0.03 --lrs adafactor=0.01,0.03 "
          "--lrs adamw=0.003,0.01 --vary schedule=cosine"),
    Study("kaboom-a2c", "kaboom-a2c", "sgd-momentum,rmsprop,adamw",
          f"{_ONCE} --lrs sgd-momentum=0.03,0.1 --lrs rmsprop=0.001,0.002 --lrs adamw=0.001,0.003"),
    Study("snippets-minilm", "snippets-minilm", "sgd-momentum,adamw",
          f"{_ONCE} --lrs sgd-momentum=0.003,0.01 --lrs adamw=0.00003,0.0001 --vary schedule=linear"),
    Study("shakespeare-gpt", "shakespeare-gpt", "sgd-momentum,adamw,lion",
          f"{_ONCE} --lrs sgd-momentum=0.3,1 --lrs adamw=0.003,0.01 --lrs lion=0.0003,0.001"),
    Study("fashion-cnn", "fashion-cnn", "sgd-momentum,nesterov,adamw",
          f"{_ONCE} --lrs sgd-momentum=0.03,0.1 --lrs nesterov=0.03,0.1 --lrs adamw=0.001,0.003"),
    Study("mnist-cnn", "mnist-cnn", "sgd-momentum,nesterov,adamw",
          f"{_ONCE} --lrs sgd-momentum=0.01,0.03,0.1 --lrs nesterov=0.01,0.03,0.1 --lrs adamw=0.001,0.003,0.01 "
          "--vary schedule=cosine"),
    Study("kaboom-dqn", "kaboom-dqn", "sgd-momentum,rmsprop,adamw",
          f"{_ONCE} --seeds 3 --lrs sgd-momentum=0.01,0.1 --lrs rmsprop=0.0003,0.001 --lrs adamw=0.0003,0.001"),
    Study("fashion-cnn-full", "fashion-cnn-full", "sgd-momentum,adamw",
          f"{_ONCE} --lrs sgd-momentum=0.1 --lrs adamw=0.003 --vary schedule=cosine"),
)  # fmt: skip
"""Every task, with SGD with momentum, AdamW, and what the guides recommend for it."""

_FIXED = "--search-seeds 1 --seeds 10 --lrs sgd-momentum=0.1 --lrs adamw=0.001 --vary schedule=constant,cosine"
_SWEEP = "--search-seeds 3 --seeds 8"
_LARGE = "sgd-momentum,lars,adamw,lamb"

CLAIM_STUDIES = (
    Study("case-vision", "digits-cnn", "sgd-momentum,adamw", _FIXED),
    Study("case-vision-mnist", "mnist-cnn", "sgd-momentum,adamw", _FIXED.replace("--seeds 10", "--seeds 5")),
    Study("case-fine-tuning", "snippets-minilm", "adamw",
          f"{_ONCE} --lrs adamw=0.00003,0.0001 --vary schedule=constant"),
    Study("schedules", "digits-mlp digits-cnn", "sgd-momentum,adamw",
          f"{_SWEEP} --vary schedule=constant,linear,cosine"),
    Study("warmup", "digits-mlp digits-cnn", "sgd-momentum,adam,radam",
          "--search-seeds 10 --seeds 10 --vary warmup=0,0.1"),
    Study("warmup-gpt", "shakespeare-gpt", "adam,radam",
          "--steps 300 --lrs adam=0.003,0.01,0.03 --lrs radam=0.003,0.01,0.03 --search-seeds 2 --vary warmup=0,0.1"),
    Study("decay", "digits-mlp digits-cnn", "adam",
          f"{_SWEEP} --vary decay=l2,decoupled --vary weight_decay=0.001,0.01,0.1"),
    Study("decay-gpt", "shakespeare-gpt", "adam",
          "--steps 300 --lrs adam=0.003,0.01 --search-seeds 1 --vary decay=l2,decoupled "
          "--vary weight_decay=0.01,0.1"),
    Study("over-regularization", "digits-mlp", "adamw", f"{_SWEEP} --vary weight_decay=0,0.01,1,10"),
    Study("high-momentum", "digits-mlp digits-cnn", "sgd",
          f"{_SWEEP} --lrs sgd=0.0001,0.0003,0.001,0.003,0.01,0.03,0.1,0.3 --vary momentum=0.9,0.99,0.999"),
    Study("amsgrad", "digits-mlp digits-cnn", "adam", f"{_SWEEP} --vary amsgrad=false,true"),
    Study("clipping", "vowels-gru", "sgd-momentum,adam",
          "--lrs sgd-momentum=0.1,0.3,1,3,10 --lrs adam=0.01,0.03,0.1,0.3,1 --vary clip=none,1"),
    Study("batch-updates", "digits-mlp digits-cnn", "sgd", f"{_SWEEP} --vary batch_size=16,64,256,{FULL_BATCH}"),
    Study("batch-16", "digits-mlp digits-cnn", "sgd", f"{_SWEEP} --steps 1200 --vary batch_size=16"),
    Study("batch-64", "digits-mlp digits-cnn", "sgd", f"{_SWEEP} --steps 300 --vary batch_size=64"),
    Study("batch-256", "digits-mlp digits-cnn", "sgd", f"{_SWEEP} --steps 75 --vary batch_size=256"),
    Study("batch-all", "digits-mlp digits-cnn", "sgd", f"{_SWEEP} --steps 18 --vary batch_size={FULL_BATCH}"),
    Study("large-batch", "digits-mlp digits-cnn", _LARGE, f"{_SWEEP} --steps 36 --vary batch_size={FULL_BATCH}"),
    Study("large-batch-diamonds", "diamonds", _LARGE, "--steps 27 --vary batch_size=8192 --search-seeds 2"),
)  # fmt: skip
"""Sweeps that answer claims of the guides; light, so that they have seeds enough."""

STUDIES = {study.name: study for study in (*TASK_STUDIES, *CLAIM_STUDIES)}


def train(study: Study, folder: Path, workers: int) -> None:
    """Train what is missing, into a folder of the study's name."""
    words = [*study.words, "--workers", str(workers), "--out", str(folder / study.name)]
    subprocess.run([sys.executable, "-m", "descend.cli", *words], check=True)


def keep(study: Study, source: Path, target: Path = KEPT) -> None:
    """Pack the records of a finished study, beside its protocol and one picture."""
    found = read_comparison(source / study.name)
    if not found.complete:
        raise SystemExit(f"{study.name} is not finished: python benchmarks/studies.py run {study.name}")
    shelf = target / study.name
    shutil.rmtree(shelf, ignore_errors=True)
    for result in found.results:
        (shelf / result.task.name).mkdir(parents=True)
        here, there = source / study.name / result.task.name, shelf / result.task.name
        shutil.copy(here / PROTOCOL, there / PROTOCOL)
        (there / f"{RUNS}{PACKED}").write_bytes(gzip.compress((here / RUNS).read_bytes(), mtime=0))
    shutil.copy(source / study.name / PLAN, shelf / PLAN)
    if study in TASK_STUDIES:
        save_small(draw_overview(found), shelf / PICTURE)


def save_small(figure: "Figure", path: Path) -> None:
    """A picture for a page, with as few bytes as its lines and letters need."""
    from PIL import Image

    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=DPI, facecolor="white")
    Image.open(buffer).convert("RGB").quantize(COLORS).save(path, optimize=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=("list", "run", "keep"))
    parser.add_argument("names", nargs="*", metavar="NAME", help="of studies; all by default")
    parser.add_argument("--folder", type=Path, default=Path("results"), help="where they are trained")
    parser.add_argument("--workers", type=int, default=2, help="one-thread processes")
    arguments = parser.parse_intermixed_args()
    unknown = sorted(set(arguments.names) - STUDIES.keys())
    if unknown:
        parser.error(f"no study {', '.join(unknown)}; there are {', '.join(STUDIES)}")
    for study in [STUDIES[name] for name in arguments.names] or STUDIES.values():
        if arguments.verb == "list":
            print(study.command)
        elif arguments.verb == "run":
            train(study, arguments.folder, arguments.workers)
        else:
            keep(study, arguments.folder)


if __name__ == "__main__":
    main()
