//! Killed at random moments, under load: what was known is still known, what was spent is still spent, and nobody is told
//! twice.
//!
//! The moments come from a seed, which a failure shows; `KEYPULSE_TEST_SEED` repeats it. The servers are keypulse's simulator:
//! it counts on its side what keypulse must not forget on its own.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use keypulse::{
    health::evidence::Service,
    simulator::{Answer, Fault, Stage, World},
};
use rusqlite::Connection;
use serde_json::Value;

use crate::lab::{ICloud, Keypulse, Settings, account, credential};

/// In each of two lives: 200 in all.
const KILLS: u32 = 100;
/// One of them stays as it is: what is known of it must not suffer from what happens to the others.
const CALM: &str = "calm@icloud.com";

/// An account with its two credentials.
struct Person {
    address: &'static str,
}

impl Person {
    fn names(&self) -> [String; 2] {
        let short = self.address.split_once('@').unwrap().0;
        ["mutt", "mbsync"].map(|program| format!("{program}-{short}"))
    }
}

/// A machine that is killed again and again.
struct Machine {
    icloud: ICloud,
    keypulse: Keypulse,
    people: Vec<Person>,
    limit: usize,
    /// Credentials that were seen dead, with the secret they have now.
    dead: BTreeSet<String>,
    /// Credentials that were given another secret, and are not known to have noticed.
    changed: BTreeSet<String>,
    random: Random,
}

impl Machine {
    fn new(limit: usize) -> Self {
        let icloud = ICloud::start();
        let keypulse = Keypulse::new();
        let told = keypulse.home().join("told");
        // One line per message, appended in one write: nothing is lost or mixed, whenever the daemon dies.
        let hook = format!("line=\"$KEYPULSE_EVENT $(cat)\"; printf '%s\\n' \"$line\" >>{}", told.display());
        let mut settings = Settings::for_icloud(&icloud)
            .set("schedule", "interval", "\"40ms\"")
            .set("schedule", "confirm", "[\"20ms\", \"50ms\"]")
            .set("schedule", "outage_hold", "\"200ms\"")
            .set("schedule", "retest_revoked", "\"1h\"")
            .set("limits", "failed_logins_per_account", &limit.to_string())
            .set("notify", "remind_every", "\"never\"")
            .hook(&["sh", "-c", &hook]);
        let mut people = Vec::new();
        for address in ["one@icloud.com", "two@icloud.com", "three@icloud.com", CALM] {
            settings = settings.account(address);
            let person = Person { address };
            for name in person.names() {
                let password = icloud.world.new_password(address);
                settings = settings.credential_file(&name, &keypulse.secret(&name, &password));
            }
            people.push(person);
        }
        keypulse.configure(&settings);
        Self { icloud, keypulse, people, limit, dead: BTreeSet::new(), changed: BTreeSet::new(), random: Random::new() }
    }

    fn told(&self) -> String {
        fs::read_to_string(self.keypulse.home().join("told")).unwrap_or_default()
    }

    /// Waits until everything is healthy: from there on each pair is known to have lived.
    fn settle(&self) {
        let daemon = self.keypulse.run();
        for name in self.people.iter().flat_map(Person::names) {
            daemon.until_health(&name, "healthy");
        }
    }

    /// Starts the daemon, lets it run for a random while, and kills it. Looks at what it says meanwhile.
    fn crash(&mut self) {
        let wait = Duration::from_micros(self.random.below(150_000));
        let mut said = Vec::new();
        let daemon = self.keypulse.launch();
        let begun = Instant::now();
        while begun.elapsed() < wait {
            let answer = self.keypulse.request("GET", "/v1/status", "");
            said.extend(answer.filter(|answer| answer.code == 200).map(|answer| answer.json()));
            thread::sleep(Duration::from_millis(2).min(wait.saturating_sub(begun.elapsed())));
        }
        daemon.kill9();
        for status in &said {
            self.compare(status);
        }
    }

    /// What must hold in every status document.
    fn compare(&mut self, status: &Value) {
        let log = fs::read_to_string(self.keypulse.home().join("run.log")).unwrap();
        for person in &self.people {
            let said = account(status, person.address);
            let spent = usize::try_from(said["failed_logins_24h"].as_u64().unwrap()).unwrap();
            assert!(spent <= self.limit, "{spent} failed logins of {}: {log}", person.address);
            for name in &person.names() {
                let health = credential(status, name)["health"].as_str().unwrap();
                let latched = matches!(health, "revoked" | "rejected");
                if latched && !self.changed.contains(name) {
                    self.dead.insert(name.clone());
                } else if !latched {
                    // Until its secret is another one, a verdict stands.
                    assert!(!self.dead.contains(name), "{name} was dead and is {health}\n{log}");
                    self.changed.remove(name);
                }
                if person.address == CALM {
                    assert!(matches!(health, "healthy" | "unknown"), "{name} is {health}\n{log}");
                }
            }
        }
    }

