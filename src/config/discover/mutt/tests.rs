//! Configurations as the manual and people write them.

use std::fs;

use super::{super::tests::found, *};

/// The logins alone: without the texts that only `secret.program` asks for.
fn logins(text: &str) -> Vec<String> {
    found(read, text).into_iter().filter(|line| !line.contains(" - - ")).collect()
}

#[test]
fn one_account_in_one_file() {
    let text = r#"
# Receiving
set imap_user = "johnappleseed"   # short
set imap_pass = "`pass show icloud/mutt`"
set folder = imaps://imap.mail.me.com:993/
set spoolfile = +INBOX; set record="+Sent Messages"
set imap_keepalive=300 ssl_force_tls \
    imap_passive=no
# Sending
set from = johnappleseed@icloud.com
set smtp_url = "smtp://johnappleseed%40icloud.com@smtp.mail.me.com:587/"
set smtp_pass=$imap_pass
bind index G imap-fetch-mail
"#;
    assert_eq!(
        logins(text),
        [
            "4 imap_pass imap imap.mail.me.com johnappleseed command pass|show|icloud/mutt",
            "4 imap_pass smtp smtp.mail.me.com johnappleseed@icloud.com command pass|show|icloud/mutt",
        ]
    );
}

#[test]
fn plain_texts_are_found_where_they_stand() {
    let text = "set my_pw = 'abcd-efgh-ijkl-mnop'\nset imap_pass=$my_pw folder=\"imaps://john@imap.mail.me.com\"\n\
                set smtp_url=\"smtps://john@me.com:qrst-uvwx-yzab-cdef@smtp.mail.me.com\"\n";
    assert_eq!(
        found(read, text),
        [
            "1 my_pw imap imap.mail.me.com john plain abcd-efgh-ijkl-mnop",
            "3 smtp_url smtp smtp.mail.me.com john@me.com plain qrst-uvwx-yzab-cdef",
        ]
    );
    // A file with nothing but passwords, which another one sources.
    assert_eq!(found(read, "set imap_pass=\"a\\\"b\"\n"), ["1 imap_pass imap - - plain a\"b"]);
}

#[test]
fn hooks_are_logins_of_their_own() {
    let text = "set my_u=jane\n\
        account-hook . 'unset imap_user; unset imap_pass; unset tunnel'\n\
        account-hook imaps://john@imap\\.mail\\.me\\.com/ 'set imap_user=john imap_pass=\"`pass show john`\"'\n\
        account-hook imaps://$my_u@imap.mail.me.com/ 'set imap_pass=\"abcd-efgh-ijkl-mnop\"'\n\
        folder-hook 'imaps://imap.example.org' 'set imap_user=x imap_pass=y folder=imaps://imap.example.org'\n";
    assert_eq!(
        logins(text),
        [
            "3 imap_pass@imaps://john@imap.mail.me.com/ imap imap.mail.me.com john command pass|show|john",
            "4 imap_pass@imaps://jane@imap.mail.me.com/ imap imap.mail.me.com jane plain abcd-efgh-ijkl-mnop",
            "5 imap_pass@imaps://imap.example.org imap imap.example.org x plain y",
        ]
    );
}

#[test]
fn what_is_printed_by_commands_is_not_known() {
    let text = "source \"gpg -dq ~/.mutt/pw.gpg |\"\nset folder=imaps://john@imap.mail.me.com\n";
    assert_eq!(
        logins(text),
        ["2 folder imap imap.mail.me.com john unknown printed by a command that is sourced, which is not run"]
    );
    let text = "set folder=imaps://john@imap.mail.me.com imap_pass=x`pass a`\n";
    assert_eq!(logins(text), ["1 imap_pass imap imap.mail.me.com john unknown put together from several pieces"]);
    let text = "set folder=imaps://john@imap.mail.me.com\n";
    assert_eq!(logins(text), ["1 folder imap imap.mail.me.com john unknown asked for when it runs"]);
    let text = "set folder=imaps://john@imap.mail.me.com imap_pass=`gpg -d ~/x|head -n1`\n";
    assert_eq!(logins(text), ["1 imap_pass imap imap.mail.me.com john command sh|-c|gpg -d ~/x|head -n1"]);
}

#[test]
fn sourced_files_are_read_and_loops_are_said() {
    let home = tempfile::tempdir().unwrap();
    let place = Place::below(home.path());
    let write = |name: &str, text: &str| {
        let path = home.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write(
        ".mutt/muttrc",
        "set imap_user=john\nsource ~/.mutt/secrets\nsource $HOME/.mutt/loop\nsource missing\n\
         macro index <f2> '<sync-mailbox><enter-command>source ~/.mutt/jane<enter><change-folder>!<enter>'\n\
         set folder=imaps://imap.mail.me.com\n",
    );
    write(".mutt/secrets", "set imap_pass=\"abcd-efgh-ijkl-mnop\"\n");
    write(".mutt/loop", "source loop\nsource muttrc\n");
    write(".mutt/jane", "set imap_user=jane\nset imap_pass=`pass show jane`\n");
    let root = home.path().join(".mutt/muttrc");
    let mut disk = Disk::of(&place);
    let entries = read(&mut disk, &root).unwrap();
    let told: Vec<_> = entries
        .iter()
        .filter(|entry| entry.host.is_some())
        .map(|entry| {
            let file = entry.file.strip_prefix(home.path()).unwrap().display();
            format!("{file}:{} {} {}", entry.line, entry.name, entry.username.as_deref().unwrap_or("-"))
        })
        .collect();
    assert_eq!(told, [".mutt/secrets:1 imap_pass john", ".mutt/jane:2 imap_pass@source ~/.mutt/jane jane"]);
    let said: Vec<_> = disk
        .troubles
        .iter()
        .map(|trouble| {
            let file = trouble.file.file_name().unwrap().to_string_lossy();
            format!("{file}:{} {}", trouble.line.unwrap(), trouble.why)
        })
        .collect();
    assert_eq!(
        said,
        [
            "loop:1 includes ~/.mutt/loop, which includes this file",
            "loop:2 includes ~/.mutt/muttrc, which includes this file",
            "muttrc:4 includes ~/.mutt/missing, which is not there or not readable",
        ]
    );
}
