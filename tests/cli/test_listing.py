import json

import descend
from descend.cli.listing import print_optimizers, print_tasks
from descend.tasks import tasks


def test_all_optimizers_are_listed(capsys):
    print_optimizers(as_json=False)
    text = capsys.readouterr().out
    assert all(name in text for name in descend.optimizers())
    print_optimizers(as_json=True)
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert list(rows) == list(descend.optimizers()) and "exp_avg" in rows["Adam"]["state"]


def test_all_tasks_are_listed(capsys):
    print_tasks(as_json=False)
    text = capsys.readouterr().out
    assert all(name in text for name in tasks())
    print_tasks(as_json=True)
    assert [row["target"] for row in json.loads(capsys.readouterr().out)] == [t.target for t in tasks().values()]
