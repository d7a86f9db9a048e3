"""Which settings every method is tried with: the one table that decides how fair a comparison is.

Each method gets the same number of learning rates, half a decade apart, so each grid spans three decades. The
grids are placed so that the best value of our tasks lies inside; a comparison says so where it does not.
A sampler draws from the whole range between the ends of the grid. Everything else stands at the published defaults,
unless it is asked for: then it is drawn from the ranges at the end of this file, by every method that has it.
"""

from descend.compare.contender import Contender, Range

DEFAULT = ("sgd", "sgd-momentum", "nesterov", "adagrad", "rmsprop", "adam", "adamw", "lion", "lamb")
"""What ``descend compare`` compares unless told otherwise."""


def half_decades(lowest: float, count: int = 7) -> tuple[float, ...]:
    """1, 3, 10, 30, ... times ``lowest``: ``count`` learning rates that are easy to read aloud."""
    return tuple(float(f"{lowest * 10 ** (i // 2) * (3 if i % 2 else 1):.3g}") for i in range(count))


def _third(lowest: float) -> tuple[float, ...]:
    """The same spacing, begun at a 3: 3e-5, 1e-4, 3e-4, ..."""
    return (float(f"{3 * lowest:.3g}"), *half_decades(10 * lowest, 6))


_MOMENTUM = {"momentum": 0.9}
_NESTEROV = {"momentum": 0.9, "nesterov": True}

CONTENDERS: tuple[Contender, ...] = (
    #         name            title             class       learning rates        other settings
    Contender("sgd",          "SGD",            "SGD",      _third(1e-3)),        # 3e-3 .. 3
    Contender("sgd-momentum", "SGD + momentum", "SGD",      half_decades(1e-3),   _MOMENTUM),
    Contender("nesterov",     "Nesterov",       "SGD",      half_decades(1e-3),   _NESTEROV),
    Contender("adagrad",      "Adagrad",        "Adagrad",  half_decades(1e-3)),  # 1e-3 .. 1
    Contender("rmsprop",      "RMSprop",        "RMSprop",  half_decades(1e-4)),
    Contender("adam",         "Adam",           "Adam",     half_decades(1e-4)),
    Contender("adamw",        "AdamW",          "AdamW",    half_decades(1e-4)),
    Contender("lion",         "Lion",           "Lion",     _third(1e-5)),        # 3e-5 .. 3e-2
    Contender("lamb",         "LAMB",           "LAMB",     _third(1e-4)),        # 3e-4 .. 3e-1
    Contender("adafactor",    "Adafactor",      "Adafactor", half_decades(1e-3)),
    Contender("came",         "CAME",           "CAME",     half_decades(1e-5)),
    Contender("sm3",          "SM3",            "SM3",      half_decades(1e-3)),
    Contender("adadelta",     "Adadelta",       "Adadelta", half_decades(1e-2)),
    Contender("adamax",       "Adamax",         "Adamax",   half_decades(1e-4)),
    Contender("nadam",        "NAdam",          "NAdam",    half_decades(1e-4)),
    Contender("radam",        "RAdam",          "RAdam",    half_decades(1e-4)),
    Contender("lars",         "LARS",           "LARS",     half_decades(1e-2)),
    Contender("adabelief",    "AdaBelief",      "AdaBelief", half_decades(1e-4)),
    Contender("yogi",         "Yogi",           "Yogi",     half_decades(1e-3)),
    Contender("signsgd",      "SignSGD",        "SignSGD",  _third(1e-5)),
    Contender("signum",       "Signum",         "Signum",   _third(1e-5)),
    Contender("qhm",          "QHM",            "QHM",      half_decades(1e-2)),
    Contender("qhadam",       "QHAdam",         "QHAdam",   half_decades(1e-4)),
    Contender("adopt",        "ADOPT",          "ADOPT",    half_decades(1e-4)),
    Contender("ademamix",     "AdEMAMix",       "AdEMAMix", half_decades(1e-4)),
    Contender("adan",         "Adan",           "Adan",     half_decades(1e-4)),
    Contender("mars",         "MARS",           "MARS",     half_decades(1e-4)),
    Contender("aggmo",        "AggMo",          "AggMo",    half_decades(1e-3)),
    Contender("stableadamw",  "StableAdamW",    "StableAdamW", half_decades(1e-4)),
    Contender("sgdw",         "SGDW",           "SGDW",     half_decades(1e-3)),
    Contender("novograd",     "NovoGrad",       "NovoGrad", half_decades(1e-4)),
    Contender("rprop",        "Rprop",          "Rprop",    half_decades(1e-4)),
    Contender("asgd",         "ASGD",           "ASGD",     _third(1e-3)),
    Contender("sgdhd",        "SGD-HD",         "SGDHD",    half_decades(1e-3)),
    Contender("adamhd",       "Adam-HD",        "AdamHD",   half_decades(1e-4)),
    Contender("prodigy",      "Prodigy",        "Prodigy",  half_decades(1e-2)),  # 0.01 .. 10 times the step found
    Contender("dadaptadam",   "D-Adapt Adam",   "DAdaptAdam", half_decades(1e-2)),
    Contender("dadaptsgd",    "D-Adapt SGD",    "DAdaptSGD", half_decades(1e-2)),
    Contender("schedulefreesgd", "Schedule-free SGD", "ScheduleFreeSGD", half_decades(1e-2)),
    Contender("schedulefreeadamw", "Schedule-free AdamW", "ScheduleFreeAdamW", half_decades(1e-4)),
)  # fmt: skip

RANGES: dict[str, Range] = {
    #               lowest and highest, or choices
    "weight_decay": (1e-5, 1e-1),
    "momentum":     [0.8, 0.9, 0.95, 0.98, 0.99],
    "betas":        [(0.8, 0.95), (0.9, 0.95), (0.9, 0.99), (0.9, 0.999), (0.95, 0.99), (0.95, 0.999)],
    "schedule":     ["constant", "linear", "cosine"],
    "warmup":       [0.0, 0.02, 0.05, 0.1],
    "clip":         [None, 0.1, 1.0, 10.0],
}  # fmt: skip
"""What is drawn by name beside the learning rate, where it is asked for."""

OWN_RANGES: dict[str, dict[str, Range]] = {
    "Lion": {"weight_decay": (1e-4, 1.0)},  # rates 3 to 10 times smaller want a decay as much larger (Chen et al. 2023)
}
"""For an optimizer that means something else by the same number, what is drawn in place of the common range."""