    /// What must hold when nothing runs: the files, the server's own count, and what people were told.
    fn inspect(&self) {
        let path = self.keypulse.state_dir().join("keypulse.sqlite");
        if path.exists() {
            assert_eq!(integrity(&path), "ok");
        }
        for person in &self.people {
            let failed = self.icloud.world.failed_logins(person.address);
            assert!(failed <= self.limit, "the server saw {failed} failed logins of {}", person.address);
        }
        assert!(self.icloud.world.logins().iter().all(|login| login.encrypted && login.auth_commands == 1));
        let told = self.told();
        let mut opened = BTreeSet::new();
        for line in told.lines().filter_map(|line| line.strip_prefix("incident-opened ")) {
            let message: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {told}"));
            let account = &message["account"];
            let which = (account["address"].to_string(), account["incident"]["began_between"][1].to_string());
            let credentials = account["incident"]["credentials"].to_string();
            assert!(opened.insert((which, credentials)), "told twice:\n{told}");
        }
    }

    /// keypulse's own count is never below the server's, once it is up.
    fn remembers_what_it_spent(&self) {
        // Counted before it starts: what is refused from now on may be on its way still.
        let failed = |person: &Person| rejected(&self.icloud.world, person.address);
        let before: Vec<usize> = self.people.iter().map(failed).collect();
        let daemon = self.keypulse.run();
        let status = daemon.status_json();
        for (person, failed) in self.people.iter().zip(before) {
            let own = usize::try_from(account(&status, person.address)["failed_logins_24h"].as_u64().unwrap()).unwrap();
            assert!(own >= failed, "{}: the server counts {failed}, keypulse {own}", person.address);
        }
        // Told to end, it leaves no login unsettled: the ration is not spent on restarts.
        daemon.terminate();
    }

    fn reset(&self, index: usize) {
        self.icloud.world.reset_main_password(self.people[index].address);
    }

    /// The person makes new passwords and gives them to the programs.
    fn repair(&mut self, index: usize) {
        let address = self.people[index].address;
        for name in self.people[index].names() {
            let password = self.icloud.world.new_password(address);
            self.give(&name, &password);
        }
    }

    /// Gives a program another password.
    fn give(&mut self, name: &str, password: &str) {
        self.keypulse.secret(name, password);
        self.dead.remove(name);
        self.changed.insert(name.to_owned());
    }
}

/// Logins that the server has answered with a refusal, before now.
fn rejected(world: &World, address: &str) -> usize {
    let of = |login: &&keypulse::simulator::LoginSeen| {
        login.account.as_deref() == Some(address) && login.answer == Answer::Rejected
    };
    world.logins().iter().filter(of).count()
}

fn integrity(path: &Path) -> String {
    let connection = Connection::open(path).unwrap();
    connection.pragma_query_value(None, "integrity_check", |row| row.get(0)).unwrap()
}

/// SplitMix64: the same moments for the same seed.
struct Random(u64);

