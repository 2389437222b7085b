//! The README's recipes, as they stand there: each is tried with the program that it is for, or with a reader of its format.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    os::unix::fs::PermissionsExt as _,
    process::Stdio,
};

use serde_json::Value;

use crate::lab::{ICloud, Keypulse, Settings, UserManager, run, until};

const README: &str = include_str!("../../README.md");
const ADDRESS: &str = "johnappleseed@icloud.com";

/// The one block of this language that holds these words.
#[track_caller]
fn block(language: &str, words: &str) -> &'static str {
    let mut blocks = README.split("\n```").skip(1).step_by(2).filter_map(|block| block.split_once('\n'));
    let found = blocks.find(|(of, text)| *of == language && text.contains(words));
    found.unwrap_or_else(|| panic!("the README has no {language} block with {words:?}")).1
}

/// A person with mbsync's password, which is alive.
struct Home {
    icloud: ICloud,
    keypulse: Keypulse,
}

fn home() -> Home {
    let (icloud, keypulse) = (ICloud::start(), Keypulse::new());
    let secret = keypulse.secret("mbsync", &icloud.world.new_password(ADDRESS));
    let settings = Settings::for_icloud(&icloud).account(ADDRESS);
    keypulse.configure(&settings.credential_file("mbsync", &secret));
    Home { icloud, keypulse }
}

