//! Which login is tried next when a password is entered.
//!
//! Pure. Decides the order: every service with the names that are configured; then, once a person said so, again after a wait;
//! then other forms of the user name; last, and only here, once without dashes. Never more than [`MOST_FAILED`] failed logins,
//! and no further one where the ration is low. Never decides in a person's place where there is one: it says what to ask.

use crate::health::{
    evidence::{Cause, Finding, PerService, Service, Services},
    name::Address,
};

/// The most failed logins that entering one password may cost.
pub(super) const MOST_FAILED: u32 = 4;
/// After a refusal another login is made only while so many failed ones are left in the ration: this one, and a whole try after
/// it.
const SPARED: u32 = 3;

/// One login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Try {
    pub(super) service: Service,
    pub(super) username: String,
    pub(super) without_dashes: bool,
}

/// What comes next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Log in.
    Login(Try),
    /// It was refused: ask the person what to do.
    Ask(Choices),
    /// There is nothing left to try.
    Over,
}

/// What a person can do about a refusal, beside giving up or typing the password again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Choices {
    /// A service accepts it: the password is right.
    pub(super) proven: bool,
    /// Wait, and try again: not done yet.
    pub(super) wait: bool,
    /// Go on with other forms.
    pub(super) vary: bool,
}

/// How far it goes by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// As configured.
    Plain,
    /// As configured, after the wait.
    Again,
    /// Other forms.
    Varied,
}

/// The logins made for one password, and those that may follow.
#[derive(Debug)]
pub(super) struct Attempts {
    services: Services,
    /// In the order of trying; the first is the configured one.
    names: PerService<Vec<String>>,
    /// The form without dashes may be tried.
    may_undash: bool,
    /// Somebody can be asked.
    asks: bool,
    waited: bool,
    stage: Stage,
    made: Vec<(Try, Stage, Finding)>,
    failed_before: u32,
    /// What the ration has left.
    left: u32,
}

impl Attempts {
    /// None made yet; `failed_before` were spent on this entry already, with a password that was typed wrongly.
    pub(super) fn new(
        services: Services,
        configured: &PerService<String>,
        address: &Address,
        may_undash: bool,
        asks: bool,
        failed_before: u32,
    ) -> Self {
        let names = |service: Service, others: &[&str]| {
            let mut names = vec![configured.of(service).clone()];
            for other in others {
                if !names.iter().any(|name| name == other) {
                    names.push((*other).to_owned());
                }
            }
            names
        };
        let (short, full) = (address.local_part(), address.as_str());
        // SMTP takes only the full address (`facts/icloud.md` 4.8), IMAP either or one of both (5.3).
        let names = PerService { imap: names(Service::Imap, &[short, full]), smtp: names(Service::Smtp, &[full]) };
        Self {
            services,
            names,
            may_undash,
            asks,
            waited: false,
            stage: Stage::Plain,
            made: Vec::new(),
            failed_before,
            left: u32::MAX,
        }
    }

    /// How a login ended, and what the ration has left.
    pub(super) fn made(&mut self, tried: Try, finding: Finding, left: u32) {
        self.made.push((tried, self.stage, finding));
        self.left = left;
    }

    /// The person waited: try again.
    pub(super) fn waited(&mut self) {
        self.waited = true;
        self.stage = Stage::Again;
    }

    /// The person wants other forms tried.
    pub(super) fn vary(&mut self) {
        self.stage = Stage::Varied;
    }

    /// Failed logins so far, those before included.
    pub(super) fn failed(&self) -> u32 {
        let rejected = self.made.iter().filter(|(_, _, finding)| *finding == Finding::Rejected).count();
        self.failed_before + u32::try_from(rejected).unwrap_or(u32::MAX)
    }

    /// Whether a further login is kept back, because few failed ones are left today.
    pub(super) fn spared(&self) -> bool {
        self.was_refused() && self.left < SPARED
    }

    /// What accepted on a service.
    pub(super) fn accepted(&self, service: Service) -> Option<&Try> {
        let accepted =
            |(tried, _, finding): &&(Try, Stage, Finding)| tried.service == service && *finding == Finding::Accepted;
        self.made.iter().find(accepted).map(|(tried, ..)| tried)
    }

    /// The latest answer of a service, none where it was not asked.
    pub(super) fn latest(&self, service: Service) -> Option<Finding> {
        let asked = self.made.iter().rev().find(|(tried, ..)| tried.service == service);
        self.accepted(service).map(|_| Finding::Accepted).or(asked.map(|(_, _, finding)| *finding))
    }

    /// All services accept.
    pub(super) fn all_accept(&self) -> bool {
        self.services.iter().all(|service| self.accepted(service).is_some())
    }

