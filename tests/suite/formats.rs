//! `status` for every place: bars, Prometheus, and `--watch`.

use std::process::Stdio;

use serde_json::{Value, json};

use crate::{
    contract::check_contract,
    lab::{ICloud, Keypulse, Output, Settings, Terminal, Tls, clean, run, until},
};

const ADDRESS: &str = "johnappleseed@icloud.com";

/// One person with two passwords on the simulator.
struct Home {
    icloud: ICloud,
    keypulse: Keypulse,
    passwords: [String; 2],
}

fn home() -> Home {
    let icloud = ICloud::start();
    let keypulse = Keypulse::new();
    let passwords = [(); 2].map(|()| icloud.world.new_password(ADDRESS));
    let [mutt, nas] = [("mutt", &passwords[0]), ("nas", &passwords[1])].map(|(name, it)| keypulse.secret(name, it));
    let settings = Settings::for_icloud(&icloud).account(ADDRESS).credential_file("mutt", &mutt);
    keypulse.configure(&settings.credential_file("nas", &nas));
    Home { icloud, keypulse, passwords }
}

#[track_caller]
fn one_line(output: &Output) -> &str {
    assert_eq!(output.code, 0, "{output:?}");
    let line = output.stdout.strip_suffix('\n').unwrap();
    assert!(!line.contains(['\n', '\u{1b}']), "{output:?}");
    line
}

#[test]
fn bars_get_a_line_and_exit_code_0_whatever_it_says() {
    let home = home();
    let daemon = home.keypulse.run();
    daemon.until("all healthy", |status| status["counts"]["healthy"] == 2);
    let oneline = || home.keypulse.command(&["status", "--format", "oneline"]);
    let waybar = || -> Value {
        let output = home.keypulse.command(&["status", "--format", "waybar"]);
        serde_json::from_str(one_line(&output)).unwrap()
    };
    assert_eq!(one_line(&oneline()), "keypulse ✓ 2");
    let module = waybar();
    assert_eq!(
        (&module["text"], &module["alt"], &module["class"], &module["percentage"]),
        (&json!("keypulse ✓ 2"), &json!("ok"), &json!("ok"), &json!(100))
    );
    home.icloud.world.reset_main_password(ADDRESS);
    daemon.until("all dead", |status| status["counts"]["revoked"] == 2);
    assert_eq!(one_line(&oneline()), "keypulse ✗ 2 dead: mutt, nas");
    let module = waybar();
    assert_eq!((&module["class"], &module["percentage"]), (&json!("critical"), &json!(0)));
    assert!(module["tooltip"].as_str().unwrap().starts_with("<tt>johnappleseed@icloud.com\n"), "{module}");
    assert!(module["tooltip"].as_str().unwrap().contains("What to do"), "{module}");
    assert_eq!(home.keypulse.command(&["status"]).code, 2, "the table's is as it was");
    assert_eq!(one_line(&home.keypulse.command(&["status", "mutt", "--format", "oneline"])), "keypulse ✗ 1 dead: mutt");

    daemon.terminate();
    assert_eq!(one_line(&oneline()), "keypulse ✗ 2 dead: mutt, nas · not running");
    // What is wrong stands in the bar.
    home.keypulse.configure_text("[schedule]\ninterval = 7\n");
    let broken = oneline();
    assert!(one_line(&broken).starts_with("keypulse ? "), "{broken:?}");
    assert!(broken.stderr.contains("config.toml:2:12"), "{broken:?}");
    std::fs::remove_file(home.keypulse.config_file()).unwrap();
    let module = waybar();
    assert_eq!(module["class"], "unknown");
    assert!(module["tooltip"].as_str().unwrap().contains("there is no configuration file"), "{module}");
}

#[test]
fn an_unknown_name_is_wrong_usage_in_every_format() {
    let home = home();
    let daemon = home.keypulse.run();
    for format in ["table", "json", "oneline", "waybar", "prometheus"] {
        for running in [true, false] {
            let socket = if running { home.keypulse.socket() } else { home.keypulse.home().join("none.sock") };
            let socket = socket.to_str().unwrap();
            let output = home.keypulse.command(&["status", "--format", format, "mut", "--socket", socket]);
            assert_eq!((output.code, &*output.stdout), (64, ""), "{format}: {output:?}");
            let near = "no credential is named \"mut\"; did you mean mutt? there are: mutt, nas";
            assert!(output.stderr.contains(near), "{format}: {output:?}");
        }
    }
    drop(daemon);
}

