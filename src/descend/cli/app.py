"""The commands and their arguments."""

from pathlib import Path
from typing import Annotated

import typer

import descend
from descend.cli.compare import rebuild_report, run_comparison
from descend.cli.exits import EPILOG
from descend.cli.listing import print_optimizers
from descend.cli.progress import Interruptible
from descend.cli.range_test import run_range_test
from descend.cli.show import print_optimizer
from descend.cli.tasks import fetch_tasks, print_card, print_tasks
from descend.cli.tuning import TuneRequest, parse_tuned, run_tuning
from descend.compare import Settings
from descend.compare.protocol import parse_search
from descend.compare.variants import parse_variation

app = typer.Typer(
    name="descend",
    cls=Interruptible,
    help="Compare the optimizers of deep learning on real tasks, and look up their formulas.",
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines instead of tables.")]


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"descend {getattr(descend, '__version__', '0')}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Compare the optimizers of deep learning on real tasks, and look up their formulas."""


@app.command(epilog=EPILOG)
def compare(
    tasks: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[TASK]...",
            help="Names from `descend tasks`, or file.py:object. Both digits tasks by default.",
        ),
    ] = None,
    optimizers: Annotated[
        str | None,
        typer.Option("--optimizers", "-o", help="Names separated by commas, such as sgd-momentum,adam,lion."),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Final runs of each optimizer, with seeds of their own.")] = 5,
    search_seeds: Annotated[int, typer.Option(min=1, help="Runs of each trial of the search.")] = 3,
    search: Annotated[
        str, typer.Option(metavar="SEARCH", help="Where trials come from: grid, or Optuna's tpe or random.")
    ] = "grid",
    trials: Annotated[
        int | None, typer.Option(min=1, help="Settings tried for each optimizer: 7 on the grid, else 20 by default.")
    ] = None,
    tune_: Annotated[
        list[str] | None,
        typer.Option("--tune", metavar="NAME,...|NAME=LOW..HIGH|A,B", help="Sample this beside lr; repeatable."),
    ] = None,
    pruning: Annotated[bool, typer.Option(help="With a sampler, end runs early that are worse than most.")] = True,
    steps: Annotated[int | None, typer.Option(min=1, help="Updates a run; the task's own budget by default.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for records, pictures and the page.")] = Path("results"),
    workers: Annotated[int, typer.Option(min=0, help="One-thread processes; 0 trains in this one.")] = 2,
    on: Annotated[
        str, typer.Option(metavar="PLACE", help="Where runs happen: here, ray, or ray://HOST:PORT of a cluster.")
    ] = "here",
    vary: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE,...", help="Sweep schedule, warmup, batch_size, clip, options; repeatable."),
    ] = None,
    lrs: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=RATE,...", help="Learning rates of an optimizer, in place of its own; repeatable."),
    ] = None,
    baseline: Annotated[str | None, typer.Option(help="Compare all others with this one, beside the best.")] = None,
    together: Annotated[
        bool, typer.Option("--together/--alone", help="Train replicas of the search together where that is the same.")
    ] = True,
    json: Json = False,
) -> None:
    """Train models with several optimizers, fairly, and show who did what.

    Each optimizer gets the same number of trials, the same seeds, data order and budget. Its settings are
    chosen on validation data; then models trained with fresh seeds are measured once on the test data.
    Started again with the same settings, it continues where it stopped.
    """
    names = None if optimizers is None else [name for name in optimizers.split(",") if name.strip()]
    settings = Settings(seeds=seeds, search_seeds=search_seeds, search=parse_search(search), trials=trials,
                        tune=parse_tuned(tune_ or ()), pruning=pruning, steps=steps,
                        vary=dict(map(parse_variation, vary or ())), baseline=baseline, workers=workers, on=on,
                        lrs=dict(parse_variation(one, "--lrs") for one in lrs or ()), together=together)  # fmt: skip
    raise typer.Exit(run_comparison(tasks or (), names, settings, out, json))


