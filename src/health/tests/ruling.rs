//! By which rule it was decided, for `explain`.

use super::*;

#[test]
fn every_way_to_a_verdict_names_its_rules() {
    const ACCEPTED: Rule = Rule::Accepted { was: Was::New };
    const FIRST: Rule = Rule::FirstRefusal { strong: true };
    const WEAK: Rule = Rule::FirstRefusal { strong: false };

    let mut alone = World::settled(&[1]);
    alone.outside.dead.insert(1);
    alone.run(2 * HOUR);
    assert_eq!(alone.rules("a0")[..4], [ACCEPTED, FIRST, Rule::Counted, Rule::ConfirmedTwice]);
    let round = alone.log.rulings[3].round.clone().unwrap();
    assert_eq!((round.why, round.refusals, round.counted), (Why::Confirm, 3, Services::only(Service::Imap)));
    assert_eq!((round.corroborated_by, round.guard, round.led), (None, None, false));
    let asked: Vec<_> = alone.log.attempts.iter().filter(|row| row.round == round.id).map(|row| row.service).collect();
    assert_eq!(asked, [Service::Imap], "its attempts carry the round's number");

    let mut with_a_sibling = World::settled(&[2]);
    with_a_sibling.outside.dead.insert(1);
    with_a_sibling.run(2 * HOUR);
    assert_eq!(with_a_sibling.rules("a0"), [ACCEPTED, FIRST, Rule::Corroborated]);
    let judged = with_a_sibling.log.rulings.iter().find(|ruling| ruling.rule == Rule::Corroborated).unwrap();
    let witness = judged.round.clone().unwrap().corroborated_by.unwrap();
    assert_eq!((witness.credential, witness.service), (Some(name("a1")), Service::Imap));

    let mut reset = World::settled(&[5]);
    reset.reset('a');
    reset.run(2 * HOUR);
    assert_eq!(reset.rules("a0")[..4], [ACCEPTED, FIRST, Rule::Counted, Rule::ConfirmedTwice]);
    assert_eq!(reset.rules("a1"), [ACCEPTED, WEAK, Rule::Shared], "the canary");
    assert_eq!(reset.rules("a4"), [ACCEPTED, Rule::PresumedBySiblings]);
    assert!(reset.log.rulings.iter().any(|ruling| ruling.credential == name("a1")));

    let mut outage = World::settled(&[1, 1]);
    outage.outside.weather = PerService { imap: Weather::RefusesAll, smtp: Weather::RefusesAll };
    outage.run(8 * HOUR);
    let rules = outage.rules("a0");
    assert_eq!(rules[..3], [ACCEPTED, FIRST, Rule::Held]);
    assert_eq!(rules.iter().find(|rule| rule.makes() == Some(Was::Dead)), Some(&Rule::HoldOver));
    let held = outage.log.rulings.iter().find(|ruling| ruling.rule == Rule::Held).unwrap();
    assert_eq!(held.round.clone().unwrap().guard, Some(Guard::AnotherAccount));
    outage.outside.weather = PerService { imap: Weather::Fine, smtp: Weather::Fine };
    outage.run(DAY);
    assert_eq!(outage.rules("a0").last(), Some(&Rule::Accepted { was: Was::Dead }));
}

#[test]
fn what_is_asked_out_of_turn_or_in_vain_is_named_too() {
    let mut world = World::settled(&[1]);
    world.outside.dead.insert(1);
    world.event(Event::Check { request: 1, names: vec![name("a0")] });
    world.event(Event::Check { request: 2, names: vec![name("a0")] });
    assert_eq!(world.rules("a0")[1..], [Rule::FirstRefusal { strong: true }, Rule::TooSoon]);
    world.run(HOUR);
    world.event(Event::Check { request: 3, names: vec![name("a0")] });
    assert_eq!(world.rules("a0").last(), Some(&Rule::StillDead));
    world.outside.holds.insert(name("a0"), 101);
    world.run(HOUR + MIN);
    world.outside.holds.insert(name("a0"), 1);
    world.run(HOUR + MIN);
    assert_eq!(world.rules("a0").last(), Some(&Rule::PutBack));

    let mut half = World::settled(&[1]);
    half.outside.weather.smtp = Weather::RefusesAll;
    half.run(HOUR);
    assert_eq!(half.rules("a0").last(), Some(&Rule::Accepted { was: Was::Alive }));
    half.outside.weather.imap = Weather::Silent(Cause::TimedOut);
    half.run(HOUR);
    half.event(Event::Check { request: 1, names: vec![name("a0")] });
    assert_eq!(half.rules("a0").last(), Some(&Rule::NotEvidence), "SMTP refused before: its refusal proves nothing");
}

#[test]
fn quiet_rounds_leave_no_ruling() {
    let mut world = World::settled(&[2, 1]);
    world.log.rulings.retain(|ruling| ruling.rule.makes().is_some());
    let before = world.log.rulings.len();
    world.run(10 * HOUR);
    world.outside.weather = PerService { imap: Weather::Silent(Cause::Offline), smtp: Weather::Silent(Cause::Offline) };
    world.run(10 * HOUR);
    assert_eq!((before, world.log.rulings.len()), (3, 3), "the first acceptance of each, and no more");
}

#[test]
fn what_counted_in_a_round_is_said_beside_its_rule() {
    let counted = |world: &World, credential: &str, rule: &dyn Fn(Rule) -> bool| {
        let of = world.log.rulings.iter().filter(|ruling| ruling.credential == name(credential));
        let ruling = of.filter(|ruling| rule(ruling.rule)).last().unwrap();
        let round = ruling.round.clone().unwrap();
        (round.counted, round.refusals)
    };
    let (imap, smtp) = (Services::only(Service::Imap), Services::only(Service::Smtp));

    // IMAP refused before, while SMTP accepted: only SMTP's refusal counts afterwards.
    let mut half = World::settled(&[1]);
    half.outside.weather.imap = Weather::RefusesAll;
    half.run(2 * HOUR);
    half.outside.dead.insert(1);
    half.event(Event::Check { request: 1, names: vec![name("a0")] });
    assert_eq!(counted(&half, "a0", &|rule| matches!(rule, Rule::FirstRefusal { .. })), (smtp, 1));
    half.event(Event::Check { request: 2, names: vec![name("a0")] });
    assert_eq!(counted(&half, "a0", &|rule| rule == Rule::TooSoon), (Services::NONE, 1), "it confirms nothing");
    half.run(MIN * 30);
    assert_eq!(counted(&half, "a0", &|rule| rule == Rule::ConfirmedTwice), (smtp, 3));

    // Never accepted: every refusal counts.
    let mut wrong = World::new(&[1]);
    wrong.outside.dead.insert(1);
    wrong.run(MIN);
    assert_eq!(counted(&wrong, "a0", &|rule| rule == Rule::NeverAccepted), (Services::BOTH, 1));
    wrong.run(3 * MIN);
    assert_eq!(counted(&wrong, "a0", &|rule| rule == Rule::Counted), (smtp, 2));
    wrong.run(DAY);
    assert_eq!(counted(&wrong, "a0", &|rule| rule == Rule::ConfirmedTwice), (imap, 3));
    assert_eq!(counted(&wrong, "a0", &|rule| rule == Rule::StillDead), (Services::NONE, 0));
}
