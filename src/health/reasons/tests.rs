//! Every rule says what it saw, and where it stands among the rules.

use super::*;
use crate::health::{
    evidence::{Cause, Finding, Round},
    name::{Address, CredentialName},
    ruling::Witness,
    schedule::Timestamp,
};

const R: Option<Finding> = Some(Finding::Rejected);
const A: Option<Finding> = Some(Finding::Accepted);
const SILENT: Option<Finding> = Some(Finding::Inconclusive(Cause::TimedOut));

fn judged(imap: Option<Finding>, smtp: Option<Finding>, refusals: u32) -> Judged {
    Judged {
        id: 1,
        why: Why::Confirm,
        started_at: Timestamp::from_millis(0),
        said: Round { imap, smtp },
        counted: Services { imap: imap == R, smtp: smtp == R },
        refusals,
        corroborated_by: None,
        guard: None,
        led: false,
    }
}

#[track_caller]
fn check(rule: Rule, round: &Judged, name: &str, part: &str, words: &str) {
    assert_eq!((rule.as_str(), rule.part(), rule.words(Some(round)).as_str()), (name, part, words));
    assert_eq!(serde_json::to_value(rule).unwrap()["name"], name, "stored and shown alike");
}

#[test]
fn every_rule_says_what_it_saw() {
    let accepted = |was| Rule::Accepted { was };
    let (part, both) = ("3, health", judged(A, A, 0));
    check(accepted(Was::New), &both, "accepted", part, "Accepted for the first time.");
    check(accepted(Was::Alive), &judged(A, R, 0), "accepted", part, "Accepted. But SMTP refuses it.");
    check(accepted(Was::Doubted), &judged(SILENT, A, 0), "accepted", part, "Accepted: the suspicion is over.");
    check(accepted(Was::Dead), &both, "accepted", part, "Accepted again.");
    let first =
        "The first refusal, by IMAP and SMTP, which accepted it before. It is confirmed before anything is said.";
    check(Rule::FirstRefusal { strong: true }, &judged(R, R, 1), "first-refusal", "4, evidence", first);
    let led = Judged { led: true, ..judged(R, None, 1) };
    let waits = "The first refusal, by IMAP, which accepted it before. Another password of the account leads; this one \
                 waits for its verdict.";
    check(Rule::FirstRefusal { strong: false }, &led, "first-refusal", "4, evidence", waits);
    let more = "Refused again, by SMTP: 2 refusals count. Not enough for a verdict yet.";
    check(Rule::Counted, &judged(SILENT, R, 2), "counted", "4, confirmation", more);
    let guarded = |guard| Judged { guard: Some(guard), ..judged(R, None, 3) };
    let held = "Refused again, by IMAP: 3 refusals count. But another Apple Account uses that service, too, and nobody \
                was accepted meanwhile: the verdict is held back.";
    check(Rule::Held, &guarded(Guard::AnotherAccount), "held", "4, outage guard", held);
    let held = "Refused again, by IMAP: 3 refusals count. But IMAP called itself unavailable since it last accepted \
                anybody: the verdict is held back.";
    check(Rule::Held, &guarded(Guard::Unavailable(Service::Imap)), "held", "4, outage guard", held);
    let witness = Witness {
        account: Address::new("jane@me.com").unwrap(),
        credential: CredentialName::new("nas").ok(),
        service: Service::Smtp,
        at: Timestamp::from_millis(0),
    };
    let corroborated =
        |credential| Judged { corroborated_by: Some(Witness { credential, ..witness.clone() }), ..judged(None, R, 2) };
    let dead = "Refused again, by SMTP: 2 refusals count. Meanwhile nas was accepted by SMTP: Apple's login works, this \
                password does not.";
    check(Rule::Corroborated, &corroborated(witness.credential.clone()), "corroborated", "4, revoked", dead);
    let dead = dead.replace("nas", "jane@me.com");
    check(Rule::Corroborated, &corroborated(None), "corroborated", "4, revoked", &dead);
    let dead = "Refused again, by IMAP: 3 refusals count, and nothing points to trouble at Apple.";
    check(Rule::ConfirmedTwice, &judged(R, None, 3), "confirmed-twice", "4, revoked", dead);
    let dead = "Still refused, by IMAP: 6 refusals count, and the time is over for which an outage would explain it.";
    check(Rule::HoldOver, &judged(R, None, 6), "hold-over", "4, outage guard", dead);
}

