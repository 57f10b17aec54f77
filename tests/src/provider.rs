//! A provider of OAuth 2.0 tokens on a loopback port: every token it gives is another one, ends after a few seconds, and is
//! known to the mail servers that ask it (RFC 7662).

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

/// A running provider; it ends with the test's process.
#[derive(Debug, Clone)]
pub struct Provider {
    port: u16,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    /// How long access tokens are good, and how long it says that they are.
    good: Duration,
    said: Duration,
    number: u64,
    /// Access tokens that were given: for whom, and until when.
    access: HashMap<String, (String, Instant)>,
    /// The one refresh token of each user that is good.
    refresh: HashMap<String, String>,
    /// Codes of devices, and how often they were asked for.
    devices: HashMap<String, u32>,
    /// Codes of browsers, with the challenge that they were got with.
    codes: HashMap<String, String>,
    /// What the token endpoint refuses everything with.
    refusal: Option<String>,
    refreshes: u64,
    introspections: u64,
    /// Every token, code and client secret that was ever given or taken.
    secrets: Vec<String>,
}

/// The client that it knows.
pub const CLIENT: &str = "whimbrel-test";

/// Its secret.
pub const CLIENT_SECRET: &str = "wh-client-s3cret-7Qz";

/// Who logs in there.
pub const USER: &str = "alice";

impl Provider {
    /// Access tokens are good for `good`, and it says so.
    pub fn start(good: Duration) -> Self {
        Self::lying(good, good)
    }

    /// Access tokens are good for `good`, and it says that they are for `said`.
    pub fn lying(good: Duration, said: Duration) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let state = Arc::new(Mutex::new(State {
            good,
            said,
            number: 0,
            access: HashMap::new(),
            refresh: HashMap::new(),
            devices: HashMap::new(),
            codes: HashMap::new(),
            refusal: None,
            refreshes: 0,
            introspections: 0,
            secrets: vec![CLIENT_SECRET.to_owned()],
        }));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                thread::spawn(move || serve(stream, &state));
            }
        });
        Self { port, state }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("no panic holds it")
    }

    /// A `[oauth.work]` section for it; the client's secret lies where `secret` says, in TOML.
    pub fn section(&self, flow: &str, secret: &str) -> String {
        let port = self.port;
        format!(
            "[oauth.work]\nflow = \"{flow}\"\ninsecure = true\nclient_id = \"{CLIENT}\"\nclient_secret = {secret}\n\
             scopes = [\"mail\"]\ntoken_url = \"http://127.0.0.1:{port}/token\"\n\
             device_url = \"http://127.0.0.1:{port}/device\"\n\
             authorization_url = \"http://127.0.0.1:{port}/authorize\"\n"
        )
    }

    /// Lines for a Dovecot that takes its tokens, and that does not let a login wait for those that failed before it: a
    /// token of a few seconds would end meanwhile; `file` is for the rest of the configuration.
    pub fn dovecot(&self, file: &std::path::Path) -> String {
        let text = format!(
            "introspection_mode = auth\nintrospection_url = http://127.0.0.1:{}/introspect\nforce_introspection = yes\n\
             username_attribute = username\nactive_attribute = active\nactive_value = true\n",
            self.port
        );
        std::fs::write(file, text).expect("own folder");
        format!(
            "auth_mechanisms = plain login xoauth2 oauthbearer\nauth_cache_size = 0\nauth_failure_delay = 0\n\
             service anvil {{\n  unix_listener anvil-auth-penalty {{\n    mode = 0\n  }}\n}}\npassdb {{\n  driver = oauth2\n  \
             mechanisms = xoauth2 oauthbearer\n  args = {}\n}}\n",
            file.display()
        )
    }

    /// A refresh token for the user, as if somebody had logged in elsewhere.
    pub fn refresh_token(&self) -> String {
        self.state().new_refresh(USER)
    }

    /// An access token for the user that is good for an hour, as if somebody had got it elsewhere.
    pub fn access_token(&self, user: &str) -> String {
        let mut state = self.state();
        let token = state.fresh("fixed");
        let until = Instant::now() + Duration::from_secs(3600);
        state.access.insert(token.clone(), (user.to_owned(), until));
        token
    }

    /// The browser of somebody who agrees: follows the address to the end. What the program's listener answered.
    pub fn agree(&self, url: &str) -> String {
        let back = visit(url)
            .lines()
            .find_map(|line| line.strip_prefix("Location: ").map(str::to_owned));
        visit(&back.expect("the provider sends the browser back"))
    }

    /// Refuses every request for tokens from now on; none: no longer.
    pub fn refuse(&self, code: Option<&str>) {
        self.state().refusal = code.map(str::to_owned);
    }

    /// How often a refresh token was used.
    pub fn refreshes(&self) -> u64 {
        self.state().refreshes
    }

    /// How often a mail server asked whether a token is good.
    pub fn introspections(&self) -> u64 {
        self.state().introspections
    }

    /// Everything that must not be found anywhere.
    pub fn secrets(&self) -> Vec<String> {
        self.state().secrets.clone()
    }
}

