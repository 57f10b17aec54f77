#!/usr/bin/env python3
"""A small fake of the provider, for tests: it listens on a free loopback port, says where in one line of JSON on
standard output, and does what the lines of JSON on its standard input ask for. It ends when they do.

`python3 stand_in.py [PORT]`, and type `{"do":"content"}`.
"""

import base64
import itertools
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

PASSWORD = "Sesame-7341"
ROLES = ["inbox", "archive", "drafts", "sent", "junk", "trash"]
LARGEST = 64 << 20
NUMBERS = itertools.count(1)


class Refused(Exception):
    """An answer that says no."""

    def __init__(self, status: int, headers: dict | None = None):
        super().__init__(status)
        self.status, self.headers = status, headers or {}


class Folder:
    def __init__(self, path: list, role: str | None = None):
        self.id, self.path, self.role = f"f{next(NUMBERS)}", path, role
        self.epoch = 1
        self.letters: dict[str, dict] = {}
        # What happened, in order: a place in the feed is a place in this list.
        self.log: list[tuple[str, str]] = []

    def add(self, content: bytes, flags=(), received: str | None = None) -> dict:
        letter = {"id": f"l{next(NUMBERS)}", "flags": list(flags), "received": received, "content": content, "changes": 0}
        self.letters[letter["id"]] = letter
        self.log.append(("added", letter["id"]))
        return letter

    def mark(self, letter: dict, flags: list) -> None:
        if sorted(flags) != sorted(letter["flags"]):
            letter["flags"], letter["changes"] = list(flags), letter["changes"] + 1
            self.log.append(("marked", letter["id"]))

    def remove(self, id: str) -> None:
        del self.letters[id]
        self.log.append(("removed", id))

    def renumber(self) -> None:
        self.epoch += 1
        self.log = []
        old, self.letters = self.letters, {}
        for letter in old.values():
            self.add(letter["content"], letter["flags"], letter["received"])

    def letter(self, id: str) -> dict:
        if id not in self.letters:
            raise Refused(404)
        return self.letters[id]

    def at(self, token: str) -> int:
        """A place in the feed or in a listing, if it is one of this epoch."""
        epoch, _, place = token.partition(".")
        if not place.isdigit() or epoch != str(self.epoch):
            raise Refused(410)
        return int(place)

    def token(self, place: int) -> str:
        return f"{self.epoch}.{place}"


def shown(letter: dict) -> dict:
    whole = {"bytes": len(letter["content"]), "revision": str(letter["changes"])}
    return whole | {key: letter[key] for key in ("id", "flags", "received")}


def described(folder: Folder) -> dict:
    letters, epoch = len(folder.letters), str(folder.epoch)
    return {"id": folder.id, "path": folder.path, "role": folder.role, "letters": letters, "epoch": epoch}


class Account:
    def __init__(self):
        self.folders = [Folder(["INBOX"], "inbox")]

    def make(self, path: list, role: str | None) -> Folder:
        if not path or not all(isinstance(name, str) and name and len(name.encode()) <= 200 for name in path):
            raise Refused(422)
        found = next((folder for folder in self.folders if folder.path == path), None)
        if found is None:
            found = Folder(path)
            self.folders.append(found)
        if role in ROLES and not any(folder.role == role for folder in self.folders):
            found.role = role
        return found

    def folder(self, id: str) -> Folder:
        found = next((folder for folder in self.folders if folder.id == id), None)
        if found is None:
            raise Refused(404)
        return found


def sample(number: int, text: str) -> bytes:
    return f"From: nobody@example.org\r\nSubject: Letter {number}\r\n\r\n{text}\r\n".encode()


def filled() -> Account:
    account = Account()
    [inbox] = account.folders
    for number in range(1, 31):
        flags = [["\\Seen"], ["\\Seen", "\\Answered"], ["\\Flagged", "Work"], []][number % 4]
        inbox.add(sample(number, "Hello."), flags, f"2024-05-{number:02}T12:00:00+02:00")
    inbox.add(sample(31, "Grüße, 日本 🐦"), [], "1999-12-31T23:59:59-08:00")
    account.make(["Sent"], "sent").add(sample(32, "x" * 200_000), ["\\Seen"], "2023-01-01T00:00:00+00:00")
    account.make(["Work"], None)
    account.make(["Work", "a/b & ü"], None).add(sample(33, "In a folder in a folder."), [], "2022-02-02T02:02:02+05:30")
    account.make(["Empty"], None)
    return account


