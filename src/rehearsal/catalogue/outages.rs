//! Trouble at Apple and on the way there, from an hour of silence to the worst kind that refuses valid passwords.

use std::time::Duration;

use super::house;
use crate::{
    health::{
        credential::Health,
        evidence::{Cause, Service, Services},
        incident::IncidentCause::{CannotCheck, MainPasswordReset, ProviderOutageSuspected, ResetOrRevoked},
        outbox::Tidings::{Opened, Resolved},
        schedule::DAY,
    },
    rehearsal::{
        promise::Promise,
        scenario::{End, Group, Happening, Line, Scenario, Until, Weather, Wiring},
    },
    simulator::{Fault, Stage},
};

const HOUR: Duration = Duration::from_secs(60 * 60);
const BOTH: Services = Services::BOTH;

fn play(name: &str, about: &str, sizes: &[usize]) -> Scenario {
    Scenario::new(Group::Outages, name, about, house(sizes))
}

fn all(weather: Weather) -> [Happening; 1] {
    [Happening::Weather(BOTH, weather)]
}

pub(super) fn scenarios(p: &Promise) -> Vec<Scenario> {
    let mut scenarios = silent(p);
    scenarios.extend(long(p));
    scenarios.extend(refusing(p));
    scenarios
}

/// No answer on any password, for hours.
fn silent(p: &Promise) -> Vec<Scenario> {
    let hours = (3 * HOUR).min(p.policy().stale_after / 3);
    [
        ("both-unavailable", "Both say temporarily unavailable for hours", Fault::Unavailable),
        ("both-bye", "Both hang up with BYE for hours", Fault::ByeGreeting),
        ("both-refuse-connections", "Both refuse connections for hours", Fault::ConnectionRefused),
        ("captive-portal", "An evening behind a hotel's login page", Fault::HttpForMail),
        ("intercepted", "Hours behind a proxy that breaks TLS", Fault::UntrustedIssuer),
        ("both-throttle", "Both say too many logins for hours", Fault::Throttled),
    ]
    .into_iter()
    .map(|(name, about, fault)| {
        play(name, about, &[2, 1])
            .on(Wiring::AsConfigured)
            .act(Until::For(hours), all(Weather::Fault(fault)))
            .ends(End::Refusals(0))
            .act(Until::For(p.recovered()), all(Weather::Fine))
            .ends(End::All(Health::Healthy))
            .ends(End::Refusals(0))
    })
    .collect()
}

fn long(p: &Promise) -> Vec<Scenario> {
    let stale = p.policy().stale_after;
    // Looks at what is stale come with the rounds that are tried in vain.
    let told = stale + p.noticed() + p.recovered();
    vec![
        play("hang-for-a-while", "Both give no answer for a quarter of an hour", &[1])
            .on(Wiring::AsConfigured)
            .act(Until::For((HOUR / 4).min(stale / 3)), all(Weather::Fault(Fault::Hang(Stage::Login))))
            .ends(End::Refusals(0))
            .act(Until::For(p.recovered()), all(Weather::Fine))
            .ends(End::All(Health::Healthy)),
        play("firewall-blocks-587", "Two days behind a firewall that blocks 587", &[2])
            .act(
                Until::For(2 * DAY),
                [Happening::Weather(Services::only(Service::Smtp), Weather::Silent(Cause::TimedOut))],
            )
            .ends(End::All(Health::Healthy)),
        play("silent-for-too-long", "No answer until passwords are stale", &[1])
            .act(Until::For(told + p.slack()), all(Weather::Silent(Cause::TimedOut)))
            .says(Line::new(0, Opened, CannotCheck, told).after(stale.saturating_sub(p.longest(p.policy().interval))))
            .ends(End::All(Health::Stale))
            .act(Until::For(p.recovered()), all(Weather::Fine))
            .says(Line::new(0, Resolved, CannotCheck, p.recovered()))
            .ends(End::All(Health::Healthy)),
        play("offline-for-too-long", "No network until passwords are stale", &[1])
            .act(Until::For(told + p.slack()), all(Weather::Offline))
            .ends(End::All(Health::Stale))
            .act(Until::For(p.recovered()), all(Weather::Fine))
            .ends(End::All(Health::Healthy)),
    ]
}