impl State {
    fn fresh(&mut self, kind: &str) -> String {
        self.number += 1;
        let token = format!("wh-{kind}-s3cret-{:04}-Xy9", self.number);
        self.secrets.push(token.clone());
        token
    }

    fn new_refresh(&mut self, user: &str) -> String {
        let token = self.fresh("refresh");
        self.refresh.insert(user.to_owned(), token.clone());
        token
    }

    /// New tokens; the old refresh token is void.
    fn tokens(&mut self, user: &str, with_refresh: bool) -> Answer {
        let access = self.fresh("access");
        let until = Instant::now() + self.good;
        self.access.insert(access.clone(), (user.to_owned(), until));
        let mut body = json!({ "access_token": access, "token_type": "Bearer", "expires_in": self.said.as_secs() });
        if with_refresh {
            body["refresh_token"] = self.new_refresh(user).into();
        }
        Answer::json("200 OK", &body)
    }

    fn answer(&mut self, asked: &Asked) -> Answer {
        match asked.path.as_str() {
            "/introspect" => self.introspect(asked),
            "/authorize" => self.authorize(asked),
            "/device" => {
                let code = self.fresh("device");
                self.devices.insert(code.clone(), 0);
                let body = json!({
                    "device_code": code, "user_code": "WHIM-BREL", "interval": 0, "expires_in": 60,
                    "verification_uri": "http://127.0.0.1/activate"
                });
                Answer::json("200 OK", &body)
            }
            "/token" => self.token(asked),
            _ => Answer::json("404 Not Found", &json!({})),
        }
    }

    fn token(&mut self, asked: &Asked) -> Answer {
        if let Some(code) = &self.refusal {
            return Answer::refused(code);
        }
        if asked.value("client_id") != CLIENT || asked.value("client_secret") != CLIENT_SECRET {
            return Answer::refused("invalid_client");
        }
        match asked.value("grant_type") {
            "client_credentials" => self.tokens(USER, false),
            "refresh_token" => {
                self.refreshes += 1;
                let good = self
                    .refresh
                    .iter()
                    .find(|(_, token)| *token == asked.value("refresh_token"));
                match good.map(|(user, _)| user.clone()) {
                    Some(user) => self.tokens(&user, true),
                    None => Answer::refused("invalid_grant"),
                }
            }
            "urn:ietf:params:oauth:grant-type:device_code" => match self.devices.get_mut(asked.value("device_code")) {
                Some(asked) if *asked < 2 => {
                    *asked += 1;
                    Answer::refused("authorization_pending")
                }
                Some(_) => self.tokens(USER, true),
                None => Answer::refused("invalid_grant"),
            },
            "authorization_code" => match self.codes.remove(asked.value("code")) {
                // That the verifier fits the challenge is for unit tests: here it has to be there.
                Some(challenge) if challenge.len() == 43 && asked.value("code_verifier").len() == 43 => {
                    self.tokens(USER, true)
                }
                _ => Answer::refused("invalid_grant"),
            },
            _ => Answer::refused("unsupported_grant_type"),
        }
    }

    fn authorize(&mut self, asked: &Asked) -> Answer {
        let code = self.fresh("code");
        self.codes
            .insert(code.clone(), asked.value("code_challenge").to_owned());
        let (back, state) = (asked.value("redirect_uri"), asked.value("state"));
        Answer {
            status: "302 Found",
            head: format!("Location: {back}?code={code}&state={state}\r\n"),
            body: String::new(),
        }
    }

