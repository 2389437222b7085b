//! What is told, act by act.
//!
//! Whatever is said to happen comes from the daemon over its socket, or from the simulated servers; the story only does what
//! a person would do: resets a main password, stores new ones. It waits for states; its pauses are for the reader's eye.

use std::{collections::BTreeMap, time::Duration};

use anstyle::Style;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, sleep_until, timeout_at},
};

use super::{
    screen::{FRAME, Screen},
    stage::{BEAT, HERO, Stage},
};
use crate::{
    api::{Client, ClientError, IncidentEvent, StatusDocument, StreamEvent, client::Events},
    cli::{
        Exit, advice,
        style::{BAD, GOOD, WARNING},
        table::sign,
    },
    daemon::Told,
    health::{credential::Health, incident::IncidentCause, name::CredentialName},
    simulator::{Answer, LoginSeen},
};

/// The story is over by then, or it failed.
const LONGEST: Duration = Duration::from_secs(27);
/// The column of who it happened to.
const WHO: usize = 11;

/// Tells the whole story. `messages`: what the daemon tells the desktop.
pub(super) async fn play(
    stage: &Stage,
    messages: mpsc::UnboundedReceiver<Told>,
    screen: &mut Screen,
) -> Result<(), Exit> {
    let deadline = Instant::now() + LONGEST;
    screen.title("keypulse demo", "what happens when a main password is reset")?;
    let (accounts, passwords) = Stage::size();
    screen.gap()?;
    screen.say(&format!(
        "A simulated iCloud Mail on this machine, {accounts} Apple Accounts, {passwords} app-specific passwords. The daemon \
         and its logins are real. Time is compressed: it checks every {beat} s instead of every hour, and asks again after \
         {beat} s instead of 2 min.",
        beat = BEAT.as_secs()
    ))?;
    let client = Client::new(stage.socket());
    let events = connect(&client, deadline).await?;
    let mut story =
        Story { stage, screen, client, events, messages, health: BTreeMap::new(), incident: None, deadline };
    story.healthy().await?;
    story.reset().await?;
    story.suspicion().await?;
    story.told().await?;
    story.repair().await?;
    story.healthy_again().await
}

/// The daemon's events, as soon as it listens.
async fn connect(client: &Client, deadline: Instant) -> Result<Events, Exit> {
    loop {
        match client.events().await {
            Err(ClientError::NoDaemon { .. }) if Instant::now() < deadline => sleep(Duration::from_millis(10)).await,
            result => return Ok(result?),
        }
    }
}

struct Story<'a> {
    stage: &'a Stage,
    screen: &'a mut Screen,
    client: Client,
    events: Events,
    messages: mpsc::UnboundedReceiver<Told>,
    /// As the daemon told it.
    health: BTreeMap<CredentialName, Health>,
    /// The open incident's cause, as the daemon told it.
    incident: Option<IncidentCause>,
    deadline: Instant,
}

