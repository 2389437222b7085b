//! The sandbox of the user unit, under the user manager of an account without privileges: what it forbids, and that what
//! keypulse needs goes on inside.

use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt, path::Path};

use serde_json::Value;

use crate::lab::{Bus, Dunst, Keyring, Output, Person, credential, run, until};

const PROBE: &str = include_str!("sandbox_probe.py");
const OTHER: &str = "bbbb-bbbb-bbbb-bbbb";

/// What is tried, what comes of it outside of the sandbox, and what inside: the error's name, or nothing where it is done.
type Row = (&'static str, Option<&'static str>, Option<&'static str>);
const TRIES: [Row; 27] = [
    ("write its own directory", None, None),
    ("connect to the bus", None, None),
    ("ask for routes", None, None),
    // ProtectSystem=strict
    ("write the home directory", None, Some("EROFS")),
    ("write the runtime directory", None, Some("EROFS")),
    // PrivateTmp, PrivateDevices, PrivateUsers
    ("see others' temporary files", None, Some("ENOENT")),
    ("see devices", None, Some("ENOENT")),
    ("see who owns what", None, Some("EOVERFLOW")),
    // ProtectKernelTunables, ProtectKernelLogs, ProtectControlGroups, ProtectClock, ProtectHostname
    ("read where the kernel keeps what", None, Some("EACCES")),
    ("see the kernel's log", None, Some("EACCES")),
    ("change the kernel's settings", None, Some("EROFS")),
    ("change devices' settings", None, Some("EROFS")),
    ("change its control group", None, Some("EROFS")),
    ("ask the kernel's clock", None, Some("EPERM")),
    ("have the machine's own name", None, Some("EPERM")),
    // RestrictNamespaces, NoNewPrivileges, RestrictSUIDSGID, CapabilityBoundingSet, MemoryDenyWriteExecute
    ("make a namespace", None, Some("EPERM")),
    ("become root by a program", None, Some("EPERM")),
    ("make a program that others run as this account", None, Some("EPERM")),
    ("keep capabilities for its children", None, Some("EPERM")),
    ("make machine code", None, Some("EPERM")),
    // SystemCallArchitectures, LockPersonality, SystemCallFilter, RestrictRealtime, RestrictAddressFamilies
    ("run another architecture's code", None, Some("ENOSYS")),
    ("change the personality", None, Some("EPERM")),
    ("trace", None, Some("EPERM")),
    ("change a file's owner", None, Some("EPERM")),
    ("change its priority", None, Some("EPERM")),
    ("run a process that is none in real time", Some("ESRCH"), Some("EPERM")),
    ("talk to the network card itself", Some("EPERM"), Some("EAFNOSUPPORT")),
];

/// What the probe said, like the table above.
fn outcome(text: &str) -> BTreeMap<String, Option<String>> {
    let said: BTreeMap<String, Value> = serde_json::from_str(text).unwrap_or_else(|_| panic!("{text}"));
    said.into_iter().map(|(what, came)| (what, came.as_str().map(str::to_owned))).collect()
}

fn expected(pick: fn(&Row) -> Option<&'static str>) -> BTreeMap<String, Option<String>> {
    TRIES.iter().map(|row| (row.0.to_owned(), pick(row).map(str::to_owned))).collect()
}

impl Person {
    /// Runs a program as a service without a sandbox.
    #[track_caller]
    fn outside(&self, directory: &Path, command: &[&str], input: &str) -> Output {
        let mut run_it = self.manager.client("systemd-run");
        run_it.args(["--user", "--quiet", "--wait", "--collect", "--pipe"]);
        run_it.arg(format!("--working-directory={}", directory.display())).args(command);
        run(&mut run_it, input)
    }

    /// Starts the service and waits for so many healthy passwords.
    #[track_caller]
    fn all_healthy(&self, count: usize) {
        self.systemctl("start").ok();
        self.until(&format!("{count} healthy"), || self.asked()["counts"]["healthy"] == count);
    }
}

#[test]
fn every_restriction_bites() {
    let person = Person::new("");
    let probe = person.manager.write("probe.py", PROBE, 0o600);
    let in_tmp = tempfile::NamedTempFile::new().unwrap();
    let state = person.manager.home().join(".local/state/keypulse");
    let elsewhere = person.manager.home().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    person.manager.account().give(&elsewhere);
    let program = elsewhere.join("root-id");
    fs::copy("/usr/bin/id", &program).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o4755)).unwrap();
    let names = fs::read_link("/proc/self/ns/uts").unwrap();
    let words = [&probe, in_tmp.path(), &program, &names].map(|word| word.to_str().unwrap());

    let outside = person.outside(&elsewhere, &[&["python3"], &words[..]].concat(), "").ok();
    assert_eq!(outcome(&outside), expected(|row| row.1));

    // The same as the source of a password, which is how a program of the person's comes into the sandbox.
    let script = format!(
        "cd {} && python3 {} >outcome 2>&1; echo {}",
        state.display(),
        words.map(|word| format!("'{word}'")).join(" "),
        Person::PASSWORD
    );
    let settings = person.settings().credential_command("probe", &["sh", "-c", &script]);
    person.configure(&settings.to_toml());
    person.all_healthy(2);
    let inside = fs::read_to_string(state.join("outcome")).unwrap();
    assert_eq!(outcome(&inside), expected(|row| row.2));
}

