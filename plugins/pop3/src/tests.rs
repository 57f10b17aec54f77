//! Whole accounts, on a server that does what real ones do.

use std::collections::VecDeque;

use whimbrel_plugin::tcp::Credential;
use whimbrel_plugin::{Change, Failure, Page, Reader, Result};

use crate::account::{Account, INBOX};
use crate::fake::{FakeNet, Server};
use crate::settings::Settings;

type Fake = Account<FakeNet>;

fn settings(tls: &str) -> Settings {
    let json = format!(r#"{{"host":"pop.test","port":110,"tls":"{tls}","user":"alice"}}"#);
    Settings::read(&whimbrel_plugin::Settings::new(json)).unwrap()
}

fn open(net: &FakeNet) -> Fake {
    Account::open(net.clone(), settings("implicit")).unwrap()
}

fn failed(server: Server, tls: &str) -> Failure {
    Account::open(FakeNet::with(server), settings(tls)).unwrap_err()
}

fn mail(id: &str, subject: &str) -> (String, String) {
    (id.to_owned(), format!("Subject: {subject}\r\n\r\n{subject}\r\n"))
}

fn filled(mails: &[(&str, &str)]) -> Server {
    Server {
        mails: mails.iter().map(|(id, subject)| mail(id, subject)).collect(),
        ..Server::default()
    }
}

/// The whole listing from a cursor on, and the cursor behind it.
fn listed(account: &mut Fake, cursor: Option<&str>, limit: u32) -> (Vec<Change>, String) {
    let (mut changes, mut cursor) = (Vec::new(), cursor.map(str::to_owned));
    loop {
        let page: Page = account.changes(INBOX, cursor.as_deref(), limit).unwrap();
        assert!(page.complete && page.changes.len() <= limit as usize);
        changes.extend(page.changes);
        if !page.more {
            return (changes, page.cursor);
        }
        cursor = Some(page.cursor);
    }
}

fn ids(changes: &[Change]) -> Vec<&str> {
    changes.iter().map(Change::id).collect()
}

fn new(changes: &[Change]) -> Vec<&str> {
    let new = changes.iter().filter(|change| matches!(change, Change::Upserted(_)));
    new.map(Change::id).collect()
}

fn fetched(account: &mut Fake, ids: &[&str]) -> Vec<Result<String>> {
    let ids: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
    let answers = account.fetch(INBOX, &ids).unwrap();
    answers
        .into_iter()
        .map(|answer| answer.map(|(_, body)| String::from_utf8(body.0.to_vec()).unwrap()))
        .collect()
}

#[test]
fn the_description_is_sound() {
    let description = crate::Pop3::describe();
    assert_eq!(description.name, "pop3");
    for schema in [&description.settings_schema, &description.account_schema] {
        let parsed: serde_json::Value = serde_json::from_str(schema).unwrap();
        assert_eq!(parsed["type"], "object");
    }
}

#[test]
fn an_inbox_is_read_and_left_as_it_was() {
    let net = FakeNet::with(filled(&[("u1", "one"), ("u2", "two"), ("u9", "three")]));
    let mut account = open(&net);
    let collections = account.collections().unwrap();
    assert_eq!((collections.len(), collections[0].items), (1, Some(3)));
    for limit in [1, 2, 3, 10] {
        let (changes, cursor) = listed(&mut account, None, limit);
        assert_eq!(new(&changes), ["u1", "u2", "u9"]);
        let (again, _) = listed(&mut account, Some(&cursor), limit);
        assert_eq!((ids(&again), new(&again)), (ids(&changes), Vec::new()));
    }
    let answers = fetched(&mut account, &["u9", "nobody", "u1", "u1"]);
    assert_eq!(answers[0].as_deref().unwrap(), "Subject: three\r\n\r\nthree\r\n");
    assert!(matches!(answers[1], Err(Failure::NotFound(_))));
    assert_eq!(answers[2], answers[3]);
    assert!(matches!(account.changes("Sent", None, 1), Err(Failure::NotFound(_))));
    net.heard();
    drop(account);
    assert_eq!(net.heard(), ["RSET", "QUIT"], "what was read is not marked");
}

#[test]
fn new_mail_comes_and_deleted_mail_goes() {
    let net = FakeNet::with(filled(&[("u1", "one"), ("u2", "two")]));
    let mut account = open(&net);
    let (_, cursor) = listed(&mut account, None, 10);
    {
        let mut server = net.0.borrow_mut();
        server.mails.remove(0);
        server.mails.push(mail("u3", "new"));
    }
    // The open session does not show it; a fetch looks anew.
    assert!(fetched(&mut account, &["u3"])[0].is_ok());
    let (changes, cursor) = listed(&mut account, Some(&cursor), 10);
    assert_eq!((ids(&changes), new(&changes)), (vec!["u2", "u3"], vec!["u3"]));
    // The message that marked the end is gone: nobody knows what is new.
    net.0.borrow_mut().mails.clear();
    let (changes, cursor) = listed(&mut account, Some(&cursor), 10);
    assert!(changes.is_empty());
    net.0.borrow_mut().mails.push(mail("u4", "four"));
    assert_eq!(new(&listed(&mut account, Some(&cursor), 10).0), ["u4"]);
}

#[test]
fn a_listing_goes_on_after_the_connection_was_lost() {
    let net = FakeNet::with(filled(&[("u1", "one"), ("u2", "two"), ("u3", "six")]));
    let page = open(&net).changes(INBOX, None, 2).unwrap();
    assert!(page.more);
    net.0.borrow_mut().mails.remove(0);
    let (rest, _) = listed(&mut open(&net), Some(&page.cursor), 2);
    assert_eq!(new(&rest), ["u3"]);
    // Where the message is gone at which it would go on, all of it comes again.
    net.0.borrow_mut().mails.remove(0);
    let (rest, _) = listed(&mut open(&net), Some(&page.cursor), 2);
    assert_eq!(ids(&rest), ["u3"]);
}

#[test]
fn equal_ids_are_told_apart() {
    let net = FakeNet::with(filled(&[("u1", "one"), ("u1", "one"), ("u1", "other")]));
    let mut account = open(&net);
    let (changes, _) = listed(&mut account, None, 10);
    assert_eq!(ids(&changes), ["u1", "u1 2", "u1 3"]);
    assert_eq!(
        fetched(&mut account, &["u1 3"])[0].as_deref().unwrap(),
        "Subject: other\r\n\r\nother\r\n"
    );
}

#[test]
fn where_ids_are_used_again_the_head_tells_what_is_new() {
    let json = r#"{"host":"pop.test","port":110,"identity":"head","user":"alice"}"#;
    let settings = Settings::read(&whimbrel_plugin::Settings::new(json)).unwrap();
    let net = FakeNet::with(filled(&[("u1", "one"), ("u2", "two")]));
    let mut account = Account::open(net.clone(), settings).unwrap();
    let (before, cursor) = listed(&mut account, None, 10);
    net.0.borrow_mut().mails[1] = mail("u2", "another");
    let (after, _) = listed(&mut account, Some(&cursor), 10);
    assert_eq!(ids(&after)[0], ids(&before)[0]);
    assert_ne!(ids(&after)[1], ids(&before)[1]);
}

#[test]
fn a_top_that_gives_less_than_there_is_counts_for_nothing() {
    let long = ("u1".to_owned(), format!("Subject: x\r\n\r\n{}\r\n", "x".repeat(500)));
    let net = FakeNet::with(Server {
        mails: vec![long.clone()],
        // Such a large number of lines is none to it.
        cuts_top: true,
        ..Server::default()
    });
    let mut account = open(&net);
    net.heard();
    assert_eq!(fetched(&mut account, &["u1"])[0].as_deref().unwrap(), long.1);
    assert_eq!(net.heard(), ["TOP 1 99999999", "RETR 1"]);
}

#[test]
fn a_server_that_knows_utf_8_is_asked_for_messages_as_they_are() {
    let server = Server {
        capabilities: Some(vec!["USER", "UTF8 USER"]),
        ..Server::default()
    };
    assert!(
        commands(server, "implicit")
            .join(" | ")
            .starts_with("CAPA | UTF8 | USER alice")
    );
}

#[test]
fn without_ids_the_head_tells_messages_apart() {
    let plain = |top, uidl, capabilities: Option<Vec<&'static str>>| Server {
        top,
        uidl,
        capabilities,
        ..filled(&[("1", "one"), ("2", "two"), ("3", "two")])
    };
    let mut all = Vec::new();
    for (server, command) in [
        (plain(true, false, Some(vec!["TOP", "USER"])), "TOP 3 0"),
        (plain(true, false, Some(vec!["TOP", "USER", "PIPELINING"])), "TOP 3 0"),
        (plain(false, false, Some(vec!["USER"])), "RETR 3"),
        (plain(false, false, None), "RETR 3"),
        // Numbers of messages are no ids, whatever they are called.
        (
            Server {
                numbers: true,
                ..plain(true, true, Some(vec!["TOP", "USER", "UIDL"]))
            },
            "TOP 3 0",
        ),
    ] {
        let net = FakeNet::with(server);
        let mut account = open(&net);
        assert!(net.heard().contains(&command.to_owned()));
        let (changes, cursor) = listed(&mut account, None, 10);
        let first: Vec<String> = ids(&changes).into_iter().map(str::to_owned).collect();
        assert_eq!(first.len(), 3);
        assert_eq!(first[2], format!("{} 2", first[1]));
        assert!(fetched(&mut account, &[&first[2]])[0].is_ok());
        // In a later session the numbers are others, and the ids are not.
        net.0.borrow_mut().mails.remove(0);
        net.0.borrow_mut().mails.push(mail("3", "last"));
        let (changes, _) = listed(&mut account, Some(&cursor), 10);
        assert_eq!(ids(&changes)[..2], first[1..]);
        all.push(first);
    }
    assert!(
        all.iter().all(|ids| *ids == all[0]),
        "the way to the head is of no account"
    );
}