/// Puts a program into a directory of programs.
fn program(path: &std::path::Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_shell_stops_knocking_with_a_dead_password() {
    let Home { icloud, keypulse } = home();
    program(&keypulse.home().join("bin/mbsync"), "#!/bin/sh\necho synchronised\n");
    let recipe = block("sh", "keypulse ok mbsync && mbsync -a");
    let said = || run(keypulse.other("sh").args(["-c", recipe]), "").stdout;
    let daemon = keypulse.run();
    daemon.until_health("mbsync", "healthy");
    assert_eq!(said(), "synchronised\n");
    icloud.world.reset_main_password(ADDRESS);
    daemon.until_health("mbsync", "revoked");
    assert_eq!(said(), "");
}

#[test]
fn a_unit_stops_knocking_with_a_dead_password() {
    let icloud = ICloud::start();
    let manager = UserManager::start();
    let home = manager.home();
    program(&home.join("ran"), "");
    fs::create_dir_all(home.join(".cargo/bin")).unwrap();
    // Not a link: the service cannot see where it would point to.
    fs::copy(env!("CARGO_BIN_EXE_keypulse"), home.join(".cargo/bin/keypulse")).unwrap();
    let secret = home.join("secret");
    fs::write(&secret, icloud.world.new_password(ADDRESS)).unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    fs::create_dir_all(home.join(".config/keypulse")).unwrap();
    let settings = Settings::for_icloud(&icloud).account(ADDRESS).credential_file("mbsync", &secret);
    fs::write(home.join(".config/keypulse/config.toml"), settings.to_toml()).unwrap();
    let recipe = block("ini", "ExecCondition=");
    let unit = format!("{recipe}\nType=oneshot\nExecStart=/bin/sh -c 'echo ran >>%h/ran'\n");
    manager.install("mbsync.service", &unit);
    let own = home.join(".cargo/bin/keypulse");
    let client = || manager.client(own.to_str().unwrap());
    let mut daemon = client().arg("run").stderr(Stdio::null()).spawn().unwrap();
    let is = |health: &str| {
        let word = format!("\"health\": \"{health}\"");
        until(health, || run(client().args(["status", "--json"]), "").stdout.contains(&word).then_some(()));
    };
    let start = || {
        manager.systemctl(&["start", "mbsync"]);
        (manager.property("mbsync", "ActiveState"), fs::read_to_string(home.join("ran")).unwrap().lines().count())
    };
    is("healthy");
    assert_eq!(start(), ("inactive".to_owned(), 1));
    icloud.world.reset_main_password(ADDRESS);
    is("revoked");
    assert_eq!(start(), ("inactive".to_owned(), 1), "it is skipped, and has not failed");
    daemon.kill().unwrap();
    daemon.wait().unwrap();
}

/// The first line that a bar gets.
fn first_line(keypulse: &Keypulse, command: &str) -> String {
    let mut bar = keypulse.other("sh").args(["-c", command]).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(bar.stdout.take().unwrap()).read_line(&mut line).unwrap();
    // Nobody reads any more: it ends.
    bar.wait().unwrap();
    line
}

#[test]
fn bars_understand_their_recipes() {
    let Home { icloud: _icloud, keypulse } = home();
    let daemon = keypulse.run();
    daemon.until_health("mbsync", "healthy");
    let waybar: Value = serde_json::from_str(&format!("{{{}}}", block("json", "custom/keypulse"))).unwrap();
    let module = &waybar["custom/keypulse"];
    assert_eq!(module["return-type"], "json");
    let line = first_line(&keypulse, module["exec"].as_str().unwrap());
    let shown: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
    assert_eq!((&shown["text"], &shown["class"]), (&"keypulse ✓ 1".into(), &"ok".into()));
    for class in ["warning", "critical"] {
        assert!(block("css", "#custom-keypulse").contains(&format!("#custom-keypulse.{class} {{")), "{class}");
    }
    // The words of the bars' own formats, and the command in them.
    let read = "import configparser, sys; c = configparser.ConfigParser(interpolation=None); c.read_string(sys.stdin.read()); \
                m = c['module/keypulse']; assert (m['type'], m['tail']) == ('custom/script', 'true'); print(m['exec'])";
    let polybar = run(keypulse.other("/usr/bin/python3").args(["-c", read]), block("ini", "[module/keypulse]")).ok();
    assert_eq!(first_line(&keypulse, &polybar), "keypulse ✓ 1\n");
    let read = "import tomllib, sys; [b] = tomllib.loads(sys.stdin.read())['block']; \
                assert (b['block'], b['persistent']) == ('custom', True); print(b['command'])";
    let i3status = run(keypulse.other("/usr/bin/python3").args(["-c", read]), block("toml", "[[block]]")).ok();
    assert_eq!(first_line(&keypulse, &i3status), "keypulse ✓ 1\n");
}

#[test]
fn desktops_take_the_autostart_file() {
    let Home { icloud: _icloud, keypulse } = home();
    let text = block("ini", "[Desktop Entry]");
    fs::write(keypulse.home().join("keypulse.desktop"), text.to_owned() + "\n").unwrap();
    let said = run(keypulse.other("desktop-file-validate").arg("keypulse.desktop"), "");
    assert_eq!((said.code, &*said.stdout, &*said.stderr), (0, "", ""));
    let command = text.lines().find_map(|line| line.strip_prefix("Exec=")).unwrap();
    let mut started =
        keypulse.other("sh").args(["-c", &format!("exec {command}")]).stderr(Stdio::null()).spawn().unwrap();
    until("an answer on the socket", || keypulse.request("GET", "/healthz", "").filter(|answer| answer.code == 200));
    started.kill().unwrap();
    started.wait().unwrap();
}

#[test]
fn node_exporter_gets_whole_files_and_the_rules_fit_the_metrics() {
    let Home { icloud, keypulse } = home();
    let daemon = keypulse.run();
    daemon.until_health("mbsync", "healthy");
    let line = block("sh", "keypulse.prom").strip_prefix("* * * * * ").unwrap();
    let line = line.replace("/var/lib/prometheus/node-exporter/", &format!("{}/", keypulse.home().display()));
    // cron has a path of its own, without ours.
    let own = keypulse.home().join(".cargo/bin/keypulse");
    fs::create_dir_all(own.parent().unwrap()).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_keypulse"), own).unwrap();
    let cron = || run(keypulse.other("sh").args(["-c", &line]).env("PATH", "/usr/bin:/bin"), "").ok();
    assert_eq!(cron(), "");
    let file = keypulse.home().join("keypulse.prom");
    let read = "import sys; from prometheus_client.parser import text_string_to_metric_families as f\n\
                for family in f(sys.stdin.read()):\n for s in family.samples: print(s.name, s.labels.get('health', '-'), s.value)";
    let samples = || run(keypulse.other("/usr/bin/python3").args(["-c", read]), fs::read(&file).unwrap()).ok();
    assert!(samples().contains("keypulse_credential_health healthy 1.0\n"), "{}", samples());
    icloud.world.reset_main_password(ADDRESS);
    daemon.until_health("mbsync", "revoked");
    assert_eq!(cron(), "", "a dead password is no failure of the command");
    let dead = samples();
    assert!(dead.contains("keypulse_credential_health revoked 1.0\n"), "{dead}");
    assert!(!keypulse.home().join("keypulse.prom.new").exists());

    let read = "import sys, yaml; [g] = yaml.safe_load(sys.stdin.read())['groups']; [print(r['alert'], r['expr']) for r in g['rules']]";
    let rules = run(keypulse.other("/usr/bin/python3").args(["-c", read]), block("yaml", "groups:")).ok();
    let rule = "AppPasswordDead keypulse_credential_health{health=~\"revoked|rejected\"} == 1";
    assert!(rules.lines().any(|line| line == rule), "{rules}");
    for health in ["revoked", "rejected"] {
        assert!(dead.contains(&format!("keypulse_credential_health {health} ")), "{dead}");
    }
    assert!(rules.contains("/keypulse.prom\"} > 600"), "{rules}");
}

#[test]
fn curl_and_the_hook_do_what_is_said() {
    let Home { icloud: _icloud, keypulse } = home();
    let daemon = keypulse.run();
    daemon.until_health("mbsync", "healthy");
    let lines: Vec<&str> = block("sh", "--unix-socket").lines().collect();
    for (line, part) in lines.iter().zip(["\"schema\":1", "event stream", "keypulse_credential_health{"]) {
        if part == "event stream" {
            // It goes on and on; that it is there is enough.
            let line = format!("{line} --max-time 1 -o /dev/null -w '%{{content_type}}'");
            let said = run(keypulse.other("sh").args(["-c", &line]), "");
            assert!(said.stdout.starts_with("text/event-stream"), "{said:?}");
        } else {
            let said = run(keypulse.other("sh").args(["-c", line]), "").ok();
            assert!(said.contains(part), "{line}: {said}");
        }
    }
    drop(daemon);
    // As it stands; only the log of the system is replaced by a file.
    let hook = block("toml", "[notify.hook]");
    let text = fs::read_to_string(keypulse.config_file()).unwrap();
    keypulse.configure_text(&format!("{hook}\n{text}"));
    program(&keypulse.home().join("bin/logger"), "#!/bin/sh\ncat >>\"$HOME/logged\"\n");
    let said = run(keypulse.other("keypulse").args(["notify-test", "--channel", "hook"]), "");
    assert_eq!(said.code, 0, "{said:?}");
    let logged = fs::read_to_string(keypulse.home().join("logged")).unwrap();
    assert_eq!(logged, "Test: All iCloud app passwords revoked: test@example.com\n");
}
