"""A design matrix from columns, without a frame."""

from causalformula.formula.matrix.design import build, evaluate_variables


def model_matrix(terms, columns, n, *, contrasts=None, env=None, source=None, drop_unused=False):
    """R's ``model.matrix(formula, data)`` on columns: rows with a missing value are dropped, unused levels are kept."""
    evaluated = evaluate_variables(terms, columns, n, env, source)
    matrix, recipe, _ = build(evaluated, evaluated.kept, contrasts=contrasts, drop_unused=drop_unused)
    return matrix, recipe, evaluated