#[test]
fn what_is_deleted_meanwhile_is_gone_and_what_is_refused_is_refused() {
    let mut server = filled(&[("u1", "one"), ("u2", "two"), ("u3", "six")]);
    server.refuses = vec![3];
    let net = FakeNet::with(server);
    let mut account = open(&net);
    listed(&mut account, None, 10);
    net.0.borrow_mut().deletes = Some("u2".to_owned());
    drop(account);
    let mut account = open(&net);
    net.0.borrow_mut().refuses = vec![2, 3];
    let answers = fetched(&mut account, &["u1", "u2", "u3"]);
    assert!(answers[0].is_ok());
    assert!(matches!(answers[1], Err(Failure::NotFound(_))), "{answers:?}");
    assert!(matches!(answers[2], Err(Failure::Rejected(_))), "{answers:?}");
}

#[test]
fn a_lost_connection_is_no_answer_and_the_next_call_connects_again() {
    let net = FakeNet::with(filled(&[("u1", "one"), ("u2", "two")]));
    let mut account = open(&net);
    listed(&mut account, None, 10);
    net.0.borrow_mut().cut_after = Some(2);
    let ids = ["u1".to_owned(), "u2".to_owned()];
    assert!(matches!(account.fetch(INBOX, &ids), Err(Failure::Unavailable(_))));
    assert!(fetched(&mut account, &["u1", "u2"]).iter().all(Result::is_ok));
    assert_eq!(net.0.borrow().sessions, 2);
}