/// Reads the text as Prometheus's own client library does; `{"name{label=value,…}": value}`, with the families' types.
const PARSE: &str = r#"
import json, sys
from prometheus_client.parser import text_string_to_metric_families
families = list(text_string_to_metric_families(sys.stdin.read()))
samples = {}
for family in families:
    for sample in family.samples:
        labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
        key = f"{sample.name}{{{labels}}}"
        assert key not in samples, key
        samples[key] = sample.value
json.dump({"types": {f.name: f.type for f in families}, "samples": samples}, sys.stdout)
"#;

#[track_caller]
fn parsed(text: &str) -> Value {
    assert!(text.ends_with('\n'));
    let output = run(clean("/usr/bin/python3").args(["-c", PARSE]), text);
    assert_eq!(output.code, 0, "{output:?}");
    serde_json::from_str(&output.stdout).unwrap()
}

#[test]
fn metrics_are_read_by_prometheus_and_the_same_from_socket_and_command() {
    let home = home();
    // No round comes between two questions.
    let text = std::fs::read_to_string(home.keypulse.config_file()).unwrap();
    home.keypulse
        .configure_text(&text.replace("interval = \"500ms\"", "interval = \"12h\"").replace("\"1h\"", "\"30h\""));
    let daemon = home.keypulse.run();
    daemon.until("all healthy", |status| status["counts"]["healthy"] == 2);
    let command = home.keypulse.command(&["status", "--format", "prometheus"]);
    assert_eq!((command.code, &*command.stderr), (0, ""), "{command:?}");
    let socket = home.keypulse.request("GET", "/metrics", "").unwrap();
    assert_eq!(socket.code, 200);
    assert!(socket.head.contains("content-type: text/plain; version=0.0.4"), "{socket:?}");
    assert_eq!(socket.body, command.stdout, "the same bytes");

    let metrics = parsed(&command.stdout);
    assert_eq!(
        metrics["types"],
        json!({
            "keypulse_credential_health": "gauge",
            "keypulse_credential_last_accepted_timestamp_seconds": "gauge",
            "keypulse_attempts": "counter",
            "keypulse_failed_logins_24h": "gauge",
            "keypulse_attempt_duration_seconds": "histogram",
        })
    );
    let sample = |metrics: &Value, key: &str| metrics["samples"][key].as_f64();
    let health = |name: &str, health: &str| {
        format!("keypulse_credential_health{{account={ADDRESS},credential={name},health={health}}}")
    };
    assert_eq!(sample(&metrics, &health("mutt", "healthy")), Some(1.0), "{metrics:#}");
    assert_eq!(sample(&metrics, &health("mutt", "revoked")), Some(0.0));
    let status = daemon.status_json();
    let accepted = status["accounts"][0]["credentials"][0]["last_accepted_at"].as_str().unwrap();
    let accepted: jiff::Timestamp = accepted.parse().unwrap();
    let key = format!("keypulse_credential_last_accepted_timestamp_seconds{{account={ADDRESS},credential=mutt}}");
    assert_eq!(sample(&metrics, &key), accepted.as_second().to_string().parse().ok());
    let accepted_by =
        |service: &str| format!("keypulse_attempts_total{{cause=none,finding=accepted,service={service}}}");
    assert_eq!(sample(&metrics, &accepted_by("imap")), Some(2.0));
    assert_eq!(sample(&metrics, "keypulse_attempt_duration_seconds_count{service=smtp}"), Some(2.0));
    assert_eq!(sample(&metrics, "keypulse_attempt_duration_seconds_bucket{le=+Inf,service=smtp}"), Some(2.0));
    assert_eq!(sample(&metrics, &format!("keypulse_failed_logins_24h{{account={ADDRESS}}}")), Some(0.0));

    // A dead password: the exit code stays 0, and the counters have grown.
    home.icloud.world.revoke(ADDRESS, &home.passwords[0]);
    assert_eq!(home.keypulse.command(&["check", "mutt"]).code, 1);
    daemon.until_health("mutt", "revoked");
    let dead = home.keypulse.command(&["status", "--format", "prometheus"]);
    assert_eq!(dead.code, 0);
    let dead = parsed(&dead.stdout);
    assert_eq!(sample(&dead, &health("mutt", "revoked")), Some(1.0));
    let rejected = "keypulse_attempts_total{cause=none,finding=rejected,service=imap}";
    assert!(sample(&dead, rejected).unwrap() >= 1.0 && sample(&metrics, rejected) == Some(0.0), "{dead:#}");

    // Counters stand where they stood, without a daemon and after a new start.
    let counters = |metrics: &Value| {
        let samples = metrics["samples"].as_object().unwrap();
        samples
            .iter()
            .filter(|(key, _)| key.contains("attempt"))
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect::<Vec<_>>()
    };
    let running = parsed(&home.keypulse.command(&["status", "--format", "prometheus"]).stdout);
    daemon.terminate();
    let alone = parsed(&home.keypulse.command(&["status", "--format", "prometheus"]).stdout);
    assert_eq!(counters(&alone), counters(&running));
    assert_eq!(sample(&alone, &health("nas", "healthy")), Some(1.0));
}

