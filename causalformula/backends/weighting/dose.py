"""Generalised propensity weights for a dose: its marginal over its conditional density."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from causalformula.backends.aliased import dropped_terms
from causalformula.backends.fit import Fitted
from causalformula.backends.options import shown
from causalformula.backends.propensity import Regressors
from causalformula.backends.sensitivity import Sensitivity
from causalformula.backends.weighting.weights import Weighting
from causalformula.errors import DataError, OptionError
from causalformula.frame.model_frame import ModelFrame
from causalformula.frame.parts import PROPENSITY
from causalformula.inference.linear import fit_linear
from causalformula.inference.stage import Stage
from causalformula.numerics.arrays import Array

# Log density of a standardised dose, and its derivative.
Density = tuple[Callable[[Array], Array], Callable[[Array], Array]]


def read_density(name: str) -> Density | None:
    """A density by R's name (``dnorm``, ``dt_4``); None for the kernel estimate."""
    text = name if isinstance(name, str) else ""
    if text == "kernel":
        return None
    if text == "dnorm":
        return (lambda z: -(z**2) / 2), (lambda z: -z)
    head, _, tail = text.partition("_")
    if head == "dt" and tail.isascii() and tail.replace(".", "", 1).isdigit() and float(tail) > 0:
        nu = float(tail)
        return (lambda z: -(nu + 1) / 2 * np.log1p(z**2 / nu)), (lambda z: -(nu + 1) * z / (nu + z**2))
    raise OptionError(f"unknown density {shown(name)}; choose from dnorm, dt_<degrees of freedom> such as dt_4, kernel")


def density_weights(frame: ModelFrame, density: str, design: Regressors) -> Weighting:
    """Weights ``f((a - mean) / sd) / f((a - x'b) / sd_residual)``, both densities standardised, as in WeightIt."""
    X, names, anchors = design
    s, a = frame.unit_weights, frame.the_treatment.values
    total = s.sum()
    mean = float(s @ a / total)
    spread = float(s @ (a - mean) ** 2 / total)
    model = fit_linear(X, a, names, weights=frame.weights, anchors=anchors)
    r = a - model.mu
    noise = float(s @ r**2 / total)
    if noise <= 1e-14 * spread:
        name = frame.the_treatment.name
        raise DataError(f"the covariates predict the dose {name!r} perfectly: no weights can be made")
    z0, z1 = (a - mean) / np.sqrt(spread), r / np.sqrt(noise)
    found, lost = read_density(density), dropped_terms(model, "model of the dose")
    if found is None:
        w = kernel_density(z0, s) / kernel_density(z1, s)
        note = "standard errors treat the kernel-density weights as given"
        return Weighting(w, notes=lost, caveats=(note,), words="generalised propensity weighting (kernel density)")
    log, slope = found
    w = np.exp(log(z0) - log(z1))
    margin = Stage(
        "margin", ("mean", "variance"), np.array([mean, spread]), total * np.eye(2),
        s[:, None] * np.column_stack([a - mean, (a - mean) ** 2 - spread]),
    )  # fmt: skip
    rows = (s * (r**2 - noise))[:, None]
    scale = Stage("residual variance", ("variance",), np.array([noise]), np.array([[total]]), rows)
    up = np.column_stack([-slope(z0) / np.sqrt(spread), -slope(z0) * z0 / (2 * spread)])
    one = np.ones((frame.n, 1))
    dw = {
        "margin": Sensitivity(one, w[:, None] * up),
        "propensity": Sensitivity(model.hat.X, (w * slope(z1) / np.sqrt(noise))[:, None]),
        "residual variance": Sensitivity(one, (w * slope(z1) * z1 / (2 * noise))[:, None]),
    }
    return Weighting(
        w,
        stages=(margin, model.stage("propensity"), scale),
        dw=dw,
        notes=lost,
        models={"propensity": Fitted(model, PROPENSITY)},
        words=f"generalised propensity weighting ({'normal density' if density == 'dnorm' else density})",
    )


def kernel_density(x: Array, s: Array, points: int = 512) -> Array:
    """Gaussian kernel estimate at the data, with R's default bandwidth (``bw.nrd0``), through a fine grid."""
    used, mass_of = x[s > 0], s[s > 0]
    n = len(used)
    low, high = np.quantile(used, [0.25, 0.75])
    sd = np.std(used, ddof=1)
    width = 0.9 * (min(sd, (high - low) / 1.34) or sd) * n**-0.2
    size = 1 << int(np.ceil(np.log2(max(10 * n, points))))
    left, right = used.min() - 3 * width, used.max() + 3 * width
    step = (right - left) / (size - 1)
    place = (used - left) / step
    cell = np.minimum(place.astype(int), size - 2)
    part = place - cell
    mass = np.bincount(cell, mass_of * (1 - part), size) + np.bincount(cell + 1, mass_of * part, size)
    from scipy.signal import fftconvolve

    reach = int(np.ceil(8 * width / step))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) * step / width) ** 2) / (width * np.sqrt(2 * np.pi))
    smooth = np.asarray(fftconvolve(mass / s.sum(), kernel, mode="full"))[reach : reach + size]
    return np.interp(x, left + step * np.arange(size), smooth)
