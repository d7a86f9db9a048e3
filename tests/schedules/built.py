"""Every schedule that can be built, as a strategy for hypothesis."""

from hypothesis import strategies as st

from descend import schedules as s

steps = st.integers(1, 60)
numbers = st.floats(-4, 4, allow_subnormal=False)
shares = st.floats(0, 1, allow_subnormal=False)
ratios = st.floats(0.05, 1)
lengths = st.none() | steps
anneals = st.sampled_from(["cos", "linear"])


@st.composite
def one_cycles(draw, make, *values):
    T, three_phase = draw(st.integers(4, 60)), draw(st.booleans())
    pct = draw(st.floats(1.1 / T, 0.5 if three_phase else 0.95))
    return make(T, pct, *map(draw, values), draw(anneals), three_phase)


FACTORS = {
    "warmup": st.builds(s.warmup, steps),
    "cosine": st.builds(s.cosine, steps, shares),
    "step_decay": st.builds(s.step_decay, steps, ratios),
    "milestones": st.builds(s.milestones, st.sets(steps, min_size=1, max_size=4).map(sorted), ratios),
    "exponential": st.builds(s.exponential, st.floats(0, 2)) | st.builds(lambda g: s.exponential(gamma=g), ratios),
    "polynomial": st.builds(s.polynomial, steps, st.floats(0.1, 4), shares),
    "cosine_restarts": st.builds(
        s.cosine_restarts, steps, st.integers(1, 4), ratios, shares, st.none() | st.integers(1, 3)
    ),
    "cosine_with_warmup": st.builds(
        lambda T, W, floor, low: s.cosine_with_warmup(T + W, W, floor, low), steps, steps, shares, st.booleans()
    ),
    "one_cycle": one_cycles(s.one_cycle, st.floats(1, 30), st.floats(1, 1e4)),
    "triangular": st.builds(s.triangular, steps, shares, lengths),
    "triangular2": st.builds(s.triangular2, steps, shares, lengths),
    "exp_range": st.builds(s.exp_range, steps, shares, ratios, lengths),
    "inverse_sqrt": st.builds(s.inverse_sqrt, steps),
    "warmup_stable_decay": st.builds(
        lambda W, stable, D, floor, shape: s.warmup_stable_decay(W + stable + D, W, D, floor, shape),
        steps, st.integers(0, 60), steps, shares, st.sampled_from(["linear", "cosine", "1-sqrt"]),
    ),
}  # fmt: skip
"""Schedules that stay between 0 and 1, by name."""

VALUES = {
    "constant": st.builds(s.constant, numbers),
    "linear": st.builds(s.linear, steps, numbers, numbers),
    "one_cycle_momentum": one_cycles(s.one_cycle_momentum, shares, shares),
}
"""Schedules of values of any size, by name."""

factors = st.one_of(*FACTORS.values())
built = st.recursive(
    st.one_of(*FACTORS.values(), *VALUES.values()),
    lambda inner: st.one_of(
        st.builds(lambda a, b: a * b, inner, inner | numbers),
        st.builds(lambda a, b: a * b, numbers, inner),
        st.builds(lambda a, b, at: a.then(b, at=at), inner, inner, steps),
        st.builds(lambda a, x, y: a.clamp(min(x, y), max(x, y)), inner, numbers, numbers),
    ),
    max_leaves=4,
)
