//! The manners of the program: help, complaints, exit codes, pipes, and a second daemon beside the first.

use std::{fs, os::unix::fs::PermissionsExt, os::unix::net::UnixListener, process::Stdio};

use keypulse::{health::evidence::Service, simulator::Fault};
use serde_json::Value;

use crate::lab::{ICloud, Keypulse, Output, Settings, credential, run};

const ADDRESS: &str = "johnappleseed@icloud.com";
const ACCOUNT: &str = "[[account]]\naddress = \"johnappleseed@icloud.com\"\n";

/// A person with one credential, watched on the simulator when the daemon runs.
fn watched() -> (ICloud, Keypulse) {
    let icloud = ICloud::start();
    let keypulse = Keypulse::new();
    let secret = keypulse.secret("mutt", &icloud.world.new_password(ADDRESS));
    keypulse.configure(&Settings::for_icloud(&icloud).account(ADDRESS).credential_file("mutt", &secret));
    (icloud, keypulse)
}

/// The exit code, and all of `texts` on standard error; nothing on standard output.
#[track_caller]
fn complains(output: &Output, code: i32, texts: &[&str]) {
    assert_eq!((output.code, output.stdout.as_str()), (code, ""), "{output:?}");
    for text in texts {
        assert!(output.stderr.contains(text), "{text:?} is not in: {}", output.stderr);
    }
    assert!(!output.stderr.contains('\u{1b}'), "colours although nobody looks: {}", output.stderr);
}

#[test]
fn help_of_each_command_says_what_it_does_and_fits_a_hundred_columns() {
    #[track_caller]
    fn check(keypulse: &Keypulse, command: &str, texts: &[&str]) {
        let arguments: Vec<&str> = command.split_whitespace().chain(["--help"]).collect();
        let help = keypulse.command(&arguments);
        assert_eq!((help.code, help.stderr.as_str()), (0, ""), "{help:?}");
        for text in ["Usage:", "--help"].iter().chain(texts) {
            assert!(help.stdout.contains(text), "{text:?} is not in: {}", help.stdout);
        }
        for line in help.stdout.lines() {
            assert!(line.chars().count() <= 100, "{command}: {line}");
        }
        assert!(!help.stdout.contains('\u{1b}'), "{}", help.stdout);
    }
    let keypulse = Keypulse::new();
    let commands = ["status", "check", "ok", "add", "remove", "run", "notify-test", "config", "demo"];
    check(&keypulse, "", &commands);
    check(&keypulse, "", &["Exit codes", "KEYPULSE_CONFIG", "KEYPULSE_SOCKET", "--version"]);
    check(&keypulse, "status", &["--json", "--format", "NAME"]);
    check(&keypulse, "check", &["--json", "NAME", "dead"]);
    check(&keypulse, "ok", &["--strict", "revoked", "<NAME>"]);
    check(&keypulse, "add", &["password"]);
    check(&keypulse, "remove", &["keyring"]);
    check(&keypulse, "run", &["foreground"]);
    check(&keypulse, "notify-test", &["test message"]);
    check(&keypulse, "config", &["check", "path", "show"]);
    check(&keypulse, "config check", &["--json"]);
    check(&keypulse, "config path", &["--json"]);
    check(&keypulse, "config show", &["--json", "default"]);
    check(&keypulse, "demo", &["simulated"]);
    assert_eq!(keypulse.command(&["--version"]).ok(), format!("keypulse {}", env!("CARGO_PKG_VERSION")));
    // Help needs neither home nor configuration, and makes nothing.
    assert!(!keypulse.state_dir().exists() && !keypulse.config_file().exists());
}

