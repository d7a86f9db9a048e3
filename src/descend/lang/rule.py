"""Rules: published formulas as objects, made from plain functions by ``@rule``."""

import inspect
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Literal, overload

from descend.errors import RuleError, did_you_mean, message
from descend.lang.bibliography import SOURCES
from descend.lang.hyper import Hyper, read_hyper
from descend.lang.ranges import Range

Formula = Callable[..., Any]
LETTERS = ("p", "g", "t", "dims")
WOVEN = ("maximize", "decay", "clip_norm", "clip_value", "on_nonfinite", "max_nonfinite", "metrics", "backend",
         "rounding", "seed", "ema", "foreach", "fused", "capturable", "differentiable", "decoupled_weight_decay",
         "params",
         "grad_scale", "lr_ratio", "lr_over_max", "fresh", "size", "dtype_eps",
         "start", "param_names", "schedules", "schedule_start", "initial_lr", "lr_start", "lr_max",
         "updates", "plateau", "cautious", "grokfast", "clip_update", "centralize",
         "clip_adaptive", "train_mode", "sparse")  # fmt: skip
"""Names of options, inputs and group keys that every optimizer has; a rule's own parameter may not take them."""
WOVEN_STATES = ("rounding_noise", "rounding_error", "ema", "ema_weight", "grokfast_ema")
"""Letters and keys of the states of those options; a rule's own state may not take them."""
ALWAYS_DESCENDS = {"cautious": "its update always goes against the gradient, so there is nothing to mask"}
"""What a rule without momentum refuses."""

RATES = ("coordinate", "tensor", "row", "column", "axes", "group", "all")
"""What a state may have one value for, beside an axis."""


@dataclass(frozen=True)
class State:
    """What a rule remembers between steps, where a plain key is not enough.

    Args:
        key: its name in ``state_dict``; torch's where torch has the method.
        rate: ``"coordinate"`` for a value a coordinate, ``"tensor"`` for one float64 a tensor, ``"row"`` and
            ``"column"`` for one value for each of a matrix, or of the last two axes of more; an axis, for one value
            for each index along it; ``"axes"`` for a tuple of these, one for each axis. ``"group"`` for one float64 a
            parameter group, ``"all"`` for one of the whole optimizer: these stand in the groups, and may follow sums,
            hyper-parameters and each other, but not ``t``, which is each tensor's own.
        start: before the first step: a number, ``"p"`` for a copy of the parameter, or a hyper-parameter's name;
            ``"noise"`` is for woven states: a number drawn from the group's seed and the parameter's name.
        range: the values that it can take, for storage formats that exploit it.
        optional: whether it is dropped where a zero has made it needless (SGD without momentum), and begun anew
            where a checkpoint has none.
        meaning: the structural option, if any, that decides what its values mean, so that a checkpoint made under
            another choice is refused.
    """

    key: str
    rate: Literal["coordinate", "tensor", "row", "column", "axes", "group", "all"] | int = "coordinate"
    start: float | str = 0.0
    range: Range = field(default_factory=Range)
    optional: bool = False
    meaning: str | None = None

    @property
    def shared(self) -> bool:
        """Whether tensors share it: it belongs to their group, or to the whole optimizer."""
        return self.rate in ("group", "all")

    def find_axes(self, dims: int) -> frozenset[int] | None:
        """The axes along which its value differs in a tensor of so many; None where such a tensor has no such state."""
        every = frozenset(range(dims))
        if self.rate in ("row", "column"):
            return every - {dims - 1 if self.rate == "row" else dims - 2} if dims > 1 else None
        if isinstance(self.rate, int):
            return frozenset({self.rate}) if self.rate < dims else None
        return frozenset() if self.rate == "tensor" or self.shared else every


