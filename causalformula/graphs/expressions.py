"""What an effect is in terms of the distribution of the data: sums, products and quotients of probabilities."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from causalformula.graphs.write import named

PRIME = "'"


@dataclass(frozen=True)
class Probability:
    """``P(names | given)`` in the data."""

    names: tuple[str, ...]
    given: tuple[str, ...] = ()

    def __str__(self) -> str:
        behind = f" | {_listed(self.given)}" if self.given else ""
        return f"P({_listed(self.names)}{behind})"


@dataclass(frozen=True)
class Product:
    """Factors multiplied; 1 without any."""

    factors: tuple[Expression, ...]

    def __str__(self) -> str:
        # a sum reaches as far as its text goes, so it is put in brackets where something follows
        last = len(self.factors) - 1
        texts = [f"[{f}]" if isinstance(f, Sum) and k < last else str(f) for k, f in enumerate(self.factors)]
        return " ".join(texts) or "1"


@dataclass(frozen=True)
class Sum:
    """A sum over all values of some nodes."""

    over: tuple[str, ...]
    body: Expression

    def __str__(self) -> str:
        return f"sum over {_listed(self.over)} of {self.body}"


@dataclass(frozen=True)
class Quotient:
    """One expression divided by another."""

    above: Expression
    below: Expression

    def __str__(self) -> str:
        return f"[{self.above}] / [{self.below}]"


def _listed(names: tuple[str, ...]) -> str:
    """Nodes with commas between, a prime behind its name's quotation marks."""
    return ", ".join(named(name.removesuffix(PRIME)) + PRIME * name.endswith(PRIME) for name in names)


Expression = Probability | Product | Sum | Quotient


def product(factors: Collection[Expression]) -> Expression:
    """Factors multiplied, products among them opened."""
    flat: list[Expression] = []
    for factor in factors:
        flat.extend(factor.factors if isinstance(factor, Product) else [factor])
    return flat[0] if len(flat) == 1 else Product(tuple(flat))


def quotient(above: Expression, below: Expression) -> Expression:
    """One expression divided by another, without the factors that both have."""
    upper: list[Expression] = list(above.factors) if isinstance(above, Product) else [above]
    lower: list[Expression] = list(below.factors) if isinstance(below, Product) else [below]
    for factor in list(lower):
        if factor in upper:
            upper.remove(factor)
            lower.remove(factor)
    return Quotient(product(upper), product(lower)) if lower else product(upper)


def summed(over: tuple[str, ...], body: Expression) -> Expression:
    """A sum without what sums to one, factors that it does not touch before it."""
    if isinstance(body, Sum):
        return summed((*body.over, *over), body.body)
    factors = list(body.factors) if isinstance(body, Product) else [body]
    left = list(over)
    moved = True
    while moved:
        moved = False
        for name in left:
            holders = [f for f in factors if name in mentioned(f)]
            (only,) = holders if len(holders) == 1 else (None,)
            if isinstance(only, Probability) and name in only.names:
                rest = tuple(n for n in only.names if n != name)
                at = factors.index(only)
                factors[at : at + 1] = [Probability(rest, only.given)] if rest else []
                left.remove(name)
                moved = True
                break
    inside = [f for f in factors if set(left) & mentioned(f)]
    outside = [f for f in factors if not set(left) & mentioned(f)]
    return product([*outside, Sum(tuple(left), product(inside))]) if left else product(factors)


def primed(expression: Expression, name: str, bound: bool = False) -> Expression:
    """The expression with a prime on a node where it is summed over, to tell it from the value that is set."""
    if isinstance(expression, Probability):
        mark = {name: name + PRIME} if bound else {}
        names, given = (tuple(mark.get(n, n) for n in side) for side in (expression.names, expression.given))
        return Probability(names, given)
    if isinstance(expression, Product):
        return Product(tuple(primed(factor, name, bound) for factor in expression.factors))
    if isinstance(expression, Sum):
        inside = bound or name in expression.over
        over = tuple(n + PRIME if n == name else n for n in expression.over)
        return Sum(over, primed(expression.body, name, inside))
    return Quotient(primed(expression.above, name, bound), primed(expression.below, name, bound))


def mentioned(expression: Expression) -> frozenset[str]:
    """Nodes on whose values an expression depends: those that are summed over do not count."""
    if isinstance(expression, Probability):
        return frozenset((*expression.names, *expression.given))
    if isinstance(expression, Product):
        return frozenset(name for factor in expression.factors for name in mentioned(factor))
    if isinstance(expression, Sum):
        return mentioned(expression.body) - set(expression.over)
    return mentioned(expression.above) | mentioned(expression.below)
