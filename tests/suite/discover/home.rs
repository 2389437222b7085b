//! A home directory with a configuration of every program, in the style of each one's documentation.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

/// File and text. The programs themselves read these, too (see `programs.rs`).
pub const FILES: [(&str, &str); 18] = [
    (
        ".mbsyncrc",
        "# iCloud\nIMAPAccount icloud\nHost imap.mail.me.com\nPort 993\nUser johnappleseed\nPassCmd \"pass show icloud\"\n\
         SSLType IMAPS\n\nIMAPStore icloud-remote\nAccount icloud\n\nMaildirStore icloud-local\nPath ~/Mail/\n\
         Inbox \"~/Mail/In Box\"\nSubFolders Verbatim\n\nChannel icloud\nFar :icloud-remote:\nNear :icloud-local:\nPatterns *\n\n\
         IMAPAccount jane\nHost imap.mail.me.com\nUser \"jane@me.com\"\nPass \"abcd-efgh-ijkl-mnop\"\n",
    ),
    (
        ".msmtprc",
        "defaults\nauth on\ntls on\nport 587\n\n# iCloud\naccount icloud\nhost smtp.mail.me.com\n\
         from johnappleseed@icloud.com\nuser johnappleseed@icloud.com\n\
         passwordeval \"gpg --no-tty -q -d ~/.msmtp.gpg\"\n\naccount default : icloud\n",
    ),
    (
        ".config/neomutt/neomuttrc",
        "set from = \"johnappleseed@icloud.com\"\nset imap_user = johnappleseed\nset imap_pass = \"`pass show icloud`\"\n\
         set folder = \"imaps://imap.mail.me.com:993/\"   # the server\nsource ~/.config/neomutt/sending\n",
    ),
    (
        ".config/neomutt/sending",
        "set smtp_url = \"smtp://johnappleseed%40icloud.com@smtp.mail.me.com:587/\" \\\n    ssl_starttls = yes\n\
         set smtp_pass = $imap_pass\n",
    ),
    (
        ".mutt/muttrc",
        "set my_pw='qrst-uvwx-yzab-cdef'\nset imap_pass=$my_pw ; set folder=imaps://jane@imap.mail.me.com/\n",
    ),
    (
        ".config/aerc/accounts.conf",
        "[iCloud]\nsource            = imaps://johnappleseed@imap.mail.me.com:993\nsource-cred-cmd   = pass show icloud\n\
         outgoing          = smtps+plain://johnappleseed%40icloud.com@smtp.mail.me.com:465\n\
         outgoing-cred-cmd = pass show icloud\nfrom              = John Appleseed <johnappleseed@icloud.com>\n",
    ),
    (
        ".config/himalaya/config.toml",
        "[accounts.icloud]\nemail = \"johnappleseed@icloud.com\"\nbackend.type = \"imap\"\n\
         backend.host = \"imap.mail.me.com\"\nbackend.login = \"johnappleseed\"\nbackend.auth.type = \"password\"\n\
         backend.auth.keyring = \"icloud\"\n",
    ),
    (
        ".offlineimaprc",
        "[general]\naccounts = iCloud\n\n[Account iCloud]\nlocalrepository = L\nremoterepository = R\n\n[Repository L]\n\
         type = Maildir\nlocalfolders = ~/Mail\n\n[Repository R]\ntype = IMAP\nremotehost = imap.mail.me.com\n\
         remoteuser = johnappleseed\nremotepass = abcd-efgh-ijkl-mnop\nssl = yes\n",
    ),
    (
        ".config/goimapnotify/goimapnotify.yaml",
        "configurations:\n  - host: imap.mail.me.com\n    port: 993\n    username: johnappleseed\n    alias: iCloud\n    \
         passwordCMD: pass show icloud | head -n1\n    boxes:\n      - mailbox: INBOX\n",
    ),
    (
        ".config/vdirsyncer/config",
        "[general]\nstatus_path = \"~/.vdirsyncer/status/\"\n\n[storage calendars]\ntype = \"caldav\"\n\
         url = \"https://caldav.icloud.com/\"\nusername = \"johnappleseed@icloud.com\"\n\
         password.fetch = [\"command\", \"pass\",\n    \"show\", \"icloud\"]\n\n[storage contacts]\ntype = \"carddav\"\n\
         url = \"https://contacts.icloud.com/\"\nusername = \"john@example.org\"\npassword.fetch = [\"prompt\", \"Password\"]\n",
    ),
    (
        ".gitconfig",
        "[user]\n\tname = John\n[sendemail]\n\tsmtpServer = smtp.mail.me.com\n\tsmtpServerPort = 587\n\
         \tsmtpEncryption = tls ; STARTTLS\n\tsmtpUser = \"johnappleseed@icloud.com\"\n",
    ),
    (
        ".thunderbird/profiles.ini",
        "[Profile0]\nName=default-release\nIsRelative=1\nPath=ab12cd34.default-release\n\n[General]\nVersion=2\n",
    ),
    (
        ".thunderbird/ab12cd34.default-release/prefs.js",
        "// Mozilla User Preferences\nuser_pref(\"mail.server.server1.hostname\", \"imap.mail.me.com\");\n\
         user_pref(\"mail.server.server1.type\", \"imap\");\nuser_pref(\"mail.server.server1.userName\", \"johnappleseed\");\n\
         user_pref(\"mail.smtpserver.smtp1.hostname\", \"smtp.mail.me.com\");\n\
         user_pref(\"mail.smtpserver.smtp1.username\", \"johnappleseed@icloud.com\");\n",
    ),
    (
        ".config/goa-1.0/accounts.conf",
        "[Account account_1700000000_0]\nProvider=imap_smtp\nIdentity=jane@me.com\nEnabled=true\nEmailAddress=jane@me.com\n\
         ImapHost=imap.mail.me.com\nImapUserName=jane\nImapUseSsl=true\nSmtpHost=smtp.mail.me.com\nSmtpUseAuth=true\n\
         SmtpUserName=jane@me.com\nSmtpUseTls=true\n",
    ),
    (
        ".config/akonadi_imap_resource_0rc",
        "[network]\nAuthentication=7\nImapPort=993\nImapServer=imap.mail.me.com\nSafety=SSL\nUserName=jane\n",
    ),
    (
        ".config/mailtransports",
        "[General]\ndefault-transport=1284061349\n\n[Transport 1284061349]\nauth=true\nencryption=TLS\nhost=smtp.mail.me.com\n\
         id=1284061349\nname=iCloud\nport=587\nstorepass=true\nuser=jane@me.com\n",
    ),
    (
        ".netrc",
        "machine imap.mail.me.com\nlogin joe@me.com\npassword ghij-klmn-opqr-stuv\n\nmachine ftp.example.org login a password b\n",
    ),
    (".config/isync-notes", "not a configuration\n"),
];

/// Writes them, each readable by the owner alone.
pub fn furnish(home: &Path) {
    for (name, text) in FILES {
        put(home, name, text);
    }
}

/// Writes one.
pub fn put(home: &Path, name: &str, text: &str) {
    let path = home.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
}
