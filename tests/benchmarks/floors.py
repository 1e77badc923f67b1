"""The least arithmetic that gives the same numbers, in bare numpy: what the package's times are measured against."""

import numpy as np


def ols_hc3(X, y):
    """Coefficients and HC3 standard errors: one cross-product, one solve, one pass for residuals and leverages."""
    bread = np.linalg.inv(X.T @ X)
    beta = bread @ (X.T @ y)
    XB = X @ bread
    u = (y - X @ beta) / (1 - np.einsum("ij,ij->i", XB, X))
    XB *= u[:, None]
    return beta, np.sqrt(np.diag(XB.T @ XB))


def logit(X, y, steps=25, tol=1e-10):
    """Coefficients of a logistic regression by Newton's method, with the inverse information."""
    beta = np.zeros(X.shape[1])
    for _ in range(steps):
        mu = 1 / (1 + np.exp(-(X @ beta)))
        information = (X * (mu * (1 - mu))[:, None]).T @ X
        step = np.linalg.solve(information, X.T @ (y - mu))
        beta += step
        if np.abs(step).max() < tol:
            break
    return beta, np.linalg.inv(information)


def logit_gcomp(X, y, column):
    """Average effect of a 0/1 column on the probability scale, with its delta-method standard error."""
    beta, bread = logit(X, y)
    rest = X @ beta - X[:, column] * beta[column]
    means, gradients = [], []
    for a in (0.0, 1.0):
        m = 1 / (1 + np.exp(-(rest + a * beta[column])))
        d = m * (1 - m)
        gradient = d @ X
        gradient[column] = a * d.sum()
        means.append(m.mean())
        gradients.append(gradient / len(y))
    g = gradients[1] - gradients[0]
    return means[1] - means[0], np.sqrt(g @ bread @ g)


def pairs_bootstrap(X, y, column, reps, seed=1):
    """Standard deviation of a coefficient over resamples: every cross-product in one matrix product."""
    n, p = X.shape
    i, j = np.triu_indices(p)
    products = np.hstack([X[:, i] * X[:, j], X * y[:, None]])
    rng = np.random.default_rng(seed)
    draws = []
    for size in [250] * (reps // 250):
        weights = np.stack([np.bincount(rng.integers(0, n, n), minlength=n) for _ in range(size)]).astype(float)
        sums = weights @ products
        gram = np.empty((size, p, p))
        gram[:, i, j] = gram[:, j, i] = sums[:, : len(i)]
        draws.append(np.linalg.solve(gram, sums[:, len(i) :, None])[:, column, 0])
    return np.concatenate(draws).std(ddof=1)


def ols_effect(X, y, column):
    """One coefficient of least squares with its classical standard error and t statistic."""
    bread = np.linalg.inv(X.T @ X)
    beta = bread @ (X.T @ y)
    e = y - X @ beta
    se = np.sqrt(e @ e / (len(y) - X.shape[1]) * bread[column, column])
    return beta[column], se, beta[column] / se
