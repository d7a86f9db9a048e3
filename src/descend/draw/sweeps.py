"""What a sweep (``--vary``) changed: the test metric of each optimizer over the values of one setting."""

import re

from descend.compare import Row, TaskResult
from descend.draw.series import Curve, find_test_axis


def split_name(name: str) -> tuple[str, dict[str, str]]:
    """``adamw@schedule=cosine,clip=1`` as the optimizer and its varied settings."""
    base, _, label = name.partition("@")
    pairs = [part.partition("=") for part in re.split(r",(?=[A-Za-z_]+=)", label) if part]
    return base, {key: value for key, _, value in pairs}


def sweep_values(result: TaskResult) -> dict[str, list[str]]:
    """The settings that were varied and their values, in the order in which they were given."""
    values: dict[str, list[str]] = {}
    for contender in result.contenders:
        for key, value in split_name(contender.name)[1].items():
            own = values.setdefault(key, [])
            if value not in own:
                own.append(value)
    return {key: own for key, own in values.items() if len(own) > 1}


def sweep_curves(result: TaskResult, key: str) -> list[Curve]:
    """A curve for each optimizer with its other settings, over the values of ``key``; x counts the values."""
    axis, values = find_test_axis(result), sweep_values(result)[key]
    rows = {row.name: row for row in result.rows}
    groups: dict[tuple[str, ...], list[tuple[int, Row]]] = {}
    titles: dict[tuple[str, ...], str] = {}
    for contender in result.contenders:
        base, settings = split_name(contender.name)
        place = settings.pop(key, None)
        if place is None or rows[contender.name].score is None:
            continue
        group = (base, *(f"{k} {v}" for k, v in settings.items()))
        groups.setdefault(group, []).append((values.index(place), rows[contender.name]))
        first = contender.name.partition("@")[2].partition("=")[0]
        titles[group] = ", ".join([contender.title.partition(f" ({first} ")[0], *group[1:]])
    curves: list[Curve] = []
    for index, (group, members) in enumerate(groups.items()):
        mean, low, high = [], [], []
        for _, row in members:
            assert row.score is not None
            center = axis.place(row.score.mean)
            half = 0.0 if row.score.count == 1 else row.score.half_width
            mean.append(center)
            low.append(center - half)
            high.append(center + half)
        x = [float(place) for place, _ in members]
        curves.append(Curve("+".join(group), titles[group], index, x, mean, low, high, band="95 % interval"))
    return curves
