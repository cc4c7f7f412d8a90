"""Columns of extra data as what analysts work with."""
from __future__ import annotations

from typing import Any, Dict

import numpy as np


def table_of(columns: Dict[str, Any], sample_rates: Dict[str, float]) -> Any:
    """A pandas.DataFrame, its attrs["sample_rates"] by data set; without pandas a dict of arrays.

    columns: arrays, or lists of what is no number.
    """
    arrays = {name: _array_of(values) for name, values in columns.items()}
    try:
        import pandas
    except ImportError:
        return arrays
    table = pandas.DataFrame(arrays, copy=False)
    table.attrs["sample_rates"] = sample_rates
    return table


def _array_of(values: Any) -> np.ndarray:
    if not isinstance(values, list):
        return values
    array = np.empty(len(values), object)
    array[:] = values
    return array
