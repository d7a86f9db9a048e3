"""Names of parameters on two sides of a checkpoint, one of which may have been wrapped."""

from collections.abc import Collection

_WRAPPERS = ("module", "_orig_mod")
"""What parallel training and ``torch.compile`` put into a parameter's name."""


def align(own: Collection[str], saved: Collection[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Both sides' names by a name that they share where wrappers are all that differs.

    Args:
        own: names here.
        saved: names in the checkpoint.

    Returns:
        For each side its names by the shared ones.
    """
    if set(own) == set(saved):
        return {n: n for n in own}, {n: n for n in saved}
    return _strip_wrappers(own), _strip_wrappers(saved)


def _strip_wrappers(names: Collection[str]) -> dict[str, str]:
    """Names by what is left of them without wrappers; as they are where two would come to be the same."""
    plain = {n: ".".join([*(x for x in n.split(".")[:-1] if x not in _WRAPPERS), n.split(".")[-1]]) for n in names}
    if len(set(plain.values())) < len(plain):
        return {n: n for n in names}
    return {short: n for n, short in plain.items()}
