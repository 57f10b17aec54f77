//! The keys about secrets and logins.

use super::{Form, Key, key};

/// `[secrets]`.
pub const VAULT: &[Key] = &[
    key(
        "key_file",
        Form::Text,
        false,
        "",
        "The file with the key that opens the vault, relative to the settings file. `whimbrel secrets init` makes it. Keep \
         it apart from the state folder.",
    ),
    key(
        "passphrase",
        Form::Secret(OUTSIDE),
        false,
        "asked for on a terminal",
        "Where the passphrase comes from that opens the vault, where there is no `key_file`.",
    ),
];

/// `[oauth.NAME]`.
pub const OAUTH: &[Key] = &[
    key(
        "flow",
        Form::Word(&["device", "code", "client_credentials", "refresh_token"]),
        true,
        "",
        "How tokens are got. `device`: somebody types a code on any device (RFC 8628). `code`: somebody logs in with a \
         browser on this machine (RFC 6749 with PKCE). `client_credentials`: the program itself, for all mailboxes. \
         `refresh_token`: somebody else logged in, and `whimbrel secrets set NAME/USER --refresh-token` takes the token.",
    ),
    key(
        "token_url",
        Form::Text,
        true,
        "",
        "The provider's token endpoint, an `https` address.",
    ),
    key(
        "device_url",
        Form::Text,
        false,
        "",
        "Its device authorization endpoint, for `device`.",
    ),
    key(
        "authorization_url",
        Form::Text,
        false,
        "",
        "Its authorization endpoint, for `code`.",
    ),
    key(
        "redirect_url",
        Form::Text,
        false,
        "http://127.0.0.1/",
        "Where the browser is sent back to, for `code`: `http://127.0.0.1` or `http://localhost`, with any path. Without a \
         port, a free one is taken (RFC 8252).",
    ),
    key(
        "client_id",
        Form::Text,
        true,
        "",
        "What this program is called at the provider: you register it there.",
    ),
    key(
        "client_secret",
        Form::Secret(SECRET),
        false,
        "",
        "Its secret, where the provider gave one.",
    ),
    key(
        "client_auth",
        Form::Word(&["body", "basic"]),
        false,
        "body",
        "How id and secret are shown: in the `body` of requests, or with HTTP `basic`.",
    ),
    key(
        "scopes",
        Form::Texts,
        false,
        "[]",
        "What is asked for. Providers document which scopes give access to mail, and which one a refresh token.",
    ),
    key(
        "parameters",
        Form::Names,
        false,
        "{}",
        "More parameters of the request for authorization, for `code`, e.g. `{ prompt = \"consent\" }`.",
    ),
    key(
        "ca",
        Form::Text,
        false,
        "",
        "A PEM file of certificate authorities to trust besides those of the system.",
    ),
    key(
        "pin",
        Form::OneOrMore,
        false,
        "",
        "Fingerprints by which the provider is trusted instead, as in `[source]`.",
    ),
    key(
        "insecure",
        Form::Switch,
        false,
        "false",
        "Whether addresses may be `http`: every secret goes over the line in clear text then. For tests on one machine.",
    ),
];

/// The forms of a secret: `password`, `token`, `client_secret`.
pub const SECRET: &[Key] = &[
    key(
        "secret",
        Form::Text,
        false,
        "",
        "Its name in the vault: `whimbrel secrets set NAME`.",
    ),
    ENV,
    FILE_OF,
];

/// The forms of the secret that opens the vault.
pub const OUTSIDE: &[Key] = &[ENV, FILE_OF];

const ENV: Key = key("env", Form::Text, false, "", "The environment variable that holds it.");

const FILE_OF: Key = key(
    "file",
    Form::Text,
    false,
    "",
    "The file that holds it, relative to the settings file; a line end at its end is dropped.",
);
