//! E-mail: can its server be reached and its password be read, does it go out through a password that it is to tell of, and what
//! last kept a message from going out?
//!
//! No login is made, and nothing is sent.

use super::{
    line::{Check, Line},
    secrets::whence,
    servers::LONGEST,
};
use crate::{
    api::{StatusDocument, Time},
    cli::post,
    config::{Config, Email, EmailVia, Server},
    health::evidence::Service,
    probe::{self, Look},
    secret::{Asked, Reader, Source},
};

const TEST: &str = "keypulse notify-test --channel email";

pub(super) async fn check(config: &Config) -> Vec<Line> {
    let Some(email) = &config.notify.email else { return Vec::new() };
    match &email.via {
        EmailVia::Credential(name) => {
            let account = config.find(name).map(|(account, _)| account.address.to_string()).unwrap_or_default();
            vec![Line::warning(
                Check::Email,
                format!(
                    "goes to {} through {name}; it cannot tell you that the password of {account} was changed, which kills \
                     {name} too",
                    email.to
                ),
                "give notify.email a server of its own, if another channel does not reach you there",
            )]
        }
        EmailVia::Server { server, secret, .. } => {
            let looking = probe::look(Service::Smtp, server, config.extra_ca.as_deref(), config.timeout.min(LONGEST));
            let (look, password) = tokio::join!(looking, password(secret));
            // Trouble with the certificates is the configuration's, and said there.
            let look = look.ok().map(|look| reached(email, server, &look));
            look.into_iter().chain(password).collect()
        }
    }
}

fn reached(email: &Email, server: &Server, look: &Look) -> Line {
    let Server { host, port, .. } = server;
    match &look.trouble {
        None => Line::ok(Check::Email, format!("goes to {} through {host}:{port}, which answers encrypted", email.to)),
        Some((_, words)) => {
            Line::failure(Check::Email, format!("{host}:{port}: {words}"), format!("nc -vz {host} {port}"))
        }
    }
}

async fn password(source: &Source) -> Option<Line> {
    let unread = Reader::new().read(source, true, Asked::Background).await.err()?;
    let says = format!("its password, from {}, cannot be read: {}", whence(source), unread.detail);
    Some(Line::failure(Check::Email, says, TEST))
}

/// What last kept a message from going out.
pub(super) fn trouble(config: &Config, document: &StatusDocument, local: &dyn Fn(Time) -> String) -> Option<Line> {
    let email = document.email.as_ref()?;
    let since = email.since.map(|at| format!(" since {}", local(at))).unwrap_or_default();
    Some(if email.ended {
        Line::failure(Check::Email, format!("no message goes out any more{since}: {}", email.why), post::remedy(config))
    } else {
        Line::warning(Check::Email, format!("messages wait{since}, and are tried again: {}", email.why), TEST)
    })
}
