//! `keypulse service`: the unit written, started, renewed and taken away, under a real `systemd --user`.

use std::{fs, path::PathBuf, process::Command};

use serde_json::Value;

use crate::lab::{Bus, Keyring, Mail, Output, Settings, UserManager, run, until};

const ADDRESS: &str = "johnappleseed@icloud.com";
const PASSWORD: &str = "abcd-efgh-ijkl-mnop";

/// A person with keypulse, a password that works, and a user manager.
struct Person {
    manager: UserManager,
    program: PathBuf,
}

impl Person {
    fn new(mail: &Mail) -> Self {
        Self::of(UserManager::unprivileged(), mail)
    }

    fn of(manager: UserManager, mail: &Mail) -> Self {
        mail.dovecot.set_password(ADDRESS, PASSWORD);
        let secret = manager.write("secret", PASSWORD, 0o600);
        let program = manager.home().join("my programs/keypulse");
        let person = Self { manager, program };
        person.copy_program();
        let settings = Settings::for_mail(mail).account(ADDRESS).credential_file("thunderbird", &secret);
        person.manager.write(".config/keypulse/config.toml", settings.to_toml(), 0o600);
        person
    }

    /// As an upgrade does it: another file in the same place.
    fn copy_program(&self) {
        fs::create_dir_all(self.program.parent().unwrap()).unwrap();
        let new = self.program.with_extension("new");
        fs::copy(env!("CARGO_BIN_EXE_keypulse"), &new).unwrap();
        fs::rename(new, &self.program).unwrap();
    }

    fn config(&self) -> PathBuf {
        self.manager.home().join(".config/keypulse/config.toml")
    }

    fn unit(&self) -> PathBuf {
        self.manager.home().join(".config/systemd/user/keypulse.service")
    }

    fn keypulse(&self, arguments: &[&str]) -> Output {
        run(self.client().args(arguments), "")
    }

    fn client(&self) -> Command {
        self.manager.client(self.program.to_str().unwrap())
    }

    fn service_status(&self) -> Value {
        serde_json::from_str(&self.keypulse(&["service", "status", "--json"]).stdout).unwrap()
    }
}

#[test]
fn install_writes_the_unit_starts_it_and_does_nothing_twice() {
    let mail = Mail::start();
    let person = Person::new(&mail);
    let dry = person.keypulse(&["service", "install", "--dry-run"]).ok();
    assert!(!person.unit().exists(), "a dry run writes nothing");
    let file = person.unit().display().to_string();
    let begin = format!("# {file}\n");
    assert!(dry.starts_with(&begin), "{dry}");

    let said = person.keypulse(&["service", "install"]).ok();
    for step in [&*format!("wrote {file}"), "it starts at every login", "started it"] {
        assert!(said.contains(step), "{step:?} in {said}");
    }
    assert_eq!(fs::read_to_string(person.unit()).unwrap().trim_end(), &dry[begin.len()..]);
    assert!(dry.contains("\nPrivateUsers=yes\n") && !said.contains("sandbox"), "{said}");
    let status = person.service_status();
    for fact in ["installed", "current", "enabled", "active"] {
        assert_eq!(status[fact], true, "{fact}: {status:#}");
    }
    let shown = person.keypulse(&["service", "status"]).ok();
    assert!(shown.contains("now       active (running), process "), "{shown}");
    until("the status line", || {
        let says = person.service_status()["says"].as_str().unwrap_or_default().to_owned();
        says.starts_with("1 password healthy, next check ").then_some(())
    });
    let before = status["pid"].clone();

    let again = person.keypulse(&["service", "install"]).ok();
    assert!(again.contains("is in place") && again.contains("it runs already"), "{again}");
    assert_eq!(person.service_status()["pid"], before);

    person.copy_program();
    let upgraded = person.keypulse(&["service", "install"]).ok();
    assert!(upgraded.contains("restarted it"), "{upgraded}");
    assert_ne!(person.service_status()["pid"], before);

    fs::write(person.unit(), "[Service]\nExecStart=/bin/true\n").unwrap();
    assert_eq!(person.service_status()["current"], false);
    let renewed = person.keypulse(&["service", "install"]).ok();
    assert!(renewed.contains("wrote ") && renewed.contains("started it"), "{renewed}");
}