#[test]
fn watch_on_a_pipe_is_a_line_per_change_and_ends_with_its_reader() {
    let home = home();
    let daemon = home.keypulse.run();
    daemon.until("all healthy", |status| status["counts"]["healthy"] == 2);
    let bar = home.keypulse.spawn(&["status", "--format", "waybar", "--watch"]);
    let until = |line: usize, text: &str| {
        bar.until(&format!("{text:?} in line {line}"), || {
            let log = bar.log();
            log.lines().nth(line).is_some_and(|line| line.contains(text)).then_some(())
        });
    };
    until(0, r#""text":"keypulse ✓ 2""#);
    home.icloud.world.reset_main_password(ADDRESS);
    let last = |text: &str| {
        bar.until(&format!("{text:?} in the last line"), || {
            bar.log().lines().last().is_some_and(|line| line.contains(text)).then_some(())
        });
    };
    last("2 dead: mutt, nas");
    daemon.terminate();
    last("2 dead: mutt, nas · not running");
    let _daemon = home.keypulse.run();
    last(r#"2 dead: mutt, nas","#);
    for line in bar.log().lines() {
        let module: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(module["text"].is_string());
    }
    bar.signal(rustix::process::Signal::TERM);
    assert_eq!(bar.wait().code(), Some(0));

    let document = home.keypulse.program().args(["status", "--json", "--watch"]).stdout(Stdio::piped()).spawn();
    let mut document = document.unwrap();
    let mut reader = std::io::BufReader::new(document.stdout.take().unwrap());
    let mut line = String::new();
    std::io::BufRead::read_line(&mut reader, &mut line).unwrap();
    check_contract(&serde_json::from_str(&line).unwrap());
    drop(reader);
    assert_eq!(
        document.wait().unwrap().code(),
        Some(0),
        "it ends when nobody reads it any more, though nothing changes"
    );
}

#[test]
fn watch_redraws_the_table_in_place_and_gives_the_terminal_back() {
    let home = home();
    let daemon = home.keypulse.run();
    daemon.until("all healthy", |status| status["counts"]["healthy"] == 2);
    let mut terminal = Terminal::run(&home.keypulse, &["status", "--watch"]);
    terminal.until("2 healthy");
    terminal.until("Ctrl-C ends");
    let begun = terminal.screen();
    assert!(begun.contains("\u{1b}[?1049h") && begun.contains("\u{1b}[?25l"), "a screen of its own: {begun:?}");
    home.icloud.world.reset_main_password(ADDRESS);
    terminal.until("2 revoked");
    // It goes on without the daemon, and with the next one.
    daemon.terminate();
    terminal.until("daemon not running");
    let _daemon = home.keypulse.run();
    let drawn = terminal.screen().len();
    until("the next daemon on the screen", || {
        terminal.screen()[drawn..].contains("daemon running since").then_some(())
    });
    terminal.keys("\u{3}");
    let (code, echoes) = terminal.end();
    assert_eq!((code, echoes), (Some(2), true));
    let end = terminal.screen();
    assert!(end.contains("\u{1b}[?25h\u{1b}[?1049l"), "{end:?}");
    let frames = end.matches("\u{1b}[H").count();
    assert!(frames >= 4, "{frames} frames: {end:?}");
}

#[test]
fn watch_says_what_it_cannot_do() {
    #[track_caller]
    fn check(output: &Output, text: &str) {
        assert_eq!((output.code, &*output.stdout), (64, ""), "{output:?}");
        assert!(output.stderr.contains(text) && output.stderr.contains("\nhint: "), "{output:?}");
    }
    let home = home();
    check(&home.keypulse.command(&["status", "--watch"]), "standard output is no terminal");
    check(&home.keypulse.command(&["status", "--watch", "--format", "prometheus"]), "Prometheus asks by itself");
    let unknown = home.keypulse.command(&["status", "--watch", "--format", "waybar", "nobody"]);
    assert_eq!(unknown.code, 64, "{unknown:?}");
    // What may still come is waited for, and why there is nothing yet is said once.
    let early = Keypulse::new();
    let program = early.spawn(&["status", "--json", "--watch"]);
    program.until("the trouble", || program.log().contains("there is no configuration file").then_some(()));
    early.configure(&Settings::new().imap(9, Tls::Implicit).smtp(9, Tls::Implicit));
    program.until("the document", || program.log().contains("\"schema\":1").then_some(()));
    assert_eq!(program.log().lines().count(), 2, "{}", program.log());
}
