//! From logins to credentials, as tables.

use std::path::PathBuf;

use super::*;
use crate::config::parse_with_home;

const PATH: &str = "/c/config.toml";

fn login(program: Program, service: Use, username: &str, way: Way) -> Login {
    let host = Some("imap.mail.me.com".to_owned());
    let address = Address::new(username).ok().or_else(|| Address::new(&format!("{username}@icloud.com")).ok());
    let file = Some(PathBuf::from("/f"));
    Login { program, file, line: Some(1), service, host, username: Some(username.to_owned()), address, way }
}

fn pass(entry: &str) -> Way {
    Way::Command(["pass", "show", entry].map(str::to_owned).to_vec())
}

fn config(text: &str) -> Config {
    parse_with_home(text, Path::new(PATH), None).unwrap()
}

/// `ADDRESS: NAME SERVICES watched` for each offer.
fn told(logins: &[Login], text: &str) -> Vec<String> {
    households(logins, &config(text))
        .iter()
        .flat_map(|household| {
            let address = household.address.as_ref().map_or("-", Address::as_str);
            household.offers.iter().map(move |offer| {
                let services: Vec<_> = offer.services().iter().map(Service::as_str).collect();
                let watched = if offer.watched { " watched" } else { "" };
                format!("{address}: {} {}{watched}", offer.name, services.join("+"))
            })
        })
        .collect()
}

#[test]
fn one_credential_per_program_and_source() {
    let unknown = || Way::Unknown(String::new());
    let logins = [
        login(Program::Mbsync, Use::Imap, "john", pass("a")),
        login(Program::Msmtp, Use::Smtp, "john@icloud.com", pass("a")),
        login(Program::Mutt, Use::Imap, "john", pass("a")),
        login(Program::Mutt, Use::Smtp, "john@me.com", pass("a")),
        login(Program::Aerc, Use::Imap, "john", pass("a")),
        login(Program::Aerc, Use::Smtp, "john@me.com", pass("b")),
        login(Program::Vdirsyncer, Use::Caldav, "john@icloud.com", pass("a")),
        login(Program::Thunderbird, Use::Imap, "john", unknown()),
        login(Program::Thunderbird, Use::Smtp, "john@icloud.com", unknown()),
        login(Program::Mbsync, Use::Imap, "jane", pass("jane")),
        login(Program::Mbsync, Use::Imap, "jane", pass("jane2")),
    ];
    assert_eq!(
        told(&logins, ""),
        [
            "john@icloud.com: mbsync imap",
            "john@icloud.com: msmtp smtp",
            "john@icloud.com: mutt imap+smtp",
            "john@icloud.com: aerc-imap imap",
            "john@icloud.com: aerc-smtp smtp",
            "john@icloud.com: vdirsyncer imap+smtp",
            "john@icloud.com: thunderbird imap+smtp",
            "jane@icloud.com: mbsync-imap imap",
            "jane@icloud.com: mbsync-jane imap",
        ]
    );
}

#[test]
fn what_is_watched_is_known_by_its_source_or_its_program() {
    let text = "[[account]]\naddress = \"john@me.com\"\n[[account.credential]]\nname = \"mail\"\n\
                secret.command = [\"sh\", \"-c\", \"pass show a\"]\n[[account.credential]]\nname = \"msmtp\"\n\
                [[account.credential]]\nname = \"tb\"\napp = \"Thunderbird\"\n";
    let logins = [
        login(Program::Mbsync, Use::Imap, "john", pass("a")),
        login(Program::Msmtp, Use::Smtp, "john@icloud.com", pass("b")),
        login(Program::Thunderbird, Use::Imap, "john", Way::Unknown(String::new())),
        login(Program::Goa, Use::Imap, "john", Way::Unknown(String::new())),
    ];
    assert_eq!(
        told(&logins, text),
        [
            "john@me.com: mail imap watched",
            "john@me.com: msmtp-john smtp",
            "john@me.com: tb imap watched",
            "john@me.com: goa imap",
        ]
    );
}

/// Two programs that read the same are watched by a credential each; a third is watched by either.
#[test]
fn of_several_that_read_the_same_a_program_has_its_own() {
    let text = "[[account]]\naddress = \"john@me.com\"\n[[account.credential]]\nname = \"mbsync\"\n\
                secret.command = [\"pass\", \"show\", \"a\"]\n[[account.credential]]\nname = \"msmtp\"\n\
                secret.command = [\"pass\", \"show\", \"a\"]\n";
    let logins = [
        login(Program::Mbsync, Use::Imap, "john", pass("a")),
        login(Program::Msmtp, Use::Smtp, "john@icloud.com", pass("a")),
        login(Program::Mutt, Use::Imap, "john", pass("a")),
    ];
    assert_eq!(
        told(&logins, text),
        ["john@me.com: mbsync imap watched", "john@me.com: msmtp smtp watched", "john@me.com: mbsync imap watched"]
    );
}

