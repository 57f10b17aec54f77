"""The account, read. The server has no feed: each listing goes over all of a drawer, from the newest letter back."""

import json
from typing import List, Optional

from componentize_py_types import Err, Ok, Result
from desk import Desk, received
from wit_world.exports import source
from wit_world.imports.types import (
    Change_Marked,
    Change_Upserted,
    Collection,
    Failure,
    Failure_GenerationChanged,
    Failure_Unsupported,
    Item,
    ItemMeta,
    Kind,
    Page,
    Role,
)

ROLES = {
    "inbox": Role.INBOX,
    "filed": Role.ARCHIVE,
    "drafts": Role.DRAFTS,
    "sent": Role.SENT,
    "junk": Role.JUNK,
    "bin": Role.TRASH,
}
# Letters of the state of a letter.
FLAGS = {"r": "\\Seen", "a": "\\Answered", "!": "\\Flagged", "d": "\\Draft"}


class Account(source.Account):
    def __init__(self, settings: str):
        self.desk = Desk(settings)

    @classmethod
    def open(cls, settings: str) -> "Account":
        return cls(settings)

    def collections(self) -> List[Collection]:
        drawers = sorted(self.desk.drawers(), key=lambda drawer: len(drawer["path"]))
        return [
            Collection(
                id=drawer["number"],
                path=drawer["path"],
                kind=Kind.MESSAGE,
                role=ROLES.get(drawer["purpose"]),
                selectable=True,
                subscribed=True,
                items=drawer["letters"],
                bytes=None,
                generation=None,
                attributes=[],
            )
            for drawer in drawers
        ]

    def changes(self, collection: str, cursor: Optional[str], limit: int) -> Page:
        at = read_cursor(cursor)
        # `before` names a second and includes it: what was named of that second comes again, and is left out.
        answer = self.desk.listing(collection, at["before"], limit + len(at["named"]))
        named = set(at["named"])
        letters = [letter for letter in answer["letters"] if letter["no"] not in named][:limit]
        if not letters and answer["rest"] > 0:
            raise Err(Failure_Unsupported("more letters of one second than the server lists at once"))
        # Numbers ascend and are never given twice. What was listed in an earlier run is not new, and may be marked anew.
        changes = [
            Change_Upserted(meta(letter)) if letter["no"] > at["known"] else Change_Marked(meta(letter))
            for letter in letters
        ]
        highest = answer["highest"] if at["highest"] is None else at["highest"]
        # The server says how many letters lie before the last one that it named.
        more = bool(letters) and (answer["rest"] > 0 or letters[-1] is not answer["letters"][-1])
        if more:
            last = letters[-1]["key"]
            same = [letter["no"] for letter in letters if letter["key"] == last]
            if at["before"] == last:
                same = at["named"] + same
            then = {"known": at["known"], "highest": highest, "before": last, "named": same}
        else:
            then = {"known": max(at["known"], highest), "highest": None, "before": None, "named": []}
        return Page(changes, "1:" + json.dumps(then), more, complete=True, capped=None)

    def fetch(self, collection: str, ids: List[str]) -> List[Result[Item, Failure]]:
        return [
            Ok(Item(meta(answer[0]), "message/rfc822", answer[1])) if isinstance(answer, tuple) else Err(answer)
            for answer in self.desk.letters(collection, ids)
        ]

    def wait(self, timeout_ms: int) -> List[str]:
        return []


def read_cursor(cursor: Optional[str]) -> dict:
    """`known`: the highest number of listings before. `highest`: what it will be after this one. `before`, `named`: where
    this one is."""
    if cursor is None:
        return {"known": 0, "highest": None, "before": None, "named": []}
    try:
        form, _, text = cursor.partition(":")
        at = json.loads(text)
        if form == "1" and isinstance(at["known"], int) and isinstance(at["named"], list):
            return {key: at[key] for key in ("known", "highest", "before", "named")}
    except (ValueError, KeyError, TypeError):
        pass
    raise Err(Failure_GenerationChanged())


def meta(letter: dict) -> ItemMeta:
    return ItemMeta(
        id=str(letter["no"]),
        # A letter never changes, but for its state and tags.
        revision="",
        identity=None,
        size=letter["bytes"],
        received=received(letter["at"]),
        flags=[FLAGS[sign] for sign in letter["state"] if sign in FLAGS],
        labels=letter["tags"],
        attributes=[],
    )
