//! The status document, schema 1: what `status --json`, `check --json` and `GET /v1/status` print.
//!
//! Decides names, order and form of its fields, nothing else: health is judged before it comes here. Absent values are null,
//! never left out. Adding a field is free; renaming or removing one is a new schema.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Time, Trouble, UnknownName};
use crate::health::{
    credential::{Health, Overall},
    evidence::{Cause, Finding, Service},
    incident::{Incident, IncidentCause},
    name::{Address, CredentialName},
    schedule::Timestamp,
    view::{AccountStatus, CredentialStatus, ServiceStatus},
};

/// The number of this form.
pub const SCHEMA: u32 = 1;

/// The whole document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusDocument {
    /// [`SCHEMA`].
    pub schema: u32,
    /// When it was made.
    pub generated_at: Time,
    /// The daemon that made it; null where there was none.
    pub daemon: Option<DaemonDocument>,
    /// Until when nothing is done by itself; [`Time::END`] where no end was named. As in `daemon`, but also where none runs.
    /// (Beyond the contract.)
    #[serde(default)]
    pub paused_until: Option<Time>,
    /// What keeps e-mail from going out; null where nothing does. (Beyond the contract.)
    #[serde(default)]
    pub email: Option<EmailDocument>,
    /// What keeps keypulse itself from its work; mostly nothing. (Beyond the contract.)
    #[serde(default)]
    pub troubles: Vec<Trouble>,
    /// The worst of all credentials in it; at least warning while paused or in trouble, or once no e-mail can be sent any more.
    pub overall: Overall,
    /// How many credentials have each health.
    pub counts: Counts,
    /// In the order of the configuration.
    pub accounts: Vec<AccountDocument>,
}

/// What the daemon knows of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DaemonInfo {
    /// Of the program.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// When it started.
    pub started_at: Timestamp,
    /// Until when it makes no checks.
    pub paused_until: Option<Timestamp>,
    /// Whether the network is up, as far as it knows.
    pub online: bool,
    /// Which program it is.
    pub program: Option<ProgramDocument>,
}

/// [`DaemonInfo`] as it is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DaemonDocument {
    /// Of the program.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// When it started.
    pub started_at: Time,
    /// Until when it makes no checks.
    pub paused_until: Option<Time>,
    /// Whether the network is up, as far as it knows.
    pub online: bool,
    /// Which program it is; null where it does not know. (Beyond the contract.)
    #[serde(default)]
    pub program: Option<ProgramDocument>,
}

/// The program that a daemon is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgramDocument {
    /// Where it was when the daemon started.
    pub path: PathBuf,
    /// Another one is there now, or none: the daemon is an older one, until it is started anew.
    pub replaced: bool,
}

/// What keeps e-mail from going out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmailDocument {
    /// Since when.
    pub since: Option<Time>,
    /// Why, as a phrase.
    pub why: String,
    /// Nothing is tried until the person does something, or the credential that it goes out through is healthy again.
    pub ended: bool,
}

/// How many credentials have each health.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each field is the health of its name")]
pub struct Counts {
    pub healthy: u32,
    pub degraded: u32,
    pub suspect: u32,
    pub revoked: u32,
    pub rejected: u32,
    pub unreadable: u32,
    pub stale: u32,
    pub unknown: u32,
}

impl Counts {
    /// The number of `health`.
    #[must_use]
    pub const fn of(&self, health: Health) -> u32 {
        match health {
            Health::Healthy => self.healthy,
            Health::Degraded => self.degraded,
            Health::Suspect => self.suspect,
            Health::Revoked => self.revoked,
            Health::Rejected => self.rejected,
            Health::Unreadable => self.unreadable,
            Health::Stale => self.stale,
            Health::Unknown => self.unknown,
        }
    }

    const fn add(&mut self, health: Health) {
        let count = match health {
            Health::Healthy => &mut self.healthy,
            Health::Degraded => &mut self.degraded,
            Health::Suspect => &mut self.suspect,
            Health::Revoked => &mut self.revoked,
            Health::Rejected => &mut self.rejected,
            Health::Unreadable => &mut self.unreadable,
            Health::Stale => &mut self.stale,
            Health::Unknown => &mut self.unknown,
        };
        *count = count.saturating_add(1);
    }
}

