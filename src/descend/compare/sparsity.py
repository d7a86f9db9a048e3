"""Which contenders can train where gradients are sparse."""

from collections.abc import Iterable, Sequence

import torch
from torch import nn

from descend.compare.contender import Contender
from descend.errors import DescendError, OptionError, message
from descend.tasks import Task


def split_by_sparsity(
    contenders: Sequence[Contender], tasks: Iterable[Task]
) -> tuple[list[Contender], list[Contender]]:
    """The contenders that can train all of the tasks, and those that cannot because a task has sparse gradients."""
    if not any(task.sparse for task in tasks):
        return list(contenders), []
    able = [contender for contender in contenders if steps_sparse(contender)]
    return able, [contender for contender in contenders if contender not in able]


def steps_sparse(contender: Contender) -> bool:
    """Whether it takes a step with a sparse gradient: tried out, because it depends on the options too."""
    table = nn.Embedding.from_pretrained(torch.zeros(4, 2), freeze=False, sparse=True)
    optimizer = contender.build(table, contender.lrs[0], 1)
    table(torch.tensor([1])).sum().backward()
    try:
        optimizer.step()
    except (DescendError, RuntimeError):
        return False
    return True


def refuse_dense(unable: Sequence[Contender]) -> OptionError:
    """The error for contenders that were asked for by name."""
    names = ", ".join(contender.name for contender in unable)
    do = "Leave them out, or take such as adamw, adagrad or sgd: the column 'sparse' of docs/methods.md names all."
    return OptionError(message("the task's gradients are sparse, and these do not serve them", got=names, do=do))
