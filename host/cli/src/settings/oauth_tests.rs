use super::tests::{GOOD, credentials, parse, refused, with};
use super::*;

/// Settings with a provider of tokens, which `alice` uses at the source.
fn with_oauth(section: &str) -> String {
    let text = with("password = { file = \"alice.txt\" }", "oauth = \"work\"");
    format!("{text}\n[oauth.work]\n{section}")
}

const DEVICE: &str = "flow = \"device\"\nclient_id = \"c\"\ntoken_url = \"https://p.example/token\"\n\
                      device_url = \"https://p.example/device\"\n";

#[test]
fn providers_of_tokens_are_read() {
    let settings = parse(&with_oauth(&format!(
        "{DEVICE}client_secret = {{ secret = \"client\" }}\nscopes = [\"mail\"]\nclient_auth = \"basic\"\n"
    )))
    .unwrap();
    let section = &settings.oauth["work"];
    assert_eq!((section.flow, section.scopes.len()), (Flow::Device, 1));
    assert_eq!(settings.mailboxes[0].source.way_in(), Some("token"));
    // Without a vault it is said what makes one.
    let problem = credentials(&settings, &settings.mailboxes[0].source).unwrap_err();
    assert!(
        problem.render().contains("whimbrel secrets init"),
        "{}",
        problem.render()
    );
}

#[test]
fn mistakes_about_secrets_are_told() {
    let cases = [
        (
            with_oauth(&DEVICE.replace("device_url = \"https://p.example/device\"\n", "")),
            "`device_url` is missing in `oauth.work`",
        ),
        (
            with_oauth(&DEVICE.replace("https://p.example/token", "http://p.example/token")),
            "clear text",
        ),
        (
            with_oauth(&DEVICE.replace("\"device\"", "\"devise\"")),
            "did you mean \"device\"?",
        ),
        (
            with_oauth(&format!("{DEVICE}redirect_url = \"https://x\"\n")),
            "must begin with http://127.0.0.1",
        ),
        (
            with_oauth(&format!("{DEVICE}client_secret = {{}}\n")),
            "`oauth.work.client_secret` does not say where it lies",
        ),
        (
            with_oauth(&format!("{DEVICE}client_secret = 7\n")),
            "must be a table that says where the secret lies",
        ),
        (
            with_oauth(DEVICE).replace("oauth = \"work\"", "oauth = \"wrok\""),
            "did you mean `work`?",
        ),
        (
            with_oauth(DEVICE).replace("oauth = \"work\"", "oauth = \"work\", token = { env = \"X\" }"),
            "more than one of password, token and oauth",
        ),
        (
            format!("{GOOD}\n[secrets]\nkey_file = \"k\"\npassphrase = {{ env = \"P\" }}\n"),
            "both a key file and a passphrase",
        ),
        (
            format!("{GOOD}\n[secrets]\npassphrase = {{ secret = \"P\" }}\n"),
            "there is no setting `secret`",
        ),
        (
            format!("{GOOD}\n[secrets]\nkeyfile = \"k\"\n"),
            "did you mean `key_file`?",
        ),
        (
            format!("{GOOD}\n[oauth]\nflow = \"device\"\n"),
            "must be a table, not a text",
        ),
    ];
    for (text, words) in cases {
        let said = refused(&text);
        assert!(said.contains(words), "{words:?} is missing in\n{said}");
    }
}
