"""An optimizer of descend beside torch's own, on equal parameters and gradients."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch

import descend

SHAPES = ((4, 4), (3,), (2, 3, 2))


class Twins:
    """Two equal sets of parameters, ours and torch's, that get the same gradients.

    Whatever a test does to one set or optimizer, it does to the other: ``for p in twins.each(0): ...``.
    """

    def __init__(
        self,
        name: str,
        backend: str,
        *,
        shapes: Sequence[tuple[int, ...]] = SHAPES,
        dtype: torch.dtype = torch.float32,
        lr: float = 0.1,
        arrange: Callable[[list[torch.nn.Parameter]], Any] = lambda params: params,
        **options: Any,
    ) -> None:
        self.rng = torch.Generator().manual_seed(11)
        values = [torch.randn(s, generator=self.rng, dtype=torch.float64).to(dtype) for s in shapes]
        self.params = [[torch.nn.Parameter(v.clone()) for v in values] for _ in range(2)]
        ours, theirs = (arrange(params) for params in self.params)
        self.optimizer = getattr(descend, name)(ours, lr=lr, backend=backend, **options)
        self.torch = getattr(torch.optim, name)(theirs, lr=lr, foreach=False, **options)

    def each(self, i: int) -> tuple[torch.nn.Parameter, torch.nn.Parameter]:
        """Our parameter and its twin."""
        return self.params[0][i], self.params[1][i]

    @property
    def optimizers(self) -> tuple[torch.optim.Optimizer, torch.optim.Optimizer]:
        """Ours and torch's."""
        return self.optimizer, self.torch

    @property
    def sides(self) -> Iterable[tuple[list[torch.nn.Parameter], torch.optim.Optimizer]]:
        """Parameters and optimizer of each side."""
        return zip(self.params, self.optimizers, strict=True)

    def draw(self, i: int) -> torch.Tensor:
        """A gradient for a parameter, in its present dtype."""
        p = self.params[1][i]
        return torch.randn(p.shape, generator=self.rng, dtype=torch.float64).to(p.dtype)

    def set_gradients(self) -> None:
        """Equal new gradients on both sides."""
        for i in range(len(self.params[0])):
            g = self.draw(i)
            for p in self.each(i):
                p.grad = g.clone()

    def step(self, count: int = 1, *, gradients: bool = True) -> None:
        """Step both sides, with new gradients unless told otherwise."""
        for _ in range(count):
            if gradients:
                self.set_gradients()
            for optimizer in self.optimizers:
                optimizer.step()

    def assert_equal(self, *, states: bool = True) -> None:
        """Parameters and states are the same, but for rounding."""
        for p, q in zip(*self.params, strict=True):
            torch.testing.assert_close(p.detach(), q.detach(), rtol=1e-5, atol=2e-6)
            for key, theirs in self.torch.state.get(q, {}).items() if states else ():
                if theirs is not None:
                    ours = self.optimizer.state[p][key]
                    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=2e-6, check_dtype=False, msg=key)
