"""Adam with decoupled weight decay (Loshchilov and Hutter 2019, algorithm 2)."""

from descend.rules.adam import adam

adamw = adam.variant("adamw", decay="decoupled", cite=["loshchilov2019"], weight_decay=1e-2)
