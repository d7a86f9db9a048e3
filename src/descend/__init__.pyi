"""Written by `python -m descend.optim.stub`; a test compares it with the rules."""

from collections.abc import Iterable
from typing import Any, Literal

from torch import Tensor
from torch.nn import Module

from descend import schedules as schedules
from descend.compare import compare as compare
from descend.optim.catalogue import get as get
from descend.optim.catalogue import optimizers as optimizers
from descend.optim.factory import optimizer as optimizer
from descend.optim.optimizer import Optimizer as Optimizer
from descend.schedules import Schedule

__version__: str

_Params = Iterable[Tensor] | Iterable[tuple[str, Tensor]] | Iterable[dict[str, Any]] | Module
_Number = float | Tensor | Schedule
_Decay = Literal["l2", "decoupled", "independent", "corrected"] | None

class Adadelta(Optimizer):
    def __init__(
        self,
        params: _Params,
        lr: _Number = 1.0,
        rho: _Number = 0.9,
        eps: _Number = 1e-06,
        weight_decay: _Number = 0.0,
        foreach: bool | None = None,
        *,
        decay: _Decay = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        on_nonfinite: Literal["apply", "skip", "raise"] = "apply",
        max_nonfinite: int | None = None,
        metrics: bool = False,
        backend: Literal["auto", "eager", "cpu"] = "auto",
        decoupled_weight_decay: bool = False,
    ) -> None: ...

class Adagrad(Optimizer):
    def __init__(
        self,
        params: _Params,
        lr: _Number = 0.01,
        lr_decay: _Number = 0.0,
        weight_decay: _Number = 0.0,
        initial_accumulator_value: _Number = 0.0,
        eps: _Number = 1e-10,
        foreach: bool | None = None,
        *,
        eps_placement: Literal["outside", "inside"] = "outside",
        decay: _Decay = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        on_nonfinite: Literal["apply", "skip", "raise"] = "apply",
        max_nonfinite: int | None = None,
        metrics: bool = False,
        backend: Literal["auto", "eager", "cpu"] = "auto",
        decoupled_weight_decay: bool = False,
    ) -> None: ...

class Adam(Optimizer):
    def __init__(
        self,
        params: _Params,
        lr: _Number = 0.001,
        betas: tuple[_Number, _Number] = (0.9, 0.999),
        eps: _Number = 1e-08,
        weight_decay: _Number = 0.0,
        amsgrad: bool = False,
        *,
        amsgrad_of: Literal["v", "v_hat"] = "v",
        decay: _Decay = None,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        on_nonfinite: Literal["apply", "skip", "raise"] = "apply",
        max_nonfinite: int | None = None,
        metrics: bool = False,
        backend: Literal["auto", "eager", "cpu"] = "auto",
        decoupled_weight_decay: bool = False,
    ) -> None: ...

class Adamax(Optimizer):
    def __init__(
        self,
        params: _Params,
        lr: _Number = 0.002,
        betas: tuple[_Number, _Number] = (0.9, 0.999),
        eps: _Number = 1e-08,
        weight_decay: _Number = 0.0,
        foreach: bool | None = None,
        *,
        decay: _Decay = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        on_nonfinite: Literal["apply", "skip", "raise"] = "apply",
        max_nonfinite: int | None = None,
        metrics: bool = False,
        backend: Literal["auto", "eager", "cpu"] = "auto",
        decoupled_weight_decay: bool = False,
    ) -> None: ...

class AdamW(Optimizer):
    def __init__(
        self,
        params: _Params,
        lr: _Number = 0.001,
        betas: tuple[_Number, _Number] = (0.9, 0.999),
        eps: _Number = 1e-08,
        weight_decay: _Number = 0.01,
        amsgrad: bool = False,
        *,
        amsgrad_of: Literal["v", "v_hat"] = "v",
        decay: _Decay = None,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        on_nonfinite: Literal["apply", "skip", "raise"] = "apply",
        max_nonfinite: int | None = None,
        metrics: bool = False,
        backend: Literal["auto", "eager", "cpu"] = "auto",
        decoupled_weight_decay: bool = True,
    ) -> None: ...