# `alice` is read and `bob` is written.
ACCOUNTS = {"alice": filled(), "bob": Account()}
LOCK = threading.Lock()
# What the next request of the connector meets with: a throttling or a cut.
TROUBLE: list = []


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def handle_one(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with LOCK:
            try:
                status, answer, headers = self.answer(body)
            except Refused as refused:
                status, answer, headers = refused.status, b"", refused.headers
            cut = status < 300 and TROUBLE[:1] == ["cut"]
            if cut:
                TROUBLE.clear()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer) + (1000 if cut else 0)))
        self.end_headers()
        self.wfile.write(answer[: len(answer) // 2] if cut else answer)
        self.close_connection = cut or self.close_connection

    do_GET = do_POST = do_PUT = do_DELETE = handle_one

    def account(self) -> Account:
        kind, _, secret = self.headers.get("Authorization", "").partition(" ")
        user, _, password = base64.b64decode(secret).decode().partition(":") if kind == "Basic" else ("", "", "")
        if user not in ACCOUNTS or password != PASSWORD:
            raise Refused(401, {"WWW-Authenticate": 'Basic realm="bulletin"'})
        return ACCOUNTS[user]

    def answer(self, body: bytes) -> tuple[int, bytes, dict]:
        account = self.account()
        if TROUBLE and isinstance(TROUBLE[0], int):
            raise Refused(429, {"Retry-After": str(TROUBLE.pop(0))})
        address = urlsplit(self.path)
        query = parse_qs(address.query)
        size = max(1, min(int(query.get("size", ["100"])[0]), 500))
        route = (self.command, *(unquote(part) for part in address.path.split("/")[1:]))
        match route:
            case ("GET", "folders"):
                return ok({"folders": [described(folder) for folder in account.folders]})
            case ("POST", "folders"):
                wanted = json.loads(body)
                return ok(described(account.make(wanted["path"], wanted["role"])))
            case ("GET", "folders", id, "letters"):
                folder = account.folder(id)
                # Letters by the order in which they came; a page begins at the number that its token holds.
                first = folder.at(query["page"][0]) if "page" in query else 0
                rest = [letter for letter in folder.letters.values() if int(letter["id"][1:]) >= first]
                more = int(rest[size]["id"][1:]) if len(rest) > size else None
                return ok({
                    "letters": [shown(letter) for letter in rest[:size]],
                    "next": folder.token(more) if more else None,
                    "feed": folder.token(len(folder.log)),
                })
            case ("GET", "folders", id, "feed"):
                folder = account.folder(id)
                first = folder.at(query["since"][0])
                last = min(first + size, len(folder.log))
                return ok({
                    "changes": feed(folder, first, last),
                    "feed": folder.token(last),
                    "more": last < len(folder.log),
                })
            case ("GET", "folders", id, "letters", letter):
                found = account.folder(id).letter(letter)
                return 200, found["content"], {"x-letter": json.dumps(shown(found)), "Content-Type": "message/rfc822"}
            case ("POST", "folders", id, "letters"):
                if len(body) > LARGEST:
                    raise Refused(413)
                letter = account.folder(id).add(body, query.get("flag", []), query.get("received", [None])[0])
                return ok(shown(letter))
            case ("PUT", "folders", id, "letters", letter, "flags"):
                folder = account.folder(id)
                folder.mark(folder.letter(letter), json.loads(body)["flags"])
                return ok({})
            case ("DELETE", "folders", id, "letters", letter):
                folder = account.folder(id)
                folder.remove(folder.letter(letter)["id"])
                return ok({})
        raise Refused(404)


def feed(folder: Folder, first: int, last: int) -> list:
    """What happened in these places, once for each letter: what it came to is all that counts."""
    news: dict[str, str] = {}
    for what, id in folder.log[first:last]:
        news[id] = "added" if what == "marked" and news.get(id) == "added" else what
    changes = []
    for id, what in news.items():
        if id in folder.letters:
            changes.append({"what": what, "letter": shown(folder.letters[id])})
        else:
            changes.append({"what": "removed", "id": id})
    return changes


def ok(answer) -> tuple[int, bytes, dict]:
    return 200, json.dumps(answer).encode(), {"Content-Type": "application/json"}


def base64_of(content: bytes) -> str:
    return base64.b64encode(content).decode()


def content() -> dict:
    return {
        "collections": [
            {
                "path": folder.path,
                "role": folder.role,
                "items": [
                    {key: letter[key] for key in ("flags", "received")} | {"content": base64_of(letter["content"])}
                    for letter in folder.letters.values()
                ],
            }
            for folder in ACCOUNTS["alice"].folders
        ]
    }


def do(request: dict) -> dict:
    """What a test asks for."""
    what = request["do"]
    if what == "content":
        return content()
    if what == "digest":
        return {"digest": json.dumps([[described(folder), folder.log] for folder in ACCOUNTS["alice"].folders])}
    if what == "throttle":
        TROUBLE[:] = [int(request["seconds"])]
        return {}
    if what == "cut":
        TROUBLE[:] = ["cut"]
        return {}
    folder = next(folder for folder in ACCOUNTS["alice"].folders if folder.id == request["collection"]["id"])
    if what == "renumber":
        folder.renumber()
        return {}
    wanted = base64.b64decode(request["content"])
    if what == "add":
        folder.add(wanted, received="2024-06-01T08:00:00+00:00")
        return {}
    letter = next(letter for letter in folder.letters.values() if letter["content"] == wanted)
    if what == "mark":
        folder.mark(letter, request["flags"])
    elif what == "remove":
        folder.remove(letter["id"])
    else:
        raise ValueError(f"nobody knows the request {what!r}")
    return {}


def main() -> None:
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    does = ["content", "add", "mark", "remove", "digest", "renumber", "throttle", "cut"]
    print(json.dumps({"ready": {"url": f"http://127.0.0.1:{server.server_port}"}, "does": does}), flush=True)
    for line in sys.stdin:
        try:
            with LOCK:
                answer = do(json.loads(line))
        except (KeyError, ValueError, StopIteration) as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
