"""The verbs that change something: register, move, describe, remove, load, trust and choose."""

from __future__ import annotations

import argparse
import keyword
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from registry_nb.display.cells import visible
from registry_nb.display.provenance import cells_of, source_of
from registry_nb.display.sheets import Page, Sheet
from registry_nb.errors import shown
from registry_nb.notebook.grammar import (
    BECAUSE,
    NAME,
    REF,
    REFERENCE,
    STAGES,
    TO,
    YES,
    Misread,
    Notebook,
    Unusable,
    argument,
    is_which,
    is_whole,
    named,
    numbers,
    pairs,
    reference,
    staged,
    uri_of,
    verb,
)
from registry_nb.operations import resolve
from registry_nb.operations.integrity import is_altered
from registry_nb.registry import Registry

# -- Register --------------------------------------------------------------------------------------------------------


@verb(
    "register",
    "Register",
    "a variable of the notebook as the next version of a model",
    "register model as Iris --example X[:5] --metric accuracy=0.97",
    argument(
        "words",
        metavar="VARIABLE as NAME",
        nargs="+",
        help="an object with predict(X), or a callable: model, grid.best_estimator_; then the model",
    ),
    argument("--path", metavar="PATH", help="instead of VARIABLE: a file or folder, registered as it is"),
    argument("--example", metavar="X", help="some input: a variable or an expression"),
    argument("--metric", action="append", default=[], metavar="K=V", help="such as accuracy=0.97 or accuracy=$score"),
    argument("--metrics", metavar="DICT", help="a variable or an expression: a dict of numbers"),
    argument("--param", action="append", default=[], metavar="K=V", help="such as C=1.0 or C={model.C}"),
    argument("--tag", action="append", default=[], metavar="K=V", help="such as team=risk"),
    argument("--alias", action="append", default=[], metavar="A", help="an alias that points to it from now on"),
    argument("--describe", default="", metavar="TEXT", help="the version's description"),
    argument("--data", metavar="X", help="the training data, for its fingerprint"),
    argument("--stage", metavar="STAGE", help="promote it to Production or Staging"),
    argument("--no-provenance", action="store_true", help="do not record the cells that made it"),
    BECAUSE,
    changes=True,
)
def _register(notebook: Notebook, registry: Registry, given: argparse.Namespace) -> Any:
    if given.stage is not None:
        resolve.serving(given.stage, "promote")  # before anything is registered
    variable, name = what_is_registered(given)
    facts: dict[str, Any] = {
        "example": None if given.example is None else notebook.value(given.example),
        "data": None if given.data is None else notebook.value(given.data),
        "provenance": not given.no_provenance,
        "metrics": _metrics(notebook, given),
        "params": pairs(given.param),
        "tags": pairs(given.tag),
        "description": given.describe,
        "aliases": given.alias,
        "because": given.because,
    }
    if variable is None:
        version = registry.register_files(given.path, name, **facts)
    else:
        version = registry.register(notebook.variable(variable), name, **facts)
    if given.stage is None:
        return version
    return registry.promote(version.name, version.version, given.stage, because=given.because)


def what_is_registered(given: argparse.Namespace) -> tuple[str | None, str]:
    """Read ``VARIABLE as NAME``, or, with a path, ``as NAME`` or ``NAME``; return the variable and the name."""
    words = given.words
    if given.path is not None:
        named_by = words[1:] if words[0] == "as" and len(words) > 1 else words
        if len(named_by) > 1:
            raise Misread(f"--path stands for the variable, and {shown(words[0])} is another one")
        return None, named(named_by[0])
    if len(words) > 1 and words[1] != "as":
        raise Misread(f"the word 'as' stands before the model's name, not {shown(words[1])}")
    if missing := ["as", "NAME"][len(words) - 1 :]:
        raise Misread(f"missing: {', '.join(missing)}")
    if len(words) > 3:
        raise Misread(f"Unexpected argument {shown(words[3])}")
    return words[0], named(words[2])


def _metrics(notebook: Notebook, given: argparse.Namespace) -> Mapping[str, Any]:
    if given.metrics is None:
        return numbers(given.metric)
    metrics = notebook.value(given.metrics)
    if not isinstance(metrics, Mapping):
        raise Misread(f"--metrics takes a dict of numbers, and {shown(given.metrics)} is a {type(metrics).__name__}")
    return {**metrics, **numbers(given.metric)} if given.metric else metrics