impl Random {
    fn new() -> Self {
        let given = std::env::var("KEYPULSE_TEST_SEED").ok().and_then(|text| text.parse().ok());
        #[expect(clippy::disallowed_methods, reason = "any number will do")]
        let seed = given.unwrap_or_else(|| {
            u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros()).unwrap()
        });
        println!("KEYPULSE_TEST_SEED={seed}");
        Self(seed)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

#[test]
fn killed_at_any_moment_it_forgets_no_verdict_no_failed_login_and_tells_nobody_twice() {
    // Each kill can leave two logins unsettled, which count.
    let mut machine = Machine::new(1000);
    machine.settle();
    for round in 0..KILLS {
        match round {
            10 | 64 => machine.reset(0),
            24 => machine.reset(1),
            40 => machine.repair(0),
            50 => machine.reset(2),
            76 => machine.repair(1),
            _ => {}
        }
        machine.crash();
        machine.inspect();
        machine.remembers_what_it_spent();
    }
    // Left in peace, it comes to the right conclusions.
    let daemon = machine.keypulse.run();
    for (person, dead) in machine.people.iter().zip([true, false, true, false]) {
        for name in person.names() {
            daemon.until(&format!("{name} dead: {dead}"), |status| {
                let health = &credential(status, &name)["health"];
                // One that was killed before it was ever tried is rejected.
                if dead { health == "revoked" || health == "rejected" } else { health == "healthy" }
            });
        }
    }
    drop(daemon);
    machine.inspect();
}

#[test]
fn killed_at_any_moment_it_never_spends_more_than_the_ration() {
    let mut machine = Machine::new(6);
    machine.settle();
    for round in 0..KILLS {
        if round == 3 {
            (0..3).for_each(|index| machine.reset(index));
        }
        // New passwords that are wrong, too: each is a new pair, which the last of the ration is for.
        if round % 8 == 7 {
            for name in machine.people[0].names() {
                machine.give(&name, &format!("wron-gwro-ngwr-on{}{}", letter(round / 8), letter(round % 8)));
            }
        }
        machine.crash();
        machine.inspect();
        machine.remembers_what_it_spent();
    }
}

/// One credential that dies with the first reset, and a hook that runs this shell script.
fn mortal(script: &str, remind_every: &str) -> (ICloud, Keypulse) {
    let icloud = ICloud::start();
    let keypulse = Keypulse::new();
    let secret = keypulse.secret("mutt", &icloud.world.new_password(CALM));
    let settings = Settings::for_icloud(&icloud)
        .set("schedule", "interval", "\"100ms\"")
        .set("schedule", "confirm", "[\"20ms\", \"50ms\"]")
        .set("schedule", "outage_hold", "\"200ms\"")
        .set("limits", "failed_logins_per_account", "100")
        .set("notify", "remind_every", &format!("{remind_every:?}"))
        .account(CALM)
        .credential_file("mutt", &secret)
        .hook(&["sh", "-c", script]);
    keypulse.configure(&settings);
    (icloud, keypulse)
}

/// The events the hook was told, oldest first.
fn told(keypulse: &Keypulse) -> Vec<String> {
    let told = fs::read_to_string(keypulse.home().join("told")).unwrap_or_default();
    told.lines().map(str::to_owned).collect()
}

#[test]
fn a_message_that_was_cut_off_is_not_repeated_but_reminded_of() {
    // It begins, and never gets further.
    let (icloud, keypulse) = mortal("echo $KEYPULSE_EVENT >>told; [ -e told.enough ] || sleep 60", "100ms");
    let daemon = keypulse.run();
    daemon.until_health("mutt", "healthy");
    icloud.world.reset_main_password(CALM);
    daemon.until("the hook begun", |_| !told(&keypulse).is_empty());
    daemon.kill9();
    fs::write(keypulse.home().join("told.enough"), "").unwrap();
    let daemon = keypulse.run();
    let status = daemon.until("a reminder", |_| told(&keypulse).len() > 1);
    assert_eq!(told(&keypulse)[..2], ["incident-opened", "incident-reminder"]);
    assert!(account(&status, CALM)["incident"]["notified_at"].is_string(), "{status:#}");
}

#[test]
fn a_hook_under_way_may_end_before_the_daemon_does() {
    let (icloud, keypulse) = mortal("echo $KEYPULSE_EVENT >>begun; sleep 0.3; echo $KEYPULSE_EVENT >>told", "never");
    let daemon = keypulse.run();
    daemon.until_health("mutt", "healthy");
    icloud.world.reset_main_password(CALM);
    daemon.until("the hook begun", |_| keypulse.home().join("begun").exists());
    let (status, took) = daemon.terminate();
    assert!(status.success(), "{status}");
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert_eq!(told(&keypulse), ["incident-opened"]);
}

#[test]
fn what_a_lone_check_finds_out_is_told_by_the_next_daemon() {
    let (icloud, keypulse) = mortal("echo $KEYPULSE_EVENT >>told", "never");
    let daemon = keypulse.run();
    daemon.until_health("mutt", "healthy");
    icloud.world.reset_main_password(CALM);
    daemon.until("the hook told", |_| told(&keypulse) == ["incident-opened"]);
    daemon.terminate();
    keypulse.secret("mutt", &icloud.world.new_password(CALM));
    let checked = keypulse.command(&["check"]);
    assert_eq!(checked.code, 0, "{checked:?}");
    assert_eq!(told(&keypulse), ["incident-opened"]);
    let daemon = keypulse.run();
    daemon.until("the hook told", |_| told(&keypulse) == ["incident-opened", "incident-resolved"]);
}

#[test]
fn a_round_cut_off_in_its_middle_leaves_the_evidence_as_it_was() {
    let (icloud, keypulse) = mortal("true", "never");
    let daemon = keypulse.run();
    daemon.until_health("mutt", "healthy");
    icloud.world.reset_main_password(CALM);
    // One service has refused and the other is still being asked, whichever comes first.
    icloud.world.set_fault(Service::Smtp, Some(Fault::Hang(Stage::Connect)));
    daemon.until("IMAP refused", |_| icloud.world.failed_logins(CALM) == 1);
    daemon.kill9();
    for hanging in [Service::Imap, Service::Smtp, Service::Imap] {
        let seen = icloud.world.failed_logins(CALM);
        icloud.world.set_fault(hanging.other(), None);
        icloud.world.set_fault(hanging, Some(Fault::Hang(Stage::Connect)));
        let connections = icloud.world.connections(hanging);
        let daemon = keypulse.run();
        daemon.until("a round in its middle", |_| {
            icloud.world.failed_logins(CALM) > seen || icloud.world.connections(hanging) > connections
        });
        daemon.kill9();
    }
    icloud.set_fault(None);
    keypulse.run().until_health("mutt", "revoked");
}

fn letter(n: u32) -> char {
    char::from(b'a' + u8::try_from(n).unwrap())
}
