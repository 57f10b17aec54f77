//! The testbed itself: servers come up, keep what they are given, and leave nothing behind.

use std::path::Path;
use std::time::Duration;

use whimbrel_tests::account::{Account, Folder, Message};
use whimbrel_tests::compare::{Allow, assert_same};
use whimbrel_tests::corpus::{self, NOON};
use whimbrel_tests::imap::Imap;
use whimbrel_tests::proxy::{Fault, Plan, Proxy};
use whimbrel_tests::servers::{Courier, Cyrus, Dovecot, Format, Options, PASSWORD, Server};
use whimbrel_tests::{scratch, writers};

#[test]
fn a_dovecot_gives_back_the_hard_corpus() {
    for (format, separator) in [(Format::Maildir, '/'), (Format::Sdbox, '.'), (Format::Mdbox, '/')] {
        let server = Dovecot::start(&Options {
            format,
            separator,
            ..Options::default()
        });
        let account = corpus::hard(1, separator);
        writers::imap(&mut server.imap("alice"), separator, &account);
        let read = Account::read(&mut server.imap("alice"));
        assert_same(
            &account,
            &read,
            &Allow {
                special: true,
                ..Allow::dovecot()
            },
        );
        assert_same(&read, &Account::read(&mut server.imap("alice")), &Allow::default());
    }
}

#[test]
fn a_dovecot_speaks_tls_and_knows_its_password() {
    let server = Dovecot::plain();
    let mut imap = Imap::connect_tls(server.tls_port().unwrap(), server.ca());
    imap.login("alice", PASSWORD);
    assert!(imap.can("UIDPLUS") && imap.can("CONDSTORE") && imap.can("MULTIAPPEND"));
    let mut imap = Imap::connect(server.port());
    assert_eq!(imap.command("LOGIN alice wrong").status, "NO");
}

#[test]
fn options_of_a_dovecot_hold() {
    let server = Dovecot::start(&Options {
        capabilities: Some("IMAP4rev1"),
        quota: Some("100k"),
        append_limit: Some(50_000),
        special: true,
        ..Options::default()
    });
    let mut imap = server.imap("alice");
    assert!(!imap.can("UIDPLUS") && !imap.can("LITERAL+"));
    assert!(imap.list().iter().any(|folder| folder.name == "Sent"));
    let flags = vec!["\\Seen".to_owned()];
    assert!(imap.append("INBOX", &flags, NOON, &[b'x'; 40_000]).ok());
    let large = imap.append("INBOX", &flags, NOON, &[b'x'; 60_000]);
    assert_eq!(large.status, "NO", "{large:?}");
    assert!(imap.append("INBOX", &flags, NOON, &[b'x'; 40_000]).ok());
    let full = imap.append("INBOX", &flags, NOON, &[b'x'; 40_000]);
    assert_eq!(full.status, "NO", "{full:?}");
    assert!(full.text.contains("OVERQUOTA"), "{full:?}");
}

#[test]
fn a_stopped_server_leaves_nothing_behind() {
    let server = Dovecot::plain();
    let (home, port) = (server.home("alice"), server.port());
    drop(server.imap("alice"));
    let root = home.ancestors().nth(2).unwrap().to_owned();
    assert!(root.join("dovecot.conf").exists());
    drop(server);
    assert!(!root.exists());
    assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_err());
}

#[test]
fn a_panic_stops_a_server_too() {
    let root = std::panic::catch_unwind(|| {
        let server = Dovecot::plain();
        std::panic::panic_any(server.home("alice").ancestors().nth(2).unwrap().to_owned());
    });
    let root = root.unwrap_err().downcast::<std::path::PathBuf>().unwrap();
    assert!(!root.exists());
}

#[test]
fn cyrus_keeps_ordinary_mail() {
    let server = Cyrus::start();
    let account = corpus::ordinary(4, 40);
    writers::imap(&mut server.imap("alice"), '/', &account);
    let mut allow = Allow::default().and_extra(&["Lists"]);
    for special in ["Sent", "Drafts", "Trash", "Junk", "Archive"] {
        allow = allow.and_extra(&[special]);
    }
    assert_same(&account, &Account::read(&mut server.imap("alice")), &allow);
}