#[test]
fn wrong_usage_is_64_and_says_what_was_meant() {
    #[track_caller]
    fn check(keypulse: &Keypulse, arguments: &[&str], texts: &[&str]) {
        complains(&keypulse.command(arguments), 64, texts);
    }
    let (_icloud, keypulse) = watched();
    check(&keypulse, &["stauts"], &["'stauts'", "'status'"]);
    check(&keypulse, &["statsu", "--json"], &["'status'"]);
    check(&keypulse, &["check", "--jsn"], &["'--jsn'", "'--json'"]);
    check(&keypulse, &["status", "--format", "xml"], &["'xml'", "table, json"]);
    check(&keypulse, &["status", "--json", "--format", "table"], &["cannot be used with"]);
    check(&keypulse, &["ok"], &["<NAME>"]);
    check(&keypulse, &["run", "now"], &["'now'"]);
    check(&keypulse, &["config"], &["check", "path", "show"]);
    check(&keypulse, &["status", "not a name"], &["1 to 64 of the characters"]);
    check(&keypulse, &["status", "mut"], &["\"mut\""]);
    check(&keypulse, &["check", "mut"], &["\"mut\"", "there are: mutt"]);
    check(&keypulse, &["ok", "--strict", "mut"], &["\"mut\"", "there are: mutt"]);
    check(&keypulse, &["--config"], &["<FILE>"]);
    // Lenient on purpose: `keypulse ok mbsync && mbsync -a` must not stop mail because of a typing error.
    let lenient = keypulse.command(&["ok", "mut"]);
    complains(&lenient, 0, &["\"mut\""]);
    // With a daemon the answers are the same.
    let _daemon = keypulse.run();
    check(&keypulse, &["status", "mut"], &["\"mut\""]);
    check(&keypulse, &["check", "mutt", "mut"], &["\"mut\""]);
    check(&keypulse, &["ok", "--strict", "mut"], &["there are: mutt"]);
}

#[test]
fn a_wrong_configuration_is_78_with_its_place_and_a_remedy() {
    let keypulse = Keypulse::new();
    let credential = |lines: &str| format!("{ACCOUNT}[[account.credential]]\nname = \"mutt\"\n{lines}\n");
    let file = keypulse.config_file();
    let cases = [
        ("[schedul]\n".to_owned(), "1:2", "did you mean `schedule`?"),
        ("[schedule]\nintervall = \"1h\"\n".to_owned(), "2:1", "did you mean `interval`?"),
        ("[schedule]\ninterval = \"1 fortnight\"\n".to_owned(), "2:12", "`1h`"),
        ("[schedule]\ninterval = 3600\n".to_owned(), "2:12", "interval = \"1h\""),
        ("[schedule]\ninterval = \"10s\"\n".to_owned(), "2:12", "at least \"5m\""),
        ("[schedule]\nconfirm = [\"30s\", \"15m\"]\n".to_owned(), "2:12", "at least \"1m\""),
        ("[schedule]\nretest_revoked = \"10m\"\n".to_owned(), "2:18", "at least \"1h\""),
        ("[schedule]\nconfirm = [\"2m\"]\n".to_owned(), "2:11", "write both"),
        ("[schedule]\nconfirm = [\"2m\", \"3m\"]\n".to_owned(), "2:18", "at least \"4m\""),
        ("[schedule]\nstale_after = \"2h\"\n".to_owned(), "2:15", "more than"),
        ("[schedule]\njitter = \"much\"\n".to_owned(), "2:10", "\"20%\""),
        ("[schedule]\ninterval = \"1h\n".to_owned(), "2:15", "close it"),
        ("[limits]\nfailed_logins_per_account = 3\n".to_owned(), "2:29", "4 failed logins"),
        ("[imap]\nport = 70000\n".to_owned(), "2:8", "993"),
        ("[imap]\ntls = \"none\"\n".to_owned(), "2:7", "no mode without encryption"),
        ("[notify.hook]\ncommand = []\n".to_owned(), "2:11", "name a program"),
        ("[notify]\nquiet_hours = \"25:00-07:00\"\n".to_owned(), "2:15", "22:00-07:00"),
        ("[[account]]\naddress = \"nobody\"\n".to_owned(), "2:11", "johnappleseed@icloud.com"),
        (
            format!("{ACCOUNT}{}", ACCOUNT.to_uppercase().replace("ACCOUNT", "account").replace("ADDRESS", "address")),
            "4:11",
            "on line 2",
        ),
        (credential("[[account.credential]]\nname = \"mutt\""), "6:8", "line 4"),
        (credential("services = []"), "5:12", "\"imap\""),
        (credential("secret.file = \"/x\"\nsecret.command = [\"pass\"]"), "5:1", "keep the one"),
        (credential("password = \"abcd-efgh-ijkl-mnop\""), "5:1", "never stands in this file"),
    ];
    for (text, place, remedy) in cases {
        keypulse.configure_text(&text);
        let place = format!("{}:{place}", file.display());
        for arguments in [&["config", "check"][..], &["run"], &["status"], &["check"], &["config", "show"]] {
            let output = keypulse.command(arguments);
            complains(&output, 78, &["error: ", &place, "^", "= help: ", remedy]);
            assert!(!output.stderr.contains("abcd"), "a password: {}", output.stderr);
        }
        // In one line where a program asks.
        let strict = keypulse.command(&["ok", "--strict", "mutt"]);
        complains(&strict, 78, &[&place]);
        assert_eq!(strict.stderr.lines().count(), 1, "{strict:?}");
        complains(&keypulse.command(&["ok", "mutt"]), 0, &[&place]);
        let json = keypulse.command(&["config", "check", "--json"]);
        let answer: Value = serde_json::from_str(&json.stdout).unwrap();
        assert_eq!((json.code, &answer["valid"]), (78, &Value::Bool(false)), "{json:?}");
        assert!(answer["error"].as_str().is_some_and(|error| error.contains(&place)), "{json:?}");
    }
    assert!(!keypulse.state_dir().exists(), "nothing is made for a configuration that is wrong");
}

