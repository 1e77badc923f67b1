"""Matches by row label: the matrix of matches, its pairs one by one, and the data pair by pair."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from causalformula.backends.fit import DesignWeights
from causalformula.errors import OptionError
from causalformula.frame.model_frame import ModelFrame
from causalformula.numerics.arrays import Array, Bools, Codes

if TYPE_CHECKING:
    import pandas as pd


def set_codes(made: DesignWeights) -> Codes | None:
    """Matched sets or strata by row (n,), counted from 0 in the order of their numbers; -1 for rows in none."""
    if made.subclass is None:
        return None
    numbers = np.array([-1 if each is None or each != each else int(each) for each in made.subclass.tolist()])
    inside = numbers > 0
    codes = np.full(len(numbers), -1, dtype=np.intp)
    codes[inside] = np.unique(numbers[inside], return_inverse=True)[1]
    return codes


def matched_rows(made: DesignWeights) -> Codes | None:
    """Pairs of rows (m, 2), a focal unit and one of its matches, in the order of the focal units."""
    if made.pairs is None:
        return None
    focal, matches = np.repeat(made.pairs[:, 0], made.pairs.shape[1] - 1), made.pairs[:, 1:].ravel()
    return np.column_stack([focal, matches])[matches >= 0]


def match_matrix(frame: ModelFrame, made: DesignWeights) -> pd.DataFrame | None:
    """Row labels of the focal units as index, those of their matches as columns ``1, 2, ...``; None where none."""
    import pandas as pd

    pairs = made.pairs
    if pairs is None:
        return None
    labels = np.asarray(frame.index, dtype=object)
    # A match that was not found is a negative position.
    matches = np.where(pairs[:, 1:] < 0, None, labels[pairs[:, 1:]])
    return pd.DataFrame(matches, index=labels[pairs[:, 0]], columns=range(1, pairs.shape[1]), dtype=object)


def pair_frame(frame: ModelFrame, made: DesignWeights) -> pd.DataFrame | None:
    """One row a treated-control pair: ``subclass, treated, control, distance``; None where nobody is paired.

    In sets around one unit (full matching) it is paired with all others; strata and larger sets are no pairs.
    """
    import pandas as pd

    found = _numbered(made)
    if found is None or frame.treatment is None:
        return None
    number, rows = found
    if made.pairs is None:
        crossed = _around_one(number, rows[:, 0], frame.the_treatment.codes == 1)
        if crossed is None:
            return None
        number, rows = crossed
    treated = frame.the_treatment.codes[rows[:, 0]] == 1
    one, zero = np.where(treated, rows[:, 0], rows[:, 1]), np.where(treated, rows[:, 1], rows[:, 0])
    labels = np.asarray(frame.index)
    distance = _gaps(made, one, zero)
    columns = {"subclass": number, "treated": labels[one], "control": labels[zero], "distance": distance}
    return pd.DataFrame(columns)


def _gaps(made: DesignWeights, one: Codes, zero: Codes) -> Array:
    """Distances of pairs as they were matched on them; of the score where only that is known."""
    if made.gaps is not None and made.pairs is not None:
        codes, found = set_codes(made), made.pairs[:, 1:] >= 0
        each = np.repeat(made.pairs[:, 0], found.sum(axis=1))
        order = codes[each] if codes is not None else np.arange(len(each))
        return np.asarray(made.gaps[found][np.argsort(order, kind="stable")])
    if made.distance is None:
        return np.full(len(one), np.nan)
    return np.abs(made.distance[one] - made.distance[zero])


def _numbered(made: DesignWeights) -> tuple[Codes, Codes] | None:
    """Numbers of the matched sets, from 1, with pairs of rows, or with the rows of each set where there are none."""
    rows, codes = matched_rows(made), set_codes(made)
    if rows is not None:
        number = codes[rows[:, 0]] + 1 if codes is not None else np.cumsum(_first(rows[:, 0]))
        order = np.argsort(number, kind="stable")
        return number[order], rows[order]
    if codes is None or made.strata:
        return None
    order = np.flatnonzero(codes >= 0)
    order = order[np.argsort(codes[order], kind="stable")]
    return codes[order] + 1, order[:, None]


def _first(focal: Codes) -> Bools:
    """Where the pairs of another focal unit begin."""
    return np.append(True, focal[1:] != focal[:-1])[: len(focal)]


def _around_one(number: Codes, rows: Codes, treated: Bools) -> tuple[Codes, Codes] | None:
    """Pairs of the single unit of one arm with each of the other arm, set by set; None where a set has several of both.

    Rows come set by set, by ``number``.
    """
    one = treated[rows]
    ones = np.bincount(number[one], minlength=int(number.max(initial=0)) + 1)
    zeros = np.bincount(number[~one], minlength=len(ones))
    if (np.minimum(ones, zeros) > 1).any():
        return None
    hub = np.full(len(ones), -1, dtype=np.intp)
    hub_treated = ones == 1
    single = np.where(hub_treated[number], one, ~one)
    hub[number[single]] = rows[single]
    others = ~single & (hub[number] >= 0)
    return number[others], np.column_stack([hub[number[others]], rows[others]])


def pair_rows(frame: ModelFrame, made: DesignWeights) -> tuple[Codes, Codes, Any]:
    """Rows, numbers of matched sets and weights, a row a unit and match: treated units first in each set.

    A focal unit weighs 1, and its matches share 1; times the sampling weights.
    """
    found = _numbered(made)
    assert found is not None and made.pairs is not None
    number, pairs = found
    first = _first(pairs[:, 0])
    place = np.cumsum(first) - 1
    share = 1 / np.bincount(place)[place]
    rows = np.append(pairs[first, 0], pairs[:, 1])
    numbers = np.append(number[first], number)
    weights = np.append(np.ones(first.sum()), share) * frame.unit_weights[rows]
    order = np.lexsort((frame.the_treatment.codes[rows] != 1, numbers))
    return rows[order], numbers[order], weights[order]


def pair_data(frame: ModelFrame, made: DesignWeights, names: dict[str, str]) -> pd.DataFrame:
    """See ``MatchedDesign.pair_data``."""
    data = frame.data_used()
    for role, name in names.items():
        if not isinstance(name, str):
            raise OptionError(f"{role}= names a column that is added, so it is text, not {name!r}")
    added = [name for role, name in names.items() if role != "distance" or made.distance is not None]
    for name in added:
        if name in data.columns or added.count(name) > 1:
            role = next(r for r, n in names.items() if n == name)
            has = "the data already have" if name in data.columns else "another addition is"
            raise OptionError(f"{has} a column {name!r}; choose another name, as in pair_data({role}='.{role}')")
    rows, numbers, weights = pair_rows(frame, made)
    found = data.iloc[rows].reset_index(drop=True)
    for k, (role, values) in enumerate({"id": data.index[rows], "subclass": numbers, "weights": weights}.items()):
        found.insert(k, names[role], values)
    return found if made.distance is None else found.assign(**{names["distance"]: made.distance[rows]})
