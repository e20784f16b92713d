"""Completion for bash and zsh, by argcomplete.

shtab was the alternative: its script is static and starts no Python, but it cannot offer the models, versions and
stages of a registry, which is what people type. argcomplete asks this program at each Tab, so it is never out of date.
"""

from __future__ import annotations

import argparse
import os
import shlex
from typing import Any

from argcomplete.finders import CompletionFinder
from argcomplete.lexers import split_line
from argcomplete.shell_integration import shellcode

from registry_nb import session
from registry_nb.cli.terminal import Terminal
from registry_nb.notebook.completion import completed

PROGRAM = "registry-nb"


def script(shell: str) -> str:
    """Return the lines that a shell runs at its start."""
    return str(shellcode([PROGRAM], shell=shell))


def answer(commands: list[str]) -> None:
    """Answer the shell, which asks by environment variables, and end the process; otherwise do nothing."""
    parser = argparse.ArgumentParser(PROGRAM, add_help=False)
    parser.add_argument("words", nargs="*")
    finder = _Finder()
    finder.commands = commands
    finder(parser, always_complete_options=False)


class _Finder(CompletionFinder):
    """Ask our own completion instead of the parser of argparse, which knows no names of a registry."""

    commands: list[str]

    def collect_completions(self, active_parsers: Any, parsed_args: Any, cword_prefix: str) -> list[str]:
        """Return the words that may follow what is typed."""
        line, point = os.environ["COMP_LINE"], int(os.environ["COMP_POINT"])
        _, _, _, words, _ = split_line(line, point)
        found = offered(words[1:], cword_prefix, self.commands)
        self._display_completions = dict.fromkeys(found, "")  # zsh would print None behind each
        return found


def offered(words: list[str], prefix: str, commands: list[str]) -> list[str]:
    """Return the words that begin with `prefix` and may follow `words`, which have no quotes."""
    left, uri = list[str](), None
    following = iter(words)
    for word in following:
        if word == "--registry":
            uri = next(following, "")
        elif word.startswith("--registry="):
            uri = word.partition("=")[2]
        elif word != "--json":
            left.append(word)
    quote = '"' if " " in prefix else ""
    line = "".join(f"{shlex.quote(word)} " for word in left)
    typed, found = completed(f"{line}{quote}{prefix}", Terminal(), lambda: session.registry_at(uri or None))
    begun = prefix[: len(prefix) - len(typed.removeprefix(quote))]
    more = commands if not left else []
    more = [*more, "--json", "--registry"] if prefix.startswith("-") else more
    return [*(f"{begun}{_unquoted(word)}" for word in found), *(word for word in more if word.startswith(prefix))]


def _unquoted(word: str) -> str:
    """Remove the quotes of a name, which argcomplete writes as the shell needs them."""
    return "".join(shlex.split(word)) if word.startswith('"') and word.endswith('"') and len(word) > 1 else word
