"""The account against the stand-in, without a component: `python3 -m unittest discover tests`."""

import base64
import json
import os
import subprocess
import sys
import unittest

from host import HERE, LOGIN, Blob

import destination
import source
from componentize_py_types import Err, Ok
from wit_world.imports.types import (
    Change_Marked,
    Change_Upserted,
    Change_Vanished,
    Collection,
    Failure_GenerationChanged,
    Failure_InvalidSettings,
    Failure_NotFound,
    Item,
    ItemMeta,
    Kind,
    Timestamp,
)


class StandIn:
    def __init__(self):
        command = [sys.executable, "stand_in.py"]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, cwd=os.path.join(HERE, ".."), stdin=pipe, stdout=pipe, text=True)
        self.url = self.line()["ready"]["url"]

    def line(self) -> dict:
        return json.loads(self.process.stdout.readline())

    def ask(self, **request) -> dict:
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return self.line()

    def end(self) -> None:
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()


class AccountTest(unittest.TestCase):
    def setUp(self):
        self.stand_in = StandIn()
        self.addCleanup(self.stand_in.end)

    def open(self, module, user: str):
        LOGIN.update(user=user, password="Sesame-7341")
        return module.Account.open(json.dumps({"url": self.stand_in.url, "user": user}))

    def listing(self, account, collection: str, cursor=None, limit=10):
        changes, more = [], True
        while more:
            page = account.changes(collection, cursor, limit)
            self.assertLessEqual(len(page.changes), limit)
            changes, cursor, more = changes + page.changes, page.cursor, page.more
        return changes, cursor

    def test_all_that_is_there_is_read(self):
        account = self.open(source, "alice")
        collections = account.collections()
        known = self.stand_in.ask(do="content")["collections"]
        self.assertEqual({tuple(it.path) for it in collections}, {tuple(it["path"]) for it in known})
        for collection in collections:
            changes, _ = self.listing(account, collection.id)
            self.assertEqual(len(changes), collection.items)
            answers = account.fetch(collection.id, [change.value.id for change in changes])
            sizes = [(answer.value.content.size(), answer.value.meta.size) for answer in answers]
            self.assertTrue(all(size == claimed for size, claimed in sizes), sizes)

    def test_changes_are_told(self):
        account = self.open(source, "alice")
        [inbox] = [it for it in account.collections() if it.path == ["INBOX"]]
        changes, cursor = self.listing(account, inbox.id)
        first, last = (account.fetch(inbox.id, [changes[at].value.id])[0].value for at in (0, -1))
        told = {"id": inbox.id, "path": inbox.path}
        for what, item, more in (("mark", first, {"flags": ["\\Flagged"]}), ("remove", last, {}), ("add", None, {})):
            content = item.content.content if item else b"Subject: new\r\n\r\n"
            encoded = base64.b64encode(content).decode()
            self.assertEqual(self.stand_in.ask(do=what, collection=told, content=encoded, **more), {})
        news, _ = self.listing(account, inbox.id, cursor, limit=1)
        self.assertEqual([type(it) for it in news], [Change_Marked, Change_Vanished, Change_Upserted])
        self.assertEqual(news[0].value.flags, ["\\Flagged"])
        self.assertEqual(self.stand_in.ask(do="renumber", collection=told), {})
        with self.assertRaises(Err) as caught:
            account.changes(inbox.id, cursor, 10)
        self.assertIsInstance(caught.exception.value, Failure_GenerationChanged)

    def test_what_is_put_is_read_again(self):
        account = self.open(destination, "bob")
        wanted = Collection("", ["a", "b & ü"], Kind.MESSAGE, None, True, True, None, None, None, [])
        [made] = account.ensure([wanted])
        watermark = account.watermark(made.value.id)
        received = Timestamp(1_714_557_600_000, 120)
        meta = ItemMeta("", "", None, None, received, ["\\Seen", "Work"], [], [])
        [placed, lost] = account.put(made.value.id, [Item(meta, "message/rfc822", Blob(b"A: b\r\n\r\n\0"))] * 2)
        self.assertIsInstance(placed, Ok)
        self.assertNotEqual(placed.value.id, lost.value.id)
        reader = self.open(source, "bob")
        news, _ = self.listing(reader, made.value.id, watermark)
        self.assertEqual([it.value.id for it in news], [placed.value.id, lost.value.id])
        self.assertEqual(news[0].value.received, received)
        self.assertEqual(account.remove(made.value.id, [lost.value.id, "nobody"]), [Ok(None), Ok(None)])
        [gone] = reader.fetch(made.value.id, [lost.value.id])
        self.assertIsInstance(gone.value, Failure_NotFound)

    def test_wrong_settings_and_cursors_are_refused(self):
        for settings in ("{}", "[]", '{"url": 7}'):
            with self.assertRaises(Err) as caught:
                source.Account.open(settings)
            self.assertIsInstance(caught.exception.value, Failure_InvalidSettings)
        for cursor in ("", "1:", "2:{}", '1:{"page": "x"}'):
            with self.assertRaises(Err) as caught:
                source.read_cursor(cursor)
            self.assertIsInstance(caught.exception.value, Failure_GenerationChanged)

    def test_times_go_there_and_back(self):
        for written in ("2024-05-01T12:00:00+02:00", "1999-12-31T23:59:59-08:00", "1969-07-20T20:17:40+00:00"):
            self.assertEqual(source.text(source.timestamp(written)), written)


if __name__ == "__main__":
    unittest.main()