# -- Move ------------------------------------------------------------------------------------------------------------


@verb(
    "promote",
    "Move",
    "a version to Production, alone; the version before is archived",
    'promote Iris 3 --because "0.97 on holdout"',
    REF,
    TO,
    BECAUSE,
    argument("--expected", type=int, metavar="V", help="the version that you believe holds the stage now; 0 for none"),
    argument("--force", action="store_true", help="override a failing policy"),
    changes=True,
)
def _promote(_: Notebook, registry: Registry, given: argparse.Namespace) -> Any:
    ref, to = staged(given.ref, given.to)
    name, which = reference(ref, needs="promote Iris 3")
    return registry.promote(name, which, to, because=given.because, expected=given.expected, force=given.force)


@verb(
    "stage",
    "Move",
    f"a version to any stage ({STAGES})",
    "stage Iris 3 Staging",
    argument("words", metavar="REF STAGE", nargs="+", help=f"{REFERENCE}; then {STAGES}"),
    BECAUSE,
    changes=True,
)
def _stage(_: Notebook, registry: Registry, given: argparse.Namespace) -> Any:
    *ref, stage = given.words
    name, which = reference(ref, needs="stage Iris 3 Staging")
    return registry.transition(name, which, stage, because=given.because)


@verb("archive", "Move", "a version out of the way", "archive Iris 1", REF, BECAUSE, changes=True)
def _archive(_: Notebook, registry: Registry, given: argparse.Namespace) -> Any:
    ref, stage = staged(given.ref, None)
    if len(ref) < len(given.ref) and stage.casefold() != "archived":
        raise Misread(f"archive moves to Archived, not to {shown(stage)}")
    name, which = reference(ref, needs="archive Iris 1")
    return registry.archive(name, which, because=given.because)


@verb(
    "rollback",
    "Move",
    "Production to the version that held it before",
    'rollback Iris --because "complaints"',
    NAME,
    argument("where", nargs="?", metavar="STAGE", help="Production (the default) or Staging"),
    argument("--to", type=int, metavar="V", help="an earlier holder, if not the last one"),
    argument("--stage", metavar="STAGE", help="the same"),
    BECAUSE,
    argument("--dry-run", action="store_true", help="only show which version it would be"),
    changes=True,
    asks=lambda given: given.dry_run,
)
def _rollback(_: Notebook, registry: Registry, given: argparse.Namespace) -> Any:
    _words, stage = staged([given.name, "", *([] if given.where is None else [given.where])], given.stage)
    if given.where is not None and stage != given.where:
        raise Misread(f"Unexpected argument {shown(given.where)}: rollback takes a stage; an earlier holder is --to")
    return registry.rollback(given.name, stage=stage, to=given.to, because=given.because, dry_run=given.dry_run)


@verb(
    "atomically",
    "Move",
    "the lines of its cell in one commit: all of them, or none",
    'atomically --because "trained together"',
    BECAUSE,
    changes=True,
    cell=True,
)
def _atomically(_: Notebook, registry: Registry, given: argparse.Namespace) -> Any:
    registry.atomically(because=given.because)
    raise Unusable("atomically is written as %%registry atomically, with a verb in each line of the cell below it")


# -- Describe --------------------------------------------------------------------------------------------------------


@verb(
    "describe",
    "Describe",
    "a model or a version, in words",
    'describe Iris/3 "trained on the May data"',
    argument("words", metavar="REF TEXT", nargs="+", help="Iris, Iris 3 or Iris/3; then the text in quotes"),
    changes=True,
)
def _describe(_: Notebook, registry: Registry, given: argparse.Namespace) -> Any:
    *ref, text = given.words
    if len(ref) > (1 if ref and is_whole(ref[0]) else 2):
        raise Misread("a text with blanks stands in quotes")
    if not ref or (len(ref) == 1 and not is_whole(ref[0]) and re.fullmatch(r"[vV]?\d+|@\S+|latest", text)):
        raise Misread("a text in quotes is missing")
    if named := re.match(r"(text|description|desc)=", text):
        raise Misread(f"the text stands behind the model without {named[0]}")
    name, which = reference(ref, needs='describe Iris/3 "trained on the May data"', model_too=True)
    return registry.describe(name, text, version=which)


