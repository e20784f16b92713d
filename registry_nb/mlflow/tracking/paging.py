"""Pages of results, with MLflow's tokens."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable
from typing import Generic, TypeVar

from registry_nb.errors import Invalid

T = TypeVar("T")


class PagedList(list[T], Generic[T]):
    """One page.

    Attributes
    ----------
    token : str or None
        The ``page_token`` of the next page; None on the last one.
    """

    def __init__(self, items: Iterable[T], token: str | None) -> None:
        super().__init__(items)
        self.token = token


def paged(results: list[T], max_results: int | None, page_token: str | bytes | None) -> PagedList[T]:
    """Return one page of all results."""
    if max_results is None:
        max_results = len(results)
    if isinstance(max_results, bool) or not isinstance(max_results, int) or max_results < 0:
        raise Invalid(f"max_results is a whole number from 0, not {max_results!r}")
    start = _start(page_token)
    end = start + max_results
    return PagedList(results[start:end], _token(end) if start < end < len(results) else None)


def _token(start: int) -> str:
    return base64.b64encode(json.dumps({"offset": start}).encode()).decode()


def _start(token: str | bytes | None) -> int:
    if not token:
        return 0
    try:
        start = json.loads(base64.b64decode(token, validate=True))["offset"]
    except (binascii.Error, ValueError, TypeError, KeyError):
        start = None
    if type(start) is not int or start < 0:
        raise Invalid(f"{token!r} is not a page token; take the .token of the page before")
    return start
