"""Sums, differences and multiples of fits, through the machinery of ``cf.stack``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from causalformula.backends.fit import Answer, Fit, Label, unit_design
from causalformula.errors import CapabilityError, OptionError, some
from causalformula.inference.covariance import Covariance
from causalformula.inference.sandwich.rows import Reference
from causalformula.inference.scales import Measure, read_measure
from causalformula.numerics.arrays import Array
from causalformula.results.arithmetic import Arithmetic
from causalformula.results.design import Design
from causalformula.results.joint.member import Member
from causalformula.results.joint.units import Units
from causalformula.results.model import Model
from causalformula.results.models.formula import formula_text
from causalformula.results.result import Result
from causalformula.results.stack import Joined, Stack, stacked
from causalformula.results.wording import missing_notes

# How the notes of a sum's or difference's fits are told apart.
NAMES = ("first fit", "second fit")


def is_number(value: Any) -> bool:
    """Whether a value is a number and no logical."""
    return isinstance(value, (int, float, np.number)) and not isinstance(value, (bool, np.bool_))


# -- what the operators do -----------------------------------------------------------------------------------------


def added(fit: Any, other: Any, sign: int) -> Any:
    """``fit + other`` or ``fit - other``, for another fit or for zero (where ``sum`` starts)."""
    if isinstance(other, Arithmetic):
        return combined(_rows(fit), _rows(other), sign)
    if not is_number(other):
        return NotImplemented
    if other == 0:
        return fit
    raise OptionError(
        f"a fit and the number {other:g} have no sum or difference that is a fit; to test another value than 0 write "
        f"an equation, as in fit.hypothesis('b1 = {-sign * other:g}')"
    )


def multiplied(fit: Any, factor: Any) -> Any:
    """``factor * fit``."""
    if isinstance(factor, Arithmetic):
        raise OptionError(
            "the product of two fits is no fit; test an equation of their effects, as in "
            "cf.stack({'a': a, 'b': b}).hypothesis('a * b = 1')"
        )
    if not is_number(factor):
        return NotImplemented
    if not np.isfinite(factor):
        raise OptionError(f"a fit cannot be multiplied by {factor:g}")
    return fit if factor == 1 else scaled(_rows(fit), float(factor))


def divided(fit: Any, divisor: Any) -> Any:
    """``fit / divisor``."""
    if isinstance(divisor, Arithmetic):
        two = isinstance(fit, Arithmetic)
        write = "cf.stack({'a': a, 'b': b}).hypothesis('a / b = 1')" if two else "fit.hypothesis('1 / b1 = 1')"
        raise OptionError(f"nothing can be divided by a fit; test an equation of the effects, as in {write}")
    if not is_number(divisor):
        return NotImplemented
    if divisor == 0:
        raise OptionError("a fit cannot be divided by 0")
    return multiplied(fit, 1 / float(divisor))


# -- rows ----------------------------------------------------------------------------------------------------------


def _rows(fit: Any) -> Result:
    """The fit as a result: of a model, its estimable coefficients."""
    return coefficients(fit) if isinstance(fit, Model) else fit


def coefficients(model: Model) -> Stack:
    """A model's estimable coefficients as a result, with the model's covariance."""
    found = Member.of(model)
    answer = Answer(found.estimate, found.labels, found.measure)
    covariance = model.covariance
    if model.t_based and not np.isfinite(covariance.df).all():
        # an estimated dispersion: the model's summary tests by t
        covariance = replace(covariance, df=np.full(len(found.labels), float(model.df_residual)))
    units, title = Units.of([model.frame]), f"Coefficients of {formula_text(model)}"
    call = Joined("", None, units, None, request=covariance.request)  # type: ignore[arg-type]
    notes = (*missing_notes(model.frame), *model.frame.notes)
    fit = Fit(answer, "", unit_design(units.n), title, notes=notes)
    design: Design[Result] = Design(fit.design, call)
    return Stack(answer, covariance, call, fit, design, fits=(model,), title=title, coefficients=True)


def _pairs(a: Result, b: Result) -> tuple[list[tuple[int, int]], tuple[str, ...]]:
    """Which row goes with which: effects in order, coefficients by name; and coefficients that only one fit has."""
    kinds = [isinstance(fit, Stack) and fit.coefficients for fit in (a, b)]
    if kinds[0] != kinds[1]:
        raise OptionError(
            "effects and a model's coefficients are not matched; say which go together, as in "
            "cf.stack({'a': fit, 'b': model}).hypothesis('b1 = b3')"
        )
    if not kinds[0]:
        q, r = len(a.answer.labels), len(b.answer.labels)
        if q != r:
            raise OptionError(f"the fits have {q} and {r} effects; a difference needs as many")
        return [(k, k) for k in range(q)], ()
    first, second = ({label.term: k for k, label in enumerate(fit.answer.labels)} for fit in (a, b))
    alone = tuple(name for name in {**first, **second} if (name in first) != (name in second))
    pairs = [(k, second[name]) for name, k in first.items() if name in second]
    if not pairs:
        raise OptionError(f"the models have no coefficient in common; they have {some(first)} and {some(second)}")
    return pairs, alone


# -- the numbers ---------------------------------------------------------------------------------------------------


def plain_measure(measure: Measure) -> Measure:
    """The measure of sums and multiples: ratios are combined as logarithms."""
    if measure.reading == "inverse":
        raise CapabilityError("numbers needed to treat have no sums or differences; combine differences instead")
    return read_measure(f"log_{measure.name}") if measure.reading == "exp" else measure


def combined(a: Result, b: Result, sign: int) -> Stack:
    """``a + b`` or ``a - b``, row by row."""
    pairs, alone = _pairs(a, b)
    if a.answer.measure.name != b.answer.measure.name:
        raise OptionError(
            f"the fits have measures {a.answer.measure.name} and {b.answer.measure.name}; fit them with the same"
        )
    measure = plain_measure(a.answer.measure)
    both = stacked([Member.of(fit) for fit in (a, b)], (*a.answer.labels, *b.answer.labels), measure, "", NAMES)
    labels = tuple(_together(a.answer.labels[j], b.answer.labels[k], sign) for j, k in pairs)
    mix = np.zeros((len(pairs), len(both.answer.labels)))
    for row, (j, k) in enumerate(pairs):
        mix[row, j], mix[row, len(a.answer.labels) + k] = 1.0, sign
    estimate = both.answer.estimate.contrast(mix, [str(label) for label in labels])
    answer = Answer(estimate, labels, measure)
    notes = (f"coefficients that only one of the fits has are left out: {some(alone)}",) if alone else ()
    return replace(
        both,
        answer=answer,
        covariance=both.call.covariance(answer, None, None),
        title=f"{'Difference' if sign < 0 else 'Sum'} of two fits",
        fit=replace(both.fit, notes=(*both.fit.notes, *notes)),
        coefficients=isinstance(a, Stack) and a.coefficients,
    )


def _together(a: Label, b: Label, sign: int) -> Label:
    """The label of a sum or difference: that of the first fit, and the second one's where it is another."""
    word = "difference" if sign < 0 else "sum"
    if a != b:
        own = replace(b, term="" if b.term == a.term else b.term, groups=() if b.groups == a.groups else b.groups)
        text = str(own)
        bracketed = text == own.contrast and text.startswith("(")
        word += f" {'from' if sign < 0 else 'with'} {text[1:-1] if bracketed else text}"
    return replace(a, contrast=f"{a.contrast} ({word})".strip())


