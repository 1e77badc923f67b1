"""Small diagrams, and models on them whose effects are known exactly: linear ones by covariances, binary by tables."""

from __future__ import annotations

from itertools import combinations, permutations, product

import numpy as np

from causalformula.graphs.diagram import Diagram
from causalformula.graphs.expressions import Probability, Product, Sum


def all_dags(names):
    """Every acyclic graph on some nodes."""
    found = set()
    pairs = list(combinations(range(len(names)), 2))
    for order in permutations(names):
        for chosen in product([False, True], repeat=len(pairs)):
            found.add(frozenset((order[a], order[b]) for (a, b), take in zip(pairs, chosen, strict=True) if take))
    return [Diagram(tuple(names), tuple(sorted(arrows))) for arrows in sorted(found, key=sorted)]


def random_diagram(rng, names, arrows=0.45, bows=0.1, latent=0.0):
    """A graph on some nodes in a random order; the first two names are never latent."""
    order = [str(n) for n in rng.permutation(list(names))]
    pairs = list(combinations(order, 2))
    hidden = frozenset(n for n in names[2:] if rng.random() < latent)
    return Diagram(
        tuple(names),
        tuple(pair for pair in pairs if rng.random() < arrows),
        tuple(pair for pair in pairs if rng.random() < bows),
        hidden,
    )


def separated(diagram, left, right, given):
    """Separation in the moral graph of the ancestors, written apart from the package's."""
    parents = {n: {a for a, b in diagram.drawn.arrows if b == n} for n in diagram.drawn.nodes}
    kept, stack = set(), [left, right, *given]
    while stack:
        node = stack.pop()
        if node not in kept:
            kept.add(node)
            stack.extend(parents[node])
    near = {n: set() for n in kept}
    for n in kept:
        for a, b in combinations([n, *parents[n]], 2):
            near[a].add(b)
            near[b].add(a)
    seen, stack = set(), [left]
    while stack:
        node = stack.pop()
        if node in seen or node in given:
            continue
        seen.add(node)
        stack.extend(near[node])
    return right not in seen


class Linear:
    """A linear model with random slopes: covariances and effects in the population."""

    def __init__(self, diagram, rng):
        drawn = diagram.drawn
        self.place = {n: k for k, n in enumerate(drawn.nodes)}
        B = np.zeros((len(drawn.nodes),) * 2)
        for a, b in drawn.arrows:
            B[self.place[b], self.place[a]] = rng.uniform(0.4, 1.2) * rng.choice([-1, 1])
        self.total = np.linalg.inv(np.eye(len(B)) - B)
        self.direct = B
        self.cov = self.total @ np.diag(rng.uniform(0.5, 2, len(B))) @ self.total.T

    def effect(self, x, y):
        return self.total[self.place[y], self.place[x]]

    def residual(self, names, given):
        """Covariance of some nodes given others."""
        a, z = [self.place[n] for n in names], [self.place[n] for n in given]
        S = self.cov
        return S[np.ix_(a, a)] - S[np.ix_(a, z)] @ np.linalg.solve(S[np.ix_(z, z)], S[np.ix_(z, a)])

    def slope(self, x, y, given):
        found = self.residual([x, y], given)
        return found[0, 1] / found[0, 0]


class Binary:
    """A model of 0 and 1 with random tables: the joint distribution, as it is and under an intervention."""

    def __init__(self, diagram, rng):
        drawn = diagram.drawn
        self.names = list(drawn.topological)
        self.tables = {n: (drawn.in_order(drawn.parents(n)), None) for n in self.names}
        self.tables = {n: (p, rng.uniform(0.1, 0.9, [2] * len(p))) for n, (p, _) in self.tables.items()}
        self.joint = self.under()

    def under(self, *done):
        """The joint table; nodes that are done are given, each with probability one."""
        grid = dict(zip(self.names, np.indices([2] * len(self.names)), strict=True))
        out = np.ones([2] * len(self.names))
        for name, (parents, table) in self.tables.items():
            if name not in done:
                p = table[tuple(grid[q] for q in parents)]
                out = out * np.where(grid[name] == 1, p, 1 - p)
        return out

    def at(self, table, **values):
        where = tuple(values.get(n, slice(None)) for n in self.names)
        return float(np.sum(table[where]))

    def effect(self, x, y, value):
        """P(y = 1 | do(x = value))."""
        return self.at(self.under(x), **{x: value, y: 1})

    def adjusted(self, x, y, value, covariates, held=(), over=None):
        """What adjustment gives among those in the data, over the covariates of these or of others."""
        inside, among = dict.fromkeys(held, 1), dict.fromkeys(held if over is None else over, 1)
        whole, out = self.at(self.joint, **among), 0.0
        for levels in product([0, 1], repeat=len(covariates)):
            z = dict(zip(covariates, levels, strict=True))
            cell = {**inside, **z, x: value}
            rate = self.at(self.joint, **cell, **{y: 1}) / self.at(self.joint, **cell)
            out += rate * self.at(self.joint, **among, **z) / whole
        return out

    def value(self, expression, at):
        """An expression's value."""
        if isinstance(expression, Probability):
            given = {n: at[n] for n in expression.given}
            below = self.at(self.joint, **given)
            return self.at(self.joint, **given, **{n: at[n] for n in expression.names}) / below
        if isinstance(expression, Product):
            return float(np.prod([self.value(f, at) for f in expression.factors]))
        if isinstance(expression, Sum):
            levels = product([0, 1], repeat=len(expression.over))
            return sum(
                self.value(expression.body, {**at, **dict(zip(expression.over, v, strict=True))}) for v in levels
            )
        return self.value(expression.above, at) / self.value(expression.below, at)
