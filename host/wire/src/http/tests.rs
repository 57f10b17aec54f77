//! A server that follows a script, byte for byte.

use std::sync::Mutex;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use whimbrel_model::Secret;

use super::*;
use crate::BlobStoreConfig;

/// What was asked: the first line, the head in lower case, the body.
#[derive(Debug, Clone)]
struct Asked {
    line: String,
    head: String,
    body: String,
}

impl Asked {
    fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

/// What is answered, and then.
enum Then {
    Close,
    /// This again and again.
    Repeat(Vec<u8>, u64),
    /// Byte by byte, so slowly.
    Drip(Vec<u8>, Duration),
}

type Script = Box<dyn FnMut(&Asked) -> (Vec<u8>, Then) + Send>;

struct Fake {
    port: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Fake {
    async fn start(script: impl FnMut(&Asked) -> (Vec<u8>, Then) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let script: Arc<Mutex<Script>> = Arc::new(Mutex::new(Box::new(script)));
        let log = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&script), Arc::clone(&log)));
            }
        });
        Self { port, asked }
    }

    /// Each answer is a head and a body of the length that it says.
    async fn simple(mut script: impl FnMut(&Asked) -> (String, String) + Send + 'static) -> Self {
        Self::start(move |asked| {
            let (head, body) = script(asked);
            (plain(&head, &body), Then::Close)
        })
        .await
    }

    fn url(&self, path: &str) -> Url {
        Url::parse(&format!("http://127.0.0.1:{}{path}", self.port)).unwrap()
    }

    fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

