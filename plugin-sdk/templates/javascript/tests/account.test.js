// The account against the stand-in, without a component: `npm test`.

import assert from "node:assert/strict";
import { test } from "node:test";

import * as destination from "../src/destination.js";
import * as source from "../src/source.js";
import { decode, encode } from "../src/utf8.js";
import { Blob, login } from "./host.js";

function open(module, user) {
    Object.assign(login, { user, password: "Sesame-7341" });
    return module.Account.open(JSON.stringify({ url: "http://stand-in", user }));
}

function listing(account, collection, cursor = null, limit = 10) {
    const changes = [];
    for (let more = true; more; ) {
        const page = account.changes(collection, cursor, limit);
        assert.ok(page.changes.length <= limit);
        changes.push(...page.changes);
        ({ cursor, more } = page);
    }
    return { changes, cursor };
}

test("all that is there is read", () => {
    const account = open(source, "alice");
    const collections = account.collections();
    assert.deepEqual(collections.map(({ path }) => path.join("|")), ["INBOX", "Sent", "Work", "Empty", "Work|a/b & ü"]);
    for (const { id, items } of collections) {
        const { changes } = listing(account, id);
        assert.equal(changes.length, items);
        for (const { tag, val } of account.fetch(id, changes.map(({ val }) => val.id))) {
            assert.equal(tag, "ok");
            assert.equal(val.content.size(), val.meta.size);
        }
    }
});

test("what is put is read again, and what changes is told", () => {
    const account = open(destination, "bob");
    const [made] = account.ensure([{ path: ["a", "b & ü"], role: null }]);
    const { id } = made.val;
    const watermark = account.watermark(id);
    const meta = { received: { unixMs: 1_714_557_600_000, offsetMinutes: 120 }, flags: ["\\Seen", "Work"] };
    const item = { meta, content: new Blob("A: b\r\n\r\n\0") };
    const placed = account.put(id, [item, item]).map(({ val }) => val.id);

    const reader = open(source, "bob");
    const { changes, cursor } = listing(reader, id, watermark);
    assert.deepEqual(changes.map(({ tag, val }) => [tag, val.id]), placed.map((id) => ["upserted", id]));
    assert.deepEqual(changes[0].val.received, meta.received);
    assert.deepEqual(changes[0].val.flags, meta.flags);

    account.mark(id, [{ id: placed[0], flags: ["\\Flagged"], labels: [] }]);
    assert.ok(account.remove(id, [placed[1], "nobody"]).every(({ tag }) => tag === "ok"));
    const news = listing(reader, id, cursor, 1).changes;
    assert.deepEqual(news.map(({ tag }) => tag), ["marked", "vanished"]);
    assert.deepEqual(news[0].val.flags, ["\\Flagged"]);
    assert.equal(reader.fetch(id, [placed[1]])[0].val.tag, "not-found");
});

test("wrong settings, logins and cursors are refused", () => {
    assert.throws(() => source.Account.open("{}"), { tag: "invalid-settings" });
    assert.throws(() => open(source, "nobody").collections(), { tag: "unauthenticated" });
    for (const cursor of ["", "1:", "2:{}", '1:{"page":"x"}', '1:{"feed":7}']) {
        assert.throws(() => source.readCursor(cursor), { tag: "generation-changed" }, cursor);
    }
});

test("times and texts go there and back", () => {
    for (const written of ["2024-05-01T12:00:00.000+02:00", "1999-12-31T23:59:59.000-08:00"]) {
        assert.equal(source.text(source.timestamp(written)), written);
    }
    assert.equal(decode(encode("Grüße, 日本 🐦")), "Grüße, 日本 🐦");
    assert.throws(() => decode(Uint8Array.of(0xff)), URIError);
});
