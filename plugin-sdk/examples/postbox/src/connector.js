// What the connector is: the names that are exported here are those of the contract.

import { Account } from "./source.js";

// JSON Schema (2020-12) of what the admin's file may say.
const SETTINGS = {
    type: "object",
    properties: {
        root: { type: "string", description: "The folder that holds the exports, one folder for each user.", minLength: 1 },
    },
    required: ["root"],
    additionalProperties: false,
};
// What a mailbox must give.
const ACCOUNT = {
    type: "object",
    properties: {
        user: { type: "string", description: "Names the folder in root that is this mailbox's.", minLength: 1 },
    },
    required: ["user"],
};

export const descriptor = {
    describe() {
        return {
            name: "postbox",
            version: "0.1.0",
            summary: "Exports of Postbox, a groupware of long ago (an invented one)",
            homepage: null,
            kinds: ["message"],
            abilities: {
                incremental: false,
                reportsVanished: true,
                push: false,
                serverSideCopy: false,
                serverSideMove: false,
                returnsIds: false,
                keepsReceived: false,
                keepsFlags: false,
                keepsLabels: false,
                multiCollection: false,
                replaces: false,
            },
            // To be read only.
            permissions: [{ tag: "files", val: ["root", false] }],
            settingsSchema: JSON.stringify(SETTINGS),
            accountSchema: JSON.stringify(ACCOUNT),
        };
    },
};
export const source = { Account };
