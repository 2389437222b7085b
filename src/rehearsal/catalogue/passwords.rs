//! Passwords that die, alone or together, and passwords that are replaced.

use super::{house, used_on};
use crate::{
    health::{
        credential::Health,
        evidence::{Service, Services},
        incident::IncidentCause::{MainPasswordReset, NeverAccepted, ResetOrRevoked, ServiceRefused, SingleRevocation},
        outbox::Tidings::{Changed, Opened, Resolved},
        schedule::DAY,
    },
    rehearsal::{
        promise::Promise,
        scenario::{End, Group, Happening, Line, Scenario, Until, Weather, Wiring},
    },
    simulator::{Fault, Stage},
};

const FIRST: (usize, usize) = (0, 0);
const SECOND: (usize, usize) = (0, 1);

fn play(name: &str, about: &str, sizes: &[usize]) -> Scenario {
    Scenario::new(Group::Passwords, name, about, house(sizes))
}

pub(super) fn scenarios(p: &Promise) -> Vec<Scenario> {
    let mut all = resets(p);
    all.extend(revocations(p));
    all.extend(replacements(p));
    all.extend(never_accepted(p));
    all
}

fn resets(p: &Promise) -> Vec<Scenario> {
    let noticed = p.noticed();
    let mut all: Vec<_> = [1, 2, 5, 25]
        .into_iter()
        .map(|count| {
            let about = match count {
                1 => "Reset, the account's only password".to_owned(),
                _ => format!("Reset of an account with {count} passwords"),
            };
            let cause = if count == 1 { ResetOrRevoked } else { MainPasswordReset };
            let scenario = Scenario::new(Group::Passwords, format!("reset-{count}"), about, house(&[count]));
            let scenario = reset_act(p, scenario, 0, count, cause, false);
            if count > 9 && p.affords(count) { scenario.ends(End::Presumes(0)) } else { scenario }
        })
        .collect();
    let on_the_wire = play("reset-on-the-wire", "Reset, seen over real connections", &[5]).on(Wiring::AsConfigured);
    all.push(reset_act(p, on_the_wire, 0, 5, MainPasswordReset, false));
    let beside = play("reset-beside-another-account", "Reset of one of two accounts", &[3, 2]);
    all.push(reset_act(p, beside, 0, 3, MainPasswordReset, true).ends(End::Health((1, 0), Health::Healthy)));
    let both = play("reset-of-two-accounts", "Reset of two accounts at once", &[2, 2]);
    let line = |account| {
        Line::new(account, Opened, MainPasswordReset, noticed + p.held() + p.noticed()).after(p.full_at_least())
    };
    let until = Until::For(noticed * 2 + p.held() + p.quick());
    let resets = [Happening::Reset(0), Happening::Reset(1)];
    all.push(if p.affords_to_hold() {
        both.act(until, resets).says(line(0)).says(line(1))
    } else {
        let shown = |account| End::Shows(account, MainPasswordReset);
        both.act(Until::For(p.held() * 2 + DAY * 4), resets).ends(shown(0)).ends(shown(1)).in_the_end()
    });
    all
}

/// One account is reset, and told of as such.
pub(super) fn reset_act(
    p: &Promise,
    scenario: Scenario,
    account: usize,
    count: usize,
    cause: crate::health::incident::IncidentCause,
    others: bool,
) -> Scenario {
    let of_refusal = p.reset(others);
    let by = p.noticed() + of_refusal;
    let reset = [Happening::Reset(account)];
    if p.affords(count) {
        let scenario = scenario.act(Until::For(by + p.noticed()), reset);
        let line = Line::new(account, Opened, cause, by).of_refusal(of_refusal).after(p.policy().confirm[0]);
        return scenario.says(line).ends(End::Refusals(9));
    }
    // Where the ration is too small for that, only the end of it is promised.
    let limit = usize::try_from(p.policy().failed_logins_per_account).unwrap_or(usize::MAX);
    scenario
        .act(Until::For(by + DAY * 4), reset)
        .ends(End::Shows(account, cause))
        .ends(End::Refusals(limit * 5))
        .in_the_end()
}

