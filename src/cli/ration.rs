//! Who counts the logins that a command makes itself: the daemon, or where none runs this process, holding the state.
//!
//! A login is never made without one reserved first.

use jiff::tz::TimeZone;

use super::{Exit, context::Context, status::take_hold};
use crate::{
    api::{Client, ClientError, Problem, Reservation, Time, time},
    config::Config,
    daemon::{Heart, Paths},
    health::name::Address,
    host::clock::Clock,
};

/// The ration of one account, as a command uses it.
pub(super) struct Ration<'a> {
    context: &'a Context,
    config: &'a Config,
    paths: &'a Paths,
    address: &'a Address,
    held: Option<Counter>,
}

enum Counter {
    Daemon(Client),
    State(Box<Heart>),
}

impl<'a> Ration<'a> {
    pub(super) fn of(context: &'a Context, config: &'a Config, paths: &'a Paths, address: &'a Address) -> Self {
        Self { context, config, paths, address, held: None }
    }

    /// Reserves one login.
    pub(super) async fn reserve(&mut self) -> Result<Reservation, Exit> {
        let address = self.address;
        if self.held.is_none() {
            let client = self.context.client()?;
            match client.reserve(address).await {
                Err(ClientError::NoDaemon { .. }) => {
                    let (heart, _) = take_hold(self.config, self.paths).await?;
                    self.held = Some(Counter::State(Box::new(heart)));
                }
                answer => {
                    self.held = Some(Counter::Daemon(client));
                    return self.of_daemon(answer);
                }
            }
        }
        match &mut self.held {
            Some(Counter::State(heart)) => match heart.reserve(address)? {
                Ok(id) => Ok(Reservation { id, left: heart.engine().logins_left(address, heart.now()) }),
                Err(frees_at) => {
                    let frees_at = Time::new(frees_at, heart.offset_ms());
                    Err(used_up(address, self.config, Some(frees_at)))
                }
            },
            Some(Counter::Daemon(client)) => {
                let answer = client.reserve(address).await;
                self.of_daemon(answer)
            }
            None => Err(Exit::because("reserve a login", "nothing was sent or stored")),
        }
    }

    /// A login that cannot be settled stays counted as failed: too many rather than too few.
    pub(super) async fn settle(&mut self, id: u64, rejected: bool) -> Result<(), Exit> {
        match &mut self.held {
            Some(Counter::State(heart)) => heart.settle(id, rejected).map(drop).map_err(Exit::from),
            Some(Counter::Daemon(client)) => {
                drop(client.settle(id, rejected).await);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// While a person thinks or waits, the state is nobody's: a daemon may start.
    pub(super) fn let_go(&mut self) {
        self.held = None;
    }

    fn of_daemon(&self, answer: Result<Reservation, ClientError>) -> Result<Reservation, Exit> {
        match answer {
            Err(ClientError::Problem(problem)) if problem.code == Problem::RATION_USED_UP => {
                Err(used_up(self.address, self.config, problem.frees_at))
            }
            answer => Ok(answer?),
        }
    }
}

fn used_up(address: &Address, config: &Config, frees_at: Option<Time>) -> Exit {
    let limit = config.policy.failed_logins_per_account;
    let clock = Clock::resume(None);
    let now = Time::new(clock.now(), clock.offset_ms());
    let when = frees_at.map_or("once logins under way are answered".to_owned(), |at| {
        format!("at {}", time::local(at, now, &TimeZone::system()))
    });
    Exit::because(
        format!(
            "verify the password: {address} had {limit} failed logins in 24 hours, and more could lock the account; \
             nothing was stored"
        ),
        format!("the next one is allowed {when}; `keypulse add --no-verify` stores a password untried"),
    )
}
