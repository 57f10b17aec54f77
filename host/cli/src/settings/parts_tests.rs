use serde_json::json;
use whimbrel_model::Kind;

use super::tests::{GOOD, parse, refused};
use super::*;

/// Mail and files as in [`GOOD`], calendars and contacts by a server of their own.
fn with_parts(of_mailbox: &str) -> String {
    format!(
        "{GOOD}{of_mailbox}\n\
         [part.calendars.source]\nconnector = \"caldav\"\nsettings = {{ url = \"https://dav.old.example\" }}\n\
         [part.calendars.destination]\nconnector = \"caldav\"\nsettings = {{ url = \"https://dav.new.example\" }}\ndaily = 5\n\
         [part.archive]\nkinds = [\"message\"]\n\
         [part.archive.source]\nconnector = \"imap\"\nsettings = {{ host = \"archive.old.example\" }}\n"
    )
}

#[test]
fn each_part_of_a_mailbox_is_one_to_move() {
    let settings = parse(&with_parts("")).unwrap();
    let names: Vec<_> = settings
        .mailboxes
        .iter()
        .map(|it| (it.name.as_str(), it.owner.as_str()))
        .collect();
    assert_eq!(
        names,
        [
            ("alice", "alice"),
            ("alice/archive", "alice"),
            ("alice/calendars", "alice")
        ]
    );
    let sections: Vec<_> = settings.sides().map(|side| side.section.as_str()).collect();
    assert_eq!(
        sections,
        [
            "source",
            "destination",
            "part.archive.source",
            "destination",
            "part.calendars.source",
            "part.calendars.destination"
        ]
    );
    let archive = settings.part(&settings.mailboxes[1]);
    assert_eq!(archive.kinds, Some(vec![Kind::Message]));
    assert_eq!(archive.destination.connector, "./maildir.wasm", "that of the migration");
    let calendars = settings.part(&settings.mailboxes[2]);
    assert_eq!((calendars.kinds.as_ref(), calendars.destination.daily), (None, Some(5)));
}

#[test]
fn a_part_logs_in_as_the_first_one_unless_it_says_otherwise() {
    let settings = parse(&with_parts("attributes = { department = \"sales\" }")).unwrap();
    let calendars = &settings.mailboxes[2];
    assert_eq!(
        Value::from(calendars.source.values.clone()),
        json!({ "user": "alice@old.example" })
    );
    assert_eq!(calendars.source.way_in(), Some("password"));
    assert_eq!(calendars.attributes["department"], "sales");
    let bare = calendars.source.fitting(false, false);
    assert!(
        bare.values.is_empty() && bare.way_in().is_none(),
        "what no connector asks for"
    );

    let own = "[mailbox.parts.calendars]\nsource = { user = \"alice\", folder = \"x\" }\n\
               destination = { user = \"a\", token = { env = \"T\" } }";
    let settings = parse(&with_parts(own)).unwrap();
    let calendars = &settings.mailboxes[2];
    assert_eq!(
        Value::from(calendars.source.values.clone()),
        json!({ "user": "alice", "folder": "x" })
    );
    assert_eq!(calendars.source.way_in(), Some("password"), "still that of the mailbox");
    assert_eq!(calendars.destination.way_in(), Some("token"));
    let kept = calendars.destination.fitting(false, false);
    assert_eq!(kept.way_in(), Some("token"), "what it says itself is not taken away");
}

#[test]
fn who_shares_a_side_is_told_the_same_and_no_other_server_is() {
    let text = with_parts("").replace(
        "source = { user = \"alice@old.example\",",
        "source = { user = \"alice@old.example\", host = \"one.example\",",
    );
    let settings = parse(&text).unwrap();
    for part in &settings.mailboxes[1..] {
        assert!(
            !part.source.values.contains_key("host"),
            "{} has a server of its own",
            part.name
        );
        assert_eq!(part.source.values["user"], "alice@old.example");
    }
    let shared = text.replace("[part.archive.source]", "[part.archive.destination]");
    let settings = parse(&shared).unwrap();
    assert_eq!(
        settings.mailboxes[1].source.values["host"], "one.example",
        "as the mail"
    );
}