fn revocations(p: &Promise) -> Vec<Scenario> {
    let noticed = p.noticed();
    let alone = |cause| Line::new(0, Opened, cause, noticed + p.full()).of_refusal(p.full()).after(p.full_at_least());
    let beside = || Line::new(0, Opened, SingleRevocation, noticed + p.quick()).of_refusal(p.quick());
    let until = Until::For(noticed + p.full() + noticed);
    let revoke = || [Happening::Revoke(FIRST)];
    let then_all =
        play("revoked-and-then-all", "One is revoked, then all are reset", &[3]).act(until, revoke()).says(beside());
    // Re-tests of the first cost failed logins, too.
    let then_all = if p.affords_to_hold() && p.policy().retest_revoked >= DAY {
        let line = Line::new(0, Changed, MainPasswordReset, noticed + p.full());
        then_all
            .act(Until::For(noticed * 2 + p.full()), [Happening::Reset(0)])
            .says(line)
            .ends(End::All(Health::Revoked))
    } else {
        let later = Until::For(noticed * 2 + p.full() + DAY * 4);
        then_all.act(later, [Happening::Reset(0)]).ends(End::Shows(0, MainPasswordReset)).in_the_end()
    };
    let imap = Services::only(Service::Imap);
    let smtp = Services::only(Service::Smtp);
    vec![
        play("revoked-beside-a-sibling", "One of three is revoked", &[3])
            .act(until, revoke())
            .says(beside())
            .ends(End::Health(FIRST, Health::Revoked))
            .ends(End::Health(SECOND, Health::Healthy))
            .ends(End::Refusals(3)),
        play("revoked-beside-another-account", "The only one of its account is revoked", &[1, 1])
            .act(until, revoke())
            .says(Line::new(0, Opened, ResetOrRevoked, noticed + p.quick()).of_refusal(p.quick()))
            .ends(End::Health((1, 0), Health::Healthy))
            .ends(End::Refusals(3)),
        then_all,
        Scenario::new(Group::Passwords, "revoked-imap-only", "Revoked, used for reading only", used_on(imap))
            .act(until, revoke())
            .says(alone(ResetOrRevoked))
            .ends(End::Refusals(3)),
        Scenario::new(Group::Passwords, "revoked-smtp-only", "Revoked, used for sending only", used_on(smtp))
            .act(until, revoke())
            .says(alone(ResetOrRevoked))
            .ends(End::Refusals(3)),
        play("revoked-while-imap-hangs", "Revoked while IMAP gives no answer", &[1])
            .on(Wiring::AsConfigured)
            .act(
                Until::For(noticed + p.full() + p.timeout() * 6),
                [Happening::Weather(imap, Weather::Fault(Fault::Hang(Stage::Login))), Happening::Revoke(FIRST)],
            )
            .says(Line::new(0, Opened, ResetOrRevoked, noticed + p.full() + p.timeout() * 6).after(p.full_at_least())),
        play("revoked-while-587-is-blocked", "Revoked behind a firewall that blocks 587", &[1])
            .on(Wiring::AsConfigured)
            .act(until, [Happening::Weather(smtp, Weather::Fault(Fault::ConnectionRefused)), Happening::Revoke(FIRST)])
            .says(alone(ResetOrRevoked)),
        play("revoked-while-smtp-is-unavailable", "Revoked while SMTP is unavailable", &[1])
            .on(Wiring::AsConfigured)
            .act(
                Until::For(noticed + p.held() + noticed),
                [Happening::Weather(smtp, Weather::Fault(Fault::Unavailable)), Happening::Revoke(FIRST)],
            )
            .says(Line::new(0, Opened, ResetOrRevoked, noticed + p.held()).after(p.held_at_least())),
        play("revocation-that-comes-late", "Revoked, and Apple notices it later", &[1])
            .on(Wiring::AsConfigured)
            .act(Until::For(noticed), [Happening::Weather(Services::BOTH, Weather::Accepts), Happening::Revoke(FIRST)])
            .ends(End::All(Health::Healthy))
            .act(until, [Happening::Weather(Services::BOTH, Weather::Fine)])
            .says(alone(ResetOrRevoked)),
        play("shared-by-three-programs", "One password in three programs is revoked", &[3])
            .fresh()
            .act(Until::For(noticed), [Happening::Share(SECOND, FIRST), Happening::Share((0, 2), FIRST)])
            .act(until, revoke())
            .says(alone(ResetOrRevoked))
            .ends(End::All(Health::Revoked))
            .ends(End::Refusals(4)),
    ]
}