    /// A service accepts.
    pub(super) fn proven(&self) -> bool {
        self.services.iter().any(|service| self.accepted(service).is_some())
    }

    /// A service refused, in whatever form.
    pub(super) fn was_refused(&self) -> bool {
        self.made.iter().any(|(_, _, finding)| *finding == Finding::Rejected)
    }

    /// What comes next.
    pub(super) fn next(&self) -> Next {
        if self.all_accept() || self.failed() >= MOST_FAILED || self.spared() {
            return Next::Over;
        }
        if let Some(login) = self.plain().or_else(|| self.again()) {
            return Next::Login(login);
        }
        if !self.refusing().any(|_| true) {
            return Next::Over;
        }
        match (self.stage == Stage::Varied || !self.asks, self.varied()) {
            (true, Some(login)) => Next::Login(login),
            (true, None) => Next::Over,
            (false, None) if self.waited => Next::Over,
            (false, varied) => Next::Ask(Choices { proven: self.proven(), wait: !self.waited, vary: varied.is_some() }),
        }
    }

    /// Each service once, as configured. Where there is no network for one, there is none for the other.
    fn plain(&self) -> Option<Try> {
        if self.services.iter().any(|service| self.latest(service) == Some(Finding::Inconclusive(Cause::Offline))) {
            return None;
        }
        let unasked = self.services.iter().find(|service| self.latest(*service).is_none())?;
        self.login(unasked, 0, self.undashed())
    }

    /// After the wait: SMTP first, whose user name has one form only. Where it still refuses, IMAP would, too.
    fn again(&self) -> Option<Try> {
        if self.stage != Stage::Again {
            return None;
        }
        let asked = |service: Service| {
            self.made.iter().any(|(tried, stage, _)| tried.service == service && *stage == Stage::Again)
        };
        let refusing = [Service::Smtp, Service::Imap].into_iter().filter(|service| self.refuses(*service));
        let refused_again = refusing.clone().any(asked);
        let next = refusing.clone().find(|service| !asked(*service))?;
        if refused_again { None } else { self.login(next, 0, self.undashed()) }
    }

    /// The next other form: names first, then the dashes.
    fn varied(&self) -> Option<Try> {
        let undashed = self.undashed();
        let tried = |login: &Try| self.made.iter().any(|(made, ..)| made == login);
        for service in self.refusing() {
            let names = 0..self.names.of(service).len();
            // A form that worked for the dashes is the one to go on with.
            let login = names.filter_map(|at| self.login(service, at, undashed)).find(|login| !tried(login));
            // The last failed login there may be is kept for the dashes.
            let kept = self.may_undash && !self.proven() && self.failed() + 1 >= MOST_FAILED;
            if login.is_some() && !kept {
                return login;
            }
        }
        if self.proven() || !self.may_undash || self.made.iter().any(|(made, ..)| made.without_dashes) {
            return None;
        }
        let certain = [Service::Smtp, Service::Imap].into_iter().find(|service| self.refuses(*service))?;
        self.login(certain, 0, true)
    }

    fn login(&self, service: Service, name: usize, without_dashes: bool) -> Option<Try> {
        let username = self.names.of(service).get(name)?.clone();
        Some(Try { service, username, without_dashes })
    }

    /// Whether the form without dashes is the one that was accepted.
    fn undashed(&self) -> bool {
        self.services.iter().filter_map(|service| self.accepted(service)).any(|tried| tried.without_dashes)
    }

    fn refuses(&self, service: Service) -> bool {
        self.services.has(service) && self.latest(service) == Some(Finding::Rejected)
    }

    fn refusing(&self) -> impl Iterator<Item = Service> + '_ {
        self.services.iter().filter(|service| self.refuses(*service))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: &str = "john";
    const FULL: &str = "john@icloud.com";

