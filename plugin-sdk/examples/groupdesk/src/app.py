"""What the connector says of itself. `source.py` beside it holds the account."""

import json

from wit_world import exports
from wit_world.exports.descriptor import Abilities, Description, Permission_Url
from wit_world.imports.types import Kind

SETTINGS = {
    "type": "object",
    "properties": {
        "url": {"type": "string", "description": "Address of the Groupdesk server, without `/gd`", "minLength": 1},
        "tls": {
            "description": "`insecure` lets an address with `http://` be used",
            "enum": ["verify", "insecure"],
            "default": "verify",
        },
    },
    "required": ["url"],
    "additionalProperties": False,
}
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
            name="groupdesk",
            version="0.1.0",
            summary="Letters of a Groupdesk server, read by its HTTP interface (a worked example)",
            homepage=None,
            kinds=[Kind.MESSAGE],
            # There is no feed: each listing costs the whole drawer. What it leaves out is gone.
            abilities=Abilities.REPORTS_VANISHED,
            permissions=[Permission_Url("url")],
            settings_schema=json.dumps(SETTINGS),
            account_schema=json.dumps(ACCOUNT),
        )