#[test]
fn stop_and_start_and_uninstall_leave_no_trace_but_the_state() {
    let mail = Mail::start();
    let person = Person::new(&mail);
    let none = person.keypulse(&["service", "start"]);
    assert_eq!(none.code, 1);
    assert!(none.stderr.contains("hint: `keypulse service install`"), "{none:?}");
    assert_eq!(person.keypulse(&["service", "status"]).code, 1);

    person.keypulse(&["service", "install"]).ok();
    person.keypulse(&["service", "stop"]).ok();
    assert_eq!(person.service_status()["active"], false);
    assert_eq!(person.keypulse(&["service", "status"]).code, 1);
    person.keypulse(&["service", "start"]).ok();
    assert_eq!(person.service_status()["active"], true);

    let said = person.keypulse(&["service", "uninstall"]).ok();
    for step in
        ["stopped it", "it no longer starts at login", "removed ", "the state stays in", "the configuration stays"]
    {
        assert!(said.contains(step), "{step:?} in {said}");
    }
    assert!(!person.unit().exists());
    let wants = person.manager.home().join(".config/systemd/user/default.target.wants/keypulse.service");
    assert!(!wants.is_symlink());
    assert_eq!(person.manager.property("keypulse", "LoadState"), "not-found");
    assert!(!person.manager.runtime_dir().join("keypulse").exists());
    let state = person.manager.home().join(".local/state/keypulse");
    assert!(state.join("keypulse.sqlite").exists());

    let said = person.keypulse(&["service", "uninstall", "--purge"]).ok();
    assert!(said.contains("no service is installed") && said.contains("deleted "), "{said}");
    assert!(!state.exists());
    assert!(person.config().exists());
}

#[test]
fn purge_takes_what_keypulse_put_into_the_keyring_and_nothing_else() {
    let mail = Mail::start();
    let person = Person::new(&mail);
    let bus = Bus::of(&person.manager);
    let keyring = Keyring::start(&bus);
    keyring.store("keypulse", "mutt", PASSWORD);
    keyring.store("mbsync", "me", PASSWORD);
    let foreign = "secret.keyring = { service = \"mbsync\", username = \"me\" }";
    let settings = Settings::for_mail(&mail).account(ADDRESS).credential_keyring("mutt").credential("mbsync", foreign);
    person.manager.write(".config/keypulse/config.toml", settings.to_toml(), 0o600);
    person.keypulse(&["service", "install"]).ok();
    until("both healthy", || {
        let says = person.service_status()["says"].as_str().unwrap_or_default().to_owned();
        says.starts_with("2 passwords healthy").then_some(())
    });
    let said = person.keypulse(&["service", "uninstall"]).ok();
    assert!(said.contains("the state stays in") && keyring.lookup("keypulse", "mutt").is_some(), "{said}");
    person.keypulse(&["service", "uninstall", "--purge"]).ok();
    assert_eq!(keyring.lookup("keypulse", "mutt"), None);
    assert_eq!(keyring.lookup("mbsync", "me").as_deref(), Some(PASSWORD), "it is another program's");
    assert!(!person.manager.home().join(".local/state/keypulse").exists());
}

#[test]
fn what_a_person_runs_otherwise_is_said_and_left_alone() {
    let mail = Mail::start();
    let person = Person::new(&mail);
    let socket = person.manager.home().join("k.sock");
    let state = person.manager.home().join("other state");
    let said = run(
        person
            .client()
            .args(["service", "install", "--dry-run", "--socket", socket.to_str().unwrap()])
            .env("KEYPULSE_STATE_DIR", &state),
        "",
    )
    .ok();
    let start = format!("ExecStart=\"{}\" --socket {} run", person.program.display(), socket.display());
    assert!(said.lines().any(|line| line == start), "{start}\n{said}");
    assert!(said.contains(&format!("ReadWritePaths=\"-{}\"", state.display())), "{said}");

    // Without a manager: what to do instead. Without a configuration: what is missing.
    let lost = run(
        person
            .client()
            .args(["service", "install"])
            .env("XDG_RUNTIME_DIR", "/nonexistent")
            .env_remove("DBUS_SESSION_BUS_ADDRESS"),
        "",
    );
    assert_eq!(lost.code, 1);
    assert!(lost.stderr.contains("hint: there is no service manager of yours to ask"), "{lost:?}");
    assert!(!person.unit().exists());
    fs::remove_file(person.config()).unwrap();
    assert_eq!(person.keypulse(&["service", "install"]).code, 78);
    assert!(!person.unit().exists());
}

#[test]
fn without_user_namespaces_it_runs_without_its_sandbox_and_says_so() {
    let mail = Mail::start();
    let person = Person::of(UserManager::without_user_namespaces(), &mail);
    let said = person.keypulse(&["service", "install"]).ok();
    assert!(said.contains("without its sandbox: user namespaces do not work on this machine"), "{said}");
    let unit = fs::read_to_string(person.unit()).unwrap();
    assert!(unit.contains("# No sandbox: user namespaces do not work") && !unit.contains("PrivateUsers"), "{unit}");
    // Neither a fault of the file nor a reason to write it again.
    assert_eq!(person.service_status()["current"], true);
    until("a healthy password", || {
        let says = person.service_status()["says"].as_str().unwrap_or_default().to_owned();
        says.starts_with("1 password healthy").then_some(())
    });
    // Nobody but root may look which program it is, so it says so itself.
    let pid = person.service_status()["pid"].clone();
    assert_ne!(run(person.manager.client("readlink").arg(format!("/proc/{pid}/exe")), "").code, 0);
    assert!(person.keypulse(&["service", "install"]).ok().contains("it runs already"));
    person.copy_program();
    let shown = person.keypulse(&["status"]).ok().split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(shown.contains("its program was renewed: restart it"), "{shown}");
    assert!(person.keypulse(&["service", "install"]).ok().contains("restarted it"));
    assert_ne!(person.service_status()["pid"], pid);
    // What shows that the manager is such a one: the whole unit would not even start, or be kept in by nothing.
    let confined =
        ["--property=PrivateUsers=yes", "--property=ProtectSystem=strict", "sh", "-c", "! test -w \"$HOME\""];
    let mut attempt = person.manager.client("systemd-run");
    attempt.args(["--user", "--quiet", "--wait", "--collect"]).args(confined);
    assert_ne!(run(&mut attempt, "").code, 0);
}

