"""What the errors of object services mean: one sentence each, without the secrets that they may quote.

fsspec's file systems turn most codes into a few of Python's errors, and keep the service's own error as the cause.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from registry_nb.domain.secrets import masked, names_a_secret
from registry_nb.errors import StorageError, sentence_of

_EXPIRED = frozenset(
    {"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "RequestExpired", "AuthenticationFailed"}
)
_SKEWED = frozenset({"RequestTimeTooSkewed", "RequestInTheFuture"})
#: How services say that they do not know a header or a parameter.
_UNKNOWN = frozenset({"NotImplemented", "501", "InvalidArgument", "InvalidRequest", "BadRequest", "400"})
#: The right that each of our own words needs, in the terms of S3; the others have the same under other names.
_RIGHTS = {
    "saving a model to": "to write objects (s3:PutObject)",
    "removing unused objects from": "to delete objects (s3:DeleteObject)",
    "listing": "to list the bucket (s3:ListBucket)",
}
#: A signed URL is a key for as long as it lives; what is signed stands behind the question mark.
_SIGNED = re.compile(
    r"(\w{1,20}://[^\s?\"'<>]{1,2000})\?"
    r"(?=[^\s\"'<>]{0,4000}(?i:sig|token|credential|secret|password|access_?key|api_?key)[\w\-]{0,20}=)[^\s\"'<>]+"
)
#: The names of files, by which a wrong one is found.
_PATHS = frozenset({"GOOGLE_APPLICATION_CREDENTIALS"})
_SHORTEST = 6


def failure(doing: str, url: str, error: Exception) -> StorageError:
    """Return the error for what failed behind a URL."""
    reason = _reason(doing, error)
    failed = StorageError(f"{doing} {without_secrets(url)} failed: {reason}", path=without_secrets(url), reason=reason)
    # A traceback shows the cause as well, and with it what the service quoted.
    failed.__cause__ = None if any(without_secrets(text) != text for text in map(str, _chain(error))) else error
    return failed


def code_of(error: BaseException) -> str:
    """Return the code with which a service refused something; empty if it did not answer."""
    for one in _chain(error):
        response = getattr(one, "response", None)
        if isinstance(response, dict) and "Code" in response.get("Error", {}):
            return str(response["Error"]["Code"])
        if isinstance(code := getattr(one, "error_code", None), str):  # Azure's
            return str(code)
    return ""


def refuses_checksums(error: Exception) -> bool:
    """Whether a service does not know the checksum that came with an upload, as older ones do not."""
    return code_of(error) in _UNKNOWN or "checksum" in str(error).lower()


def without_secrets(text: str) -> str:
    """Return a text without signed URLs, passwords, and the values of this process's own keys."""
    text = masked(_SIGNED.sub(r"\1?…", text))[0]
    for name, value in os.environ.items():
        if len(value) >= _SHORTEST and value in text and names_a_secret(name) and name not in _PATHS:
            text = text.replace(value, "[masked]")
    return text


def _reason(doing: str, error: Exception) -> str:
    code, said = code_of(error), without_secrets(sentence_of(error))
    if code in _EXPIRED:
        return f"the credentials are not valid any more ({said}); renew them, and call again"
    if code in _SKEWED:
        return f"the clock of this machine differs too much from the service's ({said}); set it, and call again"
    if isinstance(error, FileNotFoundError):
        return "there is no such bucket or folder"
    if isinstance(error, PermissionError):
        right = _RIGHTS.get(doing, "to read objects (s3:GetObject; without s3:ListBucket a missing one is refused too)")
        return f"the service refuses it ({said}); look at the keys and their permissions: it takes the right {right}"
    return said


def _chain(error: BaseException) -> Iterator[BaseException]:
    one: BaseException | None = error
    while one is not None:
        yield one
        one = one.__cause__ or one.__context__
