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


def warm_logit(Z, a, s, b, steps):
    """Newton steps of a weighted logit from a start."""
    for _ in range(steps):
        p = 1 / (1 + np.exp(-Z @ b))
        b = b + np.linalg.solve((Z * (s * p * (1 - p))[:, None]).T @ Z, Z.T @ (s * (a - p)))
    return b


def ipw_asympt(Z, a, y):
    """Effect by inverse probability weighting with its stacked standard error."""
    b = warm_logit(Z, a, np.ones(len(a)), np.zeros(Z.shape[1]), 6)
    p = 1 / (1 + np.exp(-Z @ b))
    w = a / p + (1 - a) / (1 - p)
    m1, m0 = (w * a) @ y / (w @ a), (w * (1 - a)) @ y / (w @ (1 - a))
    r = np.where(a == 1, (y - m1) / (w @ a), -(y - m0) / (w @ (1 - a)))
    c = Z.T @ (r * np.where(a == 1, -(1 - p) / p, p / (1 - p)))
    H = (Z * (p * (1 - p))[:, None]).T @ Z
    psi = w * r + (a - p) * (Z @ np.linalg.solve(H, c))
    return np.array([m1 - m0, np.sqrt(psi @ psi)])


def ebal_att(Z, a, y):
    """Effect on the treated by entropy balancing: Newton's method on the dual."""
    C, target = Z[a == 0], Z[a == 1].mean(axis=0)
    lam = np.zeros(Z.shape[1])
    lam[0] = -np.log(len(C))
    for _ in range(8):
        w = np.exp(C @ lam)
        lam = lam - np.linalg.solve((C * w[:, None]).T @ C, C.T @ w - target)
    w = np.exp(C @ lam)
    return np.array([y[a == 1].mean() - w @ y[a == 0] / w.sum()])


def ipw_bootstrap(Z, a, y, reps):
    """Standard deviation of the effect over resamples, each propensity model warm-started at the sample's."""
    rng = np.random.default_rng(0)
    n = len(a)
    start = warm_logit(Z, a, np.ones(n), np.zeros(Z.shape[1]), 6)
    out = []
    for _ in range(reps):
        s = rng.multinomial(n, np.full(n, 1 / n)).astype(float)
        p = 1 / (1 + np.exp(-Z @ warm_logit(Z, a, s, start, 4)))
        w = s * (a / p + (1 - a) / (1 - p))
        out.append((w * a) @ y / (w @ a) - (w * (1 - a)) @ y / (w @ (1 - a)))
    return np.std(out, ddof=1)


def greedy_on_line(x, focal, pool):
    """Whom each focal unit takes, the largest number first: the nearest that is left, by a forest either way.

    The plain-Python loop that 1:1 matching without replacement cannot do without: one step a unit.
    """
    order = pool[np.argsort(x[pool], kind="stable")]
    first = focal[np.argsort(-x[focal], kind="stable")]
    start = np.searchsorted(x[order], x[first]).tolist()
    values = [-np.inf, *x[order].tolist(), np.inf]
    down, up = list(range(len(values))), list(range(len(values)))

    def find(forest, i):
        while forest[i] != i:
            forest[i] = i = forest[forest[i]]
        return i

    taken = []
    for at, below in zip(x[first].tolist(), start, strict=True):
        low, high = find(down, below), find(up, below + 1)
        c = low if at - values[low] <= values[high] - at else high
        taken.append(c - 1)
        down[c], up[c] = c - 1, c + 1
    out = np.empty(len(x), dtype=np.intp)
    out[first] = order[taken]
    return out[focal]


def nearest_in_space(Z, focal, pool, block=250):
    """Whom each focal unit takes, one after the other, by squared distances from products, a block at a time."""
    free, out = np.ones(len(pool), dtype=bool), []
    F, C = Z[focal], Z[pool]
    lengths = (C * C).sum(axis=1)
    for start in range(0, len(focal), block):
        squares = -2 * F[start : start + block] @ C.T + lengths
        for row in squares:
            row[~free] = np.inf
            c = int(row.argmin())
            free[c] = False
            out.append(c)
    return pool[out]


def aipw_asympt(Z, a, y):
    """Effect by augmented inverse probability weighting, a least squares for each arm, with its stacked s.e."""
    n = len(y)
    b = warm_logit(Z, a, np.ones(n), np.zeros(Z.shape[1]), 6)
    p = 1 / (1 + np.exp(-Z @ b))
    effect, psi, slope = np.zeros(n), np.zeros(n), np.zeros(n)
    for sign, arm, share, move in ((1, a, p, -(1 - p)), (-1, 1 - a, 1 - p, p)):
        G = (Z * arm[:, None]).T @ Z
        m = Z @ np.linalg.solve(G, Z.T @ (arm * y))
        r = arm * (y - m) / share
        effect += sign * (m + r)
        slope += sign * r * move
        psi += sign * arm * (y - m) * (Z @ np.linalg.solve(G, Z.T @ (1 - arm / share)))
    psi += (a - p) * (Z @ np.linalg.solve((Z * (p * (1 - p))[:, None]).T @ Z, Z.T @ slope))
    psi += effect - effect.mean()
    return np.array([effect.mean(), np.sqrt(psi @ psi) / n])


def autoc_and_qini(scores, priority):
    """Both areas under the curve of what the first of a ranking gain: one sort and one running sum."""
    n = len(scores)
    upto = np.cumsum(scores[np.argsort(-priority)])
    heads = np.arange(1, n + 1)
    mean = upto[-1] / n
    return (upto / heads).mean() - mean, (upto - heads * mean).sum() / n**2


def alternating_means(M, factors, tol=1e-10):
    """Columns less the means of each factor's levels in turn, until the means are next to nothing."""
    values = np.array(M, order="F")
    counts = [np.bincount(codes) for codes in factors]
    for j in range(values.shape[1]):
        column, length, moved = values[:, j], np.linalg.norm(values[:, j]), np.inf
        while moved > tol * length:
            moved = 0.0
            for codes, count in zip(factors, counts, strict=True):
                means = np.bincount(codes, column) / count
                column -= means[codes]
                moved = np.sqrt(count @ means**2)
    return values


def two_stages(X, Z, y, column):
    """One coefficient of two-stage least squares with its classical standard error: projections by cross-products."""
    C = Z.T @ X
    A = np.linalg.solve(Z.T @ Z, C)
    bread = np.linalg.inv(C.T @ A)
    beta = bread @ (A.T @ (Z.T @ y))
    e = y - X @ beta
    return beta[column], np.sqrt(e @ e / (len(y) - X.shape[1]) * bread[column, column])
