//! Which mailbox has which role: as the server says (RFC 6154, RFC 8457), else by its name.

use whimbrel_plugin::Role;

/// Attributes of LIST and CREATE.
const SPECIAL_USES: [(&str, Role); 8] = [
    ("\\Sent", Role::Sent),
    ("\\Drafts", Role::Drafts),
    ("\\Junk", Role::Junk),
    ("\\Trash", Role::Trash),
    ("\\Archive", Role::Archive),
    ("\\All", Role::All),
    ("\\Flagged", Role::Flagged),
    ("\\Important", Role::Important),
];

/// Names in use where a server knows no special uses, the likelier ones first, in lower case.
const WELL_KNOWN: [(Role, &[&str]); 5] = [
    (
        Role::Sent,
        &[
            "sent",
            "sent items",
            "sent messages",
            "sent mail",
            "sent-mail",
            "gesendet",
            "gesendete objekte",
            "gesendete elemente",
            "éléments envoyés",
            "messages envoyés",
            "envoyés",
            "enviados",
            "elementos enviados",
            "inviata",
            "posta inviata",
            "inviati",
            "verzonden",
            "verzonden items",
            "wysłane",
            "odeslané",
            "отправленные",
            "skickat",
            "sendt",
            "lähetetyt",
            "itens enviados",
            "gönderilmiş öğeler",
            "elküldött",
            "已发送",
            "送信済み",
        ],
    ),
    (
        Role::Drafts,
        &[
            "drafts",
            "draft",
            "entwürfe",
            "brouillons",
            "borradores",
            "bozze",
            "concepten",
            "kopie robocze",
            "wersje robocze",
            "koncepty",
            "черновики",
            "utkast",
            "kladder",
            "luonnokset",
            "rascunhos",
            "taslaklar",
            "piszkozatok",
            "草稿",
            "下書き",
        ],
    ),
    (
        Role::Junk,
        &[
            "junk",
            "spam",
            "junk e-mail",
            "junk email",
            "junk mail",
            "bulk mail",
            "junk-e-mail",
            "spamverdacht",
            "courrier indésirable",
            "indésirables",
            "pourriel",
            "correo no deseado",
            "posta indesiderata",
            "ongewenste e-mail",
            "wiadomości-śmieci",
            "nevyžádaná pošta",
            "спам",
            "нежелательная почта",
            "skräppost",
            "uønsket e-post",
            "roskaposti",
            "lixo eletrônico",
            "levélszemét",
            "垃圾邮件",
            "迷惑メール",
        ],
    ),
    (
        Role::Trash,
        &[
            "trash",
            "deleted items",
            "deleted messages",
            "deleted",
            "bin",
            "papierkorb",
            "gelöschte objekte",
            "gelöschte elemente",
            "gelöscht",
            "corbeille",
            "éléments supprimés",
            "papelera",
            "elementos eliminados",
            "cestino",
            "posta eliminata",
            "prullenbak",
            "verwijderde items",
            "kosz",
            "elementy usunięte",
            "koš",
            "корзина",
            "удаленные",
            "papperskorg",
            "papirkurv",
            "roskakori",
            "lixeira",
            "itens excluídos",
            "çöp kutusu",
            "törölt elemek",
            "kuka",
            "已删除",
            "ゴミ箱",
        ],
    ),
    (
        Role::Archive,
        &[
            "archive",
            "archives",
            "archiv",
            "archivo",
            "archivio",
            "archief",
            "archiwum",
            "архив",
            "arkiv",
            "arkisto",
            "arquivo",
            "archivált",
            "归档",
        ],
    ),
];

/// The attribute that asks for this role in CREATE.
pub fn special_use(role: Role) -> Option<&'static str> {
    SPECIAL_USES
        .iter()
        .find(|(_, known)| *known == role)
        .map(|(attribute, _)| *attribute)
}

/// The role of each mailbox, given its path and attributes, in the order given. Each role is given once.
pub fn roles(mailboxes: &[(Vec<String>, &[String])]) -> Vec<Option<Role>> {
    let mut roles = vec![None; mailboxes.len()];
    for (role, (path, _)) in roles.iter_mut().zip(mailboxes) {
        if path.len() == 1 && path[0] == "INBOX" {
            *role = Some(Role::Inbox);
        }
    }
    let mut special = false;
    for (attribute, role) in SPECIAL_USES {
        let holder = mailboxes.iter().enumerate().find(|(at, (_, attributes))| {
            roles[*at].is_none() && attributes.iter().any(|other| other.eq_ignore_ascii_case(attribute))
        });
        if let Some((at, _)) = holder {
            roles[at] = Some(role);
            special = true;
        }
    }
    // A server that tells one role means that nothing else has one.
    if special {
        return roles;
    }
    for (role, names) in WELL_KNOWN {
        let holder = names.iter().find_map(|name| {
            mailboxes.iter().position(|(path, attributes)| {
                path.len() == 1 && path[0].to_lowercase() == *name && selectable(attributes)
            })
        });
        if let Some(at) = holder {
            roles[at] = Some(role);
        }
    }
    roles
}

/// Whether a mailbox with these attributes can hold messages.
pub fn selectable(attributes: &[String]) -> bool {
    !has(attributes, "\\Noselect") && !has(attributes, "\\NonExistent")
}

/// Whether it is among them.
pub fn has(attributes: &[String], attribute: &str) -> bool {
    attributes.iter().any(|other| other.eq_ignore_ascii_case(attribute))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(mailboxes: &[(&[&str], &[&str])]) -> Vec<Option<Role>> {
        let owned: Vec<(Vec<String>, Vec<String>)> = mailboxes
            .iter()
            .map(|(path, attributes)| {
                let strings = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
                (strings(path), strings(attributes))
            })
            .collect();
        let borrowed: Vec<(Vec<String>, &[String])> = owned
            .iter()
            .map(|(path, attributes)| (path.clone(), attributes.as_slice()))
            .collect();
        roles(&borrowed)
    }

    #[test]
    fn the_server_knows_best() {
        let found = of(&[
            (&["INBOX"], &[]),
            (&["Sent"], &[]),
            (&["Out"], &["\\sent"]),
            (&["Trash"], &[]),
        ]);
        assert_eq!(found, [Some(Role::Inbox), None, Some(Role::Sent), None]);
    }

    #[test]
    fn names_help_where_it_says_nothing() {
        let found = of(&[
            (&["Sent Items"], &[]),
            (&["Sent"], &["\\HasNoChildren"]),
            (&["Papierkorb"], &[]),
            (&["ENTWÜRFE"], &[]),
            (&["a", "Junk"], &[]),
            (&["Archive"], &["\\Noselect"]),
        ]);
        assert_eq!(
            found,
            [
                None,
                Some(Role::Sent),
                Some(Role::Trash),
                Some(Role::Drafts),
                None,
                None
            ]
        );
    }

    #[test]
    fn a_role_is_given_once() {
        let found = of(&[
            (&["a"], &["\\Junk"]),
            (&["b"], &["\\Junk"]),
            (&["c"], &["\\Trash", "\\Junk"]),
        ]);
        assert_eq!(found, [Some(Role::Junk), None, Some(Role::Trash)]);
        assert_eq!(special_use(Role::Sent), Some("\\Sent"));
        assert_eq!(special_use(Role::Inbox), None);
    }

    #[test]
    fn the_table_is_in_lower_case() {
        for (_, names) in WELL_KNOWN {
            assert!(names.iter().all(|name| name.to_lowercase() == *name));
        }
    }
}