#[test]
fn what_would_change_a_suspicion_depends_on_how_far_it_is() {
    let doubted = |refusals, strong| Stage::Doubted {
        refusals,
        strong,
        evidence: Services::BOTH,
        leader: None,
        held_until: None,
    };
    let said = |stage: &Stage| change(Health::Suspect, stage);
    assert!(said(&doubted(1, true)).contains("dead if another password is accepted meanwhile, else two more"));
    assert!(said(&doubted(1, false)).ends_with("Two more refusals make it dead."));
    assert!(said(&doubted(2, true)).contains("One more refusal makes it dead"));
    let leader = CredentialName::new("nas").ok();
    let waits = Stage::Doubted { refusals: 1, strong: true, evidence: Services::BOTH, leader, held_until: None };
    assert!(said(&waits).starts_with("The verdict on nas, which leads"));
    let held_until = Some(Timestamp::from_millis(9));
    let held = Stage::Doubted { refusals: 3, strong: true, evidence: Services::BOTH, leader: None, held_until };
    assert!(said(&held).contains("when the guard lets go"));
}

#[test]
fn what_moves_nothing_or_follows_from_others_says_so_too() {
    let silent = judged(None, None, 0);
    let never = "Refused, and never accepted before: a wrong user name, a typing error, the main password, or too new to work yet.";
    check(Rule::NeverAccepted, &judged(R, R, 1), "never-accepted", "3, health", never);
    let proves = "Refused only by a service that did not accept this password last: that proves nothing.";
    check(Rule::NotEvidence, &judged(SILENT, R, 0), "not-evidence", "4, evidence", proves);
    let soon = "Refused, but no confirmation was due: it is counted as a failed login and confirms nothing.";
    check(Rule::TooSoon, &judged(R, R, 1), "too-soon", "4, confirmation", soon);
    let shared = "Refused, and the password that leads for the account is dead: this one shares its verdict.";
    check(Rule::Shared, &judged(R, None, 1), "shared", "4, leader", shared);
    let siblings = "Not asked itself: the password that led for the account is dead, three more were refused, and none was \
                    accepted.";
    check(Rule::PresumedBySiblings, &silent, "presumed-by-siblings", "4, presumption", siblings);
    let ration =
        "Refused once and not confirmed: the failed logins of the day are used up, and most of the account is dead.";
    check(Rule::PresumedByRation, &silent, "presumed-by-ration", "4, presumption", ration);
    let waits = "The failed logins of the day are used up: it is asked again when one is free.";
    check(Rule::RationUsedUp { until: Timestamp::from_millis(5) }, &silent, "ration-used-up", "6, ration", waits);
    check(Rule::StillDead, &judged(R, None, 0), "still-dead", "6, latch", "Dead, asked again, and refused again.");
    let back = "Put back, and known to be dead: no login was spent on it.";
    check(Rule::PutBack, &silent, "put-back", "3, health", back);
    let asked = "Presumed dead until an old password of the account was accepted: now it is asked itself.";
    check(Rule::NoLongerPresumed, &silent, "no-longer-presumed", "4, presumption", asked);
}

#[test]
fn what_a_round_is_for_and_what_no_rule_says_are_told_in_words() {
    let said: Vec<String> = [
        Why::Routine,
        Why::Changed,
        Why::Person,
        Why::Again,
        Why::Confirm,
        Why::Canary(Service::Imap),
        Why::Sibling(Service::Smtp),
        Why::Retest,
    ]
    .map(purpose)
    .into();
    assert_eq!(
        said,
        [
            "routine check",
            "a new or changed password",
            "you asked",
            "again, after no answer",
            "confirmation of the refusal",
            "another is refused: does IMAP accept this one?",
            "the leader is refused twice: does SMTP accept this one?",
            "re-test of a dead password",
        ]
    );
    assert_eq!(unruled(Health::Unknown), "Not asked yet.");
    assert_eq!(unruled(Health::Stale), "No answer on this password for too long.");
    assert_eq!(unruled(Health::Unreadable), "The password cannot be read, so nobody is asked.");
    assert!(unruled(Health::Revoked).starts_with("Decided before keypulse kept its reasons"));
}
