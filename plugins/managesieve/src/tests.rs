//! Whole accounts, on a server that does what real ones do.

use std::collections::VecDeque;

use whimbrel_folders::Body;
use whimbrel_folders::memory::Bytes;
use whimbrel_plugin::tcp::Credential;
use whimbrel_plugin::{Change, Collection, Connector, Failure, Kind, Outcome, Placement, Remark, Result};

use crate::account::{ACTIVE, Account, Incoming, SCRIPTS};
use crate::fake::{FakeNet, Server};
use crate::settings::Settings;

type Fake = Account<FakeNet>;

const KEEP: &str = "keep;\r\n";
const DISCARD: &str = "discard;\r\n";

fn settings(tls: &str) -> Settings {
    let json = format!(r#"{{"host":"sieve.test","tls":"{tls}","user":"alice"}}"#);
    Settings::read(&whimbrel_plugin::Settings::new(json)).unwrap()
}

fn open(net: &FakeNet) -> Fake {
    Account::open(net.clone(), settings("implicit")).unwrap()
}

fn opened(server: Server) -> (FakeNet, Fake) {
    let net = FakeNet::with(server);
    let account = open(&net);
    net.heard();
    (net, account)
}

fn failed(server: Server, tls: &str) -> Failure {
    Account::open(FakeNet::with(server), settings(tls)).unwrap_err()
}

/// The whole listing from a cursor on, and the cursor behind it.
fn listed(account: &mut Fake, cursor: Option<&str>, limit: u32) -> (Vec<Change>, String) {
    let (mut changes, mut cursor) = (Vec::new(), cursor.map(str::to_owned));
    loop {
        let page = account.changes(SCRIPTS, cursor.as_deref(), limit).unwrap();
        assert!(page.complete && page.changes.len() <= limit as usize);
        changes.extend(page.changes);
        if !page.more {
            return (changes, page.cursor);
        }
        cursor = Some(page.cursor);
    }
}

/// `new a`, `marked b`, `there c`.
fn said(changes: &[Change]) -> Vec<String> {
    let said = |change: &Change| match change {
        Change::Upserted(meta) => format!("new {}", meta.id),
        Change::Marked(meta) => format!(
            "marked {}{}",
            meta.id,
            if meta.flags.is_empty() { "" } else { " active" }
        ),
        Change::Present(id) => format!("there {id}"),
        Change::Vanished(id) => format!("gone {id}"),
    };
    changes.iter().map(said).collect()
}

fn incoming(name: &str, text: &str) -> Incoming<Bytes> {
    Incoming {
        name: name.to_owned(),
        active: false,
        content: Bytes::from_bytes(text.as_bytes()),
    }
}

fn active(name: &str, text: &str) -> Incoming<Bytes> {
    Incoming {
        active: true,
        ..incoming(name, text)
    }
}

fn put(account: &mut Fake, item: Incoming<Bytes>) -> Result<Placement> {
    account.put(SCRIPTS, vec![item]).unwrap().remove(0)
}

fn id(placement: &Placement) -> &str {
    placement.id.as_deref().unwrap()
}

fn remark(id: &str, active: bool) -> Remark {
    Remark {
        id: id.to_owned(),
        flags: active.then(|| ACTIVE.to_owned()).into_iter().collect(),
        labels: Vec::new(),
    }
}

fn marked(account: &mut Fake, remarks: &[Remark]) -> Vec<bool> {
    let answers = account.mark(SCRIPTS, remarks).unwrap();
    answers.iter().map(Result::is_ok).collect()
}

#[test]
fn the_description_is_sound() {
    let description = crate::ManageSieve::describe();
    assert_eq!(
        (description.name.as_str(), description.kinds),
        ("managesieve", vec![Kind::Filter])
    );
    for schema in [&description.settings_schema, &description.account_schema] {
        let parsed: serde_json::Value = serde_json::from_str(schema).unwrap();
        assert_eq!(parsed["type"], "object");
    }
}

#[test]
fn starttls_comes_before_everything_and_the_secret_goes_as_a_literal() {
    let net = FakeNet::with(Server {
        starttls: true,
        ..Server::default()
    });
    drop(Account::open(net.clone(), settings("starttls")).unwrap());
    let heard = net.heard();
    assert_eq!(
        heard,
        [
            "STARTTLS",
            "*tls*",
            "AUTHENTICATE <PLAIN> <*Secret::SaslPlain*>",
            "*accepted*",
            "CAPABILITY",
            "LOGOUT"
        ]
    );
    let failure = failed(Server::default(), "starttls");
    assert!(matches!(failure, Failure::InvalidSettings(text) if text.contains("STARTTLS")));
}

#[test]
fn tokens_log_in_and_a_refused_one_is_replaced_once() {
    let token = |logins: &[&'static str], another_token| Server {
        credential: Credential::Token,
        sasl: "PLAIN XOAUTH2",
        logins: logins.iter().copied().collect::<VecDeque<_>>(),
        another_token,
        ..Server::default()
    };
    let net = FakeNet::with(token(&["NO \"expired\"", "OK"], true));
    open(&net);
    let logins = net.heard().iter().filter(|line| line.contains("Xoauth2")).count();
    assert_eq!(logins, 2);
    let failure = failed(token(&["NO \"expired\""], true), "implicit");
    assert!(matches!(failure, Failure::Unauthenticated(text) if text.contains("a new token was refused too")));
    let failure = failed(token(&["NO \"expired\""], false), "implicit");
    assert!(matches!(failure, Failure::Unauthenticated(text) if text.contains("expired")));
    let bearer = Server {
        sasl: "OAUTHBEARER",
        ..token(&["NO \"expired\""], false)
    };
    assert!(matches!(failed(bearer, "implicit"), Failure::Unauthenticated(_)));
}

#[test]
fn what_a_server_does_not_offer_is_told_with_a_remedy() {
    let with = |sasl, credential| {
        failed(
            Server {
                sasl,
                credential,
                ..Server::default()
            },
            "implicit",
        )
        .to_string()
    };
    assert!(with("XOAUTH2", Credential::Password).contains("use `token`"));
    assert!(with("PLAIN", Credential::Token).contains("use `password`"));
    assert!(with("PLAIN", Credential::None).contains("none is given"));
    let bye = Server {
        greeting: "BYE (REFERRAL \"sieve://other.example\") \"moved\"",
        ..Server::default()
    };
    assert!(failed(bye, "implicit").to_string().contains("sieve://other.example"));
    let later = Server {
        logins: VecDeque::from(["NO (TRYLATER) \"busy\""]),
        ..Server::default()
    };
    assert!(matches!(failed(later, "implicit"), Failure::Throttled(_)));
    let other = Server {
        greeting: "* OK IMAP4rev1",
        ..Server::default()
    };
    assert!(
        failed(other, "implicit")
            .to_string()
            .contains("like a ManageSieve server")
    );
}

#[test]
fn a_listing_says_what_is_new_what_changed_and_what_filters() {
    let server = Server::with(&[("a", KEEP), ("b", KEEP), ("c", KEEP), ("d", KEEP)], Some("b"));
    let (net, mut account) = opened(server);
    let collections = account.collections().unwrap();
    assert_eq!((collections.len(), collections[0].items), (1, Some(4)));
    for limit in [1, 2, 3, 1000] {
        let (changes, cursor) = listed(&mut account, None, limit);
        assert_eq!(said(&changes), ["new a", "new b", "new c", "new d"]);
        let Change::Upserted(meta) = &changes[1] else {
            panic!("{changes:?}")
        };
        assert_eq!(
            (meta.flags.as_slice(), meta.size),
            ([ACTIVE.to_owned()].as_slice(), Some(7))
        );
        assert_eq!(meta.identity.as_deref(), Some("b"));
        let (changes, again) = listed(&mut open(&net), Some(&cursor), limit);
        assert_eq!(said(&changes), ["there a", "there b", "there c", "there d"]);
        assert_eq!(again, cursor, "where nothing changed, nothing is to be recorded");
    }
    let (_, cursor) = listed(&mut account, None, 1000);
    {
        let mut server = net.0.borrow_mut();
        server.active = Some("c".to_owned());
        server.scripts.insert("d".to_owned(), DISCARD.as_bytes().to_vec());
        server.scripts.insert("e".to_owned(), KEEP.as_bytes().to_vec());
        server.scripts.remove("a");
    }
    for limit in [1, 1000] {
        let (changes, _) = listed(&mut account, Some(&cursor), limit);
        assert_eq!(said(&changes), ["marked b", "marked c active", "new d", "new e"]);
    }
    // A page that another account goes on from.
    let page = account.changes(SCRIPTS, None, 2).unwrap();
    let (rest, _) = listed(&mut open(&net), Some(&page.cursor), 10);
    assert_eq!(said(&rest), ["new d", "new e"]);
}

#[test]
fn what_a_script_needs_and_what_a_server_offers_stand_beside_each_other() {
    let (_, mut account) = opened(Server::with(
        &[("a", "require [\"regex\", \"fileinto\"];\r\nkeep;"), ("b", KEEP)],
        None,
    ));
    let offers = account.collections().unwrap().remove(0).attributes;
    let expected = "fileinto vacation comparator-i;octet comparator-i;ascii-casemap";
    assert_eq!(offers, [("offers".to_owned(), expected.to_owned())]);
    assert_eq!(
        account
            .ensure(&Collection::new("", ["x"]).kind(Kind::Filter))
            .unwrap()
            .attributes,
        offers
    );
    let (changes, _) = listed(&mut account, None, 10);
    let [Change::Upserted(a), Change::Upserted(b)] = changes.as_slice() else {
        panic!("{changes:?}")
    };
    assert_eq!(a.attributes, [("requires".to_owned(), "regex fileinto".to_owned())]);
    assert!(b.attributes.is_empty());
}

#[test]
fn scripts_come_whatever_the_server_writes_them_in() {
    let odd = "# \"quotes\" \\ and {12}\r\nOK\r\n";
    for quotes in [false, true] {
        let content = if quotes { "# \"q\" \\ {12}" } else { odd };
        let mut server = Server::with(&[("a \"b\" \\c", content), ("empty", "")], None);
        server.quotes = quotes;
        let (_, mut account) = opened(server);
        let ids = ["a \"b\" \\c", "gone", "empty"].map(str::to_owned);
        let answers = account.fetch(SCRIPTS, &ids).unwrap();
        let text = |at: usize| {
            let (_, body) = answers[at].as_ref().unwrap();
            String::from_utf8(body.0.to_vec()).unwrap()
        };
        assert_eq!((text(0).as_str(), text(2).as_str()), (content, ""));
        assert!(matches!(answers[1], Err(Failure::NotFound(_))));
    }
    assert!(matches!(
        opened(Server::default()).1.fetch("other", &[]),
        Err(Failure::NotFound(_))
    ));
}

#[test]
fn a_source_is_told_nothing_that_alters_it() {
    let (net, mut account) = opened(Server::with(&[("a", KEEP)], Some("a")));
    account.collections().unwrap();
    listed(&mut account, None, 10);
    account.fetch(SCRIPTS, &["a".to_owned()]).unwrap();
    drop(account);
    let heard = net.heard();
    let harmless = |line: &String| {
        ["LISTSCRIPTS", "GETSCRIPT", "LOGOUT"]
            .iter()
            .any(|word| line.starts_with(word))
    };
    assert!(heard.iter().all(harmless), "{heard:?}");
}

#[test]
fn what_is_there_under_a_name_stays() {
    let (net, mut account) = opened(Server::with(&[("main", KEEP), ("\u{e4}", DISCARD)], None));
    // The same, line ends apart.
    let same = put(&mut account, incoming("main", "keep;\n\n")).unwrap();
    assert_eq!((same.outcome, id(&same)), (Outcome::MergedWithExisting, "main"));
    let other = put(&mut account, incoming("main", DISCARD)).unwrap();
    assert_eq!((other.outcome, id(&other)), (Outcome::Created, "main (2)"));
    assert_eq!(other.alterations, ["renamed"]);
    // A second try finds what the first one left.
    let again = put(&mut account, incoming("main", DISCARD)).unwrap();
    assert_eq!((again.outcome, id(&again)), (Outcome::MergedWithExisting, "main (2)"));
    assert_eq!(again.revision, other.revision);
    // A name in another form is the same name.
    let decomposed = put(&mut account, incoming("a\u{308}", DISCARD)).unwrap();
    assert_eq!(
        (decomposed.outcome, id(&decomposed)),
        (Outcome::MergedWithExisting, "\u{e4}")
    );
    assert_eq!(net.0.borrow().scripts.len(), 3);
    assert_eq!(net.0.borrow().scripts["main"], KEEP.as_bytes());
}

#[test]
fn names_that_a_server_refuses_become_plainer_ones_and_that_is_told() {
    let (net, mut account) = opened(Server::default());
    let placed = put(&mut account, incoming("work/2026", KEEP)).unwrap();
    assert_eq!(
        (id(&placed), placed.alterations.as_slice()),
        ("work_2026", ["renamed".to_owned()].as_slice())
    );
    let placed = put(&mut account, incoming("a \"b\" \\c \u{1F980}", KEEP)).unwrap();
    assert!(placed.alterations.is_empty(), "{placed:?}");
    assert!(net.0.borrow().scripts.contains_key("a \"b\" \\c \u{1F980}"));
    let placed = put(&mut account, incoming("it's \"mine\"", KEEP)).unwrap();
    assert_eq!(id(&placed), "it's \"mine\"");
    let (changes, _) = listed(&mut account, None, 10);
    assert!(said(&changes).contains(&"new it's \"mine\"".to_owned()), "{changes:?}");
    let placed = put(&mut account, incoming("two\r\nlines", KEEP)).unwrap();
    assert_eq!(id(&placed), "two__lines");
}

#[test]
fn a_server_that_keeps_names_as_encoded_words_has_each_script_once() {
    let (net, mut account) = opened(Server {
        encodes: true,
        ..Server::default()
    });
    let placed = put(&mut account, active("\u{fc}ber", KEEP)).unwrap();
    assert_eq!(
        (id(&placed), placed.alterations.len()),
        ("=?UTF-8?Q?=C3=BC=62=65=72?=", 0)
    );
    assert_eq!(net.0.borrow().active, placed.id);
    let again = put(&mut account, active("\u{fc}ber", KEEP)).unwrap();
    assert_eq!((again.outcome, again.id), (Outcome::MergedWithExisting, placed.id));
    let (changes, _) = listed(&mut account, None, 10);
    let [Change::Upserted(meta)] = changes.as_slice() else {
        panic!("{changes:?}")
    };
    assert_eq!(meta.identity.as_deref(), Some("\u{fc}ber"));
    assert_eq!(Some(&meta.revision), placed.revision.as_ref());
}

#[test]
fn what_filters_at_the_destination_goes_on_filtering() {
    let (net, mut account) = opened(Server::with(&[("own", KEEP)], Some("own")));
    let placed = put(&mut account, active("main", DISCARD)).unwrap();
    assert_eq!(placed.alterations, ["kept-inactive"]);
    assert_eq!(net.0.borrow().active.as_deref(), Some("own"));
    assert_eq!(marked(&mut account, &[remark("main", true)]), [false]);
    assert_eq!(net.0.borrow().active.as_deref(), Some("own"));
    let refused = account.mark(SCRIPTS, &[remark("main", true)]).unwrap().remove(0);
    assert!(refused.unwrap_err().to_string().contains("`own`"));
    let (net, mut account) = opened(Server::default());
    let both = vec![incoming("main", DISCARD), active("away", KEEP)];
    assert!(account.put(SCRIPTS, both).unwrap().iter().all(Result::is_ok));
    assert_eq!(net.0.borrow().active.as_deref(), Some("away"));
    let merged = put(&mut account, active("away", KEEP)).unwrap();
    assert!(merged.alterations.is_empty(), "{merged:?}");
}

#[test]
fn marks_follow_the_source_where_it_gives_a_script_up_for_another() {
    let (net, mut account) = opened(Server::with(&[("a", KEEP), ("b", DISCARD)], Some("a")));
    for order in [[("b", true), ("a", false)], [("b", false), ("a", true)]] {
        let remarks = order.map(|(id, active)| remark(id, active));
        assert_eq!(marked(&mut account, &remarks), [true, true]);
        let active = order.iter().find(|(_, active)| *active).unwrap().0;
        assert_eq!(net.0.borrow().active.as_deref(), Some(active));
        // Never is there a moment without one.
        assert!(!net.heard().contains(&"SETACTIVE <>".to_owned()));
        assert_eq!(marked(&mut account, &remarks), [true, true]);
        assert_eq!(net.heard(), ["LISTSCRIPTS"], "once is enough");
    }
    assert_eq!(
        marked(&mut account, &[remark("gone", true), remark("a", true)]),
        [false, true]
    );
    assert_eq!(
        marked(&mut account, &[remark("a", false), remark("b", false)]),
        [true, true]
    );
    assert_eq!(net.0.borrow().active, None);
    assert_eq!(marked(&mut account, &[remark("b", true)]), [true]);
    assert_eq!(net.0.borrow().active.as_deref(), Some("b"));
}

#[test]
fn a_script_is_replaced_where_it_is_still_what_was_put() {
    let (net, mut account) = opened(Server::default());
    let placed = put(&mut account, active("main", KEEP)).unwrap();
    let new = Bytes::from_bytes(DISCARD.as_bytes());
    for _ in 0..2 {
        let replaced = account
            .replace(SCRIPTS, "main", placed.revision.as_deref(), &new)
            .unwrap();
        assert_eq!((replaced.outcome, id(&replaced)), (Outcome::Replaced, "main"));
        assert_ne!(replaced.revision, placed.revision);
    }
    assert_eq!(net.0.borrow().active.as_deref(), Some("main"), "it goes on filtering");
    let other = Bytes::from_bytes(b"stop;\r\n");
    let refused = account.replace(SCRIPTS, "main", placed.revision.as_deref(), &other);
    assert!(matches!(refused, Err(Failure::Rejected(_))), "{refused:?}");
    let missing = account.replace(SCRIPTS, "gone", None, &other);
    assert!(matches!(missing, Err(Failure::NotFound(_))), "{missing:?}");
    let broken = account.replace(SCRIPTS, "main", None, &Bytes::from_bytes(b"require \"unknown\";"));
    assert!(matches!(broken, Err(Failure::Rejected(_))), "{broken:?}");
    assert_eq!(net.0.borrow().scripts.len(), 1);
    assert_eq!(net.0.borrow().scripts["main"], DISCARD.as_bytes());
}

#[test]
fn refusals_concern_one_script_and_say_what_the_server_said() {
    let (net, mut account) = opened(Server {
        max_size: 100_000,
        max_scripts: 2,
        ..Server::default()
    });
    let items = vec![
        incoming("a", KEEP),
        incoming("b", "require \"unknown-thing\";\r\n"),
        incoming("c", &"# large\r\n".repeat(20_000)),
        incoming("d", KEEP),
        incoming("e", KEEP),
    ];
    let answers = account.put(SCRIPTS, items).unwrap();
    assert!(answers[0].is_ok() && answers[3].is_ok());
    let rejected = answers[1].as_ref().unwrap_err();
    assert!(
        matches!(rejected, Failure::Rejected(text) if text.contains("unknown-thing")),
        "{rejected}"
    );
    assert!(matches!(answers[2], Err(Failure::TooLarge(None))));
    assert!(matches!(answers[4], Err(Failure::OverQuota(_))));
    let sent = net.heard().iter().filter(|line| line.starts_with("PUTSCRIPT")).count();
    assert_eq!(sent, 4, "what has no room is not sent");
}

#[test]
fn a_server_that_stores_other_line_ends_keeps_the_same_script() {
    let (net, mut account) = opened(Server {
        bare: true,
        ..Server::default()
    });
    let placed = put(&mut account, incoming("a", "keep;\r\nstop;\r\n")).unwrap();
    assert!(placed.alterations.is_empty(), "{placed:?}");
    assert_eq!(net.0.borrow().scripts["a"], b"keep;\nstop;\n");
    let (changes, _) = listed(&mut account, None, 10);
    let Change::Upserted(meta) = &changes[0] else {
        panic!("{changes:?}")
    };
    assert_eq!(
        Some(&meta.revision),
        placed.revision.as_ref(),
        "what is listed is what was told"
    );
}

#[test]
fn what_is_removed_is_gone_but_for_the_one_that_filters() {
    let (net, mut account) = opened(Server::with(&[("a", KEEP), ("b", KEEP), ("c", KEEP)], Some("b")));
    let ids = ["a", "b", "gone"].map(str::to_owned);
    let answers = account.remove(SCRIPTS, &ids).unwrap();
    assert!(answers[0].is_ok() && answers[2].is_ok());
    assert!(matches!(&answers[1], Err(Failure::Rejected(_))));
    assert_eq!(net.0.borrow().scripts.keys().collect::<Vec<_>>(), ["b", "c"]);
}

#[test]
fn from_the_watermark_on_what_was_put_is_new_and_nothing_else() {
    let (net, mut account) = opened(Server::with(&[("a", KEEP)], None));
    let mark = account.watermark(SCRIPTS).unwrap();
    put(&mut account, incoming("b", KEEP)).unwrap();
    let (changes, _) = listed(&mut open(&net), Some(&mark), 10);
    assert_eq!(said(&changes), ["there a", "new b"]);
    assert!(matches!(account.watermark("other"), Err(Failure::NotFound(_))));
}

#[test]
fn a_broken_connection_is_unavailable_and_the_next_call_opens_another() {
    let (net, mut account) = opened(Server::default());
    for commands in 1..5 {
        net.0.borrow_mut().cut_after = Some(commands);
        let broken = account.put(SCRIPTS, vec![active("a", KEEP)]);
        assert!(
            matches!(broken, Err(Failure::Unavailable(_))) || commands > 3,
            "{broken:?}"
        );
        net.0.borrow_mut().cut_after = None;
        assert!(put(&mut account, active("a", KEEP)).unwrap().alterations.is_empty());
        assert_eq!(net.0.borrow().scripts.len(), 1);
        net.0.borrow_mut().scripts.clear();
        net.0.borrow_mut().active = None;
    }
    net.0.borrow_mut().says = Some(("LISTSCRIPTS", "BYE (TRYLATER) \"restarting\""));
    assert!(matches!(account.collections(), Err(Failure::Throttled(_))));
    net.0.borrow_mut().says = Some(("LISTSCRIPTS", "* strange"));
    assert!(matches!(account.collections(), Err(Failure::Unavailable(_))));
    net.0.borrow_mut().says = Some(("GETSCRIPT", "{99999999999}"));
    let huge = account.fetch(SCRIPTS, &["a".to_owned()]);
    assert!(matches!(huge, Err(Failure::Unavailable(_))), "{}", huge.is_ok());
    net.0.borrow_mut().says = None;
    assert!(account.collections().is_ok());
}

#[test]
fn filters_go_into_the_one_set_of_scripts_and_nothing_else_does() {
    let (_, mut account) = opened(Server::default());
    let wanted = Collection::new("", ["Whatever"]);
    assert!(matches!(account.ensure(&wanted), Err(Failure::Rejected(_))));
    let made = account.ensure(&wanted.kind(Kind::Filter)).unwrap();
    assert_eq!(made.id, account.collections().unwrap()[0].id);
}
