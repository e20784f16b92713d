"""The export of a PyTorch module beside its pickle, for a Python that cannot run the pickle's code."""

from __future__ import annotations

import logging
import os
import sys
import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from registry_nb.errors import pass_signals

__all__ = ["write"]


def write(path: str, model: Any, inputs: Callable[[], tuple[Sequence[Any], Mapping[str, Any]]]) -> None:
    """Export a module in evaluation mode, for any number of rows; write nothing if that fails.

    `inputs` makes positional and named tensors from the example; their first dimension is the rows.
    """
    import torch

    def arguments(values: Sequence[Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return tuple(values[: len(positional)]), dict(zip(named, values[len(positional) :], strict=True))

    try:
        positional, named = inputs()
        some = [torch.cat([value[:4]] * 4) for value in (*positional, *named.values())]
        args, kwargs = arguments([value[:2] for value in some])  # one row would become a constant
        shapes = arguments([{0: torch.export.Dim.AUTO} for _ in some])
        with _Silence(), torch.no_grad():
            program = torch.export.export(model, args, kwargs, dynamic_shapes=shapes[1] or shapes[0])
            exported = program.module()
            for rows in (1, 3):
                args, kwargs = arguments([value[:rows] for value in some])
                torch.testing.assert_close(exported(*args, **kwargs), model(*args, **kwargs))
            for part in program.graph_module.modules():
                for node in part.graph.nodes if isinstance(part, torch.fx.GraphModule) else ():
                    node.meta.pop("stack_trace", None)  # paths and lines of the author's files
            torch.export.save(program, path)
    except Exception as error:  # noqa: BLE001  # control flow that depends on the data, and other code that cannot be exported
        pass_signals(error)
        with suppress(FileNotFoundError):
            os.remove(path)


class _Silence:
    """Suppresses the warnings, logs and stderr of this thread: an export that fails prints a long explanation."""

    def __enter__(self) -> None:
        self._me, self._stderr = threading.get_ident(), sys.stderr
        known = list(logging.root.manager.loggerDict.items())
        loggers = [logger for name, logger in known if name.partition(".")[0] == "torch"]
        self._handlers = [handler for logger in loggers for handler in getattr(logger, "handlers", ())]
        for handler in self._handlers:
            handler.addFilter(self.filter)
        self._warnings = warnings.catch_warnings()
        self._warnings.__enter__()
        warnings.simplefilter("ignore")
        sys.stderr = self

    def __exit__(self, *_: object) -> None:
        sys.stderr = self._stderr
        self._warnings.__exit__(None, None, None)
        for handler in self._handlers:
            handler.removeFilter(self.filter)

    def filter(self, record: logging.LogRecord) -> bool:
        return record.thread != self._me

    def write(self, text: str) -> int:
        return len(text) if threading.get_ident() == self._me else self._stderr.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stderr, name)
