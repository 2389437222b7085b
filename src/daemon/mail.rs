//! E-mail on its way, one message at a time.
//!
//! A task reads the password, asks the loop for leave, logs in and hands the message over; before the message itself is given it
//! asks a second time, and the loop writes down that it may have gone out from there on. So a crash neither loses nor doubles a
//! message, but for the moment between the message and the server's answer: then it counts as told, like a hook that was
//! started. Decides nothing: leave is the engine's.

use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc, oneshot};
use tracing::info;

use super::{
    Daemon, RunError,
    deliver::Handing,
    route::{Route, Watched, route},
};
use crate::{
    api::Time,
    health::{
        alert,
        event::{Event, Handover, Order},
        evidence::Finding,
        incident::Incident,
        mail::{Loan, MailTrouble, Mailed, NoLoan},
        name::Digest,
        outbox::Channel,
        schedule::Timestamp,
    },
    host::letter::{self, Identity},
    probe::{Posted, Prober},
    secret::{Asked, DigestKey, Reader},
};

/// What a task wants of the loop.
pub(super) enum MailStep {
    /// May this login be made?
    Leave { digest: Digest, loan: Option<Loan>, reply: oneshot::Sender<Leave> },
    /// The message goes out now.
    Giving { id: u64, reply: oneshot::Sender<()> },
    /// It is over.
    Ended(Mailed),
}

/// Whether a login may be made.
pub(super) enum Leave {
    /// Yes; with the number of the reserved login, where one was.
    Go(Option<u64>),
    /// Not before this; why, where people are to know.
    NotBefore(Timestamp, Option<String>),
    /// No, and nobody knows when. The login that was refused, where that is the reason.
    No(String, Option<Digest>),
}

/// What sending needs, and what is under way.
pub(super) struct Mailroom {
    pub(super) steps: mpsc::UnboundedSender<Handing>,
    /// One message at a time: a refused login must be known before the next.
    turn: Arc<Semaphore>,
}

impl Mailroom {
    pub(super) fn new() -> (Self, mpsc::UnboundedReceiver<Handing>) {
        let (steps, receiver) = mpsc::unbounded_channel();
        (Self { steps, turn: Arc::new(Semaphore::new(1)) }, receiver)
    }
}

/// One message with all that its task needs.
struct Job {
    id: u64,
    letter: lettre::Message,
    route: Route,
    reader: Arc<Reader>,
    prober: Arc<Prober>,
    key: Arc<DigestKey>,
    steps: mpsc::UnboundedSender<Handing>,
    turn: Arc<Semaphore>,
}

impl Daemon {
    pub(super) fn deliver_by_mail(&mut self, order: &Order) {
        let id = order.delivery.id;
        let (Some(route), Some(incident)) = (route(self.heart.config()), &order.account.incident) else {
            // Switched off since: there is nobody to tell.
            return self.answer(id, Handover::Done(None));
        };
        let letter = match self.letter(order, incident, &route) {
            Ok(letter) => letter,
            Err(error) => {
                let trouble = Some((format!("the message cannot be written: {error}"), None));
                let mailed = Mailed { id, lent: None, rejected: false, result: Handover::Failed, trouble };
                drop(self.mailroom.steps.send(MailStep::Ended(mailed).into()));
                return;
            }
        };
        let (reader, prober, key) = self.heart.hands.tools();
        let (steps, turn) = (self.mailroom.steps.clone(), Arc::clone(&self.mailroom.turn));
        let job = Job { id, letter, route, reader, prober, key, steps, turn };
        self.heart.hands.spawn(async move {
            let steps = job.steps.clone();
            drop(steps.send(MailStep::Ended(job.run().await).into()));
        });
    }

    fn letter(
        &self,
        order: &Order,
        incident: &Incident,
        route: &Route,
    ) -> Result<lettre::Message, lettre::error::Error> {
        let (now, offset_ms, account) = (self.heart.now(), self.heart.offset_ms(), &order.account);
        let local = |at| letter::dated(at, offset_ms);
        let sender = letter::sender(now, offset_ms);
        let tidings = order.delivery.tidings;
        let words = alert::mail(tidings, &account.address, incident, &account.credentials, &local, &sender);
        let words = if self.options.test { words.test() } else { words };
        let identity = Identity::of(incident, order.delivery.id);
        letter::write(&route.from, &route.to, &words, &identity, Time::new(now, offset_ms))
    }

    /// What a task asked or said.
    pub(super) fn mail_step(&mut self, step: MailStep) -> Result<(), RunError> {
        match step {
            MailStep::Leave { digest, loan, reply } => {
                let leave = self.leave(digest, loan.as_ref())?;
                if let Err(Leave::Go(Some(login))) = reply.send(leave) {
                    // Its task is gone.
                    match self.heart.settle(login, false) {
                        Ok(_) => {}
                        Err(error) => return self.stand_still(error).map(drop),
                    }
                }
                Ok(())
            }
            MailStep::Giving { id, reply } => {
                // What cannot be written down is not given: without an answer it is withheld.
                if self.wish(Event::Given(id))? {
                    let _ = reply.send(());
                }
                Ok(())
            }
            MailStep::Ended(mailed) => self.mailed(mailed),
        }
    }

    /// The same while the daemon ends: no login is made any more, and no message given.
    pub(super) fn last_mail_step(&mut self, step: MailStep) -> Result<(), RunError> {
        match step {
            MailStep::Leave { .. } | MailStep::Giving { .. } => Ok(()),
            MailStep::Ended(mailed) => self.mailed(mailed),
        }
    }

