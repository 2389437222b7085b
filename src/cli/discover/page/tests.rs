//! What `discover` prints, word for word.

use std::fs;

use super::*;
use crate::{
    cli::style::columns,
    config::{
        discover::{Place, discover, offers},
        parse_with_home,
    },
};

/// A home with one of everything that can be said, at 80 columns and at 40.
#[test]
fn each_password_says_where_it_is_and_what_to_do() {
    let home = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| fs::write(home.path().join(name), text).unwrap();
    put(
        ".mbsyncrc",
        "IMAPAccount icloud\nHost imap.mail.me.com\nUser johnappleseed\nPassCmd \"pass show icloud\"\n\nIMAPAccount b\n\
         Host imap.mail.me.com\nUser jane\nPass abcd-efgh-ijkl-mnop\n",
    );
    put(
        ".msmtprc",
        "account a\nhost smtp.mail.me.com\nuser johnappleseed@me.com\npasswordeval pass show icloud | head -n1\n",
    );
    put(".netrc", "machine caldav.icloud.com login john@example.org password x\n");
    put(".muttrc", "source ~/gone\n");
    let config = "[[account]]\naddress = \"johnappleseed@me.com\"\nimap_username = \"johnappleseed@me.com\"\n\
                  [[account.credential]]\nname = \"mail\"\nsecret.command = [\"pass\", \"show\", \"icloud\"]\n";
    let config = parse_with_home(config, Path::new("/c/config.toml"), None).unwrap();
    let found = discover(&Place::below(home.path()));
    let households = offers::households(&found.logins, &config);
    let shown = |width| {
        let config = home.path().join(".config/keypulse/config.toml");
        let page = Page {
            found: &found,
            households: &households,
            ring: &Ring::Locked,
            home: home.path(),
            config: &config,
            width,
        };
        let shown = anstream::adapter::strip_str(&page.render()).to_string();
        assert!(shown.lines().all(|line| columns(line) <= width), "wider than {width}:\n{shown}");
        shown
    };
    let expected = "\
johnappleseed@me.com
  mbsync · IMAP
    ~/.mbsyncrc:4
    from: pass show icloud
    ✓ watched as mail
  msmtp · SMTP
    ~/.msmtprc:4
    from: pass show icloud | head -n1
    → not watched; --write adds it as msmtp
  ! IMAP: configured is johnappleseed@me.com, but the programs log in as
    johnappleseed

jane@icloud.com
  mbsync · IMAP
    ~/.mbsyncrc:9
    in plain text in a file: better in the keyring, or behind a command
    → not watched; --write adds it as mbsync

An Apple Account whose iCloud Mail address is not told
  netrc · calendars
    ~/.netrc:1
    in plain text in a file: better in the keyring, or behind a command
    → add it under [[account]] by hand, or: keypulse add netrc --account
      ADDRESS

Passed over
  ~/.muttrc:1: includes ~/gone, which is not there or not readable

The keyring is locked, or a part of it: what is in there was not seen.
An app-specific password opens mail, calendars and contacts alike: one that is
  used for calendars or contacts is watched over IMAP and SMTP.
keypulse discover --write watches the 2 that keypulse can read:
  ~/.config/keypulse/config.toml
";
    let wide = shown(80);
    assert_eq!(wide, expected, "\n--- shown:\n{wide}");
    shown(40);
}
