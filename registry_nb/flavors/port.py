"""The port: what a flavor does."""

from __future__ import annotations

from collections.abc import Sequence
from types import FunctionType
from typing import Any, Protocol

from registry_nb.flavors.files import Files
from registry_nb.flavors.untrusted.audit import Audit


class Flavor(Protocol):
    """The functions of a flavor: a module has them, or an object, whose class may derive from this one.

    A module may leave out `answer` and `is_prepared_by_loading`, and then gets the defaults below. It imports its
    framework inside the functions, so that nothing is loaded before a model needs it. It knows nothing of records,
    digests or trust.

    Another package adds a flavor with an entry point; see `registry_nb.flavors.catalog` for what it may do.
    """

    def owns(self, model: object) -> bool:
        """Return whether the object is this flavor's, without importing its framework."""

    def save(self, model: Any, folder: str, example: Any) -> Sequence[FunctionType] | None:
        """Write the model as files into an empty folder; `example` is some input, or None.

        Returns
        -------
        sequence of function, or None
            The functions whose code it wrote, if it writes code: what they import is kept with the model, or has to be
            installed.
        """

    def audit(self, files: Files) -> Audit:
        """Read the files, and return what loading them would import and run.

        `Audit.modules` become the model's requirements: a flavor of another package names itself there.
        """

    def load(self, files: Files, *, restricted: bool) -> Any:
        """Read the model.

        With `restricted`, the origin of the files is unknown. Load them only if they are data, after
        `trial_load.survives` loaded them and predicted in another process, and import nothing that they name.

        Raises
        ------
        Untrusted
            If it is restricted, and the model is code, as every pickle is.
        """

    def predict(self, model: Any, data: Any) -> Any:
        """Apply the model to a frame of pandas, an array, or anything else that its framework takes."""

    def answer(self, model: Any, data: Any) -> Any:
        """Apply the model as its registration does; None if it does nothing with new data. By default: `predict`.

        A scaler, which does not predict, transforms.
        """
        return self.predict(model, data)

    def is_prepared_by_loading(self, model: Any) -> bool:
        """Return whether the object predicts only after it was saved and loaded. By default: no."""
        return False