def scaled(result: Result, factor: float) -> Result:
    """``factor * result``: the same kind of covariance, its matrix times the square."""
    measure = plain_measure(result.answer.measure)
    labels = tuple(replace(x, contrast=f"{x.contrast} (times {factor:g})".strip()) for x in result.answer.labels)
    names = [str(label) for label in labels]
    answer = Answer(result.answer.estimate.contrast(factor * np.eye(len(labels)), names), labels, measure)
    return replace(
        result, answer=answer, covariance=_times(result.covariance, factor), query=None, test=None, source=None
    )


def _times(covariance: Covariance, factor: float) -> Covariance:
    draws, reference = covariance.draws, covariance.reference
    return replace(
        covariance,
        matrix=covariance.matrix * factor**2,
        draws=None if draws is None else draws * factor,
        reference=None if reference is None else Scaled(reference, factor),
    )


@dataclass(frozen=True, eq=False)
class Scaled:
    """A multiple's limits and p-values, from those of the estimate."""

    reference: Reference
    factor: float

    def limits(self, level: float) -> tuple[Array, Array]:
        """Confidence limits."""
        low, high = (self.factor * limit for limit in self.reference.limits(level))
        return (low, high) if self.factor >= 0 else (high, low)

    def p_values(self) -> Array | None:
        """Those of the estimate: zero times any number is zero."""
        return self.reference.p_values()