#[test]
fn a_mailbox_may_lack_a_part() {
    let settings = parse(&with_parts("parts.calendars = { skip = true }")).unwrap();
    let names: Vec<_> = settings.mailboxes.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["alice", "alice/archive"]);
}

#[test]
fn one_part_or_all_can_be_named() {
    for (named, kept) in [
        ("alice", vec!["alice", "alice/archive", "alice/calendars"]),
        ("alice/calendars", vec!["alice/calendars"]),
    ] {
        let mut settings = parse(&with_parts("")).unwrap();
        settings.only(&[named.to_owned()]).unwrap();
        let names: Vec<_> = settings.mailboxes.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(names, kept);
        assert_eq!(settings.others.len(), 3 - kept.len());
    }
}

#[test]
fn a_fleet_has_columns_for_parts() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("whimbrel.toml");
    let fleet = |text: &str| {
        std::fs::write(folder.path().join("fleet.csv"), text).unwrap();
        let text = with_parts("").replace("[[mailbox]]", "[[other]]");
        let without: String = text.split("[[other]]").next().unwrap().to_owned()
            + "[mailboxes]\nfile = \"fleet.csv\"\n[part.calendars.destination]\nconnector = \"caldav\"\n";
        Settings::parse(&file, &without)
    };
    let settings = fleet(
        "name,source.user,source.password_env,calendars.destination.user,calendars.skip,department\n\
         alice,a@old.example,A,alice,,sales\n\
         bob,b@old.example,B,,true,\n",
    )
    .unwrap();
    let names: Vec<_> = settings.mailboxes.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["alice", "alice/calendars", "bob"]);
    assert_eq!(settings.mailboxes[1].destination.values["user"], "alice");
    assert_eq!(settings.mailboxes[1].source.values["user"], "a@old.example");
    for (header, said) in [
        ("calendar.source.user", "there is no column `calendar.source.user`"),
        ("calendars.attribute.x", "there is no column `calendars.attribute.x`"),
    ] {
        let Err(problem) = fleet(&format!("name,{header}\nalice,x\n")) else {
            panic!("{header} was accepted");
        };
        assert!(problem.render().contains(said), "{}", problem.render());
    }
    let Err(problem) = fleet("name,calendars.skip\nalice,perhaps\n") else {
        panic!("accepted");
    };
    assert!(
        problem.render().contains("neither true nor false"),
        "{}",
        problem.render()
    );
}

#[test]
fn what_is_wrong_with_parts_is_said_with_its_place() {
    for (text, said) in [
        (
            with_parts("parts.calender = { skip = true }"),
            vec!["there is no part `calender`", "did you mean `calendars`?"],
        ),
        (
            format!("{GOOD}\n[part.contacts]\nkinds = [\"contact\"]\n"),
            vec!["`[part.contacts]` names no connector of its own"],
        ),
        (
            format!("{GOOD}\n[part.\"a/b\".source]\nconnector = \"imap\"\n"),
            vec!["a part cannot be called `a/b`"],
        ),
        (
            format!("{GOOD}\n[part.x]\nkinds = [\"contacts\"]\n[part.x.source]\nconnector = \"carddav\"\n"),
            vec!["there is no kind `contacts`", "did you mean \"contact\"?"],
        ),
        (
            GOOD.replace("name = \"acme\"", "name = \"acme\"\nkinds = []"),
            vec!["`kinds` is empty"],
        ),
        (
            format!("{}\n[[mailbox]]\nname = \"alice/archive\"\n", with_parts("")),
            vec!["two mailboxes are called `alice/archive`"],
        ),
        (
            format!("{GOOD}\n[part.x.source]\nconnector = \"imap\"\nsettings = {{ password = \"p\" }}\n"),
            vec!["`part.x.source.settings` must not hold a `password`"],
        ),
    ] {
        let shown = refused(&text);
        for words in said {
            assert!(shown.contains(words), "{words}\n{shown}");
        }
    }
}