@verb(
    "tag",
    "Describe",
    "a model or a version with key=value",
    "tag Iris/3 reviewed=yes owner=ada",
    argument("words", metavar="REF K=V…", nargs="+", help="Iris, Iris 3 or Iris/3; then keys with values"),
    changes=True,
)
def _tag(_: Notebook, registry: Registry, given: argparse.Namespace) -> Any:
    ref = given.words[: 1 if "=" in "".join(given.words[1:2]) else 2]  # a model's name may have a = in it
    if len(ref) == len(given.words):
        raise Misread("a tag as key=value is missing")
    name, which = reference(ref, needs="tag Iris/3 reviewed=yes", model_too=True)
    return registry.tag(name, pairs(given.words[len(ref) :]), version=which)


@verb(
    "untag",
    "Describe",
    "remove tags of a model or a version",
    "untag Iris/3 reviewed",
    argument("words", metavar="REF KEY…", nargs="+", help="Iris, Iris 3 or Iris/3; then the keys to remove"),
    changes=True,
    idle="there is no such tag",
)
def _untag(_: Notebook, registry: Registry, given: argparse.Namespace) -> Any:
    words = given.words
    ref = words[: 2 if len(words) > 2 and not is_whole(words[0]) and is_which(words[1]) else 1]
    if len(ref) == len(words):
        raise Misread("the key of a tag is missing")
    name, which = reference(ref)
    keys = words[len(ref) :]
    if any(re.search(r"=|,$", key) or key.isdecimal() for key in keys):
        tags = (registry.model(name) if which is None else registry.version(name, which)).tags
        if which is None and len(keys) == 1 and keys[0].isdecimal() and keys[0] not in tags:
            raise Misread("the key of a tag is missing")
        for key in keys:
            if re.search(r"=|,$", key) and key not in tags:
                raise Misread(f"{shown(key)} is not the key of a tag; blanks stand between keys")
    return registry.untag(name, *keys, version=which)


@verb(
    "alias",
    "Describe",
    "a version with a name that you choose",
    "alias Iris 3 champion",
    argument("words", metavar="REF ALIAS", nargs="+", help=f"{REFERENCE}; then the alias"),
    changes=True,
)
def _alias(_: Notebook, registry: Registry, given: argparse.Namespace) -> Any:
    *ref, alias = given.words
    if len(ref) == 2 and not is_which(ref[1]) and is_which(alias) and not alias.startswith("@"):
        ref, alias = [ref[0], alias], ref[1]  # as Python writes it
    name, which = reference(ref, needs="alias Iris 3 champion")
    return registry.alias(name, alias.removeprefix("@"), which)


@verb(
    "unalias", "Describe", "remove an alias", "unalias Iris champion", NAME, argument("alias", metavar="ALIAS"),
    changes=True,
)  # fmt: skip
def _unalias(_: Notebook, registry: Registry, given: argparse.Namespace) -> Any:
    return registry.unalias(given.name, given.alias.removeprefix("@"))


@verb(
    "rename",
    "Describe",
    "give a model another name",
    "rename Iris Flower",
    NAME,
    argument("new", metavar="NEW", help="its name from now on; its versions and its history go with it"),
    changes=True,
)
def _rename(_: Notebook, registry: Registry, given: argparse.Namespace) -> Any:
    return registry.rename(given.name, given.new)


@verb(
    "copy",
    "Describe",
    "a version as the next one of another model",
    "copy Iris/3 Flower",
    argument("words", metavar="REF NAME", nargs="+", help=f"{REFERENCE}, runs:/ID/PATH; then the other model"),
    BECAUSE,
    changes=True,
)
def _copy(_: Notebook, registry: Registry, given: argparse.Namespace) -> Any:
    *ref, name = given.words
    return registry.copy(uri_of(ref, needs="copy Iris/3 Flower"), name, because=given.because)


@verb(
    "delete",
    "Describe",
    "a version, or a model with all of them",
    "delete Iris/1 --yes",
    argument("ref", metavar="REF", nargs="+", help="Iris 1, Iris/1; or Iris, all of it"),
    BECAUSE,
    YES,
    changes=True,
)
def _delete(notebook: Notebook, registry: Registry, given: argparse.Namespace) -> Any:
    name, which = reference(given.ref)
    number = None if which is None else registry.version(name, which).version
    what = f"{registry.model(name).name} with all its versions" if number is None else f"{name} {number}"
    if not notebook.confirmed(f"Delete {what}?", given=given.yes):
        return _message(f"{what} was not deleted")
    registry.delete(name, version=number, because=given.because)
    return _message(f"{what} is deleted; its history stays")


