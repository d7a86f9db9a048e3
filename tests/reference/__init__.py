"""Slow float64 references in NumPy, written from the papers and never imported by ``descend``.

Each file holds one method: ``start(p, **options)`` makes the state of one tensor, under the names that
``torch.optim`` uses, and ``update(p, g, state, t, **options)`` changes that state in place and returns what
is added to ``p``; a state that an option needs only later starts at 0 then. ``p`` and ``g`` are float64
arrays; a complex tensor comes as pairs of reals.
"""