fn plain(head: &str, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {head}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

async fn serve(mut stream: TcpStream, script: Arc<Mutex<Script>>, log: Arc<Mutex<Vec<Asked>>>) {
    let mut bytes = Vec::new();
    loop {
        if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return;
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let lower = head.lines().skip(1).map(|line| {
            let (name, value) = line.split_once(": ").unwrap_or((line, ""));
            format!("{}: {value}\n", name.to_lowercase())
        });
        let asked = Asked {
            line: head.lines().next().unwrap_or_default().to_owned(),
            head: lower.collect(),
            body: body.to_owned(),
        };
        let length = asked.header("content-length").map_or(0, |text| text.parse().unwrap());
        if body.len() < length {
            continue;
        }
        log.lock().unwrap().push(asked.clone());
        let (answer, then) = (script.lock().unwrap())(&asked);
        if stream.write_all(&answer).await.is_err() {
            return;
        }
        match then {
            Then::Close => {}
            Then::Repeat(bytes, times) => {
                for _ in 0..times {
                    if stream.write_all(&bytes).await.is_err() {
                        return;
                    }
                }
            }
            Then::Drip(bytes, pause) => {
                for byte in bytes {
                    tokio::time::sleep(pause).await;
                    if stream.write_all(&[byte]).await.is_err() {
                        return;
                    }
                }
            }
        }
        let _ = stream.shutdown().await;
        return;
    }
}

struct Ground {
    client: Client,
    folder: tempfile::TempDir,
}

fn ground_with(credentials: Credentials, largest: u64, timeouts: Timeouts, ports: &[u16]) -> Ground {
    let folder = tempfile::tempdir().unwrap();
    let ports = ports.to_vec();
    let client = Client::new(Setup {
        tls: Tls::pinned(&[]).unwrap(),
        credentials,
        timeouts,
        blobs: BlobStore::new(BlobStoreConfig {
            folder: folder.path().to_owned(),
            memory: 4 << 20,
            threshold: 1 << 20,
        }),
        largest,
        gate: Arc::new(move |url| match url.port() {
            Some(port) if ports.contains(&port) => Ok(()),
            _ => Err(Failure::Forbidden("not granted".into())),
        }),
        witness: Arc::new(|_, _| {}),
    })
    .unwrap();
    Ground { client, folder }
}

fn ground(credentials: Credentials, ports: &[u16]) -> Ground {
    ground_with(credentials, 1 << 40, Timeouts::default(), ports)
}

fn password() -> Credentials {
    Credentials::Password {
        user: "alice".into(),
        password: Secret::from("sesame"),
    }
}

fn request(method: &str, url: Url) -> Request {
    Request {
        method: method.into(),
        url,
        headers: Vec::new(),
        body: None,
        authenticate: true,
        timeout: None,
        largest: None,
    }
}

async fn text(response: &Response) -> String {
    let bytes = response.body.to_bytes(1 << 20).await.unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn bodies_go_out_and_come_in_and_secrets_stay_hidden() {
    let fake = Fake::simple(|asked| {
        let head = "207 Multi-Status\r\nETag: \"1\"\r\nSet-Cookie: a=b\r\nWWW-Authenticate: Basic".to_owned();
        (head, format!("<{}>", asked.body.len()))
    })
    .await;
    let ground = ground(Credentials::None, &[fake.port]);
    for size in [0_usize, 5, 3 << 20] {
        let mut one = request("PROPFIND", fake.url("/a?b=c"));
        one.headers.push(("Depth".into(), "1".into()));
        one.body = Some(Blob::from_bytes(vec![b'x'; size]));
        let response = ground.client.send(one).await.unwrap();
        assert_eq!((response.status, text(&response).await), (207, format!("<{size}>")));
        let names: Vec<&str> = response.headers.iter().map(|(name, _)| name.as_str()).collect();
        assert!(names.contains(&"etag"), "{names:?}");
        assert!(
            !names.contains(&"set-cookie") && !names.contains(&"www-authenticate"),
            "{names:?}"
        );
    }
    let asked = fake.asked();
    assert_eq!(asked[1].line, "PROPFIND /a?b=c HTTP/1.1");
    assert_eq!(asked[1].header("depth"), Some("1"));
    assert_eq!(asked[2].header("content-length"), Some("3145728"));
}

#[tokio::test]
async fn redirects_are_followed_within_the_grant_and_only_there() {
    let other = Fake::simple(|_| ("200 OK".into(), "other".into())).await;
    let port = other.port;
    let fake = Fake::simple(move |asked| {
        let to = match asked.line.split(' ').nth(1).unwrap() {
            "/start" => "/middle".to_owned(),
            "/middle" => "end".to_owned(),
            "/endless" => "/endless".to_owned(),
            "/other" => format!("http://127.0.0.1:{port}/taken"),
            "/denied" => "http://127.0.0.1:1/".to_owned(),
            "/strange" => "http://".to_owned(),
            _ => return ("200 OK".into(), asked.line.clone()),
        };
        (format!("308 Permanent Redirect\r\nLocation: {to}"), String::new())
    })
    .await;
    let ground = ground(password(), &[fake.port, other.port]);
    let mut one = request("REPORT", fake.url("/start"));
    one.body = Some(Blob::from_bytes("body"));
    let response = ground.client.send(one).await.unwrap();
    assert_eq!(text(&response).await, "REPORT /end HTTP/1.1");
    assert_eq!(response.url.path(), "/end");
    assert_eq!(fake.asked().last().unwrap().body, "body");
    assert!(fake.asked().last().unwrap().header("authorization").is_some());

    let endless = ground.client.send(request("GET", fake.url("/endless"))).await;
    assert!(matches!(endless, Err(Failure::InvalidSettings(text)) if text.contains("without end")));
    assert_eq!(fake.asked().iter().filter(|it| it.line.contains("endless")).count(), 11);

    let response = ground.client.send(request("GET", fake.url("/other"))).await.unwrap();
    assert_eq!(text(&response).await, "other");
    assert!(
        other.asked()[0].header("authorization").is_none(),
        "{:?}",
        other.asked()
    );

    let denied = ground.client.send(request("GET", fake.url("/denied"))).await;
    assert!(matches!(denied, Err(Failure::Forbidden(_))), "{denied:?}");
    let strange = ground.client.send(request("GET", fake.url("/strange"))).await;
    assert!(matches!(strange, Err(Failure::Unavailable(_))), "{strange:?}");
}

#[tokio::test]
async fn nothing_is_sent_on_from_tls_to_clear_text() {
    let hop = |url: &str| Url::parse(url).unwrap();
    let answer = reqwest::Response::from(
        ::http::Response::builder()
            .status(302)
            .header("location", "http://dav.example/")
            .body("")
            .unwrap(),
    );
    let failure = send::next_url(&hop("https://dav.example/"), &answer);
    assert!(matches!(failure, Err(Failure::Forbidden(_))), "{failure:?}");
    assert_eq!(
        send::next_url(&hop("http://dav.example/"), &answer)
            .unwrap()
            .unwrap()
            .scheme(),
        "http"
    );
}

#[tokio::test]
async fn a_large_answer_spills_and_one_beyond_the_limit_is_refused() {
    let fake = Fake::start(|asked| {
        let piece = vec![b'x'; 1 << 20];
        if asked.line.contains("/chunked") {
            let mut chunk = format!("{:x}\r\n", piece.len()).into_bytes();
            chunk.extend_from_slice(&piece);
            chunk.extend_from_slice(b"\r\n");
            let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
            return (head, Then::Repeat(chunk, 10_240));
        }
        let claimed: u64 = if asked.line.contains("/huge") {
            10 << 30
        } else {
            32 << 20
        };
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {claimed}\r\n\r\n").into_bytes();
        (head, Then::Repeat(piece, claimed >> 20))
    })
    .await;
    let ground = ground_with(Credentials::None, 64 << 20, Timeouts::default(), &[fake.port]);
    let response = ground.client.send(request("GET", fake.url("/large"))).await.unwrap();
    assert_eq!(response.body.size(), 32 << 20);
    assert!(ground.client.0.setup.blobs.memory_used() <= 4 << 20);
    for path in ["/huge", "/chunked"] {
        let refused = ground.client.send(request("GET", fake.url(path))).await;
        assert_eq!(refused.err(), Some(Failure::TooLarge(Some(64 << 20))), "{path}");
    }
    let mut small = request("GET", fake.url("/large"));
    small.largest = Some(1000);
    let refused = ground.client.send(small).await;
    assert_eq!(refused.err(), Some(Failure::TooLarge(Some(1000))));
    assert!(ground.folder.path().read_dir().is_ok());
}

#[tokio::test]
async fn lengths_that_lie_and_bombs_are_noticed() {
    // 64 MiB of zeros in 64 KiB.
    let mut bomb = Vec::new();
    let mut packer = flate2::write::GzEncoder::new(&mut bomb, flate2::Compression::best());
    for _ in 0..64 {
        std::io::Write::write_all(&mut packer, &vec![0; 1 << 20]).unwrap();
    }
    packer.finish().unwrap();
    let fake = Fake::start(move |asked| {
        let answer = match asked.line.split(' ').nth(1).unwrap() {
            "/short" => b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nfew".to_vec(),
            "/long" => b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nfew and more".to_vec(),
            "/broken" => b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nfew".to_vec(),
            _ => {
                let head = format!(
                    "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
                    bomb.len()
                );
                [head.as_bytes(), &bomb].concat()
            }
        };
        (answer, Then::Close)
    })
    .await;
    let ground = ground_with(Credentials::None, 8 << 20, Timeouts::default(), &[fake.port]);
    for path in ["/short", "/broken"] {
        let broken = ground.client.send(request("GET", fake.url(path))).await;
        assert!(matches!(broken, Err(Failure::Unavailable(_))), "{path}: {broken:?}");
    }
    let long = ground.client.send(request("GET", fake.url("/long"))).await.unwrap();
    assert_eq!(text(&long).await, "few");
    let bombed = ground.client.send(request("GET", fake.url("/bomb"))).await;
    assert_eq!(bombed.err(), Some(Failure::TooLarge(Some(8 << 20))));
}

#[tokio::test]
async fn a_slow_drip_ends() {
    let fake = Fake::start(|asked| match asked.line.contains("/silent") {
        true => (Vec::new(), Then::Drip(vec![b'x'], Duration::from_secs(600))),
        false => {
            let head = b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n".to_vec();
            (head, Then::Drip(vec![b'x'; 10_000], Duration::from_millis(20)))
        }
    })
    .await;
    let timeouts = Timeouts {
        reply: Duration::from_millis(200),
        ..Timeouts::default()
    };
    let ground = ground_with(Credentials::None, 1 << 20, timeouts, &[fake.port]);
    for path in ["/drip", "/silent"] {
        let mut one = request("GET", fake.url(path));
        one.timeout = Some(Duration::from_millis(400));
        let slow = ground.client.send(one).await;
        assert!(matches!(slow, Err(Failure::Unavailable(_))), "{path}: {slow:?}");
    }
}

#[tokio::test]
async fn what_a_status_means() {
    let fake = Fake::simple(|asked| {
        let head = asked.line.split(' ').nth(1).unwrap()[1..]
            .replace('_', " ")
            .replace('~', "\r\n");
        (head, "secret body".into())
    })
    .await;
    let ground = ground(Credentials::None, &[fake.port]);
    let mut told = Vec::new();
    for path in [
        "429_x~Retry-After:_7",
        "503_x~Retry-After:_1",
        "503_x",
        "500_x",
        "507_x",
        "401_x",
    ] {
        let failure = ground
            .client
            .send(request("GET", fake.url(&format!("/{path}"))))
            .await
            .unwrap_err();
        assert!(!failure.to_string().contains("secret"), "{failure}");
        let wait = match &failure {
            Failure::Throttled { retry_after_ms, .. } => *retry_after_ms,
            _ => None,
        };
        told.push((failure.code(), wait));
    }
    let wanted = [
        ("throttled", Some(7000)),
        ("throttled", Some(1000)),
        ("unavailable", None),
        ("unavailable", None),
        ("over-quota", None),
        ("unauthenticated", None),
    ];
    assert_eq!(told, wanted);
    for status in [404, 412, 403, 501] {
        let url = fake.url(&format!("/{status}_x"));
        assert_eq!(ground.client.send(request("GET", url)).await.unwrap().status, status);
    }
    let mut open = request("GET", fake.url("/401_x"));
    open.authenticate = false;
    assert_eq!(ground.client.send(open).await.unwrap().status, 401);
}

#[tokio::test]
async fn passwords_are_shown_by_basic_or_digest_as_the_server_wants() {
    let basic = Fake::simple(|asked| match asked.header("authorization") {
        Some("Basic YWxpY2U6c2VzYW1l") => ("200 OK".into(), String::new()),
        Some(_) => ("401 No\r\nWWW-Authenticate: Basic realm=\"x\"".into(), String::new()),
        None => ("200 OK".into(), "anonymous".into()),
    })
    .await;
    let good = ground(password(), &[basic.port]);
    for _ in 0..2 {
        let response = good.client.send(request("GET", basic.url("/"))).await.unwrap();
        assert_eq!(text(&response).await, "");
    }
    let lines: Vec<String> = basic.asked().iter().map(|it| it.line.clone()).collect();
    assert_eq!(lines, ["OPTIONS / HTTP/1.1", "GET / HTTP/1.1", "GET / HTTP/1.1"]);
    let wrong = Credentials::Password {
        user: "alice".into(),
        password: Secret::from("open"),
    };
    let refused = ground(wrong, &[basic.port])
        .client
        .send(request("GET", basic.url("/")))
        .await;
    assert!(
        matches!(refused, Err(Failure::Unauthenticated(text)) if text.contains("password") && !text.contains("open"))
    );

    let mut nonce = 0;
    let digest = Fake::simple(move |asked| {
        let shown = asked.header("authorization").unwrap_or_default().to_owned();
        assert!(!shown.starts_with("Basic"), "the password itself was shown");
        let current = format!("nonce=\"n{nonce}\"");
        if shown.contains(&current) && shown.contains("uri=\"/a?b\"") && shown.contains("SHA-256") {
            // Good for one request.
            nonce += 1;
            return ("200 OK".into(), "in".into());
        }
        let stale = if shown.is_empty() { "" } else { ", stale=true" };
        let challenge = format!("Digest realm=\"r\", qop=\"auth\", algorithm=SHA-256, {current}{stale}");
        (
            format!("401 No\r\nWWW-Authenticate: Basic realm=\"r\", {challenge}"),
            String::new(),
        )
    })
    .await;
    let ground = ground(password(), &[digest.port]);
    for _ in 0..3 {
        let response = ground.client.send(request("GET", digest.url("/a?b"))).await.unwrap();
        assert_eq!(text(&response).await, "in");
    }
}

#[tokio::test]
async fn a_server_that_refuses_for_ever_is_asked_a_few_times() {
    let mut nonce = 0;
    let fake = Fake::simple(move |_| {
        nonce += 1;
        let head =
            format!("401 No\r\nWWW-Authenticate: Digest realm=\"r\", qop=\"auth\", nonce=\"{nonce}\", stale=true");
        (head, String::new())
    })
    .await;
    let ground = ground(password(), &[fake.port]);
    let refused = ground.client.send(request("GET", fake.url("/"))).await;
    assert!(matches!(refused, Err(Failure::Unauthenticated(_))), "{refused:?}");
    assert_eq!(fake.asked().len(), 4);
}

#[tokio::test]
async fn answers_keep_their_order_and_one_failure_is_its_own() {
    let fake = Fake::simple(|asked| match asked.line.contains("/7 ") {
        true => ("500 x".into(), String::new()),
        false => ("200 OK".into(), asked.line.clone()),
    })
    .await;
    let ground = ground(Credentials::None, &[fake.port]);
    let requests = (0..20).map(|n| request("GET", fake.url(&format!("/{n}")))).collect();
    let answers = ground.client.send_all(requests).await;
    for (n, answer) in answers.iter().enumerate() {
        match answer {
            Ok(response) => assert_eq!(text(response).await, format!("GET /{n} HTTP/1.1")),
            Err(failure) => assert_eq!((n, failure.code()), (7, "unavailable")),
        }
    }
    assert_eq!(answers.iter().filter(|answer| answer.is_err()).count(), 1);
}

#[tokio::test]
async fn what_a_connector_must_not_write_is_refused() {
    let ground = ground(password(), &[1]);
    for (name, value) in [
        ("Authorization", "x"),
        ("cookie", "x"),
        ("Host", "x"),
        ("a b", "x"),
        ("a", "x\r\nb: c"),
    ] {
        let mut one = request("GET", Url::parse("http://127.0.0.1:1/").unwrap());
        one.headers.push((name.into(), value.into()));
        let refused = ground.client.send(one).await;
        assert!(matches!(refused, Err(Failure::Internal(_))), "{name}: {refused:?}");
    }
    for name in ["X-HTTP-Method-Override", "x-http-method", "X-Method-Override"] {
        let mut one = request("GET", Url::parse("http://127.0.0.1:1/").unwrap());
        one.headers.push((name.into(), "DELETE".into()));
        let refused = ground.client.send(one).await;
        assert!(matches!(refused, Err(Failure::Forbidden(_))), "{name}: {refused:?}");
    }
    for method in ["", "get", "CONNECT", "A B"] {
        let refused = ground
            .client
            .send(request(method, Url::parse("http://127.0.0.1:1/").unwrap()))
            .await;
        assert!(matches!(refused, Err(Failure::Internal(_))), "{method}: {refused:?}");
    }
    let refused = ground
        .client
        .send(request("GET", Url::parse("http://u:p@127.0.0.1:1/").unwrap()))
        .await;
    assert!(matches!(refused, Err(Failure::Forbidden(_))), "{refused:?}");
}
