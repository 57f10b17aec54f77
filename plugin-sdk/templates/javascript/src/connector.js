// What the connector is: the names that are exported here are those of the contract.

import { Account as Destination } from "./destination.js";
import { ABILITIES, Account as Source } from "./source.js";

// JSON Schema (2020-12) of what the admin's file may say. Whimbrel checks the file with it before anything runs.
const SETTINGS = {
    type: "object",
    properties: {
        url: { type: "string", description: "Address of the bulletin's API", minLength: 1 },
        tls: {
            description: "`insecure` lets an address with `http://` be used",
            enum: ["verify", "insecure"],
            default: "verify",
        },
    },
    required: ["url"],
    additionalProperties: false,
};
// What a mailbox must give. The password goes to the host, which logs in; it is never seen here.
const ACCOUNT = {
    type: "object",
    properties: {
        user: { type: "string", description: "Who logs in", minLength: 1 },
        password: { type: "string", description: "The password of this account" },
    },
    required: ["user", "password"],
};

export const descriptor = {
    describe() {
        return {
            name: "{{name}}",
            version: "0.1.0",
            summary: "A bulletin of folders and letters (an invented provider)",
            homepage: null,
            kinds: ["message"],
            abilities: ABILITIES,
            permissions: [{ tag: "url", val: "url" }],
            settingsSchema: JSON.stringify(SETTINGS),
            accountSchema: JSON.stringify(ACCOUNT),
        };
    },
};
export const source = { Account: Source };
export const destination = { Account: Destination };
