"""PyTorch: modules as a pickle without their weights, and the weights beside it as ``weights.safetensors``.

cloudpickle writes the pickle, so that a class of a notebook's cell is kept with the module. Tensors are written to the
file of weights instead, each once, by its name in the module (``#0``, ``#1``, … if it has none). So the pickle is
small, nothing is in memory twice, and safetensors opens the weights without this package. Tensors that this format
cannot hold stay in the pickle: those of subclasses, sparse, nested, quantized, expanded and complex128 ones, those on
the device ``meta``, and those with objects as attributes. Tied weights and views of a whole tensor are restored as
such; views that overlap without a whole tensor come back as separate tensors.

If the pickle contains code, which another minor version of Python could not run, and there is an example, the module is
exported as well (``model.pt2``), if that works and the weights, which are then kept twice, are small. Another Python
loads the export: a module that predicts for any number of rows, but of another class. To export every module was the
alternative: the first export takes two seconds of imports, and has no use if the pickle contains no code.

PyTorch's own functions write ``ScriptModule`` (``model.pt``) and ``ExportedProgram`` (``model.pt2``). All of these are
code: PyTorch evaluates expressions in the graph of an export, too. Nothing here calls `torch.load`.
"""

from __future__ import annotations

import inspect
import json
import os
import platform
import threading
import weakref
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import FunctionType
from typing import IO, Any

from registry_nb.errors import NewerFormat, NotSerializable, Untrusted, pass_signals
from registry_nb.flavors import Files, pickling, safetensors, torch_export
from registry_nb.flavors.failures import damaged
from registry_nb.flavors.importer import importer_of
from registry_nb.flavors.inputs import arrayed, framed
from registry_nb.flavors.untrusted.audit import Audit
from registry_nb.flavors.untrusted.audit import audit as audit_pickle

__all__ = ["audit", "load", "owns", "predict", "save"]

WEIGHTS, SCRIPT, EXPORTED, ABOUT = "weights.safetensors", "model.pt", "model.pt2", "torch.json"
_FORMAT = 1
#: Modules with more bytes of weights are not exported beside their pickle: an export holds the weights again.
_SMALL = 16 << 20
#: Integers stay integers for modules that contain one of these layers.
_LOOK_UP = ("Embedding", "EmbeddingBag")

_switching = threading.Lock()
#: The modules that are predicting: the number of calls, and the submodules that were in training mode.
_switched: dict[int, tuple[list[int], dict[int, Any]]] = {}
#: The modules of exported programs: making one takes longer than predicting.
_modules: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()


def owns(model: object) -> bool:
    """Whether the object is a module or an exported program of PyTorch, and not one of Keras on PyTorch."""
    names = {(kind.__module__, kind.__name__) for kind in type(model).__mro__}
    ours = {("torch.nn.modules.module", "Module"), ("torch.export.exported_program", "ExportedProgram")}
    return bool(names & ours) and not any(module.partition(".")[0] == "keras" for module, _ in names)


def save(model: Any, folder: str, example: Any) -> list[FunctionType] | None:
    """Write the module, its weights, and an export if it is useful."""
    import torch

    about = {"format": _FORMAT, "python": _python(), "torch": str(torch.__version__)}
    with open(os.path.join(folder, ABOUT), "w", encoding="utf-8") as file:
        json.dump(about, file)
    if isinstance(model, torch.jit.ScriptModule):
        _kept(model, lambda: of_jit("save", model, os.path.join(folder, SCRIPT)))
        return None
    if isinstance(model, torch.export.ExportedProgram):
        _kept(model, lambda: torch.export.save(model, os.path.join(folder, EXPORTED)))
        return None
    functions = _save_module(model, folder)
    files = Files.of_folder(folder)
    small = os.path.getsize(os.path.join(folder, WEIGHTS)) <= _SMALL
    if example is not None and small and audit(files).by_value:
        copy = _load_module(files)  # tracing runs the module's code, which may change it
        torch_export.write(os.path.join(folder, EXPORTED), copy.eval(), lambda: _inputs(copy, example)[1:])
    return functions


