use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};

use super::*;

#[tokio::test]
async fn a_device_waits_slows_down_and_gets_its_tokens() {
    let mut polls = 0;
    let fake = Fake::start(move |asked| {
        if asked.path == "/device" {
            let body = r#"{"device_code":"d","user_code":"AB-CD","verification_uri":"https://v","expires_in":600,"interval":1}"#;
            return ("200 OK".into(), body.into());
        }
        assert_eq!(asked.form["device_code"], "d");
        polls += 1;
        match polls {
            1 => refused("authorization_pending"),
            2 => refused("slow_down"),
            3 => ("503 Service Unavailable".into(), String::new()),
            _ => given("a1", Some("r1"), 60),
        }
    })
    .await;
    let client = fake.client();
    let mut device = client.device_code("w").await.unwrap();
    assert_eq!(
        (device.user_code.as_str(), device.verification_uri.as_str()),
        ("AB-CD", "https://v")
    );
    assert_eq!(
        (device.interval, device.step),
        (Duration::from_secs(1), Duration::from_secs(5))
    );
    (device.interval, device.step) = (Duration::from_millis(1), Duration::from_millis(50));
    let begin = std::time::Instant::now();
    let granted = client.device_tokens(&device, "w").await.unwrap();
    assert_eq!(granted.refresh.unwrap().expose(), "r1");
    // 1 ms, 1 ms, 51 ms, then twice that.
    assert!(begin.elapsed() >= Duration::from_millis(150), "{:?}", begin.elapsed());
    assert_eq!(fake.asked().len(), 5);
}

#[tokio::test]
async fn a_device_that_nobody_lets_in_is_told_so() {
    for (code, case, words) in [
        ("access_denied", "unauthenticated", "did not agree"),
        ("expired_token", "unauthenticated", "in time"),
        (
            "authorization_pending",
            "unauthenticated",
            "nobody entered the code in time",
        ),
    ] {
        let fake = Fake::start(move |asked| match asked.path.as_str() {
            "/device" => {
                let body =
                    r#"{"device_code":"d","user_code":"u","verification_url":"https://v","expires_in":1,"interval":0}"#;
                ("200 OK".into(), body.into())
            }
            _ => refused(code),
        })
        .await;
        let client = fake.client();
        let mut device = client.device_code("w").await.unwrap();
        device.interval = Duration::from_millis(200);
        let said = text(client.device_tokens(&device, "whimbrel secrets login test").await, case).await;
        assert!(
            said.contains(words) && said.contains("`whimbrel secrets login test`"),
            "{said}"
        );
    }
}

/// A browser that opens an address of the listener. The page it gets, if any.
async fn browse(url: &str) -> String {
    let url = Url::parse(url).unwrap();
    let mut stream = TcpStream::connect(("127.0.0.1", url.port().unwrap())).await.unwrap();
    let target = &url.as_str()[url.origin().ascii_serialization().len()..];
    let request = format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).await.unwrap();
    page
}

#[tokio::test]
async fn a_browser_logs_in_with_pkce_and_only_our_state_counts() {
    let fake = Fake::start(|_| given("a1", Some("r1"), 60)).await;
    let client = fake.client();
    let authorization = client.authorization().await.unwrap();
    let url = Url::parse(&authorization.url).unwrap();
    let query: Form = url.query_pairs().into_owned().collect();
    for (name, value) in [
        ("tenant", "a"),
        ("response_type", "code"),
        ("client_id", "client one"),
        ("scope", "mail offline"),
        ("prompt", "consent"),
        ("code_challenge_method", "S256"),
    ] {
        assert_eq!(query[name], value);
    }
    assert!(query["state"].len() == 43 && query["code_challenge"].len() == 43);
    assert!(!authorization.url.contains("secret"), "{}", authorization.url);
    let (back, state) = (query["redirect_uri"].clone(), query["state"].clone());
    let browser = tokio::spawn(async move {
        // An open connection that says nothing must not be in the way.
        let port = Url::parse(&back).unwrap().port().unwrap();
        let _idle = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        for wrong in [
            format!("{back}?code=evil&state=other"),
            format!("{back}?code=evil"),
            format!("{back}?code=evil&state={state}&state={state}"),
            format!("{back}favicon.ico?code=evil&state={state}"),
            format!("{back}?state={state}"),
        ] {
            assert!(browse(&wrong).await.starts_with("HTTP/1.1 404"), "{wrong}");
        }
        browse(&format!("{back}?code=good%20code&state={state}")).await
    });
    let granted = client
        .authorized(authorization, Duration::from_secs(20), "w")
        .await
        .unwrap();
    assert_eq!(granted.access.expose(), "a1");
    let page = browser.await.unwrap();
    assert!(page.starts_with("HTTP/1.1 200") && page.contains("no-store"), "{page}");
    let asked = fake.asked();
    assert_eq!(asked.len(), 1);
    let form = &asked[0].form;
    assert_eq!(
        (form["grant_type"].as_str(), form["code"].as_str()),
        ("authorization_code", "good code")
    );
    assert_eq!(form["redirect_uri"], query["redirect_uri"]);
    let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, form["code_verifier"].as_bytes()));
    assert_eq!(challenge, query["code_challenge"]);
}

#[tokio::test]
async fn a_refusal_in_the_browser_and_one_that_never_comes() {
    let fake = Fake::start(|_| given("a1", None, 60)).await;
    let client = fake.client();
    let authorization = client.authorization().await.unwrap();
    let url = Url::parse(&authorization.url).unwrap();
    let query: Form = url.query_pairs().into_owned().collect();
    let back = format!("{}?error=access_denied&state={}", query["redirect_uri"], query["state"]);
    let browser = tokio::spawn(async move { browse(&back).await });
    let said = client.authorized(authorization, Duration::from_secs(20), "w").await;
    assert!(text(said, "unauthenticated").await.contains("access_denied"));
    assert!(browser.await.unwrap().contains("refused"));
    let authorization = client.authorization().await.unwrap();
    let said = text(
        client.authorized(authorization, Duration::from_millis(10), "w").await,
        "unauthenticated",
    )
    .await;
    assert!(said.contains("nobody logged in"), "{said}");
    assert!(fake.asked().is_empty());
}