impl Story<'_> {
    async fn healthy(&mut self) -> Result<(), Exit> {
        self.screen.act("All is well")?;
        // Asked after the events were subscribed to: what comes later comes as an event.
        let document = self.client.status(&[]).await?;
        self.health = document.credentials().map(|it| (it.name.clone(), it.health)).collect();
        while !self.health.values().all(|health| *health == Health::Healthy) {
            self.next("logging in with each password").await?;
        }
        self.screen.say(
            "The daemon has logged in with every password, on IMAP over TLS and on SMTP with STARTTLS. \
             `keypulse status` says:",
        )?;
        let document = self.status(&[]).await?;
        self.screen.table(&document)?;
        self.pause(3000).await;
        Ok(())
    }

    async fn reset(&mut self) -> Result<(), Exit> {
        self.screen.act("The main password is reset")?;
        let count = Stage::heroes().count();
        self.screen.say(&format!(
            "Somebody resets the Apple Account password of {HERO}. Apple revokes its {count} app-specific passwords with \
             it, and tells no program."
        ))?;
        self.screen.gap()?;
        self.pause(1500).await;
        // Not in the middle of a check: one service would accept what the other refuses.
        self.status(&self.heroes()).await?;
        self.stage.world().reset_main_password(HERO);
        self.screen.start_watch();
        self.screen.happened(BAD, "●", ("Apple", WHO), "main password reset")
    }

    /// From the first refusal to the verdict on all.
    async fn suspicion(&mut self) -> Result<(), Exit> {
        let before = self.stage.world().logins().len();
        let mut event = self.next("nobody knows it yet; waiting for the next check").await?;
        while !self.any(Health::Suspect) {
            self.tell(&event)?;
            event = self.next("nobody knows it yet; waiting for the next check").await?;
        }
        self.screen.act("Suspicion")?;
        self.screen.say(
            "A check is refused. One refusal proves nothing: it may be Apple's trouble. So keypulse tells nobody yet; it asks \
             a second password of the account, and one of another account.",
        )?;
        self.screen.gap()?;
        self.tell(&event)?;
        self.answers(&event).await?;
        self.witness(before).await?;
        loop {
            event = self.next("asking once more in a moment").await?;
            if self.any(Health::Revoked) {
                break;
            }
            self.tell(&event)?;
        }
        self.screen.act("Confirmation")?;
        self.screen.say("Refused again, and iCloud is well: revoked. The others are asked at once.")?;
        self.screen.gap()?;
        self.tell(&event)?;
        while self.incident != Some(IncidentCause::MainPasswordReset)
            || !Stage::heroes().all(|name| self.is(name, Health::Revoked))
        {
            event = self.next("asking the others of the account").await?;
            self.tell(&event)?;
        }
        let cause = self.incident.map_or("", IncidentCause::as_str);
        self.screen.happened(BAD, "!", ("incident", WHO), cause)
    }

    /// What the servers said to the one that is suspected.
    async fn answers(&mut self, event: &StreamEvent) -> Result<(), Exit> {
        let StreamEvent::Transition(transition) = event else { return Ok(()) };
        let document = self.client.status(std::slice::from_ref(&transition.credential)).await?;
        for credential in document.credentials() {
            for service in &credential.services {
                if let Some(words) = advice::of_service(credential, service) {
                    self.screen.detail(&words)?;
                }
            }
        }
        Ok(())
    }

    /// Another account that iCloud accepted after the first refusal. `before`: the logins until the reset.
    async fn witness(&mut self, before: usize) -> Result<(), Exit> {
        let accepted = |logins: Vec<LoginSeen>| {
            let of_hero = |login: &LoginSeen| login.account.as_deref() == Some(HERO);
            let mut logins = logins.into_iter().skip(before);
            logins.find(|login| of_hero(login) && login.answer == Answer::Rejected)?;
            logins.find(|login| !of_hero(login) && login.answer == Answer::Accepted)?.account
        };
        let world = self.stage.world();
        let seen = world.until(|world| accepted(world.logins()).is_some());
        timeout_at(self.deadline, seen).await.map_err(|_| late("an answer to another account"))?;
        let account = accepted(world.logins()).unwrap_or_default();
        self.screen.happened(GOOD, "✓", ("iCloud", WHO), &format!("is well: {account} is accepted"))
    }

    async fn told(&mut self) -> Result<(), Exit> {
        let mut told = self.message().await?;
        self.screen.stop_watch();
        while let Ok(newer) = self.messages.try_recv() {
            told = newer;
        }
        self.pause(1500).await;
        self.screen.act("You are told")?;
        self.screen.say("Once, with what happened, since when, why most likely, and what to do.")?;
        self.screen.gap()?;
        match told {
            Told::Shown(message) | Told::Withdrawn(message) => {
                self.screen.happened(GOOD, "✓", ("desktop", WHO), "shown on your desktop")?;
                self.screen.detail(&message.title)?;
            }
            Told::NotShown { message, reason } => {
                self.screen.happened(WARNING, "!", ("desktop", WHO), &format!("not shown: {reason}"))?;
                self.screen.detail("It would have read:")?;
                self.screen.notification(&message)?;
            }
        }
        self.pause(3500).await;
        self.screen.gap()?;
        self.screen.say("`keypulse status` says what happened and what to do:")?;
        let document = self.status(&self.heroes()).await?;
        self.screen.table(&document)?;
        self.pause(4000).await;
        Ok(())
    }

    async fn repair(&mut self) -> Result<(), Exit> {
        self.screen.act("New passwords")?;
        self.screen.say(
            "You make new ones at account.apple.com and store them. keypulse sees by itself that they changed, and tries them.",
        )?;
        self.screen.gap()?;
        self.pause(1000).await;
        self.screen.start_watch();
        for name in Stage::heroes() {
            self.stage.renew(HERO, name)?;
        }
        let stored = format!("{} new passwords stored", Stage::heroes().count());
        self.screen.happened(Style::new(), "●", ("you", WHO), &stored)?;
        while self.incident.is_some() || !self.health.values().all(|health| *health == Health::Healthy) {
            let event = self.next("waiting until they are read again").await?;
            self.tell(&event)?;
        }
        self.screen.happened(GOOD, "✓", ("incident", WHO), "over")?;
        while let Ok(told) = self.messages.try_recv() {
            if let Told::Withdrawn(note) = told {
                self.screen.happened(GOOD, "✓", ("desktop", WHO), "notification withdrawn; a note says:")?;
                self.screen.detail(&note.title)?;
            }
        }
        self.pause(1500).await;
        Ok(())
    }

    async fn healthy_again(&mut self) -> Result<(), Exit> {
        self.screen.act("All is well again")?;
        let document = self.status(&[]).await?;
        let limit = document.accounts.first().map_or(0, |account| account.failed_login_limit);
        self.screen.say(&format!(
            "It took {} failed logins; keypulse allows itself {limit} per account and day.",
            self.stage.world().failed_logins(HERO)
        ))?;
        self.screen.table(&document)
    }

    // ---- what the daemon says ----

    /// The status between two checks: one that is under way counts as a failed login until it is answered.
    async fn status(&mut self, names: &[CredentialName]) -> Result<StatusDocument, Exit> {
        loop {
            let document = self.client.status(names).await?;
            let quiet = document.credentials().all(|credential| credential.next_check_at.is_some());
            if quiet || Instant::now() > self.deadline {
                return Ok(document);
            }
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// The next event. Waits for it with something that turns.
    async fn next(&mut self, waiting_for: &str) -> Result<StreamEvent, Exit> {
        let event = loop {
            tokio::select! {
                biased;
                event = self.events.next() => break event?,
                () = sleep_until(self.deadline) => return Err(late(waiting_for)),
                () = sleep(FRAME) => self.screen.wait_for(waiting_for)?,
            }
        };
        let Some(event) = event else { return Err(late("the daemon, which has stopped")) };
        match &event {
            StreamEvent::Transition(transition) => {
                self.health.insert(transition.credential.clone(), transition.to);
            }
            StreamEvent::Incident(message) => {
                let open = message.event != IncidentEvent::Resolved;
                self.incident = message.account.incident.as_ref().filter(|_| open).map(|incident| incident.cause);
            }
        }
        Ok(event)
    }

    /// What became of the next message for the desktop.
    async fn message(&mut self) -> Result<Told, Exit> {
        let waiting_for = "the notification service";
        loop {
            tokio::select! {
                biased;
                told = self.messages.recv() => return told.ok_or_else(|| late(waiting_for)),
                () = sleep_until(self.deadline) => return Err(late(waiting_for)),
                () = sleep(FRAME) => self.screen.wait_for(waiting_for)?,
            }
        }
    }

    /// One line for a change of health. What became of the incident is said when it is settled, not with each program that
    /// joins it; that a new password is unknown for a moment is not said at all.
    fn tell(&mut self, event: &StreamEvent) -> Result<(), Exit> {
        let StreamEvent::Transition(transition) = event else { return Ok(()) };
        if transition.to == Health::Unknown || transition.to == transition.from {
            return Ok(());
        }
        let (sign, style) = sign(transition.to);
        self.screen.happened(style, sign, (transition.credential.as_str(), WHO), transition.to.as_str())
    }

    /// The names of the account that is reset.
    fn heroes(&self) -> Vec<CredentialName> {
        let known = self.health.keys().filter(|name| Stage::heroes().any(|hero| hero == name.as_str()));
        known.cloned().collect()
    }

    fn any(&self, health: Health) -> bool {
        self.health.values().any(|it| *it == health)
    }

    fn is(&self, name: &str, health: Health) -> bool {
        self.health.iter().any(|(it, its)| it.as_str() == name && *its == health)
    }

    async fn pause(&self, millis: u64) {
        self.screen.pause(Duration::from_millis(millis)).await;
    }
}

fn late(what: &str) -> Exit {
    Exit::because(
        format!("finish the story in time: waited in vain, {what}"),
        "the machine may be very busy: run `keypulse demo` again",
    )
}
