"""Frames one after another as one, with the levels of all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import narwhals as nw


def stacked(frames: Sequence[Any]) -> Any:
    """Frames of the same columns as one; levels of categories in the order in which the frames have them.

    Parameters
    ----------
    frames : sequence of frames that narwhals reads

    Returns
    -------
    a frame of their own library
    """
    wrapped = [nw.from_native(frame, eager_only=True) for frame in frames]
    if wrapped[0].implementation.is_pyarrow():
        return nw.concat(wrapped).to_native().unify_dictionaries()
    if not wrapped[0].implementation.is_pandas():
        return nw.concat(wrapped).to_native()
    import pandas as pd

    natives = [frame.to_native() for frame in wrapped]
    for name in natives[0].columns:
        columns = [native[name] for native in natives]
        if all(isinstance(column.dtype, pd.CategoricalDtype) for column in columns):
            # as pandas has them, of levels that differ there would be none
            levels = list(dict.fromkeys(level for column in columns for level in column.cat.categories))
            natives = [
                native.assign(**{name: column.cat.set_categories(levels)})
                for native, column in zip(natives, columns, strict=True)
            ]
    return pd.concat(natives, ignore_index=True)