/// The worst kind, which answers `AUTHENTICATIONFAILED` to valid passwords.
fn refusing(p: &Promise) -> Vec<Scenario> {
    let noticed = p.noticed();
    // Over before the last confirmation, whenever the first refusal came.
    let short = p.full_at_least() * 9 / 10;
    let hold = p.policy().outage_hold;
    // The first re-test accepts it.
    let retested = p.longest(p.policy().retest(0, false, p.full())) + p.slack();
    let under_hold = (hold * 3 / 4).max(p.full_at_least() / 2);
    let mut scenarios = vec![
        play("refuses-valid-for-minutes", "The worst kind of outage, for minutes", &[3])
            .act(Until::Refused(noticed), all(Weather::Refuses))
            .act(Until::For(short), [])
            .act(Until::For(noticed + p.full_for(3)), all(Weather::Fine))
            .ends(End::All(Health::Healthy)),
        play("refuses-valid-for-hours", "The worst kind until it was told, one account", &[1])
            .act(Until::Handed(noticed + p.full()), all(Weather::Refuses))
            .says(Line::new(0, Opened, ResetOrRevoked, noticed + p.full()).after(p.full_at_least()))
            .act(Until::For(retested + p.spare(5) + noticed), all(Weather::Fine))
            .says(Line::new(0, Resolved, ResetOrRevoked, retested + p.spare(5)).withdrawn())
            .ends(End::All(Health::Healthy)),
        play("reset-after-an-outage", "Reset during an outage that says so", &[1])
            .on(Wiring::AsConfigured)
            .act(
                Until::For((noticed * 2).min(p.policy().stale_after / 2)),
                [Happening::Weather(BOTH, Weather::Fault(Fault::Unavailable)), Happening::Reset(0)],
            )
            .act(Until::For(p.recovered() + p.held() + noticed), all(Weather::Fine))
            .says(Line::new(0, Opened, ResetOrRevoked, p.recovered() + p.held()).after(p.held_at_least())),
    ];
    // With a longer interval it is not known in time that it is over, and a service that refuses for a day is told of.
    if noticed < DAY / 6 {
        scenarios.push(
            play("imap-refuses-valid", "IMAP refuses every password for hours", &[2, 1])
                .act(
                    Until::For((noticed * 2).min(DAY / 4 * 3)),
                    [Happening::Weather(Services::only(Service::Imap), Weather::Refuses)],
                )
                .act(Until::For(DAY + noticed * 2), [Happening::Weather(Services::only(Service::Imap), Weather::Fine)])
                .ends(End::All(Health::Healthy)),
        );
    }
    if hold > p.full_at_least() && noticed < DAY / 6 {
        scenarios.push(
            play("refuses-valid-two-accounts", "The worst kind, two accounts, under outage_hold", &[2, 1])
                .act(Until::Refused(noticed), all(Weather::Refuses))
                .act(Until::For(under_hold), [])
                .ends(End::Shows(0, ProviderOutageSuspected))
                .act(Until::For(p.recovered() + p.held()), all(Weather::Fine))
                .ends(End::All(Health::Healthy)),
        );
    }
    scenarios.push(
        play("all-works-again", "Reset, and then the same passwords work again", &[3])
            .act(Until::Handed(noticed + p.full_for(3)), [Happening::Reset(0)])
            .says(Line::new(0, Opened, MainPasswordReset, noticed + p.full_for(3)))
            .act(Until::For(retested + p.spare(8) + noticed * 2), [Happening::Reinstate])
            .says(Line::new(0, Resolved, MainPasswordReset, retested + p.spare(8) + noticed).withdrawn())
            .ends(End::All(Health::Healthy)),
    );
    scenarios
}
