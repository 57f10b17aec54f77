"""The provider's API: the one module that knows its addresses and its JSON. Your provider goes here.

    GET    /folders                           all folders
    POST   /folders                           makes one, or gives the one that is there
    GET    /folders/F/letters?size=&page=     a page of a listing; `next` leads on, `feed` is where the feed stands
    GET    /folders/F/feed?since=&size=       what changed since; 410 where ids became void
    GET    /folders/F/letters/L               the content; the header `x-letter` says the rest
    POST   /folders/F/letters?received=&flag= adds a letter
    PUT    /folders/F/letters/L/flags         sets its flags
    DELETE /folders/F/letters/L
"""

import json
from typing import Any, Optional
from urllib.parse import quote, urlencode

from componentize_py_types import Err
from wit_world.imports import http
from wit_world.imports.blobs import Blob
from wit_world.imports.types import (
    Failure_Forbidden,
    Failure_GenerationChanged,
    Failure_Internal,
    Failure_InvalidSettings,
    Failure_NotFound,
    Failure_Rejected,
    Failure_TooLarge,
    Failure_Unavailable,
)

# What a call of `Blob.read` gives at most.
CHUNK = 1 << 20
# The most that an answer of JSON may have; letters may be larger.
ANSWER = 16 << 20


class Bulletin:
    """An account of the provider, by its API. Methods raise `Err(failure)`."""

    def __init__(self, settings: str):
        try:
            self.url = json.loads(settings)["url"].rstrip("/")
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            raise Err(Failure_InvalidSettings(f"`url` has to be the address of the API: {error}")) from error

    def folders(self) -> list[dict]:
        return self.json("GET", "/folders", "listing the folders")["folders"]

    def make_folder(self, path: list[str], role: Optional[str]) -> dict:
        return self.json("POST", "/folders", "making a folder", {"path": path, "role": role})

    def letters(self, folder: str, page: Optional[str], size: int) -> dict:
        query = {"size": size} | ({"page": page} if page else {})
        return self.json("GET", f"{letters(folder)}?{urlencode(query)}", "listing the letters")

    def feed(self, folder: str, since: str, size: int) -> dict:
        query = urlencode({"since": since, "size": size})
        return self.json("GET", f"{named(folder)}/feed?{query}", "reading the feed")

    def contents(self, folder: str, ids: list[str]) -> list[Any]:
        """For each id the letter and its content, or the failure. Several requests are under way at a time."""
        requests = [self.request("GET", letters(folder, id)) for id in ids]
        answers = []
        for answer in http.send_all(requests):
            try:
                if isinstance(answer, Err):
                    raise answer
                response = checked(answer.value, "fetching a letter")
                answers.append((json.loads(dict(response.headers)["x-letter"]), response.body))
            except (KeyError, ValueError):
                answers.append(Failure_Unavailable("fetching a letter: the answer has no proper `x-letter`"))
            except Err as error:
                answers.append(error.value)
        return answers

    def add(self, folder: str, content: Blob, received: Optional[str], flags: list[str]) -> dict:
        query = [("flag", flag) for flag in flags] + ([("received", received)] if received else [])
        request = self.request("POST", f"{letters(folder)}?{urlencode(query)}", content, "message/rfc822")
        return parsed(checked(http.send(request), "adding a letter"), "adding a letter")

    def set_flags(self, folder: str, id: str, flags: list[str]) -> None:
        self.json("PUT", f"{letters(folder, id)}/flags", "setting flags", {"flags": flags})

    def remove(self, folder: str, id: str) -> None:
        checked(http.send(self.request("DELETE", letters(folder, id))), "removing a letter")

    def json(self, method: str, path: str, what: str, body: Any = None) -> Any:
        content = None if body is None else Blob(json.dumps(body).encode())
        request = self.request(method, path, content, "application/json", ANSWER)
        return parsed(checked(http.send(request), what), what)

    def request(
        self,
        method: str,
        path: str,
        body: Optional[Blob] = None,
        media_type: str = "",
        max_bytes: Optional[int] = None,
    ) -> http.Request:
        return http.Request(
            method=method,
            url=self.url + path,
            headers=[("content-type", media_type)] if body else [],
            body=body,
            authenticate=True,  # The host logs in as the mailbox.
            timeout_ms=None,
            max_bytes=max_bytes,
        )


def named(folder: str) -> str:
    return f"/folders/{quote(folder, safe='')}"


def letters(folder: str, id: Optional[str] = None) -> str:
    return f"{named(folder)}/letters" + ("" if id is None else f"/{quote(id, safe='')}")


def checked(response: http.Response, what: str) -> http.Response:
    """Statuses that say no as failures. Those that mean the same everywhere (401, 429, 5xx) are the host's work."""
    status = response.status
    said = f"{what}: the provider answered {status}"
    if 200 <= status < 300:
        return response
    if status == 403:
        raise Err(Failure_Forbidden(said))
    if status == 404:
        raise Err(Failure_NotFound(said))
    if status == 410:
        raise Err(Failure_GenerationChanged())
    if status == 413:
        raise Err(Failure_TooLarge(None))
    if status in (409, 415, 422):
        raise Err(Failure_Rejected(said))
    raise Err(Failure_Internal(said))


def parsed(response: http.Response, what: str) -> Any:
    try:
        return json.loads(whole(response.body))
    except ValueError as error:
        raise Err(Failure_Unavailable(f"{what}: the answer is no JSON")) from error


def whole(blob: Blob) -> bytes:
    """All bytes of a small body. Letters are never read here: the host moves them."""
    size = blob.size()
    return b"".join(blob.read(at, CHUNK) for at in range(0, size, CHUNK))
