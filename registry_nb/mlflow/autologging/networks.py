"""Keras' ``Model.fit`` and Lightning's ``Trainer.fit``."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any

from registry_nb.mlflow.autologging.patching import Patches
from registry_nb.mlflow.autologging.training import Options, Training, arguments, head_of, with_defaults

_Switch = Callable[[], Options | None]
#: Arguments of Keras' ``fit`` that are data, or functions.
_NO_PARAMS = {"self", "x", "y", "callbacks", "validation_data", "verbose"}


def install_keras(patches: Patches, options: _Switch, keras: Any) -> None:
    """Let Keras' models log their trainings."""
    patches.around(keras.Model, "fit", functools.partial(_fit_keras, options))


def install_lightning(patches: Patches, options: _Switch, lightning: Any) -> None:
    """Let Lightning's trainers log their trainings; the library is ``lightning.pytorch`` or ``pytorch_lightning``."""
    patches.around(lightning.Trainer, "fit", functools.partial(_fit_lightning, options, lightning))


def _file(name: str, text: str, folder: str) -> None:
    with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
        file.write(text)


# -- Keras ----------------------------------------------------------------------------------------------------------


def _fit_keras(options: _Switch, original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    chosen = options()
    if chosen is None:
        return original(*args, **kwargs)
    model = args[0]
    with Training("keras", chosen, type(model).__name__) as log:
        if log is None:
            return original(*args, **kwargs)
        bound = log.attempt("its params and metrics", arguments, original, args, kwargs)
        if bound is None:
            return original(*args, **kwargs)
        given = with_defaults(bound)
        head = log.attempt("the first rows of its data", _head, given["x"])
        log.attempt("some params", log.params, _params(given))
        bound.arguments["callbacks"] = _with(given["callbacks"], log)
        result = original(*bound.args, **bound.kwargs)
        if chosen.log_models:
            log.attempt("its model", log.model, model, head, functools.partial(model.predict, verbose=0))
        return result


def _head(data: Any) -> Any:
    """Return the first rows; None of a dataset or a generator, which would be used up."""
    if isinstance(data, dict):
        return {name: head_of(values) for name, values in data.items()}
    return head_of(data) if hasattr(data, "__getitem__") and hasattr(data, "shape") else None


def _params(given: dict[str, Any]) -> dict[str, Any]:
    params = {name: value for name, value in given.items() if name not in _NO_PARAMS}
    if params["batch_size"] is None:
        size: Any = getattr(given["x"], "batch_size", None) or getattr(given["x"], "_batch_size", None)
        params["batch_size"] = size.numpy() if hasattr(size, "numpy") else size
    return params


def _with(callbacks: Any, log: Training) -> Any:
    """Add the callback that logs, without changing the caller's list."""
    import keras

    class Recorder(keras.callbacks.Callback):  # type: ignore[misc]  # the library has no types here
        def on_train_begin(self, logs: Any = None) -> None:
            log.attempt("its optimizer", _log_optimizer, log, self.model)
            log.attempt("its summary", log.files, functools.partial(_file, "model_summary.txt", _summary(self.model)))

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            every = log.options.log_every_n_steps
            if every and not log.options.log_every_epoch:
                step = int(self.model.optimizer.iterations.numpy())
                if step % every == 0:
                    log.attempt("the metrics of some steps", log.measure, logs or {}, step)

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            if log.options.log_every_epoch:
                log.attempt("the metrics of some epochs", log.measure, logs or {}, epoch)

        def on_test_end(self, logs: Any = None) -> None:
            found = {f"validation_{name}": value for name, value in (logs or {}).items()}
            log.attempt("its validation", log.measure, found, 0)

    if isinstance(callbacks, keras.callbacks.CallbackList):  # the caller's own, which knows its model already
        log.problems.append("the metrics of its epochs (callbacks= is a CallbackList)")
        return callbacks
    several = list(callbacks) if isinstance(callbacks, (list, tuple)) else [callbacks] if callbacks else []
    return [*several, Recorder()]


def _log_optimizer(log: Training, model: Any) -> None:
    prefix = log.options.optimizer_prefix
    log.params({f"{prefix}{name}": value for name, value in model.optimizer.get_config().items()})


def _summary(model: Any) -> str:
    lines = list[str]()
    model.summary(print_fn=lambda line, *_, **__: lines.append(line))
    return "\n".join(lines)


# -- Lightning ------------------------------------------------------------------------------------------------------


def _fit_lightning(options: _Switch, lightning: Any, original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    chosen = options()
    if chosen is None:
        return original(*args, **kwargs)
    trainer = args[0]
    model = args[1] if len(args) > 1 else kwargs.get("model")
    with Training("pytorch", chosen, type(model).__name__) as log:
        if log is None:
            return original(*args, **kwargs)
        seen = list[tuple[Any, Any]]()
        watching = log.attempt("the signature of its model", _watch, model, seen)
        recorder = log.attempt("its params and metrics", _lightning_recorder, lightning, log)
        trainer.callbacks += [recorder] if recorder is not None else []
        try:
            result = original(*args, **kwargs)
        finally:
            if recorder in trainer.callbacks:
                trainer.callbacks.remove(recorder)
            if watching is not None:
                watching.remove()
        log.attempt("its summary", _log_summary, log, model, lightning)
        if chosen.log_models:
            inputs, outputs = seen[0] if seen else (None, None)
            log.attempt("its model", log.model, model, inputs, lambda _: outputs)
        return result


def _watch(model: Any, seen: list[tuple[Any, Any]]) -> Any:
    """Keep what the model first takes and returns, if each is one tensor; return a handle that ends it."""
    import torch

    def look(_: Any, inputs: tuple[Any, ...], outputs: Any) -> None:
        if not seen and len(inputs) == 1 and isinstance(inputs[0], torch.Tensor) and isinstance(outputs, torch.Tensor):
            seen.append((inputs[0].detach().cpu().numpy(), outputs.detach().cpu().numpy()))

    return model.register_forward_hook(look)


def _lightning_recorder(lightning: Any, log: Training) -> Any:
    class Recorder(lightning.Callback):  # type: ignore[misc]  # the library has no types here
        def on_train_start(self, trainer: Any, module: Any) -> None:
            log.attempt("some params", _log_lightning_params, log, trainer)

        def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
            every = log.options.log_every_n_step
            if every and (trainer.global_step + 1) % every == 0:
                found = {name: float(value) for name, value in trainer.logged_metrics.items()}
                log.attempt("the metrics of some steps", log.measure, found, trainer.global_step)

        def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
            if not trainer.sanity_checking and (module.current_epoch + 1) % log.options.log_every_n_epoch == 0:
                found = {name: float(value) for name, value in trainer.callback_metrics.items()}
                log.attempt("the metrics of some epochs", log.measure, found, module.current_epoch)

    return Recorder()


def _log_lightning_params(log: Training, trainer: Any) -> None:
    params = {"epochs": trainer.max_epochs}
    if trainer.optimizers:
        optimizer = trainer.optimizers[0]
        optimizer = getattr(optimizer, "_optimizer", optimizer)
        params |= {"optimizer_name": type(optimizer).__name__, **optimizer.defaults}
    log.params(params, {"Mode": "training"})


def _log_summary(log: Training, model: Any, lightning: Any) -> None:
    summary = lightning.utilities.model_summary.ModelSummary(model, max_depth=-1)
    log.files(functools.partial(_file, "model_summary.txt", str(summary)))