#[test]
fn marks_that_a_server_writes_into_messages_make_no_new_ones() {
    let net = FakeNet::with(Server {
        uidl: false,
        status: true,
        capabilities: Some(vec!["USER"]),
        ..filled(&[("u1", "one")])
    });
    let mut account = open(&net);
    let (changes, _) = listed(&mut account, None, 10);
    let id = ids(&changes)[0].to_owned();
    assert!(fetched(&mut account, &[&id])[0].is_ok());
    let (again, _) = listed(&mut open(&net), None, 10);
    let hash = |id: &str| id.split(' ').next().unwrap().to_owned();
    assert_eq!(hash(ids(&again)[0]), hash(&id));
}

fn commands(server: Server, tls: &str) -> Vec<String> {
    let net = FakeNet::with(server);
    let account = Account::open(net.clone(), settings(tls));
    let heard = net.heard();
    drop(account);
    heard
}

#[test]
fn the_best_way_in_is_taken() {
    let login = |capabilities: Option<Vec<&'static str>>, credential, greeting: &str, tls| {
        let server = Server {
            capabilities,
            credential,
            greeting: greeting.to_owned(),
            ..Server::default()
        };
        commands(server, tls).join(" | ")
    };
    let (password, token) = (Credential::Password, Credential::Token);
    let banner = "+OK ready <1.2@pop.test>";
    assert!(
        login(Some(vec!["USER", "SASL PLAIN"]), password, banner, "implicit")
            .starts_with("CAPA | AUTH PLAIN | *Secret::SaslPlain* | *accepted*")
    );
    assert!(
        login(Some(vec!["USER"]), password, banner, "implicit")
            .starts_with("CAPA | USER alice | PASS *Secret::Password* | *accepted*")
    );
    assert!(login(None, password, "+OK", "insecure").contains("USER alice | PASS"));
    // A digest only where there is no encryption.
    assert!(
        login(Some(vec!["USER", "SASL PLAIN"]), password, banner, "insecure")
            .starts_with("CAPA | APOP alice *Secret::Apop<1.2@pop.test>* | *accepted*")
    );
    assert!(
        login(Some(vec!["STLS", "USER"]), password, banner, "starttls")
            .starts_with("CAPA | STLS | *tls* | CAPA | USER alice | PASS")
    );
    assert!(
        login(Some(vec!["SASL XOAUTH2 OAUTHBEARER"]), token, "+OK", "implicit")
            .contains("AUTH XOAUTH2 | *Secret::SaslXoauth2*")
    );
    assert!(login(Some(vec!["SASL OAUTHBEARER"]), token, "+OK", "implicit").contains("AUTH OAUTHBEARER"));
}

