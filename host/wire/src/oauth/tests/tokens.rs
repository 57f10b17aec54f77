use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::FutureExt as _;
use whimbrel_model::{Secret, Tokens};

use super::*;

/// Tokens in memory, and a clock that is set.
struct Kept {
    tokens: Mutex<Option<Tokens>>,
    now: AtomicI64,
    saved: AtomicUsize,
    broken: Mutex<bool>,
}

impl Kept {
    fn new(refresh: Option<&str>) -> Arc<Self> {
        Arc::new(Self {
            tokens: Mutex::new(refresh.map(|refresh| Tokens {
                refresh: Some(refresh.into()),
                ..Tokens::default()
            })),
            now: AtomicI64::new(1000),
            saved: AtomicUsize::new(0),
            broken: Mutex::new(false),
        })
    }

    fn refresh(&self) -> String {
        let tokens = self.tokens.lock().unwrap().clone().unwrap();
        tokens.refresh.unwrap().expose().to_owned()
    }

    fn later(&self, seconds: i64) {
        self.now.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl TokenStore for Kept {
    fn now(&self) -> i64 {
        self.now.load(Ordering::SeqCst)
    }

    fn load(&self) -> Result<Option<Tokens>, Failure> {
        Ok(self.tokens.lock().unwrap().clone())
    }

    fn save(&self, tokens: &Tokens) -> Result<(), Failure> {
        if *self.broken.lock().unwrap() {
            return Err(Failure::Unavailable("the disk is full".into()));
        }
        self.saved.fetch_add(1, Ordering::SeqCst);
        *self.tokens.lock().unwrap() = Some(tokens.clone());
        Ok(())
    }

    fn login(&self) -> String {
        "whimbrel secrets login test".into()
    }
}

/// A provider that takes each refresh token once: `r0` for `a1` and `r1`, and so on.
async fn rotating(lifetime: u64) -> Fake {
    let mut number = 0;
    Fake::start(move |asked| {
        if asked.form.get("refresh_token") != Some(&format!("r{number}")) {
            return refused("invalid_grant");
        }
        number += 1;
        given(&format!("a{number}"), Some(&format!("r{number}")), lifetime)
    })
    .await
}

fn source(fake: &Fake, kept: &Arc<Kept>) -> TokenSource {
    TokenSource::new(fake.client(), Means::Refresh, Arc::clone(kept) as Arc<dyn TokenStore>)
}

#[tokio::test]
async fn a_token_is_replaced_in_time_and_a_new_refresh_token_is_kept_first() {
    let fake = rotating(3600).await;
    let kept = Kept::new(Some("r0"));
    let tokens = source(&fake, &kept);
    for _ in 0..3 {
        assert_eq!(tokens.current().await.unwrap().expose(), "a1");
    }
    assert_eq!((kept.refresh(), fake.asked().len()), ("r1".to_owned(), 1));
    kept.later(3600 - 301);
    assert_eq!(tokens.current().await.unwrap().expose(), "a1");
    kept.later(1);
    assert_eq!(
        tokens.current().await.unwrap().expose(),
        "a2",
        "five minutes before the end"
    );
    let asked = &fake.asked()[0];
    assert_eq!(
        (asked.path.as_str(), asked.form["grant_type"].as_str()),
        ("/token", "refresh_token")
    );
    assert_eq!(asked.form["client_id"], "client one");
    assert_eq!(asked.form["client_secret"], "client:secret");
    // The next run takes what was kept, without asking.
    assert_eq!(source(&fake, &kept).current().await.unwrap().expose(), "a2");
    assert_eq!(fake.asked().len(), 2);
}

#[tokio::test]
async fn many_connections_share_one_refresh() {
    let fake = rotating(3600).await;
    let kept = Kept::new(Some("r0"));
    let tokens = source(&fake, &kept);
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let tokens = tokens.clone();
        waiting.spawn(async move { tokens.current().await.unwrap().expose().to_owned() });
    }
    let got = waiting.join_all().await;
    assert!(got.iter().all(|token| token == "a1"), "{got:?}");
    assert_eq!(fake.asked().len(), 1);
}

#[tokio::test]
async fn a_refused_token_leads_to_one_other_and_never_to_a_loop() {
    let fake = rotating(3600).await;
    let kept = Kept::new(Some("r0"));
    let tokens = source(&fake, &kept);
    let first = tokens.current().await.unwrap();
    let second = tokens.refused(&first).await.unwrap().unwrap();
    assert_eq!(second.expose(), "a2");
    // Another connection, still with the first one, gets the second without asking.
    assert_eq!(tokens.refused(&first).await.unwrap().unwrap(), second);
    assert_eq!(
        tokens.refused(&second).await.unwrap(),
        None,
        "it was got for a refusal itself"
    );
    assert_eq!(fake.asked().len(), 2);
    // Once a server took it, a later refusal is a new matter.
    tokens.accepted();
    assert_eq!(tokens.refused(&second).await.unwrap().unwrap().expose(), "a3");
}

#[tokio::test]
async fn what_another_process_kept_is_used() {
    let fake = rotating(3600).await;
    let kept = Kept::new(Some("r0"));
    let (one, two) = (source(&fake, &kept), source(&fake, &kept));
    one.current().await.unwrap();
    two.current().await.unwrap();
    kept.later(3500);
    assert_eq!(one.current().await.unwrap().expose(), "a2");
    assert_eq!(
        two.current().await.unwrap().expose(),
        "a2",
        "with r1 it would have been refused"
    );
    assert_eq!(fake.asked().len(), 2);
}

#[tokio::test]
async fn what_cannot_be_kept_is_not_used_and_not_lost() {
    let fake = rotating(3600).await;
    let kept = Kept::new(Some("r0"));
    let tokens = source(&fake, &kept);
    *kept.broken.lock().unwrap() = true;
    assert!(
        text(tokens.current().await, "unavailable")
            .await
            .contains("the disk is full")
    );
    assert_eq!(kept.refresh(), "r0");
    *kept.broken.lock().unwrap() = false;
    assert_eq!(tokens.current().await.unwrap().expose(), "a1");
    assert_eq!((kept.refresh(), fake.asked().len()), ("r1".to_owned(), 1));
}

#[tokio::test]
async fn a_refresh_goes_on_when_its_connection_is_given_up() {
    let fake = rotating(3600).await;
    let kept = Kept::new(Some("r0"));
    let tokens = source(&fake, &kept);
    // Given up before the provider can have answered.
    assert!(tokens.current().now_or_never().is_none());
    for _ in 0..500 {
        if kept.saved.load(Ordering::SeqCst) == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(kept.refresh(), "r1");
    assert_eq!(tokens.current().await.unwrap().expose(), "a1");
}

#[tokio::test]
async fn without_a_login_it_is_said_how_to_get_one() {
    let fake = rotating(3600).await;
    let said = text(source(&fake, &Kept::new(None)).current().await, "unauthenticated").await;
    assert!(said.contains("`whimbrel secrets login test`"), "{said}");
    assert!(fake.asked().is_empty());
}

#[tokio::test]
async fn the_client_itself_gets_tokens_and_keeps_none() {
    let mut number = 0;
    let fake = Fake::start(move |asked| {
        assert_eq!(asked.form["grant_type"], "client_credentials");
        assert_eq!(asked.form["scope"], "mail offline");
        assert!(!asked.form.contains_key("client_id"));
        let basic = STANDARD.encode("client+one:client%3Asecret");
        assert!(asked.head.contains(&format!("Basic {basic}")), "{}", asked.head);
        number += 1;
        given(&format!("a{number}"), None, 8)
    })
    .await;
    let provider = Provider {
        client_auth: ClientAuth::Basic,
        ..fake.provider()
    };
    let client = Client::new(provider, &Tls::new(None).unwrap()).unwrap();
    let kept = Kept::new(None);
    let tokens = TokenSource::new(
        client,
        Means::ClientCredentials,
        Arc::clone(&kept) as Arc<dyn TokenStore>,
    );
    assert_eq!(tokens.current().await.unwrap().expose(), "a1");
    kept.later(5);
    assert_eq!(tokens.current().await.unwrap().expose(), "a1");
    kept.later(1);
    assert_eq!(
        tokens.current().await.unwrap().expose(),
        "a2",
        "a quarter of its life before the end"
    );
    assert_eq!(kept.saved.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_secret_is_in_no_debug_text() {
    let fake = Fake::start(|_| given("a1", None, 60)).await;
    let kept = Kept::new(Some("s3cret-refresh"));
    let tokens = source(&fake, &kept);
    let shown = format!("{:?} {:?} {tokens:?} {:?}", fake.provider(), fake.client(), kept.load());
    assert!(!shown.contains("s3cret") && !shown.contains("client:secret"), "{shown}");
    assert_ne!(tokens, source(&fake, &kept));
    let token: Secret = tokens.current().await.unwrap();
    assert_eq!(token.expose(), "a1");
}
