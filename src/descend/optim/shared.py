"""Values that tensors share: sums over a parameter group, and states that are one for a group or for all.

They stand in the groups as plain floats, as a learning rate does, so that every way of saving carries them. Batches
of several dtypes and backends read them from their input rows; between two passes and behind a step they are
gathered here, once.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from descend.errors import OptionError, message
from descend.lang.graph import Node, walk
from descend.lang.rule import Rule
from descend.lang.rule_states import sums_below
from descend.optim.load_report import Finding
from descend.optim.numbers import plain

if TYPE_CHECKING:
    from descend.optim.batches import Unit
    from descend.optim.checkpoint import Pair
    from descend.optim.optimizer import Optimizer

Group = dict[str, Any]


class SharedValues:
    """The shared values of one plan.

    Args:
        rule: the method.
        units: the plan's batches.
        groups: all parameter groups.
        owner: the optimizer's class, for messages.

    Attributes:
        exist: whether there are any; where not, a step asks for nothing here.
    """

    def __init__(self, rule: Rule, units: list["Unit"], groups: list[Group], owner: str) -> None:
        self._rule, self._units, self._groups, self._owner = rule, units, groups, owner
        programs = [u.program for u in units]
        self.exist = any(p.shared or p.group_sums for p in programs)
        self._sums: dict[tuple[int, str], Any] = {}
        self._refuse_other_sums()
        common = [n for p in programs for k, n in p.shared.items() if rule.states[k].rate == "all"]
        self._followed = _find_followed(common) - rule.states.keys() if len(groups) > 1 else set()

    def _refuse_other_sums(self) -> None:
        for i in range(len(self._groups)):
            programs = [u.program for u in self._units if i in u.groups]
            kinds = {(tuple(n.name for n in p.group_sums), p.find_passes(p.group_sums)) for p in programs}
            if len(kinds) > 1:
                what = f"{self._owner}: tensors of group {i} take different sums over the group"
                raise OptionError(message(what, do="Put tensors with other numbers of axes into groups of their own"))

    def begin(self) -> None:
        """Hand the states to every batch, before the first pass.

        Raises:
            OptionError: if a number that a state of the whole optimizer follows differs between groups.
        """
        self._sums.clear()
        for unit in self._units:
            for letter in unit.program.shared.keys() & set(unit.program.inputs):
                for i, group in unit.groups.items():
                    unit.put(i, letter, group[self._rule.states[letter].key])
        for name in self._followed:
            values = {
                i: unit.look_up(i, name) for unit in self._units for i in unit.groups if unit.find_row(i) is not None
            }
            if len(set(values.values())) > 1:
                raise OptionError(
                    message(
                        f"{self._owner}: {name} differs between groups, but a value of the whole optimizer follows it",
                        got=", ".join(f"{v:g} in group {i}" for i, v in sorted(values.items())),
                        do=f"Give every group the same {name.partition('[')[0]}",
                    )
                )

    def gather(self, index: int) -> None:
        """Add up what pass ``index`` has taken over each group, and hand it to every batch."""
        taken = [
            (unit, node)
            for unit in self._units
            if unit.active and index < len(unit.program.passes)
            for node in unit.program.passes[index].reductions
            if node in unit.program.group_sums
        ]
        for unit, node in taken:
            name, values = unit.program.group_sums[node], unit.runner.read(node)
            for i, value, row in zip(unit.group_numbers, values, unit.rows.of_tensor.tolist(), strict=True):
                if row >= 0:
                    self._sums[i, name] = self._sums.get((i, name), 0.0) + value
        for unit, node in taken:
            name = unit.program.group_sums[node]
            for i in unit.groups:
                unit.put(i, name, self._sums.get((i, name), 0.0))

    def store(self) -> None:
        """Write the new states into their groups, behind the last pass."""
        done: set[tuple[str, int]] = set()
        for unit in self._units:
            for letter, node in unit.program.shared.items():
                state = self._rule.states[letter]
                for i, group in unit.groups.items():
                    row = unit.find_row(i)
                    if row is None or (letter, i) in done:
                        continue
                    value = node.value if node.op == "const" else unit.runner.read_row(node, row)
                    for j, other in enumerate(self._groups) if state.rate == "all" else [(i, group)]:
                        other[state.key] = value
                        done.add((letter, j))


def _find_followed(nodes: Iterable[Node]) -> set[str]:
    """The inputs that values depend on other than through sums."""
    roots = list(nodes)
    return {n.name for n in walk(roots, cut=sums_below(roots)) if n.op == "input"}


def list_keys(rule: Rule) -> list[str]:
    """The keys of a rule's shared states."""
    return [s.key for s in rule.states.values() if s.shared]


def count_bytes(rule: Rule, groups: list[Group]) -> int:
    """Bytes of the groups' shared states: one float64 each."""
    return 8 * len(list_keys(rule)) * len(groups)


def start_values(rule: Rule, group: Group, others: list[Group]) -> dict[str, float]:
    """A new group's shared states that it does not bring along.

    Args:
        rule: the method.
        group: the new group, its options filled in.
        others: the groups before it, one of which may hold what is one value for all.
    """
    made: dict[str, float] = {}
    for state in rule.states.values():
        if not state.shared or state.key in group:
            continue
        start = group[state.start] if isinstance(state.start, str) else state.start
        made[state.key] = plain(others[0][state.key] if state.rate == "all" and others else start)
    return made


def load_values(
    optimizer: "Optimizer", groups: list[Group], saved: list[Group], pairs: list["Pair"], started: bool
) -> list[Finding]:
    """Write a checkpoint's shared states into groups that are about to be taken over.

    A group takes those of the saved group that its parameters come from, whatever its place there.

    Args:
        optimizer: whose states.
        groups: the new groups.
        saved: the checkpoint's.
        pairs: which saved number belongs to which parameter.
        started: whether the checkpoint is of an optimizer that has stepped.

    Returns:
        States that are missing, and groups whose parameters come from groups that disagree.
    """
    home = {number: j for j, group in enumerate(saved) for number in group["params"]}
    findings: list[Finding] = []
    for state in optimizer.rule.states.values():
        for i, group in enumerate(groups) if state.shared else ():
            origin = {home[key] for _, key, _, own in pairs if own == i and key in home}
            sources = range(len(saved)) if state.rate == "all" else origin
            found = sorted({float(saved[j][state.key]) for j in sources if state.key in saved[j]})
            group[state.key] = found[0] if len(found) == 1 else optimizer.param_groups[i][state.key]
            if len(found) > 1 or (started and not found):
                what = f"is {found} in the groups that belong here" if found else "is not in the checkpoint"
                do = "Make the optimizer with the checkpoint's groups"
                kind = "mismatched" if found else "missing"
                findings.append(Finding(kind, f"{state.key!r} of group {i}", what, do))
    return findings
