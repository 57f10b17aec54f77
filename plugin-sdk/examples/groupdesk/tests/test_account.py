"""The account against the stand-in, without a component: `python3 -m unittest discover tests`."""

import base64
import json
import os
import subprocess
import sys
import unittest

from host import HERE, Blob

import desk
import source
from componentize_py_types import Err
from wit_world.imports.types import (
    Change_Marked,
    Change_Upserted,
    Failure_GenerationChanged,
    Failure_NotFound,
    Failure_Unavailable,
)


class AccountTest(unittest.TestCase):
    def setUp(self):
        command = [sys.executable, "stand_in.py"]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, cwd=os.path.join(HERE, ".."), stdin=pipe, stdout=pipe, text=True)
        self.addCleanup(self.end)
        ready = json.loads(self.process.stdout.readline())["ready"]
        self.account = source.Account.open(json.dumps(ready))

    def end(self):
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()

    def ask(self, **request) -> dict:
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def listing(self, collection: str, cursor=None, limit=100, between=lambda: None):
        changes, more = [], True
        while more:
            page = self.account.changes(collection, cursor, limit)
            self.assertLessEqual(len(page.changes), limit)
            self.assertTrue(page.complete)
            changes, cursor, more = changes + page.changes, page.cursor, page.more
            between()
        return changes, cursor

    def test_pages_of_every_size_name_each_letter_once(self):
        for limit in (1, 2, 3, 7, 10, 11, 100):
            changes, _ = self.listing("7", limit=limit)
            self.assertEqual(sorted(int(it.value.id) for it in changes), list(range(1, 42)), f"limit {limit}")

    def test_a_letter_that_vanishes_meanwhile_takes_no_other_along(self):
        known = self.ask(do="content")["collections"][0]["items"]
        # Always one that the pages have named already.
        gone = iter(sorted(reversed(known), key=lambda item: item["received"], reverse=True))

        def between():
            item = next(gone, None)
            if item:
                self.ask(do="remove", collection={"id": "7"}, content=item["content"])

        changes, _ = self.listing("7", limit=2, between=between)
        self.assertEqual(sorted(int(it.value.id) for it in changes), list(range(1, 42)))

    def test_what_is_new_is_told_from_what_was_there(self):
        _, cursor = self.listing("7")
        self.ask(do="add", collection={"id": "7"}, content=base64.b64encode(b"Subject: new\r\n\r\n").decode())
        news, cursor = self.listing("7", cursor, 5)
        self.assertEqual([it.value.id for it in news if isinstance(it, Change_Upserted)], ["42"])
        again, _ = self.listing("7", cursor)
        self.assertTrue(all(isinstance(it, Change_Marked) for it in again) and len(again) == 42)

    def test_letters_come_out_of_their_wrapping(self):
        known = self.ask(do="content")["collections"]
        for drawer, collection in zip(("7", "9", "13"), (known[0], known[1], known[3])):
            numbers = [str(number) for number in range(1, len(collection["items"]) + 1)]
            answers = self.account.fetch(drawer, numbers)
            got = [base64.b64encode(answer.value.content.content).decode() for answer in answers]
            self.assertEqual(got, [item["content"] for item in collection["items"]])
        for bad in (b"", b"GDMSG 1 5\nabc", b"GDMSG 2 0\nGDEND", b"GDMSG 1 3\nabcGDEN.", b"no line feed at all"):
            with self.assertRaises(Err) as caught:
                desk.unwrapped(Blob(bad))
            self.assertIsInstance(caught.exception.value, Failure_Unavailable)

    def test_names_and_times(self):
        paths = [it.path for it in self.account.collections()]
        self.assertIn(["Kunden", "Müller; 100 % » Söhne"], paths)
        at = desk.received("01.05.2024 12:00:00 MESZ")
        self.assertEqual((at.unix_ms, at.offset_minutes), (1_714_557_600_000, 120))
        for wrong in ("", "01.05.2024 12:00:00", "31.02.2024 12:00:00 UTC", "01.05.2024 12:00:00 XYZ"):
            self.assertIsNone(desk.received(wrong))

    def test_what_is_not_there(self):
        with self.assertRaises(Err) as caught:
            self.account.changes("99", None, 10)
        self.assertIsInstance(caught.exception.value, Failure_NotFound)
        for cursor in ("", "1:", "1:{}", '2:{"known": 1, "named": []}', "1:[]"):
            with self.assertRaises(Err) as caught:
                self.account.changes("7", cursor, 10)
            self.assertIsInstance(caught.exception.value, Failure_GenerationChanged)


if __name__ == "__main__":
    unittest.main()
