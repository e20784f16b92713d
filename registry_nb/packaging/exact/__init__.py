"""Values and containers as JSON that reads back equal: the same types, dtypes, names, missing values and digits.

Texts, numbers, booleans, None and lists are JSON's own; an array is ``{"array": …, "dtype": …}``; everything else is
``{"$": kind, …}``. JSON that is read may be hostile: each dtype must be on a list, and numpy gets no size other than
that of the values that are there.
"""

from registry_nb.packaging.exact.reading import damaged, read
from registry_nb.packaging.exact.writing import Unwritable, equal, written

__all__ = ["Unwritable", "damaged", "equal", "read", "written"]
