"""The account, read."""

import json
from datetime import datetime, timedelta, timezone
from typing import List, Optional

from bulletin import Bulletin
from componentize_py_types import Err, Ok, Result
from wit_world.exports import source
from wit_world.imports.types import (
    Change_Marked,
    Change_Upserted,
    Change_Vanished,
    Collection,
    Failure,
    Failure_GenerationChanged,
    Failure_Unavailable,
    Item,
    ItemMeta,
    Kind,
    Page,
    Role,
    Timestamp,
)

ROLES = {
    "inbox": Role.INBOX,
    "archive": Role.ARCHIVE,
    "drafts": Role.DRAFTS,
    "sent": Role.SENT,
    "junk": Role.JUNK,
    "trash": Role.TRASH,
}
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


class Account(source.Account):
    def __init__(self, settings: str):
        self.bulletin = Bulletin(settings)

    @classmethod
    def open(cls, settings: str) -> "Account":
        return cls(settings)

    def collections(self) -> List[Collection]:
        folders = sorted(self.bulletin.folders(), key=lambda folder: len(folder["path"]))
        return [collection(folder) for folder in folders]

    def changes(self, collection: str, cursor: Optional[str], limit: int) -> Page:
        at = read_cursor(cursor)
        if "page" in at:  # Within a listing, or at the beginning of one.
            answer = self.bulletin.letters(collection, at["page"], limit)
            # What happens while the listing runs is in the feed from where it stood at the beginning.
            feed = at["feed"] or answer["feed"]
            more = answer["next"] is not None
            then = {"page": answer["next"], "feed": feed} if more else {"feed": feed}
            changes = [Change_Upserted(meta(letter)) for letter in answer["letters"]]
            return Page(changes, write_cursor(then), more, complete=True, capped=None)
        answer = self.bulletin.feed(collection, at["feed"], limit)
        changes = [change(entry) for entry in answer["changes"]]
        return Page(changes, write_cursor({"feed": answer["feed"]}), answer["more"], complete=False, capped=None)

    def fetch(self, collection: str, ids: List[str]) -> List[Result[Item, Failure]]:
        return [
            Ok(Item(meta(answer[0]), "message/rfc822", answer[1])) if isinstance(answer, tuple) else Err(answer)
            for answer in self.bulletin.contents(collection, ids)
        ]

    def wait(self, timeout_ms: int) -> List[str]:
        return []  # The provider does not push.


def read_cursor(cursor: Optional[str]) -> dict:
    """`1:` and JSON: the number is that of the form, so that a later release can tell its elders' cursors."""
    if cursor is None:
        return {"page": None, "feed": None}
    try:
        at = json.loads(cursor.removeprefix("1:"))
        if cursor.startswith("1:") and isinstance(at, dict) and "feed" in at:
            return at
    except ValueError:
        pass
    # A cursor that is not understood: the host lists anew and matches by content.
    raise Err(Failure_GenerationChanged())


def write_cursor(at: dict) -> str:
    return "1:" + json.dumps(at)


def collection(folder: dict) -> Collection:
    return Collection(
        id=folder["id"],
        path=folder["path"],
        kind=Kind.MESSAGE,
        role=ROLES.get(folder["role"]),
        selectable=True,
        subscribed=True,
        items=folder["letters"],
        bytes=None,
        generation=folder["epoch"],
        attributes=[],
    )


def change(entry: dict):
    what = entry["what"]
    if what == "removed":
        return Change_Vanished(entry["id"])
    if what == "marked":
        return Change_Marked(meta(entry["letter"]))
    if what == "added":
        return Change_Upserted(meta(entry["letter"]))
    raise Err(Failure_Unavailable(f"reading the feed: nobody knows the change {what!r}"))


def meta(letter: dict) -> ItemMeta:
    return ItemMeta(
        id=letter["id"],
        revision=letter["revision"],
        identity=None,
        size=letter["bytes"],
        received=timestamp(letter["received"]) if letter["received"] else None,
        flags=letter["flags"],
        labels=[],
        attributes=[],
    )


def timestamp(text: str) -> Timestamp:
    """RFC 3339. Whole numbers all the way: a float would lose milliseconds."""
    at = datetime.fromisoformat(text)
    offset = at.utcoffset() or timedelta()
    return Timestamp((at - EPOCH) // timedelta(milliseconds=1), offset // timedelta(minutes=1))


def text(at: Timestamp) -> str:
    zone = timezone(timedelta(minutes=at.offset_minutes))
    return (EPOCH + timedelta(milliseconds=at.unix_ms)).astimezone(zone).isoformat()
