//! Everything that scripts see, in one table: the reference and the suggestions come from it.

use serde::Serialize;

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Written without brackets, after a point.
    Property,
    /// Written with brackets, after a point.
    Method,
    /// Belongs to no type; may be written after a point all the same.
    Function,
    /// A function that the script has and the engine calls.
    Hook,
}

/// One name that scripts see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// The type it belongs to; empty for functions and hooks.
    pub on: &'static str,
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// How it is written, and what it gives.
    pub signature: &'static str,
    /// What it means.
    pub doc: &'static str,
    /// Whether it decides something.
    pub decides: bool,
}

/// All entries, those of a type together.
pub fn entries() -> &'static [Entry] {
    ENTRIES
}

const fn entry(
    on: &'static str,
    name: &'static str,
    kind: Kind,
    signature: &'static str,
    doc: &'static str,
    decides: bool,
) -> Entry {
    Entry {
        on,
        name,
        kind,
        signature,
        doc,
        decides,
    }
}

/// `get`, `ask`, `decide`, `function` and `hook` lines, as entries.
macro_rules! table {
    ($($verb:ident $on:literal $name:literal $signature:literal $doc:literal;)*) => {
        &[$(table!(@ $verb $on $name $signature $doc)),*]
    };
    (@ get $on:literal $name:literal $signature:literal $doc:literal) => {
        entry($on, $name, Kind::Property, $signature, $doc, false)
    };
    (@ ask $on:literal $name:literal $signature:literal $doc:literal) => {
        entry($on, $name, Kind::Method, $signature, $doc, false)
    };
    (@ decide $on:literal $name:literal $signature:literal $doc:literal) => {
        entry($on, $name, Kind::Method, $signature, $doc, true)
    };
    (@ function $on:literal $name:literal $signature:literal $doc:literal) => {
        entry($on, $name, Kind::Function, $signature, $doc, false)
    };
    (@ hook $on:literal $name:literal $signature:literal $doc:literal) => {
        entry($on, $name, Kind::Hook, $signature, $doc, false)
    };
}

