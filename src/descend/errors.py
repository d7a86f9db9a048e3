"""Everything that descend raises, and the one style in which it speaks.

    DescendError
    ├── OptionError(ValueError)             an option's value is out of range or contradicts another
    │   └── UnknownOptionError(TypeError)   no option has that name
    ├── RuleError(TypeError)                a formula is not well formed
    ├── ParameterError(ValueError, TypeError)  these parameters or gradients cannot be served
    ├── NonFiniteError(ArithmeticError)     a gradient is NaN or infinite and the user asked to be told
    ├── CheckpointError(ValueError)         a checkpoint does not fit this optimizer
    ├── BackendError(RuntimeError)          a backend cannot do what was asked of it
    ├── TaskError(ValueError)               a workload is malformed or unknown
    │   └── DataError(OSError)              its data are absent or damaged, or cannot be fetched
    ├── RecordError(ValueError)             a file of results is damaged or of another comparison
    └── MissingExtraError(ImportError)      an optional package is needed

    PrecisionWarning(UserWarning)           the parameters' dtype is too coarse for the steps that they take

A message says what is wrong, what was given, what is allowed and what to do.
"""

from collections.abc import Iterable
from difflib import get_close_matches


class DescendError(Exception):
    """Root of everything that descend raises on purpose."""


class OptionError(DescendError, ValueError):
    """An option's value is out of range or contradicts another option."""


class UnknownOptionError(OptionError, TypeError):
    """No option has that name."""


class RuleError(DescendError, TypeError):
    """A formula is not well formed; names the rule and the line."""


class ParameterError(DescendError, ValueError, TypeError):
    """These parameters or gradients cannot be served as they are."""


class NonFiniteError(DescendError, ArithmeticError):
    """A gradient is NaN or infinite and ``on_nonfinite`` asks to stop."""


class CheckpointError(DescendError, ValueError):
    """A checkpoint does not fit this optimizer."""


class BackendError(DescendError, RuntimeError):
    """A backend cannot do what was asked of it."""


class TaskError(DescendError, ValueError):
    """A workload is malformed or unknown."""


class DataError(TaskError, OSError):
    """The data of a workload are absent or damaged, or cannot be fetched."""


class RecordError(DescendError, ValueError):
    """A file of results is damaged or belongs to another comparison."""


class MissingExtraError(DescendError, ImportError):
    """An optional package is needed for this."""


class PrecisionWarning(UserWarning):
    """The parameters' dtype is too coarse for the steps that they take, and no way of rounding was chosen."""


def message(what: str, *, got: object = None, allowed: str = "", do: str = "") -> str:
    """Join the four parts of an error message.

    Args:
        what: what is wrong, naming the option, tensor or rule.
        got: the value that was given; left out when None.
        allowed: what would have been accepted.
        do: the way out, an imperative sentence.
    """
    text = what if got is None else f"{what}: got {got!r}"
    if allowed:
        text += f"; allowed: {allowed}"
    if not text.endswith("..."):
        text = text.removesuffix(".")  # What somebody else's exception says may be a sentence already.
    return f"{text}. {do}" if do else f"{text}."


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """``Did you mean 'x'?`` for the closest known name, else the list of known names."""
    names = {n.lower(): n for n in sorted(set(known), reverse=True)}
    close = get_close_matches(str(name).lower(), names, n=1, cutoff=0.6)
    return f"Did you mean {names[close[0]]!r}?" if close else f"Known: {', '.join(sorted(names.values()))}."


def missing_extra(package: str, extra: str, purpose: str) -> MissingExtraError:
    """The kind refusal when an optional package is absent.

    Args:
        package: the module that could not be imported.
        extra: the extra of descend that installs it.
        purpose: what it is needed for, completing "... needs".
    """
    return MissingExtraError(f"{purpose} needs {package}, which is not installed. Run: pip install 'descend[{extra}]'")