fn replacements(p: &Promise) -> Vec<Scenario> {
    let noticed = p.noticed();
    let dies = |scenario: Scenario| {
        scenario.act(Until::For(noticed + p.full() + p.slack()), [Happening::Revoke(FIRST)]).says(Line::new(
            0,
            Opened,
            ResetOrRevoked,
            noticed + p.full(),
        ))
    };
    let repaired = |scenario: Scenario| {
        scenario
            .act(Until::For(noticed), [Happening::Replace(FIRST)])
            .says(Line::new(0, Resolved, ResetOrRevoked, noticed))
            .ends(End::All(Health::Healthy))
    };
    vec![
        play("planned-replacement", "Replaced in peace, the old one revoked after", &[2])
            .act(Until::For(noticed), [Happening::Replace(FIRST)])
            .ends(End::All(Health::Healthy))
            .act(Until::For(noticed * 2), [Happening::RevokeOld(FIRST)])
            .ends(End::All(Health::Healthy))
            .ends(End::Refusals(0)),
        play("replaced-in-time", "Refused, and replaced before it was confirmed", &[1])
            .act(Until::Refused(noticed), [Happening::Revoke(FIRST)])
            .ends(End::Health(FIRST, Health::Suspect))
            .act(Until::For(noticed + p.full()), [Happening::Replace(FIRST)])
            .ends(End::All(Health::Healthy)),
        repaired(dies(play("repaired", "Revoked, then replaced", &[1]))),
        play("repaired-one-by-one", "Reset of two, replaced one after the other", &[2])
            .act(Until::For(noticed + p.full_for(2) + p.slack()), [Happening::Reset(0)])
            .says(Line::new(0, Opened, MainPasswordReset, noticed + p.full_for(2)))
            .act(Until::For(noticed), [Happening::Replace(FIRST), Happening::Check(FIRST)])
            .ends(End::Health(FIRST, Health::Healthy))
            .ends(End::Shows(0, MainPasswordReset))
            .act(Until::For(noticed), [Happening::Replace(SECOND)])
            .says(Line::new(0, Resolved, MainPasswordReset, noticed))
            .ends(End::Health(SECOND, Health::Healthy)),
        repaired(dies(play("put-back", "The old password is put back after all", &[1])))
            .act(Until::For(noticed), [Happening::PutBack(FIRST)])
            .says(Line::new(0, Opened, ResetOrRevoked, noticed))
            .ends(End::All(Health::Revoked))
            .ends(End::NoLogin),
        play("put-back-unseen", "A password revoked unseen is put back", &[1])
            .act(Until::For(noticed), [Happening::Revoke(FIRST), Happening::Replace(FIRST)])
            .ends(End::All(Health::Healthy))
            .act(Until::For(noticed * 2 + p.full()), [Happening::PutBack(FIRST)])
            .says(
                Line::new(0, Opened, ResetOrRevoked, noticed + p.full()).of_refusal(p.full()).after(p.full_at_least()),
            ),
    ]
}

fn never_accepted(p: &Promise) -> Vec<Scenario> {
    let noticed = p.noticed();
    let half = p.full_at_least() / 2;
    let daily = DAY + noticed * 2;
    let mut all = vec![
        play("wrong-from-the-start", "A wrong password from the start", &[1])
            .fresh()
            .act(Until::For(p.policy().confirm[0] / 2), [Happening::Revoke(FIRST)])
            .ends(End::Health(FIRST, Health::Rejected))
            .act(Until::For(p.full() + noticed), [])
            .says(Line::new(0, Opened, NeverAccepted, p.full())),
        play("slow-to-work", "A new password needs minutes to work", &[1])
            .fresh()
            .act(Until::For(half), [Happening::Weather(Services::BOTH, Weather::Refuses)])
            .ends(End::Health(FIRST, Health::Rejected))
            .act(Until::For(noticed + p.full()), [Happening::Weather(Services::BOTH, Weather::Fine)])
            .ends(End::All(Health::Healthy)),
    ];
    // Five times in its first day the service is asked again.
    if p.automatic() > 5 {
        all.push(
            play("wrong-user-name-for-sending", "SMTP refuses one account for two days", &[1])
                .fresh()
                .act(Until::For(daily), [Happening::Against(0, Service::Smtp, Weather::Refuses)])
                .says(Line::new(0, Opened, ServiceRefused, daily).after(DAY))
                .ends(End::All(Health::Degraded))
                .act(Until::For(daily), [Happening::Against(0, Service::Smtp, Weather::Fine)])
                .says(Line::new(0, Resolved, ServiceRefused, daily))
                .ends(End::All(Health::Healthy)),
        );
    }
    all
}