class LAMB(Optimizer):
    def __init__(
        self,
        params: _Params,
        lr: _Number = 0.001,
        betas: tuple[_Number, _Number] = (0.9, 0.999),
        eps: _Number = 1e-06,
        weight_decay: _Number = 0.0,
        clamp: tuple[_Number, _Number] | None = None,
        bias_correction: bool = True,
        exclude_undecayed: bool = False,
        *,
        decay: _Decay = None,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        on_nonfinite: Literal["apply", "skip", "raise"] = "apply",
        max_nonfinite: int | None = None,
        metrics: bool = False,
        backend: Literal["auto", "eager", "cpu"] = "auto",
        decoupled_weight_decay: bool = False,
    ) -> None: ...

class LARS(Optimizer):
    def __init__(
        self,
        params: _Params,
        lr: _Number = 0.1,
        momentum: _Number = 0.9,
        weight_decay: _Number = 0.0005,
        trust_coefficient: _Number = 0.001,
        eps: _Number = 1e-08,
        nesterov: bool = False,
        *,
        momentum_form: Literal["paper", "torch"] = "paper",
        decay: _Decay = None,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        on_nonfinite: Literal["apply", "skip", "raise"] = "apply",
        max_nonfinite: int | None = None,
        metrics: bool = False,
        backend: Literal["auto", "eager", "cpu"] = "auto",
        decoupled_weight_decay: bool = False,
    ) -> None: ...

class Lion(Optimizer):
    def __init__(
        self,
        params: _Params,
        lr: _Number = 0.0001,
        betas: tuple[_Number, _Number] = (0.9, 0.99),
        weight_decay: _Number = 0.0,
        *,
        decay: _Decay = None,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        on_nonfinite: Literal["apply", "skip", "raise"] = "apply",
        max_nonfinite: int | None = None,
        metrics: bool = False,
        backend: Literal["auto", "eager", "cpu"] = "auto",
        decoupled_weight_decay: bool = True,
    ) -> None: ...

class NAdam(Optimizer):
    def __init__(
        self,
        params: _Params,
        lr: _Number = 0.002,
        betas: tuple[_Number, _Number] = (0.9, 0.999),
        eps: _Number = 1e-08,
        weight_decay: _Number = 0.0,
        momentum_decay: _Number = 0.004,
        decoupled_weight_decay: bool = False,
        *,
        decay: _Decay = None,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        on_nonfinite: Literal["apply", "skip", "raise"] = "apply",
        max_nonfinite: int | None = None,
        metrics: bool = False,
        backend: Literal["auto", "eager", "cpu"] = "auto",
    ) -> None: ...

class RAdam(Optimizer):
    def __init__(
        self,
        params: _Params,
        lr: _Number = 0.001,
        betas: tuple[_Number, _Number] = (0.9, 0.999),
        eps: _Number = 1e-08,
        weight_decay: _Number = 0.0,
        decoupled_weight_decay: bool = False,
        *,
        decay: _Decay = None,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        on_nonfinite: Literal["apply", "skip", "raise"] = "apply",
        max_nonfinite: int | None = None,
        metrics: bool = False,
        backend: Literal["auto", "eager", "cpu"] = "auto",
    ) -> None: ...

class RMSprop(Optimizer):
    def __init__(
        self,
        params: _Params,
        lr: _Number = 0.01,
        alpha: _Number = 0.99,
        eps: _Number = 1e-08,
        weight_decay: _Number = 0.0,
        momentum: _Number = 0.0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        *,
        eps_placement: Literal["outside", "inside"] = "outside",
        decay: _Decay = None,
        fused: bool | None = None,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        on_nonfinite: Literal["apply", "skip", "raise"] = "apply",
        max_nonfinite: int | None = None,
        metrics: bool = False,
        backend: Literal["auto", "eager", "cpu"] = "auto",
        decoupled_weight_decay: bool = False,
    ) -> None: ...

class SGD(Optimizer):
    def __init__(
        self,
        params: _Params,
        lr: _Number = 0.001,
        momentum: _Number = 0.0,
        dampening: _Number = 0.0,
        weight_decay: _Number = 0.0,
        nesterov: bool = False,
        *,
        momentum_form: Literal["torch", "classical", "ema"] = "torch",
        decay: _Decay = None,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        on_nonfinite: Literal["apply", "skip", "raise"] = "apply",
        max_nonfinite: int | None = None,
        metrics: bool = False,
        backend: Literal["auto", "eager", "cpu"] = "auto",
        decoupled_weight_decay: bool = False,
    ) -> None: ...