def audit(files: Files) -> Audit:
    """Return that it is code, and what the pickle would import."""
    pickled = Audit(kind="code")
    if pickling.FILE in files.names:
        with files.open(pickling.FILE) as file:
            pickled = audit_pickle(file)
    what = "a module of PyTorch, which is code"
    return Audit(
        kind="code",
        imports=pickled.imports,
        problems=(*pickled.problems, what),
        modules=tuple(sorted({*pickled.modules, "numpy", "torch"})),
        by_value=pickled.by_value and EXPORTED not in files.names,
    )


def load(files: Files, *, restricted: bool) -> Any:
    """Read the module onto its device if this machine has one, else onto the CPU."""
    if restricted:
        raise Untrusted(
            what="this model",
            reason="it is a module of PyTorch, which is code, and loading it could run anything",
            remedy="check what it would import before you trust it",
        )
    import torch

    python = _python_of(files)
    if SCRIPT in files.names:
        # An accelerator here need not be the one on which it was saved.
        home = None if torch.accelerator.is_available() else "cpu"
        return _read(files, SCRIPT, lambda file: of_jit("load", file, map_location=home))
    if pickling.FILE not in files.names:
        return _read(files, EXPORTED, torch.export.load)
    if EXPORTED in files.names and python != _python():
        return _read(files, EXPORTED, torch.export.load).module()
    return _load_module(files)


def predict(model: Any, data: Any) -> Any:
    """Apply the module, in evaluation mode and without gradients, and restore its mode.

    A tensor, a tuple of tensors, or a mapping of tensors by the parameters of ``forward`` is passed on, and tensors are
    returned. Anything else becomes one tensor of the dtype of the first floating-point parameter; integers stay
    integers if the module has an embedding. A mapping, or a frame of several columns, whose names are all parameters of
    ``forward``, becomes one tensor for each. Then arrays of numpy are returned, also in tuples, lists and dicts.
    """
    import torch

    run = model
    if isinstance(model, torch.export.ExportedProgram):
        run = _modules[model] = _modules.get(model) or model.module()
    native, positional, named = _inputs(run, data)

    def act() -> Any:
        with torch.no_grad():
            return run(*positional, **named)

    outputs = _in_evaluation(run, act)
    return outputs if native else _outputs(outputs)


# -- a pickle without tensors ----------------------------------------------------------------------------------------


def _save_module(model: Any, folder: str) -> list[FunctionType]:
    import torch

    with torch.no_grad():
        named = {name: tensor for name, tensor in _named(model) if _is_plain(tensor)}
        owners: dict[int, str] = {}
        for name in sorted(named):
            if _is_whole(named[name]):
                owners.setdefault(named[name].untyped_storage().data_ptr(), name)
    names: dict[int, str] = {}
    for name, tensor in named.items():
        names.setdefault(id(tensor), name)
    for name in owners.values():  # of tied weights, the name under which safetensors' own save_model keeps them
        names[id(named[name])] = name
    tensors: dict[str, Any] = {}
    known: dict[int, tuple[Any, tuple[Any, ...]]] = {}  # with the tensor, so that its id is not reused

    class Pickler(pickling.pickler()):  # type: ignore[misc]
        def persistent_id(self, obj: Any) -> Any:
            if not isinstance(obj, torch.Tensor) or not _is_plain(obj):
                return None
            if id(obj) not in known:
                known[id(obj)] = obj, (len(known), *self.put_aside(obj))
            return known[id(obj)][1]

        def put_aside(self, obj: Any) -> tuple[Any, ...]:
            name = names.get(id(obj)) or f"#{len(known)}"
            owner = owners.get(obj.untyped_storage().data_ptr()) if obj.numel() else None
            layout: tuple[Any, ...] = ()
            if owner is not None and owner != name and named[owner].dtype == obj.dtype:
                name, whole = owner, named[owner]
                layout = tuple(obj.shape), obj.stride(), obj.storage_offset()
                tensors[name] = whole
            else:
                tensors[name] = obj
                if not obj.is_contiguous() and _is_dense(obj):  # channels last, transposed
                    layout = (obj.stride(),)
            is_parameter = type(obj) is torch.nn.Parameter
            return name, is_parameter, obj.requires_grad, str(obj.device), layout, dict(vars(obj))

    def dump(module: Any, file: IO[bytes]) -> Any:
        used = Pickler(file)
        used.dump(module)
        return used

    functions = pickling.save(model, folder, dump)
    safetensors.write(os.path.join(folder, WEIGHTS), tensors)
    return functions


