//! `rehearse`: the matrix as people and programs read it, exit codes, and that nobody is disturbed and no secret read.

use serde_json::Value;

use crate::lab::{Bus, Dunst, Hook, Keypulse, Settings, Terminal};

/// A person's own accounts and policy. Each secret's command leaves a trace if it is run.
fn settings(keypulse: &Keypulse) -> Settings {
    let trace = keypulse.home().join("read");
    let touch = ["touch", trace.to_str().unwrap()];
    Settings::default()
        .set("notify", "desktop", "false")
        .set("schedule", "interval", "\"30m\"")
        .account("janeappleseed@icloud.com")
        .credential_command("mutt", &touch)
        .credential_command("phone", &touch)
}

#[track_caller]
fn document(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn it_is_all_right_for_somebody_without_a_configuration() {
    let keypulse = Keypulse::new();
    let output = keypulse.command(&["rehearse", "--json"]);
    let document = document(&output.stdout);
    let wrong = |row: &&Value| row["right"] != true;
    let scenarios = document["scenarios"].as_array().unwrap();
    assert_eq!(scenarios.iter().filter(wrong).collect::<Vec<_>>(), Vec::<&Value>::new());
    assert_eq!((output.code, output.stderr.as_str()), (0, ""), "{output:?}");
    assert!(scenarios.len() >= 40, "{}", scenarios.len());
    assert!(document["policy"].as_str().unwrap().contains("the defaults"), "{}", document["policy"]);
    let mut seconds = 0.0;
    for row in scenarios {
        for text in ["name", "expected", "said"] {
            assert!(row[text].as_str().is_some_and(|text| !text.is_empty()), "{text} in {row}");
        }
        seconds += row["seconds"].as_f64().unwrap();
        for message in row["messages"].as_array().unwrap() {
            assert!(message["title"].as_str().unwrap().starts_with("Test: "), "{message}");
        }
    }
    assert!(seconds < 90.0, "{seconds} s");
    let named = |name: &str| scenarios.iter().find(|row| row["name"] == name).unwrap();
    assert_eq!(named("captive-portal")["said"], "nothing");
    assert!(named("reset-25")["said"].as_str().unwrap().starts_with("main-password-reset after "));
    // Nothing of a person's is made on the way.
    assert!(!keypulse.state_dir().exists());
    assert!(!keypulse.config_file().exists());
}

#[test]
fn it_plays_the_persons_accounts_and_reads_no_secret() {
    let keypulse = Keypulse::new();
    let hook = Hook::of(&keypulse);
    keypulse.configure(&settings(&keypulse).hook(&hook.command()));
    let output = keypulse.command(&["rehearse", "yours-1", "sleeps-overnight"]);
    assert_eq!((output.code, output.stderr.as_str()), (0, ""), "{output:?}");
    for part in ["Reset of janeappleseed@icloud.com", "main-password-reset", "hook", "2 scenarios in", "all right"] {
        assert!(output.stdout.contains(part), "{part} in:\n{}", output.stdout);
    }
    assert!(output.stdout.lines().all(|line| line.chars().count() <= 80), "{}", output.stdout);
    assert!(!output.stdout.contains('\u{1b}'), "colours in a pipe");
    assert!(!keypulse.home().join("read").exists(), "a secret was read");
    assert_eq!(hook.told(), Vec::<Value>::new(), "the hook was run");
    assert!(!keypulse.state_dir().exists());
}

#[test]
fn a_live_hook_gets_one_of_each_kind_marked_as_a_test() {
    let keypulse = Keypulse::new();
    let script = r#"cat >>told; echo "$KEYPULSE_TEST $KEYPULSE_EVENT $KEYPULSE_CAUSE" >>env"#;
    keypulse.configure(&settings(&keypulse).hook(&["sh", "-c", script]));
    let output = keypulse.command(&["rehearse", "--live", "hook", "repaired", "put-back", "yours-1"]);
    assert_eq!(output.code, 0, "{output:?}");
    let env = std::fs::read_to_string(keypulse.home().join("env")).unwrap();
    let kinds = "1 incident-opened reset-or-revoked\n1 incident-resolved reset-or-revoked\n1 incident-opened \
                 main-password-reset\n";
    assert_eq!(env, kinds);
    let told = std::fs::read_to_string(keypulse.home().join("told")).unwrap();
    let last = document(told.lines().last().unwrap());
    assert_eq!(last["account"]["address"], "janeappleseed@icloud.com");
    assert!(output.stderr.contains("hook: took 3 test messages"), "{output:?}");
    assert!(!keypulse.home().join("read").exists(), "a secret was read");

    keypulse.configure(&settings(&keypulse).hook(&["sh", "-c", "echo no such room >&2; exit 3"]));
    let output = keypulse.command(&["rehearse", "--live", "hook", "repaired"]);
    assert_eq!(output.code, 1, "{output:?}");
    assert!(output.stderr.contains("hook: failed: it ended with exit status: 3: no such room"), "{output:?}");
    keypulse.configure(&settings(&keypulse));
    let output = keypulse.command(&["rehearse", "--live", "hook", "repaired"]);
    assert!(output.code == 1 && output.stderr.contains("[notify.hook] command"), "{output:?}");
}

#[test]
fn a_live_desktop_shows_tests_and_nothing_else_does() {
    let bus = Bus::start();
    let dunst = Dunst::start(&bus);
    let monitor = bus.monitor();
    let keypulse = Keypulse::new().on(&bus);
    let hook = Hook::of(&keypulse);
    // The desktop is on by default; the hook is not the one that is named.
    keypulse.configure(&Settings::default().hook(&hook.command()));
    let output = keypulse.command(&["rehearse", "revoked-beside-a-sibling"]);
    assert_eq!(output.code, 0, "{output:?}");
    assert_eq!((dunst.displayed(), dunst.history().len()), (0, 0), "a channel was fired");
    let output = keypulse.command(&["rehearse", "--live", "desktop", "revoked-beside-a-sibling"]);
    assert_eq!(output.code, 0, "{output:?}");
    monitor.notified("Test: iCloud app password revoked (thunderbird): johnappleseed@icloud.com");
    assert!(output.stderr.contains("desktop: took 1 test message\n"), "{output:?}");
    dunst.wait_displayed(0);
    assert_eq!(hook.told(), Vec::<Value>::new(), "another channel was fired");
}

#[test]
fn what_a_policy_makes_impossible_is_pointed_out_and_not_called_wrong() {
    let keypulse = Keypulse::new();
    let settings = Settings::default()
        .set("notify", "desktop", "false")
        .set("schedule", "interval", "\"4h\"")
        .set("schedule", "confirm", "[\"10m\", \"3h\"]")
        .set("limits", "failed_logins_per_account", "8");
    keypulse.configure(&settings);
    let output = keypulse.command(&["rehearse", "reset-1", "reset-5"]);
    assert_eq!(output.code, 0, "{output:?}");
    for part in
        ["no channel is switched on", "schedule.interval", "schedule.confirm", "failed_logins_per_account", "nobody"]
    {
        assert!(output.stdout.contains(part), "{part} in:\n{}", output.stdout);
    }
}

#[test]
fn unknown_scenarios_and_wrong_configurations_have_their_codes() {
    let keypulse = Keypulse::new();
    let output = keypulse.command(&["rehearse", "reset-six"]);
    assert_eq!((output.code, output.stdout.as_str()), (64, ""), "{output:?}");
    assert!(output.stderr.contains("no scenario is named \"reset-six\"\nhint: did you mean reset-1, "), "{output:?}");
    let output = keypulse.command(&["rehearse", "nope"]);
    assert_eq!((output.code, output.stdout.as_str()), (64, ""), "{output:?}");
    assert!(output.stderr.contains("\nhint: there are imap-offline, "), "{output:?}");
    let output = keypulse.command(&["rehearse", "Reset-52"]);
    assert!(output.stderr.contains("\nhint: did you mean reset-2, "), "{output:?}");
    let output = keypulse.command(&["rehearse", "--live", "pigeon"]);
    assert_eq!(output.code, 64, "{output:?}");
    keypulse.configure_text("[schedule]\ninterval = \"soon\"\n");
    let output = keypulse.command(&["rehearse", "reset-1"]);
    assert_eq!((output.code, output.stdout.as_str()), (78, ""), "{output:?}");
}

#[test]
fn a_bar_shows_how_far_it_is_on_a_terminal_only() {
    let keypulse = Keypulse::new();
    let terminal = Terminal::run(&keypulse, &["rehearse", "reset-1", "reset-2"]);
    terminal.until("2 scenarios in");
    let screen = terminal.screen();
    assert!(screen.contains("[########") && screen.contains("2/2"), "{screen}");
    assert!(screen.find("2/2").unwrap() < screen.find("2 scenarios in").unwrap());
}
