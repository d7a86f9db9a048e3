"""Rules in a module whose annotations are text."""

from __future__ import annotations

import numpy as np
import pytest

from descend.errors import OptionError
from descend.lang import Keep, NonNegative, rule
from lang.trial import run


@rule(state=["m"])
def module_level(p, g, m, lr: NonNegative = 0.1, beta: Keep = 0.5):
    m = beta * m + g
    return -lr * m, m


def test_of_the_module():
    (p,), _ = run(module_level, [[1.0]], [[[1.0]], [[1.0]]], "eager")
    np.testing.assert_allclose(p, 1 - 0.1 - 0.15, rtol=1e-15)
    with pytest.raises(OptionError, match="ModuleLevel.*beta: got 1.0; allowed: 0 <= x < 1"):
        run(module_level, [[1.0]], [], "eager", beta=1.0)


def test_of_a_function():
    from descend.lang import Fraction as Share

    @rule
    def local(p, g, lr: NonNegative = 0.1, share: Share = 1.0):
        return -lr * share * g

    with pytest.raises(OptionError, match="share: got 1.5; allowed: 0 <= x <= 1"):
        run(local, [[1.0]], [], "eager", share=1.5)