def _load_module(files: Files) -> Any:
    import torch

    with files.open(WEIGHTS) as weights:
        tensors = safetensors.read(weights)
    placed: dict[str, Any] = {}
    known: dict[int, Any] = {}

    class Unpickler(pickling.Unpickler):
        def persistent_load(self, pid: Any) -> Any:
            number, *rest = pid
            if number not in known:
                known[number] = self.taken(*rest)
            return known[number]

        def taken(
            self, name: str, is_parameter: bool, requires_grad: bool, device: str, layout: Any, marks: Any
        ) -> Any:
            if name not in tensors:
                raise damaged(f"it has no {name!r}", WEIGHTS)
            if name not in placed:
                placed[name] = tensors[name].to(_device(device))
                if len(layout) == 1:
                    strided = torch.empty_strided(placed[name].shape, layout[0], dtype=placed[name].dtype)
                    placed[name] = strided.to(placed[name].device).copy_(placed[name])
            tensor = torch.as_strided(placed[name], *layout) if len(layout) == 3 else placed[name].detach()
            if is_parameter:
                tensor = torch.nn.Parameter(tensor, requires_grad)
            elif requires_grad:
                tensor.requires_grad_()
            vars(tensor).update(marks)
            return tensor

    with files.open(pickling.FILE) as file:
        return Unpickler(file, importer_of(files)).load()


def _named(model: Any) -> list[tuple[str, Any]]:
    return [*model.named_parameters(remove_duplicate=False), *model.named_buffers(remove_duplicate=False)]


def _is_plain(tensor: Any) -> bool:
    """Whether safetensors can hold everything of a tensor."""
    import torch

    if type(tensor) not in {torch.Tensor, torch.nn.Parameter} or not safetensors.is_known(tensor.dtype):
        return False
    if tensor.layout != torch.strided or tensor.is_nested or tensor.device.type == "meta":
        return False
    if (
        tensor.is_conj()
        or tensor.is_neg()
        or tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes()
    ):
        return False
    return all(type(value) in {bool, int, float, str, type(None)} for value in vars(tensor).values())


def _is_whole(tensor: Any) -> bool:
    size = tensor.numel() * tensor.element_size()
    return bool(size) and tensor.is_contiguous() and tensor.untyped_storage().nbytes() == size


def _is_dense(tensor: Any) -> bool:
    import torch

    return bool(torch.empty_like(tensor, device="meta").stride() == tensor.stride())


def _device(name: str) -> Any:
    import torch

    device = torch.device(name)
    if device.type == "cpu":
        return device
    with suppress(RuntimeError, AttributeError):
        there = torch.get_device_module(device.type)
        if there.is_available() and (device.index or 0) < there.device_count():
            return device
    return torch.device("cpu")


# -- other files -----------------------------------------------------------------------------------------------------


def of_jit(name: str, *arguments: Any, **options: Any) -> Any:
    """Call a function of `torch.jit` without its advice to use another format."""
    import warnings

    import torch

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"`torch\.jit\.\w+` is deprecated", DeprecationWarning)
        return getattr(torch.jit, name)(*arguments, **options)


def _kept(model: Any, act: Callable[[], None]) -> None:
    try:
        act()
    except OSError:
        raise
    except Exception as error:
        pass_signals(error)
        kind = type(model).__name__
        raise NotSerializable(model=kind, path=kind, reason=f"{type(error).__name__}: {error}") from error


def _read(files: Files, name: str, read: Callable[[IO[bytes]], Any]) -> Any:
    with files.open(name) as file:
        try:
            return read(file)
        except (ModuleNotFoundError, OSError):
            raise
        except Exception as error:
            pass_signals(error)
            message = str(error).partition("\n")[0][:200]
            raise damaged(f"PyTorch does not read it ({type(error).__name__}: {message})", name) from error


def _python() -> str:
    return platform.python_version().rpartition(".")[0]


