"""The server's interface: what it says, and what that means. README.md describes it."""

# `strptime` would import it when it is first called: too late in a component, which has no files.
import _strptime  # noqa: F401
import json
from datetime import datetime, timedelta, timezone
from typing import Any, Optional
from urllib.parse import urlencode

from componentize_py_types import Err
from wit_world.imports import http
from wit_world.imports.blobs import Blob
from wit_world.imports.types import (
    Failure_Forbidden,
    Failure_Internal,
    Failure_InvalidSettings,
    Failure_NotFound,
    Failure_Unavailable,
    Timestamp,
)

CHUNK = 1 << 20
# Of a listing or of the drawers, in bytes.
ANSWER = 16 << 20
# The server takes no more numbers in a listing.
MOST = 500
# Minutes east of Greenwich. The server writes the names of zones, and knows these.
ZONES = {"UTC": 0, "MEZ": 60, "MESZ": 120}
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
# The first line before a letter, `GDMSG 1` and its bytes, is never longer.
HEAD = 40


class Desk:
    """An account of the server. Methods raise `Err(failure)`."""

    def __init__(self, settings: str):
        try:
            self.url = json.loads(settings)["url"].rstrip("/")
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            raise Err(Failure_InvalidSettings(f"`url` has to be the server's address: {error}")) from error

    def drawers(self) -> list[dict]:
        """Lines of `number;path;purpose;letters`."""
        what = "listing the drawers"
        drawers = []
        for line in whole(checked(http.send(self.request("drawers")), what).body).decode(errors="replace").splitlines():
            try:
                number, path, purpose, letters = line.split(";")
                # A name may hold what separates names, and what separates fields: the server doubles no sign, it codes it.
                names = [name.replace("%3B", ";").replace("%BB", "»").replace("%25", "%") for name in path.split("»")]
                drawers.append({"number": number, "path": names, "purpose": purpose, "letters": int(letters)})
            except ValueError as error:
                raise Err(Failure_Unavailable(f"{what}: a line is not of the form that is known")) from error
        return drawers

    def listing(self, drawer: str, before: Optional[str], most: int) -> dict:
        what = "listing letters"
        query = {"drawer": drawer, "most": min(most, MOST)} | ({"before": before} if before else {})
        body = whole(checked(http.send(self.request("list", query)), what).body)
        try:
            return json.loads(body)
        except ValueError as error:
            raise Err(Failure_Unavailable(f"{what}: the answer is no JSON")) from error

    def letters(self, drawer: str, numbers: list[str]) -> list[Any]:
        """For each number what is known of the letter and its content, or the failure."""
        requests = [self.request("letter", {"drawer": drawer, "no": number}, None) for number in numbers]
        answers = []
        for answer in http.send_all(requests):
            try:
                if isinstance(answer, Err):
                    raise answer
                response = checked(answer.value, "fetching a letter")
                answers.append((json.loads(dict(response.headers)["gd-letter"]), unwrapped(response.body)))
            except (KeyError, ValueError):
                answers.append(Failure_Unavailable("fetching a letter: the answer says nothing of the letter"))
            except Err as error:
                answers.append(error.value)
        return answers

    def request(self, name: str, query: Optional[dict] = None, max_bytes: Optional[int] = ANSWER) -> http.Request:
        url = f"{self.url}/gd/{name}" + (f"?{urlencode(query)}" if query else "")
        return http.Request("GET", url, [], None, authenticate=True, timeout_ms=None, max_bytes=max_bytes)


def unwrapped(wrapped: Blob) -> Blob:
    """The letter in its wrapping, `GDMSG 1 <bytes>`, a line feed, the letter, `GDEND`. It is cut out by the host."""
    head, line_feed, _ = wrapped.read(0, HEAD).partition(b"\n")
    words = head.split()
    if not line_feed or len(words) != 3 or words[:2] != [b"GDMSG", b"1"] or not words[2].isdigit():
        raise Err(Failure_Unavailable("fetching a letter: its wrapping is not of the form that is known"))
    begin, size = len(head) + 1, int(words[2])
    if wrapped.size() != begin + size + 5 or wrapped.read(begin + size, 5) != b"GDEND":
        raise Err(Failure_Unavailable("fetching a letter: it is cut off"))
    return wrapped.slice(begin, size)


def received(text: str) -> Optional[Timestamp]:
    """`01.05.2024 12:00:00 MESZ`; none where that is no time."""
    moment, _, zone = text.rpartition(" ")
    try:
        minutes = ZONES[zone]
        at = datetime.strptime(moment, "%d.%m.%Y %H:%M:%S").replace(tzinfo=timezone(timedelta(minutes=minutes)))
    except (KeyError, ValueError):
        return None
    return Timestamp((at - EPOCH) // timedelta(milliseconds=1), minutes)


def checked(response: http.Response, what: str) -> http.Response:
    said = f"{what}: the server answered {response.status}"
    match response.status:
        case 200:
            return response
        case 403:
            raise Err(Failure_Forbidden(said))
        case 404 | 410:
            raise Err(Failure_NotFound(said))
        case _:
            raise Err(Failure_Internal(said))


def whole(blob: Blob) -> bytes:
    return b"".join(blob.read(at, CHUNK) for at in range(0, blob.size(), CHUNK))