#[test]
fn couriers_run_side_by_side() {
    let servers = [Courier::start(), Courier::start()];
    for server in &servers {
        let mut folders = corpus::ordinary(4, 20).folders;
        for folder in &mut folders {
            if folder.path[0] != "INBOX" {
                folder.path.insert(0, "INBOX".into());
            }
            for message in &mut folder.messages {
                message.flags.retain(|flag| flag.starts_with('\\'));
            }
        }
        let account = Account { folders };
        writers::imap(&mut server.imap("alice"), '.', &account);
        let read = Account::read(&mut server.imap("alice"));
        assert_same(
            &account,
            &read,
            &Allow {
                special: true,
                ..Allow::default()
            }
            .and_extra(&["INBOX", "Trash"]),
        );
        assert!(
            !Path::new("/etc/courier/userdb").exists(),
            "the machine's own settings were touched"
        );
    }
    let ports = servers.each_ref().map(Server::port);
    drop(servers);
    for port in ports {
        assert!(
            std::net::TcpStream::connect(("127.0.0.1", port)).is_err(),
            "a Courier still runs"
        );
    }
}

#[test]
fn a_proxy_hides_uidplus_and_passes_the_rest() {
    let server = Dovecot::plain();
    let proxy = Proxy::start(server.port(), Plan::without_uidplus());
    let mut imap = Imap::connect(proxy.port());
    imap.login("alice", PASSWORD);
    assert!(!imap.can("UIDPLUS"));
    let reply = imap.append("INBOX", &[], NOON, b"Subject: x\r\n\r\nx\r\n");
    assert!(reply.ok() && !reply.text.contains("APPENDUID"), "{reply:?}");
    let account = corpus::ordinary(9, 60);
    writers::imap(&mut imap, '/', &account);
    assert_eq!(Account::read(&mut server.imap("alice")).count(), 61);
}

#[test]
fn a_proxy_cuts_what_a_client_does() {
    let server = Dovecot::plain();
    writers::append(&mut server.imap("alice"), "INBOX", &corpus::bulk(1, 50));
    let plan = Plan {
        fault: Box::new(|_, _| Fault::Cut { after: 20_000 }),
        ..Plan::default()
    };
    let proxy = Proxy::start(server.port(), plan);
    let cut = std::panic::catch_unwind(|| {
        let mut imap = Imap::connect(proxy.port());
        imap.login("alice", PASSWORD);
        imap.examine("INBOX");
        imap.fetch_all().len()
    });
    assert!(cut.is_err() && proxy.faults() == 1);
}

#[test]
fn a_dovecot_opens_a_tree_that_somebody_wrote() {
    let tree = scratch::folder("tree");
    let mut account = corpus::ordinary(5, 40);
    account
        .folders
        .push(Folder::new(&["R&D", "\u{e9}t\u{e9}"]).with(vec![Message::new(
            b"Subject: a\r\n\r\na\r\n",
            &["Work"],
            NOON,
        )]));
    writers::maildir(tree.path(), &account);
    let server = Dovecot::start(&Options {
        escape: false,
        ..Options::default()
    });
    server.adopt("bob", tree.path());
    let read = Account::read(&mut server.imap("bob"));
    assert_same(
        &account,
        &read,
        &Allow {
            special: true,
            ..Allow::default()
        }
        .and_extra(&["R&D"]),
    );
}

#[test]
fn large_messages_are_told_apart_by_hash_alone() {
    let server = Dovecot::plain();
    let huge = corpus::huge(3, 40 << 20);
    writers::append(&mut server.imap("alice"), "INBOX", std::slice::from_ref(&huge));
    let mut imap = server.imap("alice");
    imap.examine("INBOX");
    let all = imap.fetch_all();
    assert_eq!((&all[0].body.hash, all[0].body.size), (&huge.body.hash, huge.body.size));
    assert!(all[0].body.bytes.is_none() && all[0].received == NOON);
    std::thread::sleep(Duration::from_millis(1));
}
