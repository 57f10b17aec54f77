//! A provider that follows a script.

mod endpoints;
mod flows;
mod tokens;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use reqwest::Url;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use whimbrel_model::Failure;

use super::*;
use crate::Tls;

type Form = BTreeMap<String, String>;

/// A request to the fake provider.
#[derive(Debug, Clone, Default)]
struct Asked {
    path: String,
    head: String,
    form: Form,
}

/// A provider whose answers a script gives: status line, more head lines, body.
struct Fake {
    port: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
}

type Script = Box<dyn FnMut(&Asked) -> (String, String) + Send>;

impl Fake {
    async fn start(script: impl FnMut(&Asked) -> (String, String) + Send + 'static) -> Self {
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

    fn provider(&self) -> Provider {
        let at = |path: &str| Endpoint::new(&format!("http://127.0.0.1:{}{path}", self.port), true).unwrap();
        Provider {
            name: "test".into(),
            token: at("/token"),
            authorization: Some(at("/authorize?tenant=a")),
            device: Some(at("/device")),
            client_id: "client one".into(),
            client_secret: Some("client:secret".into()),
            client_auth: ClientAuth::Body,
            scopes: vec!["mail".into(), "offline".into()],
            parameters: BTreeMap::from([("prompt".into(), "consent".into())]),
            redirect: Redirect::default(),
        }
    }

    fn client(&self) -> Client {
        Client::new(self.provider(), &Tls::new(None).unwrap()).unwrap()
    }

    fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
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
        let length = head
            .lines()
            .find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok())
            .unwrap_or(0_usize);
        if body.len() < length {
            continue;
        }
        let form = Url::parse(&format!("http://x/?{body}")).unwrap();
        let asked = Asked {
            path: head.split(' ').nth(1).unwrap().to_owned(),
            head: head.to_owned(),
            form: form.query_pairs().into_owned().collect(),
        };
        log.lock().unwrap().push(asked.clone());
        let (head, body) = (script.lock().unwrap())(&asked);
        let answer = format!(
            "HTTP/1.1 {head}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        let _ = stream.write_all(answer.as_bytes()).await;
        let _ = stream.shutdown().await;
        return;
    }
}

fn given(access: &str, refresh: Option<&str>, lifetime: u64) -> (String, String) {
    let refresh = refresh
        .map(|refresh| format!(r#","refresh_token":"{refresh}""#))
        .unwrap_or_default();
    let body = format!(r#"{{"access_token":"{access}","token_type":"bearer","expires_in":{lifetime}{refresh}}}"#);
    ("200 OK".into(), body)
}

fn refused(code: &str) -> (String, String) {
    let body = format!(r#"{{"error":"{code}","error_description":"about s3cret-description"}}"#);
    ("400 Bad Request".into(), body)
}

async fn text<T: fmt::Debug>(result: Result<T, Failure>, code: &str) -> String {
    let failure = result.unwrap_err();
    assert_eq!(failure.code(), code, "{failure}");
    failure.to_string()
}