@verb(
    "attach",
    "Describe",
    "files beside a version: reports, pictures, tables",
    "attach Iris 3 --file report.html --file roc.png",
    REF,
    argument("--file", action="append", default=[], metavar="PATH", help="is attached under its own name"),
    argument("--remove", action="append", default=[], metavar="NAME", help="is taken away"),
    BECAUSE,
    changes=True,
)
def _attach(_: Notebook, registry: Registry, given: argparse.Namespace) -> Any:
    uri = uri_of(given.ref, needs="attach Iris 3 --file report.html")
    if not given.file and not given.remove:
        raise Misread("nothing is said to be attached: --file PATH, or --remove NAME")
    files = {path.name: path for path in map(Path, given.file)}
    return registry.attach(uri, {**files, **dict.fromkeys(given.remove)}, because=given.because)


@verb(
    "prune",
    "Describe",
    "the old versions that their models' rules let go: listed or, with --delete, deleted",
    "prune Iris --delete",
    argument("name", nargs="?", metavar="NAME", type=named, help="the default is all models that have a rule"),
    BECAUSE,
    argument("--delete", action="store_true", help="delete them"),
    changes=True,
    idle="every version is kept",
    asks=lambda given: not given.delete,
)
def _prune(_: Notebook, registry: Registry, given: argparse.Namespace) -> Any:
    return registry.prune(given.name, dry_run=not given.delete, because=given.because)


# -- Use -------------------------------------------------------------------------------------------------------------


@verb(
    "load",
    "Use",
    "put a model into the notebook",
    "load Iris/Production as model",
    argument("words", metavar="REF [as VARIABLE]", nargs="+", help=f"{REFERENCE}; as VARIABLE keeps it"),
    argument("--verify", action="store_true", help="predict the probe rows again, and compare"),
    argument("--trust", metavar="DIGEST", help="sha256:…, load exactly these bytes, whoever made them"),
)
def _load(notebook: Notebook, registry: Registry, given: argparse.Namespace) -> Any:
    words = list(given.words)
    target = None
    if len(words) > 2 and words[-2] == "as":
        target = words[-1]
        del words[-2:]
        if not target.isidentifier() or keyword.iskeyword(target):
            raise Misread(f"{shown(target)} cannot be the name of a variable")
    uri = uri_of(words, needs="load Iris/Production")
    model = registry.load(uri, trust=given.trust, verify="behaviour" if given.verify else None)
    if target is not None:
        notebook.assign(target, model)
    return model


@verb(
    "trust",
    "Use",
    "trust a version, or its signer from now on",
    'trust Iris 3 --because "Ada trained it"',
    REF,
    argument("--signer", metavar="KEY", help="ed25519:…, a signer whose models load like your own from now on"),
    BECAUSE,
    changes=True,
)
def _trust(_: Notebook, registry: Registry, given: argparse.Namespace) -> Any:
    uri = uri_of(given.ref, needs="trust Iris 3")
    return registry.trust(uri, signer=given.signer, because=given.because)


@verb(
    "download",
    "Use",
    "a model's files, as its framework reads them",
    "download Iris/Production folder",
    argument("words", metavar="REF FOLDER", nargs="+", help=f"{REFERENCE}; then the folder"),
)
def _download(_: Notebook, registry: Registry, given: argparse.Namespace) -> Any:
    *ref, folder = given.words
    written = registry.download(uri_of(ref, needs="download Iris/Production folder"), folder)
    return _message(f"written to {written}")


@verb("reproduce", "Use", "put the cells that made a version into the next cell", "reproduce Iris 3", REF)
def _reproduce(notebook: Notebook, registry: Registry, given: argparse.Namespace) -> Any:
    name, which = reference(given.ref, needs="reproduce Iris 3")
    version = registry.version(name, which)
    altered = is_altered(registry.store, version)
    if source := source_of(version, altered=altered):
        notebook.next_cell(source)
    return cells_of(version, altered=altered)


@verb(
    "use",
    "Use",
    "show the current registry, or choose another",
    "use ~/models",
    argument("uri", nargs="?", metavar="URI", help="a folder, created by the first write"),
)
def _use(notebook: Notebook, registry: Registry, given: argparse.Namespace) -> Any:
    return registry if given.uri is None else notebook.use(given.uri)


def _message(sentence: str) -> Page:
    return Page(visible(sentence), Sheet(visible(sentence)))
