"""What the connector says of itself. `source.py` and `destination.py` beside it hold the accounts.

The names of these three modules and of the classes in them are those of the contract: the build looks for them.
"""

import json

from wit_world import exports
from wit_world.exports.descriptor import Abilities, Description, Permission_Url
from wit_world.imports.types import Kind

# JSON Schema (2020-12) of what the admin's file may say. Whimbrel checks the file with it before anything runs.
SETTINGS = {
    "type": "object",
    "properties": {
        "url": {"type": "string", "description": "Address of the bulletin's API", "minLength": 1},
        "tls": {
            "description": "`insecure` lets an address with `http://` be used",
            "enum": ["verify", "insecure"],
            "default": "verify",
        },
    },
    "required": ["url"],
    "additionalProperties": False,
}
# What a mailbox must give. The password goes to the host, which logs in; it is never seen here.
ACCOUNT = {
    "type": "object",
    "properties": {
        "user": {"type": "string", "description": "Who logs in", "minLength": 1},
        "password": {"type": "string", "description": "The password of this account"},
    },
    "required": ["user", "password"],
}


class Descriptor(exports.Descriptor):
    def describe(self) -> Description:
        return Description(
            name="{{name}}",
            version="0.1.0",
            summary="A bulletin of folders and letters (an invented provider)",
            homepage=None,
            kinds=[Kind.MESSAGE],
            abilities=Abilities.INCREMENTAL
            | Abilities.REPORTS_VANISHED
            | Abilities.RETURNS_IDS
            | Abilities.KEEPS_RECEIVED
            | Abilities.KEEPS_FLAGS,
            permissions=[Permission_Url("url")],
            settings_schema=json.dumps(SETTINGS),
            account_schema=json.dumps(ACCOUNT),
        )
