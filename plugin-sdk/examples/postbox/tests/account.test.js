// The account against an export, without a component: `npm test`.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import { fields, instant, segments } from "../src/csv.js";
import { Decoder } from "../src/letter.js";
import { Account, readCursor } from "../src/source.js";
import { Export, letter } from "../stand_in.js";
import { granted } from "./host.js";

function opened(t) {
    granted.root = mkdtempSync(join(tmpdir(), "postbox-test-"));
    t.after(() => rmSync(granted.root, { recursive: true }));
    const made = new Export(granted.root, "alice");
    return { made, account: Account.open(JSON.stringify({ user: "alice" })) };
}

function listing(account, collection, cursor = null, limit = 7) {
    const changes = [];
    for (let more = true; more; ) {
        const page = account.changes(collection, cursor, limit);
        assert.ok(page.changes.length <= limit && page.complete);
        changes.push(...page.changes);
        ({ cursor, more } = page);
    }
    return { changes, cursor };
}

function decoded(file, size) {
    const decoder = new Decoder();
    const made = [];
    for (let at = 0; at < file.length; at += size) {
        made.push(...decoder.push(Buffer.from(file.slice(at, at + size), "latin1")));
    }
    decoder.finish();
    return Buffer.from(made);
}

test("all that is there is read, byte for byte", (t) => {
    const { made, account } = opened(t);
    const known = made.content().collections;
    const collections = account.collections();
    assert.deepEqual(new Set(collections.map(({ path }) => path.join("|"))), new Set(known.map(({ path }) => path.join("|"))));
    for (const { id, path } of collections) {
        const { items } = known.find((one) => one.path.join("|") === path.join("|"));
        const ids = listing(account, id).changes.map(({ val }) => val.id);
        const contents = account.fetch(id, ids).map(({ val }) => val.content.content.toString("base64"));
        assert.deepEqual(contents, items.map(({ content }) => content));
    }
});

test("what changes is told", (t) => {
    const { made, account } = opened(t);
    const { changes, cursor } = listing(account, "Inbox");
    assert.ok(changes.every(({ tag }) => tag === "upserted"));
    const collection = { id: "Inbox" };
    const [first, second] = made.content().collections[0].items;
    made.done({ do: "add", collection, content: Buffer.from("A: b\r\n\r\n").toString("base64") });
    made.done({ do: "mark", collection, content: first.content, flags: ["\\Flagged"] });
    made.done({ do: "remove", collection, content: second.content });
    // What this account listed before does not blind it.
    assert.equal(account.fetch("Inbox", ["2"])[0].val.tag, "not-found");
    const delta = listing(account, "Inbox", cursor).changes;
    assert.deepEqual(delta.filter(({ tag }) => tag === "upserted").map(({ val }) => val.id), ["45"]);
    assert.deepEqual(delta.find(({ val }) => val.id === "1").val.flags, ["\\Flagged"]);
    assert.ok(!delta.some(({ val }) => val.id === "2"));
    assert.equal(account.fetch("Inbox", ["2"])[0].val.tag, "not-found");
});

test("what cannot be decoded is given as it lies there", (t) => {
    const { account } = opened(t);
    const file = join(granted.root, "alice", "msg", "000001.msg");
    for (const [broken, why] of [
        ["POSTBOX LETTER 1\n>A: b\n>cut of", "cut off"],
        ["POSTBOX LETTER 1\n>\\q\n", "line 2 holds a backslash"],
        ["POSTBOX LETTER 1\n|a\n>b\n", "line 3 is none"],
        ["POSTBOX LETTER 2\n", "line 1 is not"],
        ["", "cut off"],
    ]) {
        writeFileSync(file, broken);
        const [{ tag, val }] = account.fetch("Inbox", ["1"]);
        assert.equal(tag, "ok");
        assert.equal(val.content.content.toString(), broken);
        assert.match(val.meta.attributes[0][1], new RegExp(why));
    }
    rmSync(file);
    assert.equal(account.fetch("Inbox", ["1"])[0].val.tag, "rejected");
});

test("an index that makes no sense ends the listing", (t) => {
    const { account } = opened(t);
    const index = join(granted.root, "alice", "index.csv");
    writeFileSync(index, "No;Folder;File;State;Received;Labels\r\n1;Inbox;000001.msg;R\r\n");
    assert.throws(() => account.collections(), { tag: "internal", val: "line 2 of `index.csv` is none of a letter" });
    writeFileSync(index, "Number;Folder\r\n");
    assert.throws(() => Account.open('{"user":"alice"}'), { tag: "invalid-settings" });
    assert.throws(() => Account.open('{"user":"bob"}'), { tag: "not-found" });
    for (const user of ["../alice", "..", "a/b", 7]) {
        assert.throws(() => Account.open(JSON.stringify({ user })), { tag: "invalid-settings" });
    }
});

test("fields, folders, times and letters", () => {
    assert.deepEqual(fields('1;"a;""b""";;c'), ["1", 'a;"b"', "", "c"]);
    for (const line of ['a"b;c', '"a', '"a"b']) {
        assert.equal(fields(line), null, line);
    }
    assert.deepEqual(segments("Work\\a\\\\b"), ["Work", "a\\b"]);
    assert.deepEqual(instant("31.12.1999 23:59:59 -0800"), { unixMs: 946_713_599_000, offsetMinutes: -480 });
    assert.equal(instant("yesterday"), null);
    const every = Buffer.from([...Array(256).keys(), 13, 10, 13, 10, 65, 13]);
    for (const size of [1, 2, 3, 1000]) {
        assert.deepEqual(decoded(letter(every), size), every);
    }
    for (const cursor of ["", "1:", "2:1,", "1:x,", "1:1,2,3"]) {
        assert.throws(() => readCursor(cursor), { tag: "generation-changed" }, cursor);
    }
});