#[test]
fn doctor_sees_a_service_that_is_not_as_it_should_be() {
    let mail = Mail::start();
    let person = Person::of(UserManager::unprivileged(), &mail);
    person.keypulse(&["service", "install"]).ok();
    let line = |check: &str| {
        let said: Value = serde_json::from_str(&person.keypulse(&["doctor", "--json"]).stdout).unwrap();
        let line = said["checks"].as_array().unwrap().iter().find(|line| line["check"] == check).unwrap().clone();
        ["grade", "says", "remedy"].map(|key| line[key].as_str().unwrap_or_default().to_owned()).join(" | ")
    };
    assert!(
        line("service").starts_with("ok | installed, starts when you log in, active (running)"),
        "{}",
        line("service")
    );
    assert!(line("daemon").starts_with("ok | version "), "{}", line("daemon"));
    // An upgrade without a restart.
    person.copy_program();
    let daemon = line("daemon");
    assert!(
        daemon.starts_with("warning | ") && daemon.contains("its program was replaced since it started"),
        "{daemon}"
    );
    assert!(daemon.ends_with("| systemctl --user restart keypulse"), "{daemon}");
    // Somebody's own line in our file.
    let text = fs::read_to_string(person.unit()).unwrap();
    fs::write(person.unit(), text.replace("[Service]\n", "[Service]\nNice=5\n")).unwrap();
    let service = line("service");
    assert!(service.contains("its file changed since the service manager read it"), "{service}");
    assert!(service.ends_with("systemctl --user daemon-reload && systemctl --user restart keypulse"), "{service}");
    person.manager.systemctl(&["daemon-reload"]);
    let service = line("service");
    assert!(service.contains("its file is not the one that this program installs"), "{service}");
    assert!(service.contains("| keypulse service install "), "{service}");
    person.keypulse(&["service", "install"]).ok();
    assert!(line("service").starts_with("ok | ") && line("daemon").starts_with("ok | "), "{}", line("daemon"));
}

#[test]
fn a_packages_unit_serves_where_it_is() {
    let mail = Mail::start();
    let person = Person::new(&mail);
    let dry = person.keypulse(&["service", "install", "--dry-run"]).ok();
    let (_, text) = dry.split_once('\n').unwrap();
    // Where packages that a person installs for themselves put theirs (systemd.unit(5)).
    let unit = person.manager.write(".local/share/systemd/user/keypulse.service", format!("{text}\n"), 0o644);
    person.manager.systemctl(&["daemon-reload"]).ok();

    let said = person.keypulse(&["service", "install"]).ok();
    let place = format!("{} is in place", unit.display());
    assert!(said.contains(&place) && said.contains("started it"), "{said}");
    assert!(!person.unit().exists(), "it would hide the package's from now on");
    let status = person.service_status();
    assert_eq!(status["file"], unit.to_str().unwrap());
    for fact in ["installed", "current", "enabled", "active"] {
        assert_eq!(status[fact], true, "{fact}: {status:#}");
    }
    let said = person.keypulse(&["service", "uninstall"]).ok();
    assert!(said.contains("stopped it") && said.contains("stays: it belongs to a package"), "{said}");
    assert!(unit.exists());
    assert_eq!(person.service_status()["enabled"], false);

    // One that says something else is no reason not to write one's own.
    fs::write(&unit, text.replace("WatchdogSec=10min", "WatchdogSec=1h")).unwrap();
    person.manager.systemctl(&["daemon-reload"]).ok();
    assert!(person.keypulse(&["service", "install"]).ok().contains("wrote "));
    assert_eq!(person.service_status()["file"], person.unit().to_str().unwrap());
}

#[test]
fn who_does_not_linger_is_told_what_that_means() {
    let mail = Mail::start();
    let person = Person::new(&mail);
    // There is no logind to ask here: its client answers as it would.
    person.manager.write("bin/loginctl", "#!/bin/sh\necho no\n", 0o755);
    let path = format!("{}:/usr/bin:/bin", person.manager.home().join("bin").display());
    let said = |arguments: &[&str]| run(person.client().args(arguments).env("PATH", &path), "").ok();
    let installed = said(&["service", "install"]);
    assert!(installed.contains("it runs while you are logged in; for it to start at boot"), "{installed}");
    assert!(installed.contains("loginctl enable-linger"), "{installed}");
    assert!(said(&["service", "status"]).contains("lingers   no"), "{installed}");
}
