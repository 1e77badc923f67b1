"""The least that gives the numbers of data in Parquet: DuckDB reads the columns, bare numpy adds up, pass by pass."""

from glob import glob

import numpy as np

from causalformula.scale.sources.source import CHUNK_ROWS


def batches(folder, names):
    """Arrow batches of some columns, as (n, k) arrays."""
    import duckdb

    files = ", ".join(f"'{name}'" for name in sorted(glob(f"{folder}/*.parquet")))
    relation = duckdb.connect().sql(f"SELECT {', '.join(names)} FROM read_parquet([{files}])")
    for batch in relation.to_arrow_reader(CHUNK_ROWS):
        yield [batch.column(j).to_numpy(zero_copy_only=False) for j in range(len(names))]


def design(columns):
    """An intercept and columns."""
    return np.column_stack([np.ones(len(columns[0])), *columns])


def ols_hc1(folder, outcome, names, passes):
    """Coefficients and HC1 standard errors; passes beyond the two that it takes repeat the first."""
    for _ in range(passes - 1):
        G, C = 0.0, 0.0
        for y, *columns in batches(folder, [outcome, *names]):
            X = design(columns)
            G, C = G + X.T @ X, C + X.T @ y
    bread = np.linalg.inv(G)
    beta = bread @ C
    meat, n = 0.0, 0
    for y, *columns in batches(folder, [outcome, *names]):
        X = design(columns)
        S = X * (y - X @ beta)[:, None]
        meat, n = meat + S.T @ S, n + len(y)
    return beta, np.sqrt(np.diag(bread @ meat @ bread) * n / (n - len(beta)))


def newton(folder, outcome, names, passes):
    """Coefficients of a logit after so many steps, with the inverse information of the last."""
    beta = np.zeros(len(names) + 1)
    for _ in range(passes):
        H, score = 0.0, 0.0
        for y, *columns in batches(folder, [outcome, *names]):
            X = design(columns)
            mu = 1 / (1 + np.exp(-(X @ beta)))
            H, score = H + (X * (mu * (1 - mu))[:, None]).T @ X, score + X.T @ (y - mu)
        bread = np.linalg.inv(H)
        beta = beta + bread @ score
    return beta, bread


def logit(folder, outcome, names, passes):
    """Coefficients and standard errors of a logit."""
    beta, bread = newton(folder, outcome, names, passes)
    return beta, np.sqrt(np.diag(bread))


def ipw(folder, outcome, treatment, names, passes):
    """The ATE by inverse probabilities with its stacked standard error: all but two passes are of the logit."""
    b, bread = newton(folder, treatment, names, passes - 2)
    sums = np.zeros(4)
    for y, a, *columns in batches(folder, [outcome, treatment, *names]):
        p = 1 / (1 + np.exp(-(design(columns) @ b)))
        w1, w0 = a / p, (1 - a) / (1 - p)
        sums += w1.sum(), w1 @ y, w0.sum(), w0 @ y
    m1, m0 = sums[1] / sums[0], sums[3] / sums[2]
    total, cross, scores, own = 0.0, 0.0, 0.0, 0.0
    for y, a, *columns in batches(folder, [outcome, treatment, *names]):
        X = design(columns)
        p = 1 / (1 + np.exp(-(X @ b)))
        r1, r0 = (y - m1) / sums[0], (y - m0) / sums[2]
        direct = a / p * r1 - (1 - a) / (1 - p) * r0
        slope = -a * (1 - p) / p * r1 - (1 - a) * p / (1 - p) * r0
        S = X * (a - p)[:, None]
        # the influence is linear in the chain through the logit: its square is made of these sums
        total, cross = total + direct @ direct, cross + X.T @ slope
        scores, own = scores + S.T @ S, own + S.T @ direct
    step = bread @ cross
    return np.array([m1 - m0]), np.array([np.sqrt(total + 2 * step @ own + step @ scores @ step)])