    /// What the servers take, and from when on.
    struct Apple {
        imap: &'static [&'static str],
        undashed: Option<bool>,
        /// Accepted only after the wait.
        late: bool,
    }

    const BOTH: &[&str] = &[SHORT, FULL];
    const FINE: Apple = Apple { imap: BOTH, undashed: Some(false), late: false };

    impl Apple {
        fn answer(&self, tried: &Try, waited: bool) -> Finding {
            let name = match tried.service {
                Service::Imap => self.imap.contains(&tried.username.as_str()),
                Service::Smtp => tried.username == FULL,
            };
            let right = name && self.undashed == Some(tried.without_dashes) && (waited || !self.late);
            if right { Finding::Accepted } else { Finding::Rejected }
        }
    }

    /// Carries it out, with a person who answers with `answers`: `w`ait, `v`ary, nothing: give up. Says what happened.
    fn told(apple: &Apple, services: Services, answers: Option<&str>, left: u32) -> String {
        let address = Address::new(FULL).unwrap();
        let names = PerService { imap: SHORT.to_owned(), smtp: FULL.to_owned() };
        let mut attempts = Attempts::new(services, &names, &address, true, answers.is_some(), 0);
        let (mut answers, mut words, mut left) = (answers.unwrap_or_default().chars(), Vec::new(), left);
        loop {
            match attempts.next() {
                Next::Login(tried) => {
                    let finding = apple.answer(&tried, attempts.waited);
                    left -= u32::from(finding == Finding::Rejected);
                    let sign = if finding == Finding::Accepted { "+" } else { "-" };
                    let form = if tried.username == SHORT { "short" } else { "full" };
                    let bare = if tried.without_dashes { " bare" } else { "" };
                    words.push(format!("{sign}{} {form}{bare}", tried.service));
                    attempts.made(tried, finding, left);
                }
                Next::Ask(Choices { proven, wait, vary }) => {
                    let mark = |on: bool, letter| if on { letter } else { "" };
                    words.push(format!("?{}{}{}", mark(proven, "p"), mark(wait, "w"), mark(vary, "v")));
                    match answers.next() {
                        Some('w') => attempts.waited(),
                        Some('v') => attempts.vary(),
                        _ => break,
                    }
                }
                Next::Over => break,
            }
            assert!(words.len() < 20, "{words:?}");
        }
        assert!(attempts.failed() <= MOST_FAILED);
        words.join(", ")
    }

    #[track_caller]
    fn check(apple: &Apple, answers: Option<&str>, expected: &str) {
        assert_eq!(told(apple, Services::BOTH, answers, 12), expected);
    }

    #[test]
    fn what_is_right_needs_one_login_each() {
        check(&FINE, Some(""), "+imap short, +smtp full");
        check(&FINE, None, "+imap short, +smtp full");
    }

    #[test]
    fn a_new_password_is_waited_for_first() {
        let late = Apple { late: true, ..FINE };
        check(&late, Some("w"), "-imap short, -smtp full, ?wv, +smtp full, +imap short");
        check(&late, Some(""), "-imap short, -smtp full, ?wv");
        let late = Apple { imap: &[FULL], ..late };
        check(&late, Some("wv"), "-imap short, -smtp full, ?wv, +smtp full, -imap short, ?pv, +imap full");
    }

    #[test]
    fn the_other_name_is_tried_where_the_password_is_right() {
        let full = Apple { imap: &[FULL], ..FINE };
        check(&full, Some("v"), "-imap short, +smtp full, ?pwv, +imap full");
        check(&full, Some("wv"), "-imap short, +smtp full, ?pwv, -imap short, ?pv, +imap full");
        check(&full, None, "-imap short, +smtp full, +imap full");
        let neither = Apple { imap: &[], ..FINE };
        check(&neither, None, "-imap short, +smtp full, -imap full");
    }

    #[test]
    fn the_dashes_come_last_and_the_form_that_worked_stays() {
        let bare = Apple { undashed: Some(true), ..FINE };
        check(&bare, Some("v"), "-imap short, -smtp full, ?wv, -imap full, +smtp full bare, +imap short bare");
        check(&bare, Some("wv"), "-imap short, -smtp full, ?wv, -smtp full, ?v, +smtp full bare, +imap short bare");
        check(&bare, None, "-imap short, -smtp full, -imap full, +smtp full bare, +imap short bare");
    }

    #[test]
    fn four_failed_logins_are_the_most() {
        let dead = Apple { undashed: None, ..FINE };
        check(&dead, None, "-imap short, -smtp full, -imap full, -smtp full bare");
        check(&dead, Some("wv"), "-imap short, -smtp full, ?wv, -smtp full, ?v, -smtp full bare");
        let imap = Services::only(Service::Imap);
        let every = "-imap short, ?wv, -imap short, ?v, -imap full, -imap short bare";
        assert_eq!(told(&dead, imap, Some("wv"), 12), every);
        assert_eq!(told(&dead, Services::only(Service::Smtp), None, 12), "-smtp full, -smtp full bare");
    }

    #[test]
    fn the_ration_is_spared() {
        let dead = Apple { undashed: None, ..FINE };
        assert_eq!(told(&dead, Services::BOTH, None, 3), "-imap short");
        assert_eq!(told(&dead, Services::BOTH, None, 4), "-imap short, -smtp full");
        assert_eq!(told(&dead, Services::BOTH, Some("w"), 5), "-imap short, -smtp full, ?wv, -smtp full");
        assert_eq!(told(&FINE, Services::BOTH, None, 1), "+imap short, +smtp full");
    }
}