#[test]
fn a_refused_digest_is_not_the_end() {
    let server = Server {
        greeting: "+OK <1@x>".to_owned(),
        logins: VecDeque::from(["-ERR unknown", "+OK"]),
        ..Server::default()
    };
    assert!(
        commands(server, "insecure")
            .join(" | ")
            .contains("APOP alice *Secret::Apop<1@x>* | AUTH PLAIN")
    );
}

#[test]
fn a_refused_token_is_replaced_once() {
    let server = |another_token, logins: &[&'static str]| Server {
        capabilities: Some(vec!["SASL OAUTHBEARER"]),
        credential: Credential::Token,
        another_token,
        logins: logins.iter().copied().collect(),
        ..Server::default()
    };
    let heard = commands(server(true, &["-ERR [AUTH] expired", "+OK"]), "implicit").join(" | ");
    assert!(
        heard.contains("*Secret::SaslOauthbearer* | AQ== | CAPA | AUTH OAUTHBEARER"),
        "{heard}"
    );
    assert!(heard.contains("*accepted*"));
    assert!(matches!(
        failed(server(false, &["-ERR [AUTH] expired"]), "implicit"),
        Failure::Unauthenticated(_)
    ));
    match failed(server(true, &["-ERR [AUTH] expired"]), "implicit") {
        Failure::Unauthenticated(text) => assert!(text.contains("a new token was refused too"), "{text}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn refusals_mean_what_they_say() {
    let said = |login: &'static str| {
        let capabilities = Some(vec!["USER", "LOGIN-DELAY 900"]);
        failed(
            Server {
                capabilities,
                logins: VecDeque::from([login]),
                ..Server::default()
            },
            "implicit",
        )
    };
    assert!(matches!(
        said("-ERR [IN-USE] locked"),
        Failure::Throttled((Some(30_000), _))
    ));
    assert!(matches!(
        said("-ERR [LOGIN-DELAY] wait"),
        Failure::Throttled((Some(900_000), _))
    ));
    assert!(matches!(said("-ERR [SYS/TEMP] disk"), Failure::Unavailable(_)));
    assert!(matches!(said("-ERR [AUTH] no"), Failure::Unauthenticated(_)));
    assert!(matches!(said("* what"), Failure::Unavailable(_)));
    let none = |capabilities, credential, tls| {
        let server = Server {
            capabilities: Some(capabilities),
            credential,
            ..Server::default()
        };
        match failed(server, tls) {
            Failure::InvalidSettings(text) => text,
            other => panic!("{other:?}"),
        }
    };
    assert!(none(vec!["USER"], Credential::Token, "implicit").contains("use `password`"));
    assert!(none(vec!["SASL XOAUTH2"], Credential::Password, "implicit").contains("use `token`"));
    assert!(none(vec!["TOP"], Credential::Password, "insecure").contains("TLS only"));
    assert!(none(vec!["USER"], Credential::Password, "starttls").contains("STLS"));
    assert!(none(vec!["USER"], Credential::None, "implicit").contains("none is given"));
    let away = Server {
        greeting: "-ERR too many connections".to_owned(),
        ..Server::default()
    };
    assert!(matches!(failed(away, "implicit"), Failure::Throttled(_)));
    let smtp = Server {
        greeting: "220 mail.test ESMTP".to_owned(),
        ..Server::default()
    };
    match failed(smtp, "implicit") {
        Failure::Unavailable(text) => assert!(text.contains("not answer like a POP3 server"), "{text}"),
        other => panic!("{other:?}"),
    }
}