@dataclass(frozen=True, eq=False, repr=False)
class Rule:
    """A published method: its formula and everything that can be read from the signature.

    Call ``descend.optimizer(rule)`` for the optimizer class.

    Args:
        formula: the function on one coordinate.
        name: the paper's lower-case noun.
        states: by the formula's letters.
        hypers: hyper-parameters by name, in order.
        cite: keys of the bibliography.
        derives_from: the rules that this one grew out of.
        check: given all option values, says what contradicts what, or None.
        counts: whether ``state_dict`` carries a step count for each tensor.
        step_size: the formula's name for what multiplies the update, which decoupled decay multiplies too.
        evaluation: where the model is measured and used, if not at ``p``.
        decay: what ``decay=None`` means: ``"l2"``, ``"decoupled"``, ``"own"``, or None for no decay.
        refuses: woven options that make no sense around this formula, each with the reason.
    """

    formula: Formula
    name: str
    states: Mapping[str, State]
    hypers: Mapping[str, Hyper]
    cite: tuple[str, ...] = ()
    derives_from: tuple[str, ...] = ()
    check: Callable[[Mapping[str, Any]], str | None] | None = None
    counts: bool = True
    step_size: str = "lr"
    evaluation: Formula | None = None
    decay: str | None = None
    refuses: Mapping[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<rule {self.name}: {', '.join(self.hypers)}>"

    @property
    def doc(self) -> str:
        """The formula's docstring."""
        return inspect.cleandoc(self.formula.__doc__ or "")

    @property
    def place(self) -> str:
        """File and line of the formula, for messages."""
        code = self.formula.__code__
        return f"rule {self.name!r} ({code.co_filename}, line {code.co_firstlineno})"

    @property
    def defaults(self) -> dict[str, Any]:
        """Default of each hyper-parameter."""
        return {name: h.default for name, h in self.hypers.items()}

    @property
    def sees_dims(self) -> bool:
        """Whether the formula depends on the number of a tensor's axes."""
        return "dims" in inspect.signature(self.formula).parameters

    def list_states(self, dims: int) -> dict[str, State]:
        """The states of a tensor of so many axes by letter; those of ``rate="axes"`` as ``m.0``, ``m.1``, ..."""
        listed: dict[str, State] = {}
        for letter, state in self.states.items():
            if state.rate == "axes":
                listed |= {f"{letter}.{i}": self.find_state(f"{letter}.{i}") for i in range(dims)}
            else:
                listed[letter] = state
        return listed

    def has_key(self, key: str) -> bool:
        """Whether a key of ``state_dict`` is one of a state of this rule, in a tensor of any number of axes."""
        stem, _, axis = key.rpartition("_")
        split = {s.key for s in self.states.values() if s.rate == "axes"}
        return any(s.key == key for s in self.states.values() if s.rate != "axes") or (stem in split and axis.isdigit())

    def find_state(self, letter: str) -> State:
        """The state of a letter, or of one axis of it."""
        stem, _, axis = letter.partition(".")
        state = self.states[stem]
        return replace(state, key=f"{state.key}_{axis}", rate=int(axis)) if axis else state

    @property
    def sources(self) -> list[str]:
        """Where the method was published; a key that is not in the bibliography stands for itself."""
        return [SOURCES.get(key, key) for key in self.cite]

    def latex(self, **options: Any) -> str:
        """The formula in LaTeX, one aligned line a value, from the same trace as the kernels.

        Args:
            options: structural options off their defaults, such as ``amsgrad=True``.
        """
        from descend.lang.typeset import typeset  # typeset traces rules, so it stands above them

        lines = (
            line.replace(relation, f" &{relation[1:]}", 1)
            for line in typeset(self, latex=True, **options)
            for relation in [r" \leftarrow " if r" \leftarrow " in line else " = "]
        )
        return "\\begin{aligned}\n" + " \\\\\n".join(lines) + "\n\\end{aligned}"

    def text(self, **options: Any) -> str:
        """The formula in Unicode text, one line a value, from the same trace as the kernels.

        Args:
            options: structural options off their defaults, such as ``amsgrad=True``.
        """
        from descend.lang.typeset import typeset

        return "\n".join(typeset(self, **options))

    def variant(
        self,
        name: str,
        *,
        decay: str | None = None,
        cite: Iterable[str] = (),
        derives_from: Iterable[str] = (),
        **defaults: Any,
    ) -> "Rule":
        """The same formula under another name, with other defaults (AdamW is Adam so).

        Raises:
            RuleError: if a default is of no hyper-parameter.
        """
        for key in defaults:
            if key not in self.hypers:
                raise RuleError(
                    message(f"{self.place} has no hyper-parameter {key!r}", do=did_you_mean(key, self.hypers))
                )
        hypers = {k: replace(h, default=defaults.get(k, h.default)) for k, h in self.hypers.items()}
        return replace(self, name=name, hypers=hypers, decay=decay or self.decay,
                       cite=(*self.cite, *cite), derives_from=tuple(derives_from) or (self.name,))  # fmt: skip


@overload
def rule(formula: Formula, /) -> Rule: ...
@overload
def rule(
    *,
    state: Mapping[str, str | State] | Iterable[str] = (),
    cite: str | Iterable[str] = (),
    derives_from: str | Iterable[str] = (),
    check: Callable[[Mapping[str, Any]], str | None] | None = None,
    counts: bool = True,
    refuses: Mapping[str, str] = ...,
    step_size: str = "lr",
    evaluation: Formula | None = None,
) -> Callable[[Formula], Rule]: ...
def rule(
    formula: Formula | None = None,
    /,
    *,
    state: Mapping[str, str | State] | Iterable[str] = (),
    cite: str | Iterable[str] = (),
    derives_from: str | Iterable[str] = (),
    check: Callable[[Mapping[str, Any]], str | None] | None = None,
    counts: bool = True,
    refuses: Mapping[str, str] = MappingProxyType({}),
    step_size: str = "lr",
    evaluation: Formula | None = None,
) -> Rule | Callable[[Formula], Rule]:
    """Turn a formula on one coordinate into a rule.

    The formula takes the letters ``p`` (parameter), ``g`` (gradient) and, if it needs them, ``t`` (number of this
    step, from 1) and ``dims`` (number of the tensor's axes, a plain integer of at least 1), then its states, then its
    hyper-parameters with their defaults. It returns what is added to ``p``, followed by the new states in the order
    of the parameters.

    Args:
        formula: the function, when the decorator is used bare.
        state: the state letters and their keys in ``state_dict``, or just the letters.
        cite: keys of the bibliography.
        derives_from: names of the rules that this one grew out of.
        check: given all option values, returns what contradicts what, or None.
        counts: whether ``state_dict`` carries a step count for each tensor.
        refuses: options that every optimizer has but that make no sense around this formula, each with the reason.
        step_size: the formula's name for what multiplies the update, if the method makes one of its own: decoupled
            decay then follows it instead of ``lr``.
        evaluation: where the model is measured and used, if not at ``p``: a function, in the same language, of ``p``,
            states and hyper-parameters by their names. ``optimizer.eval()`` writes its value into the parameters.

    Raises:
        RuleError: if the signature is not that of a formula.
    """
    scope = sys._getframe(1).f_locals
    states = dict(state) if isinstance(state, Mapping) else {letter: letter for letter in _as_tuple(state)}
    declared = {k: s if isinstance(s, State) else State(s) for k, s in states.items()}

    def make(function: Formula) -> Rule:
        if not inspect.isfunction(function):
            raise RuleError(message("@rule decorates a plain function", got=function, do="Write `def f(p, g, ...)`"))
        name = getattr(function, "__name__", "formula")
        made = Rule(function, name, declared, {}, _as_tuple(cite), _as_tuple(derives_from), check, counts, step_size,
                    evaluation, refuses=dict(refuses))  # fmt: skip
        hypers = _read_signature(made, scope)
        decay = hypers["weight_decay"].decay if "weight_decay" in hypers else None
        _check_states(made, hypers)
        _check_evaluation(made, hypers)
        ordered = {k: declared[k] for k in inspect.signature(function).parameters if k in declared}
        return replace(made, states=ordered, hypers=hypers, decay=decay)

    return make if formula is None else make(formula)


def _as_tuple(names: str | Iterable[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)


def _read_signature(made: Rule, scope: Mapping[str, Any]) -> dict[str, Hyper]:
    try:
        signature = inspect.signature(made.formula, eval_str=True, locals=scope)
    except Exception as error:  # an annotation is any code
        raise RuleError(
            message(
                f"{made.place}: an annotation cannot be read ({type(error).__name__}: {error})",
                do="Import the names it uses, and mind its spelling",
            )
        ) from error
    parameters = signature.parameters
    for letter in ("p", "g"):
        if letter not in parameters:
            raise RuleError(
                message(f"{made.place} has no argument {letter!r}", do="A formula starts like `def f(p, g, ...)`")
            )
    for letter in made.states:
        if letter not in parameters:
            raise RuleError(message(f"{made.place}: state= names {letter!r}", do=did_you_mean(letter, parameters)))
    hypers: dict[str, Hyper] = {}
    for name, parameter in parameters.items():
        if name in LETTERS or name in made.states:
            continue
        if name in WOVEN:
            raise RuleError(
                message(
                    f"{made.place}: the parameter {name!r} has the name of an option that every optimizer has",
                    do="Rename it; the option itself is already there",
                )
            )
        if parameter.default is parameter.empty:
            raise RuleError(
                message(
                    f"{made.place}: the argument {name!r} is neither a letter nor a state nor has it a default",
                    allowed="p, g, t, the names in state=, and hyper-parameters with defaults",
                    do=f"Write @rule(state={{{name!r}: ...}}) or give it a default",
                )
            )
        annotation = None if parameter.annotation is parameter.empty else parameter.annotation
        hyper = read_hyper(parameter, annotation, made.place)
        if name == "weight_decay" and hyper.decay is None:
            raise RuleError(
                message(
                    f"{made.place}: the parameter 'weight_decay' has the name of an option that every optimizer has",
                    allowed="the annotations L2Decay, DecoupledDecay and OwnDecay, which say what it means here",
                )
            )
        hypers[name] = hyper
    return hypers


def _check_evaluation(made: Rule, hypers: Mapping[str, Hyper]) -> None:
    known = ("p", *made.states, *hypers)
    for name in inspect.signature(made.evaluation).parameters if made.evaluation else ():
        if name not in known:
            raise RuleError(
                message(f"{made.place}: evaluation= has the argument {name!r}", do=did_you_mean(name, known))
            )


def _check_states(made: Rule, hypers: Mapping[str, Hyper]) -> None:
    keys: dict[str, str] = {}
    for letter, state in made.states.items():
        what = f"{made.place}: the state {letter!r}"
        if letter in LETTERS:
            raise RuleError(message(f"{what} has the letter of p, g or t", do="Give the state another letter"))
        if letter in WOVEN_STATES or state.key in WOVEN_STATES:
            raise RuleError(message(f"{what} with the key {state.key!r} has a woven option's name", do="Rename it"))
        if isinstance(state.rate, bool) or (not isinstance(state.rate, int) and state.rate not in RATES):
            hint = did_you_mean(str(state.rate), RATES)
            raise RuleError(message(f"{what} has rate=", got=state.rate, allowed=f"{RATES} or an axis", do=hint))
        if state.shared and state.key in (*hypers, *WOVEN):
            raise RuleError(
                message(
                    f"{what} has the key {state.key!r}, an option's name in the groups, where it is kept",
                    do="Give the state another key",
                )
            )
        if state.key == "step" or state.key in keys:
            owner = "every optimizer's step count" if state.key == "step" else f"the state {keys[state.key]!r}"
            raise RuleError(message(f"{what} has the key {state.key!r} of {owner}", do="Give each state its own key"))
        keys[state.key] = letter
        numbers = [n for n, h in hypers.items() if not h.structural and not h.is_tuple]
        allowed = ["p", *numbers] if state.rate == "coordinate" else numbers
        options = [n for n, h in hypers.items() if h.structural]
        if state.meaning is not None and state.meaning not in options:
            raise RuleError(message(f"{what} has meaning=", got=state.meaning, allowed=f"None, {', '.join(options)}"))
        if isinstance(state.start, str) and state.start not in allowed:
            raise RuleError(message(f"{what} has start=", got=state.start, allowed=f"a number, {', '.join(allowed)}"))
