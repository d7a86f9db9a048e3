"""SGD with momentum and decoupled weight decay (Loshchilov and Hutter 2019, algorithm 1)."""

from descend.rules.sgd import sgd

sgdw = sgd.variant(
    "sgdw", decay="decoupled", cite=["loshchilov2019"], momentum=0.9, momentum_form="classical", weight_decay=1e-2
)