/// One Apple Account; also what hooks are given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountDocument {
    /// Its iCloud Mail address.
    pub address: Address,
    /// Rejected (or not yet answered) logins in the last 24 hours.
    pub failed_logins_24h: u32,
    /// How many there may be.
    pub failed_login_limit: u32,
    /// When the next automatic login is allowed again; null while it is. (Beyond the contract.)
    #[serde(default)]
    pub ration_frees_at: Option<Time>,
    /// The open incident; the closed one in `incident-resolved`.
    pub incident: Option<IncidentDocument>,
    /// The connection that `watch.idle` holds open; null while there is none. (Beyond the contract.)
    #[serde(default)]
    pub idle_watch: Option<IdleWatchDocument>,
    /// In the order of the configuration.
    pub credentials: Vec<CredentialDocument>,
}

/// A connection that stands open so that its end is noticed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdleWatchDocument {
    /// Logged in with whose password.
    pub credential: CredentialName,
    /// Since when.
    pub since: Time,
}

/// What happened to an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncidentDocument {
    /// What most likely happened.
    pub cause: IncidentCause,
    /// When people were told or, untold, when it was declared.
    pub since: Time,
    /// The latest acceptance of an affected pair, and the first refusal.
    pub began_between: (Option<Time>, Time),
    /// The affected ones.
    pub credentials: Vec<CredentialName>,
    /// When people were first told.
    pub notified_at: Option<Time>,
    /// Not told again before this.
    pub snoozed_until: Option<Time>,
    /// When it was over; null while it stands. (Beyond the contract, but for hooks.)
    #[serde(default)]
    pub resolved_at: Option<Time>,
    /// It ended because an affected password itself was accepted again. (Beyond the contract.)
    #[serde(default)]
    pub withdrawn: bool,
}

/// One credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CredentialDocument {
    /// Its name.
    pub name: CredentialName,
    /// The program, as people call it.
    pub app: Option<String>,
    /// What keypulse believes, judged at reading time.
    pub health: Health,
    /// Concluded from its siblings, not asked itself.
    pub presumed: bool,
    /// Since when it has this health.
    pub since: Option<Time>,
    /// Latest acceptance of the present secret, by any service.
    pub last_accepted_at: Option<Time>,
    /// Latest attempt, whatever it found.
    pub last_checked_at: Option<Time>,
    /// When it is asked next.
    pub next_check_at: Option<Time>,
    /// Why the secret could not be read: only while it cannot. (Beyond the contract.)
    #[serde(default)]
    pub unreadable: Option<String>,
    /// The latest attempt on each service that was ever asked, IMAP first.
    pub services: Vec<ServiceDocument>,
}

/// The latest attempt on one service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceDocument {
    /// Which.
    pub service: Service,
    /// What it found.
    pub finding: FindingWord,
    /// Why it proved nothing.
    pub cause: Option<Cause>,
    /// The response code, or the reply code with its enhanced code.
    pub code: Option<String>,
    /// The server's words, or ours where no connection was made.
    pub detail: Option<String>,
    /// When it ended.
    pub at: Time,
    /// From the first connect to the verdict, in milliseconds.
    pub duration_ms: Option<u64>,
}

/// A [`Finding`] without its cause, which has a field of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FindingWord {
    /// The server took the pair.
    Accepted,
    /// The server refused the pair.
    Rejected,
    /// Everything else.
    Inconclusive,
}

impl From<Finding> for FindingWord {
    fn from(finding: Finding) -> Self {
        match finding {
            Finding::Accepted => Self::Accepted,
            Finding::Rejected => Self::Rejected,
            Finding::Inconclusive(_) => Self::Inconclusive,
        }
    }
}

impl StatusDocument {
    /// The document of all `accounts` at `generated_at`. The wall clock is `offset_ms` ahead of keypulse's time line.
    #[must_use]
    pub fn build(
        accounts: &[AccountStatus],
        daemon: Option<DaemonInfo>,
        generated_at: Timestamp,
        offset_ms: i64,
    ) -> Self {
        let time = |at| Time::new(at, offset_ms);
        let daemon = daemon.map(|info| DaemonDocument {
            version: info.version,
            pid: info.pid,
            started_at: time(info.started_at),
            paused_until: info.paused_until.map(time),
            online: info.online,
            program: info.program,
        });
        let accounts = accounts.iter().map(|account| AccountDocument::build(account, offset_ms)).collect();
        let paused_until = daemon.as_ref().and_then(|daemon| daemon.paused_until);
        let document = Self {
            schema: SCHEMA,
            generated_at: time(generated_at),
            daemon,
            paused_until,
            email: None,
            troubles: Vec::new(),
            overall: Overall::Unknown,
            counts: Counts::default(),
            accounts,
        };
        document.summed_up()
    }