def _python_of(files: Files) -> str:
    try:
        about = json.loads(files.read(ABOUT))
        written, python = int(about["format"]), str(about["python"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise damaged(f"it does not read ({type(error).__name__}: {error})", ABOUT) from error
    if written > _FORMAT:
        raise NewerFormat(path=ABOUT, found=written, known=_FORMAT)
    return python


# -- prediction ------------------------------------------------------------------------------------------------------


def _inputs(model: Any, data: Any) -> tuple[bool, tuple[Any, ...], dict[str, Any]]:
    """Return whether the data are tensors, and the arguments for the module."""
    import torch

    first = next((each for _, each in _named(model) if each.is_floating_point()), None)
    dtype, device = (first.dtype, first.device) if first is not None else (torch.get_default_dtype(), "cpu")
    if isinstance(data, torch.Tensor):
        return True, (data.to(device),), {}
    if isinstance(data, tuple) and data and all(isinstance(value, torch.Tensor) for value in data):
        return True, tuple(value.to(device) for value in data), {}
    looks_up = any(type(each).__name__ in _LOOK_UP for each in model.modules())

    def tensor(value: Any) -> Any:
        return value.to(device) if isinstance(value, torch.Tensor) else _tensor(value, dtype, looks_up).to(device)

    data = data if isinstance(data, Mapping) else framed(data)
    keys = _columns(data)
    if keys and _takes(model, set(keys)):
        native = all(isinstance(data[key], torch.Tensor) for key in keys)
        return native, (), {key: tensor(data[key]) for key in keys}
    return False, (tensor(data),), {}


def _columns(data: Any) -> list[str]:
    """Return the names of several inputs, if there are any; one column of a frame is a matrix, not an argument."""
    if isinstance(data, Mapping):
        return [*data]
    columns = [*getattr(data, "columns", ())]
    return columns if len(columns) > 1 and all(isinstance(name, str) for name in columns) else []


def _takes(model: Any, keys: set[str]) -> bool:
    """Whether ``forward`` takes arguments of these names; ``**kwargs`` takes any, after those that it needs."""
    try:
        parameters = inspect.signature(model.forward).parameters.values()
    except (TypeError, ValueError):
        return keys <= {argument.name for argument in model.forward.schema.arguments}
    named = [each for each in parameters if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)]
    needed = {each.name for each in named if each.default is each.empty}
    open_ended = any(each.kind is each.VAR_KEYWORD for each in parameters)
    return keys <= {each.name for each in named} or (open_ended and needed <= keys)


def _tensor(value: Any, dtype: Any, looks_up: bool) -> Any:
    import numpy as np
    import torch

    array = arrayed(value.toarray() if hasattr(value, "toarray") else value)
    if array.dtype.kind == "O":
        array = array.astype(np.float64)  # a frame of several types; raises if some are not numbers
    # A copy, always: PyTorch takes no array that is read-only, reversed or of another byte order, and a module may
    # write into its input.
    tensor = torch.from_numpy(array.astype(array.dtype.newbyteorder("="), order="C"))
    if array.dtype.kind in "iu" and looks_up:
        return tensor.long()
    return tensor.to(dtype) if array.dtype.kind in "fiu" or (array.dtype.kind == "b" and not looks_up) else tensor


def _outputs(outputs: Any) -> Any:
    import torch

    if isinstance(outputs, torch.Tensor):
        outputs = outputs.detach().cpu()
        outputs = outputs.to_dense() if outputs.layout != torch.strided else outputs.resolve_conj().resolve_neg()
        exotic = outputs.is_floating_point() and outputs.dtype not in {torch.float16, torch.float32, torch.float64}
        return (outputs.float() if exotic else outputs).numpy()
    if isinstance(outputs, Mapping):
        return {key: _outputs(value) for key, value in outputs.items()}
    if isinstance(outputs, tuple) and hasattr(outputs, "_fields"):
        return type(outputs)(*map(_outputs, outputs))
    if isinstance(outputs, (tuple, list)):
        return type(outputs)(map(_outputs, outputs))
    return outputs


def _in_evaluation(model: Any, act: Callable[[], Any]) -> Any:
    """Call a function while the module is in evaluation mode; the last of several threads restores its mode."""
    with _switching:
        if id(model) not in _switched:
            training = {id(each): each for each in model.modules() if each.training}
            if training:
                with suppress(NotImplementedError):  # an export has but one mode
                    model.eval()
            _switched[id(model)] = [0], training
        calls, training = _switched[id(model)]
        calls[0] += 1
    try:
        return act()
    finally:
        with _switching:
            calls[0] -= 1
            if not calls[0]:
                del _switched[id(model)]
                if id(model) in training:
                    with suppress(NotImplementedError):
                        model.train()
                if training:
                    for each in model.modules():
                        each.training = id(each) in training