#[test]
fn all_that_is_wrong_is_said_at_once() {
    let keypulse = Keypulse::new();
    keypulse.configure_text("[schedule]\ninterval = \"1\"\njitter = \"much\"\n[imap]\nport = 0\n");
    let output = keypulse.command(&["config", "check"]);
    complains(&output, 78, &["2:12", "3:10", "5:8"]);
    assert_eq!(output.stderr.matches("= help: ").count(), 3, "{}", output.stderr);
}

#[test]
fn without_a_configuration_nothing_can_be_told_and_the_way_to_one_is_shown() {
    let keypulse = Keypulse::new();
    let way = "`keypulse setup` makes one";
    for (arguments, code) in
        [(&[][..], 3), (&["status"], 3), (&["check"], 3), (&["run"], 78), (&["config", "check"], 78)]
    {
        complains(&keypulse.command(arguments), code, &["no configuration", way]);
    }
    complains(&keypulse.command(&["ok", "mutt"]), 0, &[way]);
    complains(&keypulse.command(&["ok", "mutt", "--strict"]), 78, &[way]);
    let path = keypulse.config_file();
    assert_eq!(keypulse.command(&["config", "path"]).ok(), path.to_str().unwrap());
    let json: Value = serde_json::from_str(&keypulse.command(&["config", "path", "--json"]).ok()).unwrap();
    assert_eq!(json, serde_json::json!({ "path": path, "exists": false }));
    // An empty one is right, and watches nothing.
    keypulse.configure_text("");
    assert!(keypulse.command(&["config", "check"]).ok().contains("nothing is watched yet"));
    let status = keypulse.command(&["status"]);
    assert_eq!(status.code, 3, "{status:?}");
    assert!(status.stdout.contains("keypulse add NAME --account ADDRESS"), "{status:?}");
    let json = keypulse.command(&["status", "--json"]);
    let document: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!((json.code, &document["overall"], &document["daemon"]), (3, &"unknown".into(), &Value::Null));
}

#[test]
fn config_show_prints_what_is_in_effect_and_can_be_read_again() {
    let (_icloud, keypulse) = watched();
    assert!(keypulse.command(&["config", "check"]).ok().ends_with("is right: 1 account, 1 credential"));
    let json: Value = serde_json::from_str(&keypulse.command(&["config", "check", "--json"]).ok()).unwrap();
    assert_eq!((&json["valid"], &json["accounts"], &json["credentials"]), (&true.into(), &1.into(), &1.into()));
    let shown = keypulse.command(&["config", "show"]).ok();
    for text in ["failed_logins_per_account = 12", "remind_every = \"24h\"", "host = \"127.0.0.1\"", "name = \"mutt\""]
    {
        assert!(shown.contains(text), "{text:?} is not in: {shown}");
    }
    let json: Value = serde_json::from_str(&keypulse.command(&["config", "show", "--json"]).ok()).unwrap();
    assert_eq!(json["account"][0]["address"], ADDRESS);
    assert_eq!(json["limits"]["concurrent_checks"], 4);
    keypulse.configure_text(&shown);
    assert_eq!(keypulse.command(&["config", "show"]).ok(), shown);
}