#[rustfmt::skip] // One entry a line.
const ENTRIES: &[Entry] = table! {
    hook "" "mailbox" "fn mailbox(b)" "Called before a mailbox starts.";
    hook "" "folder" "fn folder(f)" "Called for each source folder, when destinations are planned.";
    hook "" "message" "fn message(m)" "Called for each message.";
    hook "" "event" "fn event(e)" "Called for each event of a calendar.";
    hook "" "task" "fn task(t)" "Called for each task.";
    hook "" "contact" "fn contact(c)" "Called for each contact of an address book.";
    hook "" "filter" "fn filter(s)" "Called for each mail filter.";
    hook "" "failure" "fn failure(e)" "Called when a message could not be read or was refused.";

    get "Message" "id" "m.id -> string" "Its id at the source, as the UID.";
    get "Message" "folder" "m.folder -> string" "The path of its folder, joined by `/`; a `/` inside a name is shown as `∕`.";
    get "Message" "path" "m.path -> array" "The names of the path of its folder, root first.";
    get "Message" "role" "m.role -> string" "The special use of its folder, as \"sent\"; \"\" if none.";
    get "Message" "size" "m.size -> int" "Bytes.";
    get "Message" "received" "m.received -> Date or ()" "When the server received it.";
    get "Message" "flags" "m.flags -> array" "Flags and keywords as IMAP spells them, as \"\\\\Seen\".";
    get "Message" "keywords" "m.keywords -> array" "Flags without a backslash.";
    get "Message" "labels" "m.labels -> array" "Labels of the provider.";
    get "Message" "seen" "m.seen -> bool" "Whether it was read.";
    get "Message" "answered" "m.answered -> bool" "Whether it was answered.";
    get "Message" "flagged" "m.flagged -> bool" "Whether it is flagged.";
    get "Message" "draft" "m.draft -> bool" "Whether it is a draft.";
    get "Message" "deleted" "m.deleted -> bool" "Whether it is marked as deleted.";
    get "Message" "mailbox" "m.mailbox -> Mailbox" "The mailbox it lies in.";
    get "Message" "subject" "m.subject -> string" "The subject, decoded; \"\" if none. Reads the head.";
    get "Message" "from" "m.from -> Address" "The first author; an empty address if none. Reads the head.";
    get "Message" "sender" "m.sender -> Address" "The Sender header. Reads the head.";
    get "Message" "reply_to" "m.reply_to -> Address" "The first address of Reply-To. Reads the head.";
    get "Message" "to" "m.to -> array of Address" "The To header. Reads the head.";
    get "Message" "cc" "m.cc -> array of Address" "The Cc header. Reads the head.";
    get "Message" "bcc" "m.bcc -> array of Address" "The Bcc header. Reads the head.";
    get "Message" "recipients" "m.recipients -> array of Address" "To, Cc and Bcc. Reads the head.";
    get "Message" "sent" "m.sent -> Date or ()" "The Date header. Reads the head.";
    get "Message" "date" "m.date -> Date or ()" "`sent`, or `received` where that is missing. Reads the head.";
    get "Message" "message_id" "m.message_id -> string" "The Message-ID without <>; \"\" if none. Reads the head.";
    get "Message" "list_id" "m.list_id -> string" "The id of the mailing list without <>; \"\" if none. Reads the head.";
    get "Message" "spam_score" "m.spam_score -> float or ()" "The score that a spam filter left in the head. Reads the head.";
    get "Message" "marked_spam" "m.marked_spam -> bool" "Whether a spam filter or a keyword calls it spam. Reads the head.";
    get "Message" "signed" "m.signed -> bool" "Whether it is signed in any way: DKIM, ARC, S/MIME or OpenPGP. Reads the head.";
    get "Message" "dkim_signed" "m.dkim_signed -> bool" "Whether it has a DKIM signature. Reads the head.";
    get "Message" "encrypted" "m.encrypted -> bool" "Whether it is encrypted. Reads the head.";
    get "Message" "content_type" "m.content_type -> string" "As \"multipart/mixed\", lower case. Reads the head.";
    get "Message" "headers" "m.headers -> array" "The names of all headers as written. Reads the head.";
    get "Message" "attachments" "m.attachments -> array of Attachment" "The attachments. Reads the body.";
    get "Message" "text" "m.text -> string" "The beginning of the readable text, HTML without its tags. Reads the body.";
    ask "Message" "header" "m.header(name) -> string" "The first header with the name, decoded; \"\" if none. Reads the head.";
    ask "Message" "header_all" "m.header_all(name) -> array" "All headers with the name, decoded. Reads the head.";
    ask "Message" "header_raw" "m.header_raw(name) -> string" "The first header with the name as it stands; \"\" if none. Reads the head.";
    ask "Message" "has_header" "m.has_header(name) -> bool" "Whether there is a header with the name. Reads the head.";
    ask "Message" "has_flag" "m.has_flag(name) -> bool" "Whether it has the flag, with or without its backslash, in any case.";
    ask "Message" "has_keyword" "m.has_keyword(name) -> bool" "Whether it has the keyword, in any case.";
    ask "Message" "has_label" "m.has_label(name) -> bool" "Whether it has the label, in any case.";
    ask "Message" "in_folder" "m.in_folder(path) -> bool" "Whether it lies in the folder or below it, in any case.";
    ask "Message" "is_from" "m.is_from(text) -> bool" "Whether an author has the address, or the domain where the text begins with @. Reads the head.";
    ask "Message" "is_to" "m.is_to(text) -> bool" "Whether a recipient has the address, or the domain where the text begins with @. Reads the head.";
    decide "Message" "keep" "m.keep()" "Takes back a skip.";
    decide "Message" "skip" "m.skip(reason)" "Leaves it out, and counts it as filtered with the reason.";
    decide "Message" "move_to" "m.move_to(folder)" "Puts it into another folder: \"A/B\" or [\"A\", \"B\"].";
    decide "Message" "move_to_role" "m.move_to_role(role)" "Puts it into the folder with the special use.";
    decide "Message" "copy_to" "m.copy_to(folder)" "Puts a copy into another folder as well.";
    decide "Message" "send_to" "m.send_to(mailbox) or m.send_to(mailbox, folder)" "Puts it into another mailbox of the destination.";
    decide "Message" "set_flag" "m.set_flag(name)" "Sets a flag.";
    decide "Message" "clear_flag" "m.clear_flag(name)" "Clears a flag.";
    decide "Message" "add_keyword" "m.add_keyword(name)" "Sets a keyword.";
    decide "Message" "remove_keyword" "m.remove_keyword(name)" "Clears a keyword.";
    decide "Message" "add_label" "m.add_label(name)" "Adds a label.";
    decide "Message" "remove_label" "m.remove_label(name)" "Removes a label.";
    decide "Message" "set_header" "m.set_header(name, value)" "All headers with the name become one with the value.";
    decide "Message" "add_header" "m.add_header(name, value)" "Adds a header at the top.";
    decide "Message" "remove_header" "m.remove_header(name)" "Removes all headers with the name.";
    decide "Message" "rewrite_header" "m.rewrite_header(name, from, to)" "Replaces a text in the raw value of each header with the name.";
    decide "Message" "rewrite_address" "m.rewrite_address(old, new) or m.rewrite_address(old, new, #{ signed: true, headers: [\"From\"] })" "Replaces an address in the address headers. Signed mail is left alone unless told otherwise.";
    decide "Message" "rewrite_domain" "m.rewrite_domain(old, new) or m.rewrite_domain(old, new, #{ signed: true, headers: [\"From\"] })" "Replaces the domain of addresses in the address headers. Signed mail is left alone unless told otherwise.";
    decide "Message" "detach" "m.detach(over_bytes) or m.detach(over_bytes, #{ signed: true })" "Attachments of at least so many bytes go to files. Needs [rules.attachments].";
    decide "Message" "note" "m.note(text)" "A line in the audit trail; it must hold no content.";

    get "Folder" "path" "f.path -> string" "The path, joined by `/`; a `/` inside a name is shown as `∕`.";
    get "Folder" "segments" "f.segments -> array" "The names of the path, root first.";
    get "Folder" "name" "f.name -> string" "The last name of the path.";
    get "Folder" "parent" "f.parent -> string" "The path without its last name.";
    get "Folder" "depth" "f.depth -> int" "How many names the path has.";
    get "Folder" "role" "f.role -> string" "The special use, as \"sent\"; \"\" if none.";
    get "Folder" "kind" "f.kind -> string" "What its items are: \"message\", \"event\", \"task\", \"contact\", \"note\" or \"filter\".";
    get "Folder" "items" "f.items -> int" "How many messages it holds; -1 where that is not known.";
    get "Folder" "bytes" "f.bytes -> int" "How many bytes they have; -1 where that is not known.";
    get "Folder" "subscribed" "f.subscribed -> bool" "Whether the user subscribed to it.";
    get "Folder" "mailbox" "f.mailbox -> Mailbox" "The mailbox it lies in.";
    ask "Folder" "in_folder" "f.in_folder(path) -> bool" "Whether it is the folder or below it, in any case.";
    decide "Folder" "keep" "f.keep()" "Takes back a skip.";
    decide "Folder" "skip" "f.skip(reason)" "Leaves it out; its messages count as filtered with the reason.";
    decide "Folder" "move_to" "f.move_to(path)" "Puts it elsewhere: \"A/B\" or [\"A\", \"B\"].";
    decide "Folder" "move_to_role" "f.move_to_role(role)" "Puts its messages into the folder with the special use.";
    decide "Folder" "subscribe" "f.subscribe(bool)" "Whether it is subscribed at the destination.";
    decide "Folder" "note" "f.note(text)" "A line in the audit trail.";

    get "Mailbox" "name" "b.name -> string" "Its name.";
    get "Mailbox" "attributes" "b.attributes -> map" "Its further columns in the CSV, or `attributes` of the settings.";
    ask "Mailbox" "has" "b.has(name) -> bool" "Whether it has the attribute.";
    ask "Mailbox" "get" "b.get(name) -> string" "The attribute; \"\" if none.";
    decide "Mailbox" "keep" "b.keep()" "Takes back a skip; in mailbox(b) only.";
    decide "Mailbox" "skip" "b.skip(reason)" "Leaves the mailbox out; in mailbox(b) only.";
    decide "Mailbox" "note" "b.note(text)" "A line in the audit trail; in mailbox(b) only.";

    get "Event" "id" "e.id -> string" "Its id at the source.";
    get "Event" "folder" "e.folder -> string" "The path of its collection, joined by `/`; a `/` inside a name is shown as `∕`.";
    get "Event" "path" "e.path -> array" "The names of the path of its collection, root first.";
    get "Event" "mailbox" "e.mailbox -> Mailbox" "The mailbox that it is part of.";
    get "Event" "flags" "e.flags -> array" "Its flags and keywords.";
    get "Event" "size" "e.size -> int" "Bytes.";
    get "Event" "uid" "e.uid -> string" "Its UID. Reads the content.";
    get "Event" "categories" "e.categories -> array" "Its categories. Reads the content.";
    ask "Event" "property" "e.property(name) -> string" "The first property with the name, decoded; \"\" if none. Reads the content.";
    ask "Event" "property_all" "e.property_all(name) -> array" "All properties with the name, decoded. Reads the content.";
    ask "Event" "has_property" "e.has_property(name) -> bool" "Whether there is a property with the name. Reads the content.";
    decide "Event" "set_property" "e.set_property(name, value)" "All properties with the name become one with the value. Of a recurring event, in the series and in each exception.";
    decide "Event" "add_property" "e.add_property(name, value)" "Adds a property.";
    decide "Event" "remove_property" "e.remove_property(name)" "Removes all properties with the name.";
    get "Event" "summary" "e.summary -> string" "Its title. Reads the content.";
    get "Event" "description" "e.description -> string" "What is said of it. Reads the content.";
    get "Event" "location" "e.location -> string" "Where. Reads the content.";
    get "Event" "status" "e.status -> string" "As \"cancelled\", lower case; \"\" if none. Reads the content.";
    get "Event" "is_private" "e.is_private -> bool" "Whether it is private or confidential. Reads the content.";
    get "Event" "recurring" "e.recurring -> bool" "Whether it happens more than once. Reads the content.";
    get "Event" "organizer" "e.organizer -> Address" "Who invites; an empty address if nobody. Reads the content.";
    get "Event" "attendees" "e.attendees -> array of Address" "Who is invited. Reads the content.";
    get "Event" "start" "e.start -> Date or ()" "When it begins. A time zone that is not known by its name counts as UTC. Reads the content.";
    get "Event" "end" "e.end -> Date or ()" "When it ends. Reads the content.";
    ask "Event" "in_folder" "e.in_folder(path) -> bool" "Whether it lies in the collection or below it, in any case.";
    decide "Event" "keep" "e.keep()" "Takes back a skip.";
    decide "Event" "skip" "e.skip(reason)" "Leaves it out, and counts it as filtered with the reason.";
    decide "Event" "note" "e.note(text)" "A line in the audit trail; it must hold no content.";
    decide "Event" "move_to" "e.move_to(folder)" "Puts it into another collection: \"A/B\" or [\"A\", \"B\"].";
    decide "Event" "rewrite_address" "e.rewrite_address(old, new)" "Replaces an address of the organizer, of attendees, and of further properties that begin with mailto:.";
    decide "Event" "rewrite_domain" "e.rewrite_domain(old, new)" "Replaces the domain of addresses of the organizer, of attendees, and of further properties that begin with mailto:.";

    get "Task" "id" "t.id -> string" "Its id at the source.";
    get "Task" "folder" "t.folder -> string" "The path of its collection, joined by `/`; a `/` inside a name is shown as `∕`.";
    get "Task" "path" "t.path -> array" "The names of the path of its collection, root first.";
    get "Task" "mailbox" "t.mailbox -> Mailbox" "The mailbox that it is part of.";
    get "Task" "flags" "t.flags -> array" "Its flags and keywords.";
    get "Task" "size" "t.size -> int" "Bytes.";
    get "Task" "uid" "t.uid -> string" "Its UID. Reads the content.";
    get "Task" "categories" "t.categories -> array" "Its categories. Reads the content.";
    ask "Task" "property" "t.property(name) -> string" "The first property with the name, decoded; \"\" if none. Reads the content.";
    ask "Task" "property_all" "t.property_all(name) -> array" "All properties with the name, decoded. Reads the content.";
    ask "Task" "has_property" "t.has_property(name) -> bool" "Whether there is a property with the name. Reads the content.";
    decide "Task" "set_property" "t.set_property(name, value)" "All properties with the name become one with the value. Of a recurring event, in the series and in each exception.";
    decide "Task" "add_property" "t.add_property(name, value)" "Adds a property.";
    decide "Task" "remove_property" "t.remove_property(name)" "Removes all properties with the name.";
    get "Task" "summary" "t.summary -> string" "Its title. Reads the content.";
    get "Task" "description" "t.description -> string" "What is said of it. Reads the content.";
    get "Task" "location" "t.location -> string" "Where. Reads the content.";
    get "Task" "status" "t.status -> string" "As \"cancelled\", lower case; \"\" if none. Reads the content.";
    get "Task" "is_private" "t.is_private -> bool" "Whether it is private or confidential. Reads the content.";
    get "Task" "recurring" "t.recurring -> bool" "Whether it happens more than once. Reads the content.";
    get "Task" "organizer" "t.organizer -> Address" "Who invites; an empty address if nobody. Reads the content.";
    get "Task" "attendees" "t.attendees -> array of Address" "Who is invited. Reads the content.";
    get "Task" "start" "t.start -> Date or ()" "When it begins. Reads the content.";
    get "Task" "due" "t.due -> Date or ()" "When it is due. Reads the content.";
    get "Task" "completed" "t.completed -> bool" "Whether it is done. Reads the content.";
    get "Task" "percent" "t.percent -> int" "How much of it is done, from 0 to 100. Reads the content.";
    ask "Task" "in_folder" "t.in_folder(path) -> bool" "Whether it lies in the collection or below it, in any case.";
    decide "Task" "keep" "t.keep()" "Takes back a skip.";
    decide "Task" "skip" "t.skip(reason)" "Leaves it out, and counts it as filtered with the reason.";
    decide "Task" "note" "t.note(text)" "A line in the audit trail; it must hold no content.";
    decide "Task" "move_to" "t.move_to(folder)" "Puts it into another collection: \"A/B\" or [\"A\", \"B\"].";
    decide "Task" "rewrite_address" "t.rewrite_address(old, new)" "Replaces an address of the organizer, of attendees, and of further properties that begin with mailto:.";
    decide "Task" "rewrite_domain" "t.rewrite_domain(old, new)" "Replaces the domain of addresses of the organizer, of attendees, and of further properties that begin with mailto:.";

    get "Contact" "id" "c.id -> string" "Its id at the source.";
    get "Contact" "folder" "c.folder -> string" "The path of its collection, joined by `/`; a `/` inside a name is shown as `∕`.";
    get "Contact" "path" "c.path -> array" "The names of the path of its collection, root first.";
    get "Contact" "mailbox" "c.mailbox -> Mailbox" "The mailbox that it is part of.";
    get "Contact" "flags" "c.flags -> array" "Its flags and keywords.";
    get "Contact" "size" "c.size -> int" "Bytes.";
    get "Contact" "uid" "c.uid -> string" "Its UID. Reads the content.";
    get "Contact" "categories" "c.categories -> array" "Its categories. Reads the content.";
    ask "Contact" "property" "c.property(name) -> string" "The first property with the name, decoded; \"\" if none. Reads the content.";
    ask "Contact" "property_all" "c.property_all(name) -> array" "All properties with the name, decoded. Reads the content.";
    ask "Contact" "has_property" "c.has_property(name) -> bool" "Whether there is a property with the name. Reads the content.";
    decide "Contact" "set_property" "c.set_property(name, value)" "All properties with the name become one with the value. Of a recurring event, in the series and in each exception.";
    decide "Contact" "add_property" "c.add_property(name, value)" "Adds a property.";
    decide "Contact" "remove_property" "c.remove_property(name)" "Removes all properties with the name.";
    get "Contact" "name" "c.name -> string" "As it is displayed. Reads the content.";
    get "Contact" "organization" "c.organization -> string" "Where somebody works, without departments. Reads the content.";
    get "Contact" "emails" "c.emails -> array of Address" "All addresses. Reads the content.";
    get "Contact" "phones" "c.phones -> array" "All numbers. Reads the content.";
    get "Contact" "is_group" "c.is_group -> bool" "Whether it is a group. Reads the content.";
    ask "Contact" "in_folder" "c.in_folder(path) -> bool" "Whether it lies in the collection or below it, in any case.";
    decide "Contact" "keep" "c.keep()" "Takes back a skip.";
    decide "Contact" "skip" "c.skip(reason)" "Leaves it out, and counts it as filtered with the reason.";
    decide "Contact" "note" "c.note(text)" "A line in the audit trail; it must hold no content.";
    decide "Contact" "move_to" "c.move_to(folder)" "Puts it into another collection: \"A/B\" or [\"A\", \"B\"].";
    decide "Contact" "rewrite_address" "c.rewrite_address(old, new)" "Replaces an address of the contact, and of further properties that begin with mailto:.";
    decide "Contact" "rewrite_domain" "c.rewrite_domain(old, new)" "Replaces the domain of addresses of the contact, and of further properties that begin with mailto:.";

    get "Filter" "id" "s.id -> string" "Its id at the source.";
    get "Filter" "folder" "s.folder -> string" "The path of its collection, joined by `/`; a `/` inside a name is shown as `∕`.";
    get "Filter" "path" "s.path -> array" "The names of the path of its collection, root first.";
    get "Filter" "mailbox" "s.mailbox -> Mailbox" "The mailbox that it is part of.";
    get "Filter" "flags" "s.flags -> array" "Its flags and keywords.";
    get "Filter" "size" "s.size -> int" "Bytes.";
    get "Filter" "name" "s.name -> string" "Its name.";
    get "Filter" "text" "s.text -> string" "The script. Reads the content.";
    get "Filter" "requires" "s.requires -> array" "The extensions that it requires. Reads the content.";
    decide "Filter" "rewrite_string" "s.rewrite_string(old, new)" "Replaces each string that is exactly this, as the name of a folder.";
    ask "Filter" "in_folder" "s.in_folder(path) -> bool" "Whether it lies in the collection or below it, in any case.";
    decide "Filter" "keep" "s.keep()" "Takes back a skip.";
    decide "Filter" "skip" "s.skip(reason)" "Leaves it out, and counts it as filtered with the reason.";
    decide "Filter" "note" "s.note(text)" "A line in the audit trail; it must hold no content.";
    decide "Filter" "move_to" "s.move_to(folder)" "Puts it into another collection: \"A/B\" or [\"A\", \"B\"].";
    decide "Filter" "rewrite_address" "s.rewrite_address(old, new)" "Replaces an address in strings that are one; texts for people stay.";
    decide "Filter" "rewrite_domain" "s.rewrite_domain(old, new)" "Replaces the domain of addresses in strings that are one; texts for people stay.";

    get "Failure" "code" "e.code -> string" "The case, as \"rejected\" or \"too-large\".";
    get "Failure" "text" "e.text -> string" "What the server said.";
    get "Failure" "side" "e.side -> string" "\"source\" or \"destination\".";
    get "Failure" "attempts" "e.attempts -> int" "How often it was tried.";
    get "Failure" "folder" "e.folder -> string" "The path of its folder.";
    get "Failure" "role" "e.role -> string" "The special use of its folder; \"\" if none.";
    get "Failure" "size" "e.size -> int" "Bytes; -1 where that is not known.";
    get "Failure" "mailbox" "e.mailbox -> Mailbox" "The mailbox it lies in.";
    decide "Failure" "retry" "e.retry()" "It stays pending; the next run takes it up.";
    decide "Failure" "skip" "e.skip(reason)" "It counts as filtered with the reason.";
    decide "Failure" "stop" "e.stop(reason)" "The mailbox stops here.";

    get "Address" "address" "a.address -> string" "As written, \"local@domain\".";
    get "Address" "name" "a.name -> string" "The display name, decoded.";
    get "Address" "local" "a.local -> string" "What stands before the @.";
    get "Address" "domain" "a.domain -> string" "What stands behind the @, in lower case; \"\" if none.";
    ask "Address" "to_string" "a.to_string() -> string" "Name and address.";

    get "Attachment" "name" "a.name -> string" "The name of the file, decoded.";
    get "Attachment" "type" "a.type -> string" "As \"application/pdf\", lower case.";
    get "Attachment" "size" "a.size -> int" "Decoded bytes.";
    get "Attachment" "inline" "a.inline -> bool" "Whether it is shown within the text.";

    get "Date" "year" "d.year -> int" "In the time zone in which it was written, as all parts.";
    get "Date" "month" "d.month -> int" "From 1.";
    get "Date" "day" "d.day -> int" "From 1.";
    get "Date" "hour" "d.hour -> int" "From 0 to 23.";
    get "Date" "minute" "d.minute -> int" "From 0 to 59.";
    get "Date" "weekday" "d.weekday -> int" "1 is Monday, 7 is Sunday.";
    get "Date" "unix" "d.unix -> int" "Seconds since 1970-01-01T00:00:00Z.";
    ask "Date" "to_string" "d.to_string() -> string" "As RFC 3339 writes it.";
    ask "Date" "days_before" "d.days_before(other) -> int" "How many whole days it lies before the other.";

    function "" "date" "date(text) -> Date" "From \"2020-01-31\" or \"2020-01-31T10:00:00Z\".";
    function "" "started" "started() -> Date" "When the migration began; the same in every run.";
    function "" "days" "days(n)" "For `date - days(30)`.";
    function "" "years" "years(n)" "For `date - years(1)`.";
    function "" "kb" "kb(n) -> int" "n × 1024 bytes; also 5.kb().";
    function "" "mb" "mb(n) -> int" "n × 1024 × 1024 bytes; also 5.mb().";
    function "" "gb" "gb(n) -> int" "n × 1024 × 1024 × 1024 bytes; also 5.gb().";
    function "" "matches" "text.matches(pattern) -> bool" "Whether the whole text fits: `*` is any text, `?` any character; in any case.";
    function "" "like" "text.like(regex) -> bool" "Whether the regular expression finds something in the text.";
    function "" "same_as" "text.same_as(other) -> bool" "Whether both are the same, in any case.";
    function "" "join" "array.join() or array.join(between) -> string" "Puts strings together, with `/` between them unless told otherwise.";
    function "" "last_segment" "last_segment(path) -> string" "What stands behind the last `/`.";
    function "" "parent_of" "parent_of(path) -> string" "What stands before the last `/`; \"\" if none.";
};

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{Hook, Options, engine, shared::Shared};

    /// `(type, name)` of all that the engine knows beyond Rhai's own packages; operators left out.
    fn registered() -> BTreeSet<(String, String)> {
        let engine = engine::runner(&Shared::new("x", &Options::default()));
        let own = [
            "Message",
            "Event",
            "Task",
            "Contact",
            "Filter",
            "Folder",
            "Mailbox",
            "Failure",
            "Address",
            "Attachment",
            "Date",
        ];
        let functions = engine.collect_fn_metadata(
            None,
            |info| {
                let name = info.metadata.name.to_string();
                let parameters = info.metadata.params_info.iter();
                Some((name, parameters.map(ToString::to_string).collect::<Vec<_>>()))
            },
            false,
        );
        functions
            .into_iter()
            .filter(|(name, _)| name.starts_with("get$") || name.chars().all(|c| c.is_alphanumeric() || c == '_'))
            .filter(|(name, _)| name != "to_debug")
            .map(|(name, parameters)| {
                let words: Vec<&str> = parameters
                    .iter()
                    .flat_map(|text| text.split(|c: char| !c.is_alphanumeric()))
                    .collect();
                // A method is called on a `&mut`; functions take their values.
                let method = parameters.iter().any(|text| text.contains("&mut"));
                let on = own
                    .iter()
                    .find(|on| method && words.contains(on))
                    .copied()
                    .unwrap_or_default();
                (on.to_owned(), name.trim_start_matches("get$").to_owned())
            })
            .collect()
    }

    #[test]
    fn the_table_and_the_engine_hold_the_same_names() {
        let told: BTreeSet<(String, String)> = entries()
            .iter()
            .filter(|entry| entry.kind != Kind::Hook)
            .map(|entry| (entry.on.to_owned(), entry.name.to_owned()))
            .collect();
        let registered = registered();
        assert_eq!(
            told.difference(&registered).collect::<Vec<_>>(),
            Vec::<&(String, String)>::new(),
            "not registered"
        );
        assert_eq!(
            registered.difference(&told).collect::<Vec<_>>(),
            Vec::<&(String, String)>::new(),
            "not told"
        );
    }

    #[test]
    fn no_entry_is_there_twice_and_hooks_are_those_of_the_engine() {
        let mut seen = BTreeSet::new();
        for entry in entries() {
            assert!(seen.insert((entry.on, entry.name)), "{entry:?}");
            assert!(
                entry.signature.contains(entry.name) && entry.doc.ends_with('.'),
                "{entry:?}"
            );
        }
        let hooks = entries()
            .iter()
            .filter(|entry| entry.kind == Kind::Hook)
            .map(|entry| entry.name);
        assert!(hooks.eq(Hook::ALL.map(Hook::name)));
    }
}