    fn mailed(&mut self, mailed: Mailed) -> Result<(), RunError> {
        match (&mailed.trouble, &mailed.result) {
            (Some((why, _)), _) => self.complain(Channel::Email, format!("failed to send an e-mail: {why}")),
            (None, Handover::Done(_)) => {
                self.complaints.remove(&Channel::Email);
                info!("e-mail sent");
            }
            (None, Handover::Failed | Handover::NotBefore(_)) => {}
        }
        self.step(Event::Mailed(mailed))
    }

    fn leave(&mut self, digest: Digest, loan: Option<&Loan>) -> Result<Leave, RunError> {
        if let Some(MailTrouble { why, refused: Some(refused), .. }) = self.heart.engine().mail_trouble()
            && *refused == digest
        {
            return Ok(Leave::No(why.clone(), Some(digest)));
        }
        let Some(loan) = loan else { return Ok(Leave::Go(None)) };
        let through = |what: &str| match &loan.credential {
            Some(name) => format!("it goes out through {name}, {what}"),
            None => format!("it goes out through {}, {what}", loan.account),
        };
        let now = self.heart.now();
        let soon = now + self.heart.config().policy.interval.min(BUSY);
        if !self.can_write()? {
            return Ok(Leave::NotBefore(soon, None));
        }
        let lent = match self.heart.lend(loan) {
            Ok(lent) => lent,
            Err(error) => {
                self.stand_still(error)?;
                return Ok(Leave::NotBefore(soon, None));
            }
        };
        Ok(match lent {
            Ok(login) => Leave::Go(Some(login)),
            Err(NoLoan::Busy) => Leave::NotBefore(soon, None),
            Err(NoLoan::Paused) => Leave::NotBefore(now + self.heart.config().policy.interval, None),
            Err(NoLoan::RationUsedUp(at)) => {
                Leave::NotBefore(at, Some(through("which has no failed login left to risk today")))
            }
            Err(NoLoan::Dead) => Leave::No(through("whose password is dead"), None),
            Err(NoLoan::Untried) => Leave::No(through("whose password has not been tried yet"), None),
            Err(NoLoan::Unhealthy(health)) => Leave::No(through(&format!("which is {health}")), None),
        })
    }
}

/// How long a message waits for another login of its account.
const BUSY: std::time::Duration = std::time::Duration::from_secs(5);

impl Job {
    async fn run(self) -> Mailed {
        let id = self.id;
        let not_sent = |trouble| Mailed { id, lent: None, rejected: false, result: Handover::Failed, trouble };
        let Ok(_turn) = self.turn.acquire().await else { return not_sent(None) };
        let Route { source, any_shape, .. } = &self.route;
        let password = match self.reader.read(source, *any_shape, Asked::Background).await {
            Ok(password) => Arc::new(password),
            Err(unavailable) => {
                return not_sent(Some((format!("its password cannot be read: {}", unavailable.detail), None)));
            }
        };
        let digest = self.route.digest(&self.key, &password);
        let loan = self.route.watched.as_ref().map(|Watched { account, usernames, credential }| Loan {
            account: account.clone(),
            credential: credential.clone(),
            fingerprint: self.key.fingerprint(&password, usernames),
        });
        let (reply, answer) = oneshot::channel();
        drop(self.steps.send(MailStep::Leave { digest, loan: loan.clone(), reply }.into()));
        let login = match answer.await {
            Ok(Leave::Go(login)) => login,
            Ok(Leave::NotBefore(at, why)) => {
                return Mailed { result: Handover::NotBefore(at), ..not_sent(why.map(|why| (why, None))) };
            }
            Ok(Leave::No(why, refused)) => return not_sent(Some((why, refused))),
            Err(_) => return not_sent(None), // the daemon ends
        };
        let steps = self.steps.clone();
        let giving = async move {
            let (reply, answer) = oneshot::channel();
            drop(steps.send(MailStep::Giving { id, reply }.into()));
            answer.await.is_ok()
        };
        let posted = self.prober.post(self.route.target.clone(), password, self.letter, giving).await;
        let (result, trouble) = outcome(&posted, digest);
        let rejected = matches!(&posted, Posted::NotIn { outcome, .. } if outcome.finding == Finding::Rejected);
        Mailed { id, lent: loan.zip(login), rejected, result, trouble }
    }
}

/// What became of the message, and what people should know of it.
fn outcome(posted: &Posted, digest: Digest) -> (Handover, Option<(String, Option<Digest>)>) {
    let why = why(posted);
    match posted {
        Posted::Taken => (Handover::Done(None), None),
        Posted::NotIn { refused, .. } => (Handover::Failed, why.map(|why| (why, refused.then_some(digest)))),
        Posted::Refused(_) | Posted::Lost(_) => (Handover::Failed, why.map(|why| (why, None))),
        Posted::Unanswered(_) => (Handover::Done(None), why.map(|why| (why, None))),
        Posted::Withheld => (Handover::Failed, None),
    }
}

/// Why a message was not taken, as a phrase.
#[must_use]
pub fn why(posted: &Posted) -> Option<String> {
    match posted {
        Posted::Taken | Posted::Withheld => None,
        Posted::NotIn { outcome, refused } => {
            let words = outcome.detail.as_deref().unwrap_or("no words");
            Some(if *refused { format!("the server refuses the login: {words}") } else { words.to_owned() })
        }
        Posted::Refused(words) => Some(format!("the server refuses the message: {words}")),
        Posted::Lost(words) => Some(words.clone()),
        Posted::Unanswered(words) => Some(format!("the message was given and may arrive, but {words}")),
    }
}