#[test]
fn what_cannot_be_used_is_named_with_a_way_out() {
    let (_icloud, keypulse) = watched();
    let home = keypulse.home();
    let with = |key: &str, value: &str, arguments: &[&str]| {
        let mut program = keypulse.program();
        run(program.args(arguments).env(key, value), "")
    };
    // The state.
    let file = home.join("mutt.secret");
    let file = file.to_str().unwrap();
    complains(&with("KEYPULSE_STATE_DIR", file, &["run"]), 1, &[file, "hint: ", "KEYPULSE_STATE_DIR"]);
    complains(&with("KEYPULSE_STATE_DIR", "/proc/keypulse", &["check"]), 1, &["/proc/keypulse", "KEYPULSE_STATE_DIR"]);
    let broken = home.join("broken");
    fs::create_dir(&broken).unwrap();
    fs::write(broken.join("keypulse.sqlite"), "by no means a database").unwrap();
    let broken = broken.to_str().unwrap();
    let output = with("KEYPULSE_STATE_DIR", broken, &["status"]);
    complains(&output, 1, &[broken, "file is not a database", "hint: ", "keypulse service start"]);
    // The socket.
    let long = format!("/tmp/{}", "x".repeat(120));
    for command in ["run", "status"] {
        complains(&with("KEYPULSE_SOCKET", &long, &[command]), 1, &["125 bytes", "at most 103", "--socket"]);
    }
    complains(&keypulse.command(&["run", "--socket", file]), 1, &[file, "no socket", "--socket"]);
    assert!(fs::read_to_string(file).is_ok(), "it was not replaced");
    // The log filter.
    for filter in ["keypulse=loud", "[[", "="] {
        let output = with("KEYPULSE_LOG", filter, &["run"]);
        complains(&output, 1, &[&format!("KEYPULSE_LOG={filter}"), "hint: a log filter reads like"]);
    }
    // The certificates.
    let text = fs::read_to_string(keypulse.config_file()).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.iter_mut().filter(|line| line.starts_with("extra_ca")).for_each(|line| {
        "extra_ca = \"/nowhere/ca.pem\"".clone_into(line);
    });
    keypulse.configure_text(&lines.join("\n"));
    complains(&keypulse.command(&["run"]), 78, &["tls.extra_ca", "/nowhere/ca.pem", "No such file"]);
}

#[test]
fn a_closed_pipe_ends_quietly() {
    let (_icloud, keypulse) = watched();
    for command in ["status", "status --json", "check", "config show", "config path", "--help", "status --help"] {
        // `true` reads nothing: by the time of the first write the pipe has no reader.
        let mut reader = std::process::Command::new("true").stdin(Stdio::piped()).spawn().unwrap();
        let pipe = reader.stdin.take().unwrap();
        reader.wait().unwrap();
        let mut program = keypulse.program();
        let child = program.args(command.split_whitespace()).stdin(Stdio::null()).stdout(pipe).stderr(Stdio::piped());
        let output = child.output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), &*stderr), (Some(0), ""), "{command}");
    }
    // Nor is it a reason to panic where nobody hears complaints.
    keypulse.configure_text("[schedul]\n");
    for (command, code) in [("status", 78), ("ok mutt --strict", 78), ("stauts", 64), ("run", 78)] {
        let mut reader = std::process::Command::new("true").stdin(Stdio::piped()).spawn().unwrap();
        let pipe = reader.stdin.take().unwrap();
        reader.wait().unwrap();
        let mut program = keypulse.program();
        let status = program.args(command.split_whitespace()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(pipe);
        assert_eq!(status.status().unwrap().code(), Some(code), "{command}");
    }
}

#[test]
fn colours_are_for_terminals_that_want_them() {
    let (_icloud, keypulse) = watched();
    let daemon = keypulse.run();
    daemon.until_health("mutt", "healthy");
    let shown = |key: &str, value: &str| run(keypulse.program().arg("status").env(key, value), "").ok();
    let plain = keypulse.command(&["status"]).ok();
    assert!(!plain.contains('\u{1b}') && plain.contains("mutt"), "{plain}");
    assert!(shown("CLICOLOR_FORCE", "1").contains('\u{1b}'));
    let both = run(keypulse.program().arg("status").env("CLICOLOR_FORCE", "1").env("NO_COLOR", "1"), "").ok();
    assert!(!both.contains('\u{1b}'), "{both}");
    // On a terminal: colours, unless NO_COLOR or a terminal that has none.
    let terminal = |key: &str, value: &str| {
        let line = format!("{} status", env!("CARGO_BIN_EXE_keypulse"));
        let mut script = crate::lab::clean("script");
        script
            .args(["-qec", &line, "/dev/null"])
            .envs(keypulse.program().get_envs().filter_map(|(k, v)| Some((k, v?))));
        run(script.env("TERM", "xterm-256color").env(key, value), "").ok()
    };
    assert!(terminal("ANY", "1").contains('\u{1b}'));
    assert!(!terminal("NO_COLOR", "1").contains('\u{1b}'));
    assert!(!terminal("TERM", "dumb").contains('\u{1b}'));
    assert!(!daemon.log().contains('\u{1b}'), "{}", daemon.log());
}

