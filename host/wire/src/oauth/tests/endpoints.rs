use super::*;

#[tokio::test]
async fn each_trouble_of_an_endpoint_has_its_words_and_shows_nothing() {
    let cases: [((&str, &str), &str, &str); 14] = [
        (
            (
                "400 Bad Request",
                r#"{"error":"invalid_grant","error_description":"s3cret"}"#,
            ),
            "unauthenticated",
            "invalid_grant",
        ),
        (
            ("401 Unauthorized", r#"{"error":"invalid_client"}"#),
            "invalid-settings",
            "`client_secret` in [oauth.test]",
        ),
        (("200 OK", r#"{"error":"server_error"}"#), "unavailable", "server_error"),
        (
            ("400 Bad Request", r#"{"error":"S3cret-s3cret"}"#),
            "unauthenticated",
            "an error of its own",
        ),
        (("500 Internal Server Error", "s3cret"), "unavailable", "500"),
        (
            ("429 Too Many Requests\r\nRetry-After: 7", "s3cret"),
            "throttled",
            "too many requests",
        ),
        (("404 Not Found", "s3cret"), "invalid-settings", "404"),
        (
            ("302 Found\r\nLocation: http://127.0.0.1:1/s3cret", ""),
            "invalid-settings",
            "secrets are not sent on",
        ),
        (("200 OK", "<html>s3cret"), "invalid-settings", "RFC 6749"),
        (
            ("200 OK", r#"{"access_token":"s3cret\u0001auth"}"#),
            "invalid-settings",
            "cannot be one",
        ),
        (
            ("200 OK", r#"{"access_token":""}"#),
            "invalid-settings",
            "cannot be one",
        ),
        (
            ("200 OK", r#"{"access_token":"s3cret","token_type":"mac"}"#),
            "invalid-settings",
            "other",
        ),
        (("200 OK", r#"{"access_token":7}"#), "invalid-settings", "RFC 6749"),
        (("200 OK", r#"["s3cret"]"#), "invalid-settings", "RFC 6749"),
    ];
    for ((head, body), code, words) in cases {
        let fake = Fake::start(move |_| (head.to_owned(), body.to_owned())).await;
        let said = text(fake.client().refresh(&"r-s3cret".into(), "w").await, code).await;
        assert!(said.contains(words) && said.contains("`test`"), "{said}");
        assert!(!said.contains("s3cret"), "{said}");
        assert_eq!(fake.asked().len(), 1, "no redirect is followed");
    }
}

#[tokio::test]
async fn an_endless_answer_is_cut_off_and_nobody_there_is_said() {
    let fake = Fake::start(|_| ("200 OK".into(), "x".repeat(1 << 20))).await;
    let said = text(fake.client().refresh(&"r".into(), "w").await, "invalid-settings").await;
    assert!(said.contains("answers more"), "{said}");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let client = Client::new(
        Fake {
            port,
            asked: Arc::default(),
        }
        .provider(),
        &Tls::new(None).unwrap(),
    )
    .unwrap();
    let said = text(client.refresh(&"r".into(), "w").await, "unavailable").await;
    assert!(said.contains(&format!("127.0.0.1:{port} cannot be reached")), "{said}");
}

#[tokio::test]
async fn numbers_may_be_texts_and_lifetimes_may_be_missing() {
    for (lifetime, seconds) in [
        (r#","expires_in":"60""#, Some(60)),
        (r#","expires_in":60.5"#, Some(60)),
        ("", None),
    ] {
        let body = format!(r#"{{"access_token":"a","refresh_token":""{lifetime}}}"#);
        let fake = Fake::start(move |_| ("200 OK".into(), body.clone())).await;
        let granted = fake.client().refresh(&"r".into(), "w").await.unwrap();
        assert_eq!(granted.lifetime.map(|time| time.as_secs()), seconds);
        let tokens = granted.at(100, Some("r".into()));
        assert_eq!(tokens.expires, seconds.map(|_| 160));
        assert_eq!(tokens.refresh, Some("r".into()), "the old one stays");
    }
}

#[test]
fn addresses_are_encrypted_and_redirects_stay_here() {
    assert!(Endpoint::new("https://login.example/token?x=1", false).is_ok());
    for (text, words) in [
        ("http://login.example/token", "clear text"),
        ("ftp://login.example", "neither https nor http"),
        ("login.example", "no address"),
        ("https://user:p@login.example", "a password"),
        ("https://login.example/#x", "fragment"),
    ] {
        assert!(Endpoint::new(text, false).unwrap_err().contains(words), "{text}");
    }
    let endpoint = Endpoint::new("http://h/token?key=s3cret", true).unwrap();
    assert_eq!(format!("{endpoint:?}"), "Endpoint(http://h:80/token)");
    assert!(Redirect::new("http://localhost:8400/back").is_ok());
    for text in ["https://localhost/", "http://example.org/", "http://127.0.0.1/?x", "x"] {
        assert!(Redirect::new(text).is_err(), "{text}");
    }
}