    /// The same with what keeps e-mail from going out.
    #[must_use]
    pub fn with_email(self, email: Option<EmailDocument>) -> Self {
        Self { email, ..self }.summed_up()
    }

    /// The same where no daemon runs, but the next one will begin with a pause.
    #[must_use]
    pub fn with_pause(self, until: Option<Timestamp>, offset_ms: i64) -> Self {
        Self { paused_until: until.map(|at| Time::new(at, offset_ms)), ..self }.summed_up()
    }

    /// The same with what keeps keypulse from its work.
    #[must_use]
    pub fn with_troubles(self, troubles: Vec<Trouble>) -> Self {
        Self { troubles, ..self }.summed_up()
    }

    /// Only the credentials of these names, their accounts, and what happened to them. Without names: everything.
    ///
    /// # Errors
    /// The first name that no credential has.
    pub fn only(self, names: &[CredentialName]) -> Result<Self, UnknownName> {
        if names.is_empty() {
            return Ok(self);
        }
        if let Some(unknown) = names.iter().find(|name| !self.credentials().any(|known| known.name == **name)) {
            return Err(UnknownName::credential(unknown, self.credentials().map(|known| &known.name)));
        }
        let asked = |name: &CredentialName| names.contains(name);
        let unknown = self.overall == Overall::Unknown;
        let mut accounts = self.accounts;
        for account in &mut accounts {
            account.credentials.retain(|credential| asked(&credential.name));
            account.incident = account.incident.take().filter(|incident| incident.credentials.iter().any(asked));
        }
        accounts.retain(|account| !account.credentials.is_empty());
        let mut document = Self { email: None, accounts, ..self }.summed_up();
        if unknown {
            document.overall = Overall::Unknown; // nobody ever looked, so nothing can be told of a part of it either
        }
        Ok(document)
    }

    /// Every credential, in the order of the configuration.
    pub fn credentials(&self) -> impl Iterator<Item = &CredentialDocument> {
        self.accounts.iter().flat_map(|account| &account.credentials)
    }

    /// Counts anew, and judges all of it.
    fn summed_up(mut self) -> Self {
        let mut counts = Counts::default();
        self.credentials().for_each(|credential| counts.add(credential.health));
        let worst = self.credentials().map(|credential| credential.health.overall()).max().unwrap_or(Overall::Unknown);
        let silent = self.email.as_ref().is_some_and(|email| email.ended);
        let hindered = self.paused_until.is_some() || silent || !self.troubles.is_empty();
        self.overall = if hindered { worst.max(Overall::Warning) } else { worst };
        self.counts = counts;
        self
    }
}

impl AccountDocument {
    /// One account with its open incident.
    #[must_use]
    pub fn build(account: &AccountStatus, offset_ms: i64) -> Self {
        Self {
            address: account.address.clone(),
            failed_logins_24h: account.failed_logins_24h,
            failed_login_limit: account.failed_login_limit,
            ration_frees_at: account.ration_frees_at.map(|at| Time::new(at, offset_ms)),
            incident: account.incident.as_ref().map(|incident| IncidentDocument::build(incident, offset_ms)),
            idle_watch: account.watch.as_ref().map(|watch| IdleWatchDocument {
                credential: watch.credential.clone(),
                since: Time::new(watch.since, offset_ms),
            }),
            credentials: account.credentials.iter().map(|it| CredentialDocument::build(it, offset_ms)).collect(),
        }
    }
}

impl IncidentDocument {
    /// An open or a closed incident.
    #[must_use]
    pub fn build(incident: &Incident, offset_ms: i64) -> Self {
        let time = |at| Time::new(at, offset_ms);
        Self {
            cause: incident.cause,
            since: time(incident.notified_at.unwrap_or(incident.declared_at)),
            began_between: (incident.began_between.0.map(time), time(incident.began_between.1)),
            credentials: incident.credentials.clone(),
            notified_at: incident.notified_at.map(time),
            snoozed_until: incident.snoozed_until.map(time),
            resolved_at: incident.resolved_at.map(time),
            withdrawn: incident.withdrawn,
        }
    }
}

