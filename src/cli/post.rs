//! A test message by e-mail: for `notify-test` and `rehearse --live`.
//!
//! Decides what a person's test may spend: the login of a watched account only where it is healthy, and one of its ration. The
//! daemon's own messages go their own way (`daemon/mail.rs`).

use std::sync::Arc;

use super::{Exit, context::Context, ration::Ration, status};
use crate::{
    api::Time,
    config::Config,
    daemon::{Route, Watched, known_dead, route, why},
    health::{
        alert::{Message, Sender},
        credential::Health,
        evidence::Finding,
    },
    host::{
        clock::Clock,
        letter::{self, Identity},
    },
    probe::{Posted, Prober},
    secret::{AppPassword, Asked, Reader},
};

/// Who a test says it is from.
pub(super) fn sender() -> Sender {
    let clock = Clock::resume(None);
    letter::sender(clock.now(), clock.offset_ms())
}

/// What became of a test message.
pub(super) enum Sent {
    /// The server has it: which.
    Taken(String),
    /// Why not, as a phrase.
    Not(String),
    /// Why not; the next would end no better, and cost another login.
    Never(String),
}

/// Sends `words` as they are.
///
/// # Errors
/// Where it is not even tried: the ration cannot be asked, the certificates cannot be used.
pub(super) async fn post(context: &Context, config: &Config, words: &Message, number: u64) -> Result<Sent, Exit> {
    let Some(route) = route(config) else { return Ok(Sent::Never("none is configured".to_owned())) };
    let password = match Reader::new().read(&route.source, route.any_shape, Asked::ByPerson).await {
        Ok(password) => password,
        Err(unavailable) => return Ok(Sent::Never(format!("its password cannot be read: {}", unavailable.detail))),
    };
    if let Some(reason) = unfit(context, config, &route, &password).await? {
        return Ok(Sent::Never(reason));
    }
    let clock = Clock::resume(None);
    let now = Time::new(clock.now(), clock.offset_ms());
    let test = format!("keypulse.test.{}.{}", clock.now().as_millis(), std::process::id());
    let identity = Identity { message: format!("{test}.{number}"), thread: test };
    let letter = letter::write(&route.from, &route.to, words, &identity, now).map_err(Exit::failed)?;
    let prober = Arc::new(Prober::new(config.extra_ca.as_deref()).map_err(Exit::failed)?);
    let paths = context.paths()?;
    let mut ration = route.watched.as_ref().map(|it| Ration::of(context, config, &paths, &it.account));
    let reserved = match &mut ration {
        Some(ration) => match ration.reserve().await {
            Ok(reservation) => Some(reservation.id),
            Err(_) => return Ok(Sent::Never("no failed login of its account is left to risk today".to_owned())),
        },
        None => None,
    };
    let host = route.target.server.host.clone();
    let posted = prober.post(route.target, Arc::new(password), letter, std::future::ready(true)).await;
    if let (Some(ration), Some(id)) = (&mut ration, reserved) {
        let rejected = matches!(&posted, Posted::NotIn { outcome, .. } if outcome.finding == Finding::Rejected);
        ration.settle(id, rejected).await?;
    }
    Ok(match (&posted, why(&posted)) {
        (Posted::Taken, _) => Sent::Taken(host),
        (Posted::NotIn { refused: true, .. }, Some(why)) => Sent::Never(why),
        (_, why) => Sent::Not(why.unwrap_or_default()),
    })
}

/// Why a watched password is not used for it.
async fn unfit(
    context: &Context,
    config: &Config,
    route: &Route,
    password: &AppPassword,
) -> Result<Option<String>, Exit> {
    let Some(Watched { account, credential, .. }) = &route.watched else { return Ok(None) };
    let account = config.accounts.iter().find(|known| known.address == *account);
    if let Some(account) = account
        && known_dead(&context.paths()?, account, password)?.is_some()
    {
        return Ok(Some("its password is dead".to_owned()));
    }
    let Some(name) = credential else { return Ok(None) };
    let document = status::current(context).await?;
    let health = document.credentials().find(|known| known.name == *name).map(|known| known.health);
    Ok(match health {
        Some(Health::Healthy | Health::Degraded) => None,
        Some(health) => Some(format!("it goes out through {name}, which is {health}")),
        None => Some(format!("it goes out through {name}, which the daemon does not know yet")),
    })
}

/// What a person can do about an e-mail that does not go out.
pub(super) fn remedy(config: &Config) -> String {
    match route(config).and_then(|route| route.watched?.credential) {
        Some(name) => format!("keypulse check {name}; or give notify.email a server of its own"),
        None => {
            "keypulse config show has its server; put what is wrong right, then `keypulse notify-test --channel email`"
                .to_owned()
        }
    }
}
