//! Programs that are run, log in and end: what a script sees of them.

use keypulse::health::evidence::Service;

use super::{
    Peer, Said,
    situation::{ADDRESS, Lab, SHORT, Situation},
};

pub fn peers() -> Vec<Peer> {
    vec![
        Peer {
            name: "check_simap",
            version: &["/usr/lib/nagios/plugins/check_simap", "--version"],
            fits: imap_only,
            ask: check_simap,
        },
        Peer {
            name: "check_smtp",
            version: &["/usr/lib/nagios/plugins/check_smtp", "--version"],
            fits: smtp_only,
            ask: check_smtp,
        },
        Peer {
            name: "curl",
            version: &["dpkg-query", "--show", "--showformat=${Version}", "curl"],
            fits: without_keyring,
            ask: curl,
        },
        Peer {
            name: "mbsync",
            version: &["dpkg-query", "--show", "--showformat=${Version}", "isync"],
            fits: imap_and_keyring,
            ask: mbsync,
        },
        Peer {
            name: "fetchmail",
            version: &["dpkg-query", "--show", "--showformat=${Version}", "fetchmail"],
            fits: imap_only,
            ask: fetchmail,
        },
    ]
}

/// It takes the password as an argument or from a file of its own, and both protocols.
fn without_keyring(situation: Situation) -> bool {
    situation != Situation::KeyringLocked
}

fn smtp_only(situation: Situation) -> bool {
    !matches!(situation, Situation::KeyringLocked | Situation::OneServiceRefuses)
}

fn imap_only(situation: Situation) -> bool {
    smtp_only(situation)
}

/// It gets the password from a command, and that from the keyring.
fn imap_and_keyring(situation: Situation) -> bool {
    situation != Situation::OneServiceRefuses
}

fn said(outcomes: &[(String, String)]) -> Said {
    let join = |part: fn(&(String, String)) -> &str| outcomes.iter().map(part).collect::<Vec<_>>().join(", ");
    Said { signal: join(|(code, _)| code), words: join(|(_, words)| words) }
}

fn check_simap(lab: &Lab, situation: Situation) -> Said {
    lab.enter(situation);
    let port = lab.icloud.port(Service::Imap).to_string();
    let login = format!("a1 LOGIN {SHORT} {}\\r\\n", lab.password);
    said(&[lab.outcome(
        situation,
        &["/usr/lib/nagios/plugins/check_simap", "-H", "127.0.0.1", "-p", &port, "-E", "-s", &login, "-e", "a1 OK"],
    )])
}

fn check_smtp(lab: &Lab, situation: Situation) -> Said {
    lab.enter(situation);
    let port = lab.icloud.port(Service::Smtp).to_string();
    let login = ["-S", "-A", "LOGIN", "-U", ADDRESS, "-P", &lab.password];
    let program = ["/usr/lib/nagios/plugins/check_smtp", "-H", "127.0.0.1", "-p", &port];
    said(&[lab.outcome(situation, &[&program[..], &login].concat())])
}

fn curl(lab: &Lab, situation: Situation) -> Said {
    lab.enter(situation);
    let ca = lab.icloud.ca().display().to_string();
    let ask = |url: &str, more: &[&str], user: &str| {
        let login = format!("{user}:{}", lab.password);
        let arguments = ["curl", "--silent", "--show-error", "--max-time", "5", "--cacert", &ca, "--user", &login, url];
        lab.outcome(situation, &[&arguments[..], more].concat())
    };
    let imap = format!("imaps://127.0.0.1:{}/", lab.icloud.port(Service::Imap));
    let smtp = format!("smtp://127.0.0.1:{}/", lab.icloud.port(Service::Smtp));
    said(&[ask(&imap, &["--request", "NOOP"], SHORT), ask(&smtp, &["--ssl-reqd", "--request", "NOOP"], ADDRESS)])
}

fn mbsync(lab: &Lab, situation: Situation) -> Said {
    lab.keyring.store("mbsync", "icloud", &lab.password);
    lab.enter(situation);
    lab.write("mail/.here", "");
    lab.write(
        "mbsyncrc",
        &format!(
            "IMAPStore icloud\nHost localhost\nPort {}\nUser {SHORT}\n\
             PassCmd \"secret-tool lookup service mbsync username icloud\"\nSSLType IMAPS\nSystemCertificates no\n\
             CertificateFile {}\nTimeout 10\n\nMaildirStore here\nPath mail/\nInbox inbox\n\nChannel icloud\n\
             Far :icloud:\nNear :here:\nPatterns INBOX\n",
            lab.icloud.port(Service::Imap),
            lab.icloud.ca().display(),
        ),
    );
    said(&[lab.outcome(situation, &["mbsync", "-c", "mbsyncrc", "-l", "icloud"])])
}

fn fetchmail(lab: &Lab, situation: Situation) -> Said {
    lab.enter(situation);
    lab.write(
        "fetchmailrc",
        &format!(
            "set no bouncemail\npoll localhost port {} protocol IMAP timeout 5\n  user {SHORT} password \"{}\"\n  \
             options ssl sslcertck sslcertfile {}\n",
            lab.icloud.port(Service::Imap),
            lab.password,
            lab.icloud.ca().display()
        ),
    );
    said(&[lab.outcome(situation, &["fetchmail", "--fetchmailrc", "fetchmailrc", "--check", "--pidfile", "pid"])])
}