impl CredentialDocument {
    fn build(credential: &CredentialStatus, offset_ms: i64) -> Self {
        let time = |at: Option<Timestamp>| at.map(|at| Time::new(at, offset_ms));
        Self {
            name: credential.name.clone(),
            app: credential.app.clone(),
            health: credential.health,
            presumed: credential.presumed,
            since: time(credential.since),
            last_accepted_at: time(credential.last_accepted_at),
            last_checked_at: time(credential.last_checked_at),
            next_check_at: time(credential.next_check_at),
            unreadable: credential.unreadable.clone(),
            services: credential.services.iter().map(|it| ServiceDocument::build(it, offset_ms)).collect(),
        }
    }
}

impl ServiceDocument {
    /// One attempt.
    #[must_use]
    pub fn build(service: &ServiceStatus, offset_ms: i64) -> Self {
        Self {
            service: service.service,
            finding: service.finding.into(),
            cause: service.finding.cause(),
            code: service.code.clone(),
            detail: service.detail.clone(),
            at: Time::new(service.at, offset_ms),
            duration_ms: service.took.map(|took| u64::try_from(took.as_millis()).unwrap_or(u64::MAX)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::sample::{self, NOW};

    #[test]
    fn the_document_is_the_contracts_to_the_letter() {
        let mut accounts = sample::accounts();
        accounts.truncate(1);
        accounts[0].credentials.truncate(1);
        accounts[0].credentials[0].services.truncate(1);
        let expected = concat!(
            r#"{"schema":1,"generated_at":"2026-11-22T20:00:00Z","#,
            r#""daemon":{"version":"0.1.0","pid":4242,"started_at":"2026-11-22T14:02:00Z","paused_until":null,"online":true,"program":null},"#,
            r#""paused_until":null,"email":null,"troubles":[],"#,
            r#""overall":"critical","#,
            r#""counts":{"healthy":0,"degraded":0,"suspect":0,"revoked":1,"rejected":0,"unreadable":0,"stale":0,"unknown":0},"#,
            r#""accounts":[{"address":"johnappleseed@icloud.com","failed_logins_24h":4,"failed_login_limit":12,"ration_frees_at":null,"#,
            r#""incident":{"cause":"main-password-reset","since":"2026-11-22T19:49:00Z","#,
            r#""began_between":["2026-11-22T14:00:00Z","2026-11-22T19:31:00Z"],"credentials":["thunderbird","nas"],"#,
            r#""notified_at":"2026-11-22T19:49:00Z","snoozed_until":null,"resolved_at":null,"withdrawn":false},"#,
            r#""idle_watch":null,"#,
            r#""credentials":[{"name":"thunderbird","app":"Thunderbird","health":"revoked","presumed":false,"#,
            r#""since":"2026-11-22T10:00:00Z","last_accepted_at":"2026-11-22T14:00:00Z","#,
            r#""last_checked_at":"2026-11-22T19:48:00Z","next_check_at":"2026-11-23T19:00:00Z","unreadable":null,"#,
            r#""services":[{"service":"imap","finding":"rejected","cause":null,"code":"AUTHENTICATIONFAILED","#,
            r#""detail":"NO [AUTHENTICATIONFAILED] Authentication Failed","at":"2026-11-22T19:48:00Z","duration_ms":180}]}]}]}"#,
        );
        let document = sample::document(&accounts);
        assert_eq!(serde_json::to_string(&document).unwrap(), expected);
        assert_eq!(serde_json::from_str::<StatusDocument>(expected).unwrap(), document);
    }

    #[test]
    fn absent_values_are_null_and_never_left_out() {
        let credential = sample::credential("new", None, Health::Unknown);
        let account = sample::account("jane@me.com", vec![CredentialStatus { since: None, ..credential }]);
        let document = StatusDocument::build(&[account], None, NOW, 0);
        let json = serde_json::to_value(&document).unwrap();
        assert!(json["daemon"].is_null() && json.as_object().unwrap().contains_key("daemon"));
        assert!(json["accounts"][0].as_object().unwrap().contains_key("incident"));
        let credential = json["accounts"][0]["credentials"][0].as_object().unwrap();
        for field in ["app", "since", "last_accepted_at", "last_checked_at", "next_check_at"] {
            assert_eq!(credential.get(field), Some(&serde_json::Value::Null), "{field}");
        }
    }

    #[test]
    fn a_document_without_our_additions_is_understood() {
        let mut json = serde_json::to_value(sample::document(&sample::accounts())).unwrap();
        json.as_object_mut().unwrap().remove("paused_until");
        json.as_object_mut().unwrap().remove("troubles");
        json["accounts"][0].as_object_mut().unwrap().remove("ration_frees_at");
        json["accounts"][0].as_object_mut().unwrap().remove("idle_watch");
        json["accounts"][0]["incident"].as_object_mut().unwrap().remove("withdrawn");
        json["accounts"][0]["credentials"][0].as_object_mut().unwrap().remove("unreadable");
        json["of_a_later_version"] = 1.into();
        assert_eq!(serde_json::from_value::<StatusDocument>(json).unwrap(), sample::document(&sample::accounts()));
    }

    #[test]
    fn an_untold_incident_is_since_its_declaration() {
        let mut incident = sample::incident(IncidentCause::SingleRevocation, &["nas"]);
        incident.notified_at = None;
        incident.began_between.0 = None;
        let json = serde_json::to_value(IncidentDocument::build(&incident, 0)).unwrap();
        assert_eq!(json["since"], "2026-11-22T19:48:00Z");
        assert_eq!(json["began_between"], serde_json::json!([null, "2026-11-22T19:31:00Z"]));
        assert!(json["notified_at"].is_null());
    }

    #[track_caller]
    fn check_only(names: &[&str], overall: Overall, kept: &[&str], incident: bool) {
        let names: Vec<_> = names.iter().map(|name| sample::name(name)).collect();
        let document = sample::document(&sample::accounts()).only(&names).unwrap();
        assert_eq!(document.overall, overall);
        assert_eq!(document.credentials().map(|it| it.name.as_str()).collect::<Vec<_>>(), kept);
        assert_eq!(document.accounts.iter().any(|account| account.incident.is_some()), incident);
        let counted: u32 = Health::ALL.iter().map(|health| document.counts.of(*health)).sum();
        assert_eq!(counted as usize, kept.len());
    }

    #[test]
    fn names_narrow_document_overall_and_counts() {
        check_only(&[], Overall::Critical, &["thunderbird", "nas", "mutt"], true);
        check_only(&["mutt"], Overall::Ok, &["mutt"], false);
        check_only(&["nas", "nas"], Overall::Critical, &["nas"], true);
        check_only(&["mutt", "nas"], Overall::Critical, &["nas", "mutt"], true);
        let unknown = sample::document(&sample::accounts()).only(&[sample::name("mutt"), sample::name("moot")]);
        assert_eq!(unknown, Err(UnknownName::credential("moot", ["thunderbird", "nas", "mutt"])));
    }

    #[test]
    fn a_healthy_sibling_is_not_shown_with_an_incident_that_spared_it() {
        let mut accounts = sample::accounts();
        accounts[0].credentials.push(sample::healthy("phone", None, 1));
        let document = sample::document(&accounts).only(&[sample::name("phone")]).unwrap();
        assert_eq!(document.overall, Overall::Ok);
        assert_eq!(document.accounts[0].incident, None);
    }

    #[test]
    fn a_trouble_is_at_least_a_warning_and_told_of_every_part() {
        let accounts = [sample::account("jane@me.com", vec![sample::healthy("mutt", None, 3)])];
        let document = sample::document(&accounts).with_troubles(vec![Trouble::out_of_files()]);
        assert_eq!(document.overall, Overall::Warning);
        let part = document.only(&[sample::name("mutt")]).unwrap();
        assert_eq!((part.overall, part.troubles), (Overall::Warning, vec![Trouble::out_of_files()]));
        let sick = sample::document(&sample::accounts()).with_troubles(vec![Trouble::out_of_files()]);
        assert_eq!(sick.overall, Overall::Critical);
    }

    #[test]
    fn a_paused_daemon_is_at_least_a_warning() {
        let accounts = [sample::account("jane@me.com", vec![sample::healthy("mutt", None, 3)])];
        let daemon = DaemonInfo { paused_until: Some(sample::in_minutes(60)), ..sample::daemon() };
        let overall = |accounts: &[_]| StatusDocument::build(accounts, Some(daemon.clone()), NOW, 0).overall;
        assert_eq!(overall(&accounts), Overall::Warning);
        assert_eq!(overall(&sample::accounts()), Overall::Critical);
        assert_eq!(overall(&[]), Overall::Unknown);
        let stored = StatusDocument::build(&accounts, None, NOW, 0).with_pause(Some(Timestamp::END), 0);
        assert_eq!((stored.overall, stored.paused_until), (Overall::Warning, Some(Time::END)), "also where none runs");
        assert_eq!(stored.only(&[sample::name("mutt")]).unwrap().overall, Overall::Warning);
    }
}