#[test]
fn a_login_of_nobody_has_a_name_all_the_same() {
    let nobody = |program| Login { address: None, ..login(program, Use::Carddav, "john@gmail.com", pass("b")) };
    let text = "[[account]]\naddress = \"john@me.com\"\n[[account.credential]]\nname = \"vdirsyncer\"\n";
    assert_eq!(
        told(&[nobody(Program::Vdirsyncer), nobody(Program::Netrc)], text),
        ["-: vdirsyncer-carddav imap+smtp", "-: netrc imap+smtp"]
    );
}

#[test]
fn what_was_written_is_written_once() {
    let program = Source::Program(crate::secret::ProgramEntry {
        name: "offlineimap",
        file: "/home/john/.offlineimaprc".into(),
        entry: "R".into(),
        find: |_, _| Err(crate::secret::EntryError::Missing),
    });
    let logins = [
        login(Program::Mbsync, Use::Imap, "john@icloud.com", pass("a")),
        login(Program::Offlineimap, Use::Imap, "john@icloud.com", Way::Plain(program)),
        login(Program::Thunderbird, Use::Imap, "john@icloud.com", Way::Unknown(String::new())),
    ];
    let text = "# Mine.\n";
    let Written { text: edited, added, .. } =
        write(text, Path::new(PATH), &households(&logins, &config(text))).unwrap();
    assert_eq!(
        edited,
        "# Mine.\n\n[[account]]\naddress = \"john@icloud.com\"\nimap_username = \"john@icloud.com\"\n\n[[account.credential]]\n\
         name = \"mbsync\"\nservices = [\"imap\"]\nsecret.command = [\"pass\", \"show\", \"a\"]\n\n[[account.credential]]\n\
         name = \"offlineimap\"\nservices = [\"imap\"]\n\
         secret.program = { name = \"offlineimap\", file = \"/home/john/.offlineimaprc\", entry = \"R\" }\n"
    );
    assert_eq!(added.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["mbsync", "offlineimap"]);
    let again = write(&edited, Path::new(PATH), &households(&logins, &config(&edited))).unwrap();
    assert_eq!((again.text, again.added), (edited, Vec::new()));
}

#[test]
fn names_that_programs_disagree_on_are_said() {
    let logins = [
        login(Program::Mbsync, Use::Imap, "john", pass("a")),
        login(Program::Mutt, Use::Imap, "john@icloud.com", pass("a")),
    ];
    let found = &households(&logins, &config(""))[0];
    assert_eq!(
        (found.usernames.imap.as_str(), found.conflicts.as_slice()),
        (
            "john",
            ["IMAP: the programs log in with different names (john, john@icloud.com); john is used".to_owned()]
                .as_slice()
        )
    );
    let configured = config("[[account]]\naddress = \"john@icloud.com\"\n");
    let found = &households(&logins[1..], &configured)[0];
    assert_eq!(found.conflicts, ["IMAP: configured is john, but the programs log in as john@icloud.com"]);
}

#[test]
fn an_account_of_another_provider_is_found_by_its_user_name() {
    let dav = Login { address: None, ..login(Program::Vdirsyncer, Use::Carddav, "john@gmail.com", pass("a")) };
    assert_eq!(told(std::slice::from_ref(&dav), ""), ["-: vdirsyncer imap+smtp"]);
    let text = "[[account]]\naddress = \"john@icloud.com\"\nsmtp_username = \"john@gmail.com\"\n";
    assert_eq!(told(&[dav], text), ["john@icloud.com: vdirsyncer imap+smtp"]);
}

#[test]
fn what_cannot_be_written_keeps_nothing_else_back() {
    use std::os::unix::ffi::OsStringExt as _;
    let file = PathBuf::from(std::ffi::OsString::from_vec(b"/home/john/pw\xff".to_vec()));
    let long = Way::Keyring(Source::Keyring { service: "himalaya-cli".into(), username: "x".repeat(300) });
    let logins = [
        login(Program::Offlineimap, Use::Imap, "john", Way::Plain(Source::File(file))),
        login(Program::Himalaya, Use::Imap, "john", long),
        login(Program::Mbsync, Use::Imap, "john", pass("a")),
    ];
    let written = write("", Path::new(PATH), &households(&logins, &config(""))).unwrap();
    let names = |list: Vec<&CredentialName>| list.into_iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(names(written.added.iter().map(|(name, _)| name).collect()), ["mbsync"]);
    assert_eq!(names(written.refused.iter().map(|(name, _)| name).collect()), ["offlineimap", "himalaya"]);
}
