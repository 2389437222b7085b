//! Programs that stay and watch: what they tell the desktop.

use std::time::{Duration, Instant};

use keypulse::health::evidence::Service;

use super::{
    Peer, Said,
    situation::{ADDRESS, Lab, SHORT, Situation},
};
use crate::lab::{Component, run, until};

pub fn peers() -> Vec<Peer> {
    vec![
        Peer {
            name: "GNOME Online Accounts",
            version: &["dpkg-query", "--show", "--showformat=${Version}", "gnome-online-accounts"],
            fits: |_| true,
            ask: goa,
        },
        Peer {
            name: "Mailnag",
            version: &["dpkg-query", "--show", "--showformat=${Version}", "mailnag"],
            fits: |situation| situation != Situation::OneServiceRefuses,
            ask: mailnag,
        },
    ]
}

const GOA: &str = "org.gnome.OnlineAccounts";
const ACCOUNT: &str = "/org/gnome/OnlineAccounts/Accounts/account_1";

/// Asks it to make sure of its credentials, as the desktop does, and reads the flag that raises the panel's warning.
fn goa(lab: &Lab, situation: Situation) -> Said {
    let [imap, smtp] = Service::ALL.map(|service| lab.icloud.port(service));
    lab.write(
        ".config/goa-1.0/accounts.conf",
        &format!(
            "[Account account_1]\nProvider=imap_smtp\nIdentity={ADDRESS}\nPresentationIdentity={ADDRESS}\n\
             MailEnabled=true\nEmailAddress={ADDRESS}\nName=John\nEnabled=true\n\
             ImapHost=127.0.0.1:{imap}\nImapUserName={SHORT}\nImapUseSsl=true\nImapUseTls=false\nImapAcceptSslErrors=true\n\
             SmtpHost=127.0.0.1:{smtp}\nSmtpUseAuth=true\nSmtpUserName={ADDRESS}\nSmtpAuthLogin=true\nSmtpAuthPlain=false\n\
             SmtpUseSsl=false\nSmtpUseTls=true\nSmtpAcceptSslErrors=true\n"
        ),
    );
    let secret = format!("{{'imap-password': <'{0}'>, 'smtp-password': <'{0}'>}}", lab.password);
    let attributes = [("goa-identity", "imap_smtp:gen0:account_1"), ("xdg:schema", "org.gnome.OnlineAccounts")];
    lab.keyring.store_with(&attributes, &secret);
    lab.enter(situation);
    let log = lab.home.path().join("goa.log");
    let daemon = Component::spawn("goa-daemon", &lab.program(situation, "/usr/libexec/goa-daemon"), &log);
    daemon.until("its account on the bus", || lab.bus.has(GOA).then_some(()));
    let call = |arguments: &[&str]| {
        let address = format!("--address={}", lab.bus.address());
        run(crate::lab::clean("busctl").args([&*address, "--timeout=40"]).args(arguments), "")
    };
    until("the account", || {
        (call(&["introspect", GOA, ACCOUNT, "org.gnome.OnlineAccounts.Account"]).code == 0).then_some(())
    });
    // Its answer is for programmers; the panel shows the flag.
    drop(call(&["call", GOA, ACCOUNT, "org.gnome.OnlineAccounts.Account", "EnsureCredentials"]));
    let flag = call(&["get-property", GOA, ACCOUNT, "org.gnome.OnlineAccounts.Account", "AttentionNeeded"]).ok();
    let signal = if flag == "b true" { "attention needed" } else { "no attention" };
    Said { signal: signal.to_owned(), words: String::new() }
}

/// Has it look for mail, and takes what it tells the desktop.
fn mailnag(lab: &Lab, situation: Situation) -> Said {
    lab.write(
        ".config/mailnag/mailnag.cfg",
        &format!(
            "[core]\npoll_interval = 1\nconnectivity_test = ping\nenabled_plugins = dbusplugin, libnotifyplugin\n\
             [account1]\nenabled = 1\ntype = imap\nname = icloud\nuser = {SHORT}\nserver = 127.0.0.1\nport = {}\nssl = 1\n\
             imap = 1\nidle = 0\nfolder = []\n",
            lab.icloud.port(Service::Imap)
        ),
    );
    let id = format!("imap://{SHORT}@127.0.0.1");
    let attributes = [("id", &*id), ("xdg:schema", "com.github.pulb.mailnag")];
    lab.keyring.store_with(&attributes, &lab.password);
    // It asks Google whether there is a network.
    let answer = if situation == Situation::NoNetwork { 1 } else { 0 };
    lab.write("bin/ping", &format!("#!/bin/sh\nexit {answer}\n"));
    lab.enter(situation);
    let monitor = lab.bus.monitor();
    let log = lab.home.path().join("mailnag.log");
    let mut command = lab.program(situation, "mailnag");
    command.env("PATH", format!("{}/bin:/usr/bin:/bin", lab.home.path().display()));
    let before = lab.icloud.connections();
    let daemon = Component::spawn("mailnag", &command, &log);
    // It has looked when a connection came and went; where none can come, after as long as two of its polls.
    let begun = Instant::now();
    until("a look", || {
        let looked = lab.icloud.connections() > before && lab.icloud.open_connections() == 0;
        (looked || begun.elapsed() > Duration::from_secs(25) || daemon.ended().is_some()).then_some(())
    });
    let ended = daemon.ended().is_some();
    let told = monitor.notifications().len();
    let signal = match (ended, told) {
        (true, _) => "crashes".to_owned(),
        (false, 0) => "nothing on the desktop".to_owned(),
        (false, told) => format!("{told} notifications"),
    };
    // What it says, it says in its log, which nobody reads; it is not compared.
    Said { signal, words: String::new() }
}
