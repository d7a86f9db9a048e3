"""The task snippets-bag with dense gradients, so that methods with sums over whole tensors can take part.

    descend compare benchmarks/dense_bag.py:dense_bag -o adagrad,adam,adafactor

The same data and the same initial values as snippets-bag. The features are as sparse as there: most rows of a gradient
are zero, but all are there, and Adafactor can take the means of its rows and columns.
"""

from dataclasses import replace

from descend.tasks.bag import Bag, snippets_bag


def make_dense() -> Bag:
    model = Bag()
    model.table.sparse = False
    return model


dense_bag = replace(snippets_bag, name="snippets-bag-dense", model=make_dense, sparse=False)
