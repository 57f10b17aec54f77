"""The account, written. It is read, too: after a crash the host looks at what is there."""

from typing import Callable, List, Optional

from bulletin import Bulletin
from componentize_py_types import Err, Ok, Result
from source import collection as collection_of
from source import text, write_cursor
from wit_world.exports import destination
from wit_world.exports.descriptor import Abilities
from wit_world.exports.destination import Limits, Remark
from wit_world.imports.types import (
    Collection,
    Failure,
    Failure_Forbidden,
    Failure_NotFound,
    Failure_Rejected,
    Failure_TooLarge,
    Failure_Unsupported,
    Item,
    Kind,
    Outcome,
    Placement,
)

# What the provider says that it takes.
LARGEST = 64 << 20
# Failures of one thing that are no trouble for the next.
OF_ONE = (Failure_NotFound, Failure_Forbidden, Failure_Rejected, Failure_TooLarge)


class Account(destination.Account):
    def __init__(self, settings: str):
        self.bulletin = Bulletin(settings)

    @classmethod
    def open(cls, settings: str) -> "Account":
        return cls(settings)

    def limits(self, kind: Kind) -> Limits:
        if kind != Kind.MESSAGE:
            raise Err(Failure_Unsupported("the bulletin holds messages and nothing else"))
        return Limits(
            max_item_bytes=LARGEST,
            batch_items=50,
            batch_bytes=LARGEST,
            max_path_depth=None,
            max_name_bytes=200,
            case_insensitive_names=False,
            forbidden_in_names="",
            flags=None,
            quota_free_bytes=None,
            crlf_only=False,
            abilities=Abilities.INCREMENTAL
            | Abilities.REPORTS_VANISHED
            | Abilities.RETURNS_IDS
            | Abilities.KEEPS_RECEIVED
            | Abilities.KEEPS_FLAGS,
        )

    def ensure(self, wanted: List[Collection]) -> List[Result[Collection, Failure]]:
        def one(collection: Collection) -> Collection:
            # The API makes one level at a time, and gives what is there already.
            for depth in range(1, len(collection.path)):
                self.bulletin.make_folder(collection.path[:depth], None)
            role = collection.role.name.lower() if collection.role else None
            return collection_of(self.bulletin.make_folder(collection.path, role))

        return each(wanted, one)

    def watermark(self, collection: str) -> str:
        return write_cursor({"feed": self.bulletin.letters(collection, None, 1)["feed"]})

    def put(self, collection: str, items: List[Item]) -> List[Result[Placement, Failure]]:
        def one(item: Item) -> Placement:
            received = text(item.meta.received) if item.meta.received else None
            letter = self.bulletin.add(collection, item.content, received, item.meta.flags)
            return Placement(letter["id"], letter["revision"], Outcome.CREATED, alterations=[])

        return each(items, one)

    def mark(self, collection: str, remarks: List[Remark]) -> List[Result[None, Failure]]:
        return each(remarks, lambda remark: self.bulletin.set_flags(collection, remark.id, remark.flags))

    def remove(self, collection: str, ids: List[str]) -> List[Result[None, Failure]]:
        def one(id: str) -> None:
            try:
                self.bulletin.remove(collection, id)
            except Err as error:
                if not isinstance(error.value, Failure_NotFound):
                    raise

        return each(ids, one)

    def copy(self, origin: str, id: str, target: str) -> Placement:
        raise Err(Failure_Unsupported("the bulletin cannot copy"))

    def relocate(self, origin: str, id: str, target: str) -> Placement:
        raise Err(Failure_Unsupported("the bulletin cannot move"))

    def replace(self, collection: str, id: str, revision: Optional[str], item: Item) -> Placement:
        raise Err(Failure_Unsupported("letters never change"))


def each(things: list, work: Callable) -> list:
    """One answer for each, in order. A failure that is not of one thing alone ends the call."""
    answers = []
    for thing in things:
        try:
            answers.append(Ok(work(thing)))
        except Err as error:
            if not isinstance(error.value, OF_ONE):
                raise
            answers.append(error)
    return answers