@app.command(epilog=EPILOG)
def tune(
    task: Annotated[str, typer.Argument(help="A name from `descend tasks`, or file.py:object.")],
    optimizer: Annotated[str, typer.Option("--optimizer", "-o", help="A name, such as adamw.")] = "adamw",
    trials: Annotated[int, typer.Option(min=1, help="Settings that are tried, those of earlier calls included.")] = 30,
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each; their mean counts.")] = 1,
    steps: Annotated[int | None, typer.Option(min=1, help="Updates a run; the task's own budget by default.")] = None,
    ranges: Annotated[
        list[str] | None,
        typer.Option("--range", metavar="NAME=LOW..HIGH|A,B", help="Search this too, or lr elsewhere; repeatable."),
    ] = None,
    storage: Annotated[str, typer.Option(help="URL of an Optuna storage.")] = "sqlite:///results/tune.db",
    pruning: Annotated[bool, typer.Option(help="Give trials up early that are worse than most.")] = True,
    json: Json = False,
) -> None:
    """Search the settings of one optimizer with Optuna, on validation data, and print them to paste.

    Started again with the same settings, it continues where it stopped.
    """
    request = TuneRequest(task, optimizer, trials, seeds, steps, ranges or (), storage, pruning, json)
    raise typer.Exit(run_tuning(request))


@app.command("find-lr", epilog=EPILOG)
def find_lr(
    task: Annotated[str, typer.Argument(help="A name from `descend tasks`, or file.py:object.")],
    optimizer: Annotated[str, typer.Option("--optimizer", "-o", help="A name, such as adamw.")] = "adamw",
    lowest: Annotated[float, typer.Option(help="The first learning rate.")] = 1e-6,
    highest: Annotated[float, typer.Option(help="The last one, unless the loss blows up before.")] = 10.0,
    steps: Annotated[int, typer.Option(min=20, help="Updates of the test.")] = 100,
    picture: Annotated[Path | None, typer.Option(help="Where to draw it, as PNG and SVG.")] = None,
    json: Json = False,
) -> None:
    """Find a learning rate by a range test: a short run in which it rises until the loss blows up.

    "No answer" is a result: then the losses do not say.
    """
    raise typer.Exit(run_range_test(task, optimizer, lowest, highest, steps, picture, json))


@app.command(epilog=EPILOG)
def report(
    folder: Annotated[Path, typer.Argument(help="What `descend compare --out` wrote to.")],
    json: Json = False,
) -> None:
    """Write page, pictures and tables of a comparison anew, finished or not; nothing is trained."""
    raise typer.Exit(rebuild_report(folder, json))


@app.command("optimizers", epilog=EPILOG)
def list_optimizers(json: Json = False) -> None:
    """List all optimizers."""
    print_optimizers(as_json=json)


tasks_app = typer.Typer(
    help="List the tasks that come with descend, show one, or fetch its data.", epilog=EPILOG, no_args_is_help=False
)
app.add_typer(tasks_app, name="tasks")


@tasks_app.callback(invoke_without_command=True)
def list_tasks(context: typer.Context, json: Json = False) -> None:
    """List the tasks that come with descend, with size, time, target and what is missing."""
    if context.invoked_subcommand is None:
        print_tasks(as_json=json)


@tasks_app.command("get", epilog=EPILOG)
def get_tasks(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Names from `descend tasks`.")],
) -> None:
    """Fetch what tasks need, with pip or apt and without dependencies, and check it."""
    fetch_tasks(names)


@tasks_app.command("show", epilog=EPILOG)
def show_task(
    name: Annotated[str, typer.Argument(help="A name from `descend tasks`, or file.py:object.")],
    json: Json = False,
) -> None:
    """Show a task: what it is, where its data come from, budget, time, target, what is missing."""
    print_card(name, as_json=json)


@app.command(epilog=EPILOG)
def show(
    optimizer: Annotated[str, typer.Argument(help="A name from `descend optimizers`, such as adam.")],
    json: Json = False,
) -> None:
    """Show an optimizer: formula, source, options with ranges and defaults, cost."""
    print_optimizer(optimizer, as_json=json)