#[test]
fn passwords_are_read_and_messages_sent_from_inside() {
    let person = Person::new("ReadWritePaths=-%h/told\n");
    let home = person.manager.home();
    let bus = Bus::of(&person.manager);
    let keyring = Keyring::start(&bus);
    let dunst = Dunst::start(&bus);
    keyring.store("keypulse", "mutt", Person::PASSWORD);
    // `pass`, with a key that gpg's agent holds: the manager starts it outside of the sandbox.
    for (command, input) in [
        (&["gpg", "--batch", "--passphrase", "", "--quick-generate-key", "keypulse-test"][..], ""),
        (&["pass", "init", "keypulse-test"], ""),
        (&["pass", "insert", "--multiline", "icloud/nas"], Person::PASSWORD),
    ] {
        person.outside(&home, command, input).ok();
    }
    let told = person.manager.write("told/events", "", 0o600);
    let hook = format!("cat >>{}", told.display());
    let settings =
        person.settings().credential_keyring("mutt").credential_command("nas", &["pass", "show", "icloud/nas"]);
    person.configure(&settings.desktop().hook(&["sh", "-c", &hook]).to_toml());
    person.all_healthy(3);

    person.mail.dovecot.set_password(Person::ADDRESS, OTHER);
    dunst.wait_displayed(1);
    until("the hook's word", || fs::read_to_string(&told).unwrap().contains("incident-opened").then_some(()));
    assert!(!person.log().contains("failed to run the hook"), "{}", person.log());
}

#[test]
fn a_credential_of_the_user_manager_is_a_password() {
    let person = Person::new("LoadCredential=nas:%h/nas\n");
    let source = person.manager.write("nas", Person::PASSWORD, 0o600);
    let file = person.manager.runtime_dir().join("credentials/keypulse.service/nas");
    person.configure(&person.settings().credential_file("nas", &file).to_toml());
    person.all_healthy(2);

    // It was copied when the service started: a new one needs a restart, and `replace` says so.
    person.mail.dovecot.set_password(Person::ADDRESS, OTHER);
    person.until("the end", || credential(&person.asked(), "nas")["health"] == "revoked");
    fs::write(&source, OTHER).unwrap();
    let said = person.keypulse(&["replace", "nas", "--stdin"], "");
    assert_ne!(said.code, 0);
    for words in ["LoadCredential= of keypulse.service", "systemctl --user restart keypulse.service"] {
        assert!(said.stderr.contains(words), "{words}\n{said:?}");
    }
    person.systemctl("restart").ok();
    person.until("health", || credential(&person.asked(), "nas")["health"] == "healthy");
}

/// To the kernel, whoever made a user namespace may do all in it (`user_namespaces(7)`): the sandbox keeps keypulse in, and not
/// the person's other programs out.
#[test]
fn the_persons_own_programs_may_look_into_the_sandbox() {
    let person = Person::new("");
    person.systemctl("start").ok();
    let pid = person.property("MainPID");
    // PTRACE_ATTACH, PTRACE_DETACH
    let script = format!(
        "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\n\
         print(libc.ptrace(16, {pid}, None, None), ctypes.get_errno())\nlibc.ptrace(17, {pid}, None, None)"
    );
    assert_eq!(run(person.manager.client("/usr/bin/python3").args(["-c", &script]), "").ok(), "0 0");
}