    fn introspect(&mut self, asked: &Asked) -> Answer {
        self.introspections += 1;
        let known = self
            .access
            .get(&asked.bearer)
            .filter(|(_, until)| Instant::now() < *until);
        match known {
            Some((user, _)) => Answer::json("200 OK", &json!({ "active": true, "username": user })),
            None => Answer::json("401 Unauthorized", &json!({ "active": false })),
        }
    }
}

struct Answer {
    status: &'static str,
    head: String,
    body: String,
}

impl Answer {
    fn json(status: &'static str, body: &serde_json::Value) -> Self {
        Self {
            status,
            head: "Content-Type: application/json\r\n".to_owned(),
            body: body.to_string(),
        }
    }

    fn refused(code: &str) -> Self {
        let body = json!({ "error": code, "error_description": "what wh-description-s3cret says" });
        Self::json("400 Bad Request", &body)
    }
}

/// A request, as far as anybody here asks.
#[derive(Default)]
struct Asked {
    path: String,
    values: HashMap<String, String>,
    bearer: String,
}

impl Asked {
    fn value(&self, name: &str) -> &str {
        self.values.get(name).map_or("", String::as_str)
    }

    fn read(stream: &mut TcpStream) -> Option<Self> {
        let mut bytes = Vec::new();
        loop {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let field = |name: &str| {
                    head.lines()
                        .find_map(|line| line.split_once(": ").filter(|(key, _)| key.eq_ignore_ascii_case(name)))
                        .map(|(_, value)| value.to_owned())
                };
                let length = field("content-length").map_or(0, |length| length.parse().expect("a length"));
                if body.len() >= length {
                    let target = head.split(' ').nth(1)?;
                    let (path, query) = target.split_once('?').unwrap_or((target, ""));
                    let pairs = query
                        .split('&')
                        .chain(body.split('&'))
                        .filter_map(|pair| pair.split_once('='));
                    return Some(Self {
                        path: path.to_owned(),
                        values: pairs.map(|(name, value)| (decoded(name), decoded(value))).collect(),
                        bearer: field("authorization")
                            .and_then(|value| value.strip_prefix("Bearer ").map(str::to_owned))
                            .unwrap_or_default(),
                    });
                }
            }
            let mut piece = [0; 4096];
            match stream.read(&mut piece) {
                Ok(0) | Err(_) => return None,
                Ok(count) => bytes.extend_from_slice(&piece[..count]),
            }
        }
    }
}

fn serve(mut stream: TcpStream, state: &Mutex<State>) {
    let _ = stream.set_read_timeout(Some(Duration::from_secs(30)));
    while let Some(asked) = Asked::read(&mut stream) {
        let Answer { status, head, body } = state.lock().expect("no panic holds it").answer(&asked);
        let answer = format!(
            "HTTP/1.1 {status}\r\n{head}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        if stream.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

/// From `application/x-www-form-urlencoded`.
fn decoded(text: &str) -> String {
    let mut out = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [bytes.next().unwrap_or(b'0'), bytes.next().unwrap_or(b'0')];
                u8::from_str_radix(&String::from_utf8_lossy(&digits), 16).expect("two hexadecimal digits")
            }
            other => other,
        });
    }
    String::from_utf8(out).expect("UTF-8")
}

/// Opens an `http` address of this machine; head and body of the answer.
fn visit(url: &str) -> String {
    let rest = url.strip_prefix("http://").expect("an http address");
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let mut request = String::new();
    write!(
        request,
        "GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    )
    .expect("a string");
    let mut stream = TcpStream::connect(host).unwrap_or_else(|error| panic!("{host}: {error}"));
    stream.set_read_timeout(Some(Duration::from_secs(5))).expect("a time");
    stream.write_all(request.as_bytes()).expect("a listener");
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    // The provider keeps connections open: what is there by the end of its head is enough.
    while let Ok(count) = stream.read(&mut piece) {
        answer.extend_from_slice(&piece[..count]);
        if count == 0 || answer.windows(4).any(|window| window == b"\r\n\r\n") && answer.starts_with(b"HTTP/1.1 302") {
            break;
        }
    }
    String::from_utf8_lossy(&answer).into_owned()
}