#[test]
fn the_exit_code_says_how_things_are() {
    #[track_caller]
    fn check(keypulse: &Keypulse, status: i32, ok: i32, strict: i32) {
        for arguments in [&["status"][..], &["status", "--json"], &["status", "mutt"], &["status", "--format", "json"]]
        {
            assert_eq!(keypulse.command(arguments).code, status, "{arguments:?}");
        }
        for (arguments, code) in [(&["ok", "mutt"][..], ok), (&["ok", "mutt", "--strict"], strict)] {
            let output = keypulse.command(arguments);
            assert_eq!((output.code, &*output.stdout, &*output.stderr), (code, "", ""), "{arguments:?}");
        }
    }
    let (icloud, keypulse) = watched();
    // Nothing stored.
    check(&keypulse, 3, 0, 1);
    assert_eq!(keypulse.command(&["check"]).code, 0);
    check(&keypulse, 0, 0, 0);
    let daemon = keypulse.run();
    daemon.until_health("mutt", "healthy");
    check(&keypulse, 0, 0, 0);
    icloud.world.set_fault(Service::Smtp, Some(Fault::RejectValid));
    daemon.until_health("mutt", "degraded");
    check(&keypulse, 1, 0, 0);
    icloud.world.set_fault(Service::Smtp, None);
    icloud.world.reset_main_password(ADDRESS);
    daemon.until_health("mutt", "revoked");
    check(&keypulse, 2, 1, 1);
    // The same from the disk.
    daemon.terminate();
    check(&keypulse, 2, 1, 1);
    let checked = keypulse.command(&["check", "--json"]);
    assert_eq!(checked.code, 2, "{checked:?}");
}

#[test]
fn a_second_daemon_is_refused_and_the_first_unharmed() {
    let (icloud, keypulse) = watched();
    let first = keypulse.run();
    first.until_health("mutt", "healthy");
    let state = keypulse.state_dir();
    // The same state, the same socket; the same state, another socket.
    let socket = keypulse.home().join("run/other.sock");
    let second = keypulse.command(&["run"]);
    complains(&second, 1, &["another keypulse", state.to_str().unwrap(), "KEYPULSE_STATE_DIR"]);
    let second = keypulse.command(&["run", "--socket", socket.to_str().unwrap()]);
    complains(&second, 1, &["another keypulse", "KEYPULSE_STATE_DIR"]);
    assert!(!socket.exists());
    // Another state, the same socket.
    let other = keypulse.home().join("other");
    let second = run(keypulse.program().arg("run").env("KEYPULSE_STATE_DIR", &other), "");
    complains(&second, 1, &["another keypulse listens on", keypulse.socket().to_str().unwrap(), "--socket"]);
    let seen = icloud.connections();
    first.until("the first goes on", |status| {
        credential(status, "mutt")["health"] == "healthy" && icloud.connections() > seen
    });
    assert!(first.terminate().0.success());
    assert!(!keypulse.socket().exists(), "it takes its socket with it");
}

#[test]
fn what_a_killed_daemon_leaves_is_no_obstacle() {
    let (_icloud, keypulse) = watched();
    let first = keypulse.run();
    first.until_health("mutt", "healthy");
    first.kill9();
    assert!(keypulse.socket().exists(), "as after a power cut");
    // Nobody answers there: the state on disk does.
    let status = keypulse.command(&["status"]);
    assert_eq!(status.code, 0, "{status:?}");
    assert!(status.stdout.contains("daemon not running"), "{status:?}");
    let second = keypulse.run();
    second.until_health("mutt", "healthy");
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&keypulse.socket()), 0o600);
    assert_eq!(mode(&keypulse.state_dir()), 0o700);
    for file in fs::read_dir(keypulse.state_dir()).unwrap() {
        let path = file.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

#[test]
fn somebody_elses_socket_is_not_replaced() {
    let (_icloud, keypulse) = watched();
    fs::create_dir(keypulse.socket().parent().unwrap()).unwrap();
    let _listener = UnixListener::bind(keypulse.socket()).unwrap();
    complains(&keypulse.command(&["run"]), 1, &["another keypulse listens on", "--socket"]);
    assert!(keypulse.socket().exists());
}
