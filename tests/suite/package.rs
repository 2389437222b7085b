//! The packages: the Debian one built, installed, upgraded and removed; the recipes for others read as far as can be here.

use std::{
    env, fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::LazyLock,
};

use keypulse::host::manager::{Installation, systemd};
use saphyr_parser::{Event, Parser, StrInput};
use serde_json::Value;

use crate::lab::{Mail, Person, Settings, UserManager, clean, credential, run, until};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A system like this one, of which nobody sees what changes ($1: an empty directory, $2: the package).
const MACHINE: &str = r#"set -e
mount -t tmpfs tmpfs "$1"
mkdir "$1/changes" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/changes,workdir=$1/work" "$1/root"
mount --rbind /proc "$1/root/proc"
mount --rbind /dev "$1/root/dev"
cp "$2" "$1/root/keypulse.deb"
cp "$3" "$1/root/steps"
exec chroot "$1/root" sh /steps
"#;

/// What is done there. What is printed is what the test wants to know.
const STEPS: &str = r#"set -e
export DEBIAN_FRONTEND=noninteractive HOME=/root XDG_RUNTIME_DIR=/run/nobody
mkdir -p "$XDG_RUNTIME_DIR"
# Its own system manager is not here; this one's is not asked.
rm -rf /run/systemd/system
dpkg --install /keypulse.deb >&2
dpkg --install /keypulse.deb >&2
dpkg --verify keypulse
[ -s /usr/share/icons/hicolor/scalable/apps/keypulse.svg ]
dpkg --listfiles keypulse | while read -r file; do [ -d "$file" ] || echo "$file"; done >/files
keypulse --version
for page in 'keypulse' 'keypulse-status' '5 keypulse.toml'; do man --where $page; done
bash -c '. /usr/share/bash-completion/completions/keypulse && complete -p keypulse' >&2
systemd-analyze --user --man=yes verify /usr/lib/systemd/user/keypulse.service
systemd-analyze --man=yes verify keypulse@mail.service
keypulse config check --config /usr/share/doc/keypulse/examples/config.example.toml >&2
keypulse service install --dry-run | tail -n +2 >/said
cmp /said /usr/lib/systemd/user/keypulse.service
mkdir -p /var/lib/private/keypulse/mail
dpkg --remove keypulse >&2
[ -d /var/lib/private/keypulse/mail ]
dpkg --purge keypulse >&2
while read -r file; do [ ! -e "$file" ] || echo "left: $file"; done </files
[ ! -e /var/lib/private/keypulse ]
"#;

/// As long as it takes: a build waits for others.
#[track_caller]
fn ok(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let [stdout, stderr] = [stdout, stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    assert!(status.success(), "{command:?}: {status}\n{stdout}\n{stderr}");
    stdout
}

/// Cargo with the home and the toolchain of whoever runs the tests.
fn with_cargo(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = clean(program);
    for name in ["HOME", "CARGO_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN"] {
        command.envs(env::var_os(name).map(|value| (name, value)));
    }
    command.env("CARGO_TARGET_DIR", target()).current_dir(ROOT);
    command
}

/// Cargo's directory for what it builds.
fn target() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_keypulse")).ancestors().nth(2).unwrap()
}

/// The Debian package, built once.
fn debian() -> &'static Path {
    static PACKAGE: LazyLock<PathBuf> = LazyLock::new(|| {
        let package = target().join("package-of-the-tests.deb");
        ok(with_cargo(Path::new(ROOT).join("packaging/deb")).args(["--dev", "--output"]).arg(&package));
        package
    });
    &PACKAGE
}

/// The same as an older version, whose unit was another.
fn older(directory: &Path) -> PathBuf {
    let tree = directory.join("older");
    ok(clean("dpkg-deb").arg("--raw-extract").args([debian(), &tree]));
    let older = VERSION.replace(|c: char| c.is_ascii_digit(), "0");
    let (new, old) = ("WatchdogSec=10min", "WatchdogSec=11min");
    for (file, from, to) in [
        ("DEBIAN/control", VERSION, &*older),
        ("usr/bin/keypulse", VERSION, &*older),
        // The program holds the unit, too.
        ("usr/bin/keypulse", new, old),
        ("usr/lib/systemd/user/keypulse.service", new, old),
    ] {
        let mut bytes = fs::read(tree.join(file)).unwrap();
        let places: Vec<_> =
            bytes.windows(from.len()).enumerate().filter(|(_, part)| *part == from.as_bytes()).collect();
        let places: Vec<usize> = places.into_iter().map(|(at, _)| at).collect();
        assert!(!places.is_empty(), "{from} in {file}");
        for at in places {
            bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
        }
        fs::write(tree.join(file), bytes).unwrap();
    }
    let package = directory.join("older.deb");
    ok(clean("dpkg-deb").args(["--root-owner-group", "-Znone", "--build"]).args([&tree, &package]));
    package
}

#[test]
fn the_debian_package_installs_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let package = debian().to_owned();
    let [script, steps, machine] = ["script", "steps", "machine"].map(|name| dir.path().join(name));
    fs::write(&script, MACHINE).unwrap();
    fs::write(&steps, STEPS).unwrap();
    fs::create_dir(&machine).unwrap();
    let said = ok(clean("unshare").args(["--mount", "sh"]).args([&script, &machine, &package, &steps]));
    let version = format!("keypulse {VERSION}");
    let man = "/usr/share/man/man";
    let expected = format!("{version}\n{man}1/keypulse.1.gz\n{man}1/keypulse-status.1.gz\n{man}5/keypulse.toml.5.gz\n");
    assert_eq!(said, expected);
}

#[test]
fn an_upgrade_keeps_everything_and_an_older_daemon_is_seen() {
    let dir = tempfile::tempdir().unwrap();
    let older = older(dir.path());
    let (manager, mail) = (UserManager::with_packages(), Mail::start());
    mail.dovecot.set_password(Person::ADDRESS, Person::PASSWORD);
    let secret = manager.write("secret", Person::PASSWORD, 0o600);
    let settings = Settings::for_mail(&mail).account(Person::ADDRESS).credential_file("nas", &secret);
    let config = manager.write(".config/keypulse/config.toml", settings.to_toml(), 0o600);
    let install = |package: &Path| {
        let mut dpkg = clean("dpkg");
        dpkg.args(["--install", "--no-triggers"]).arg(package).env("DEBIAN_FRONTEND", "noninteractive");
        ok(&mut manager.inside(&dpkg));
    };
    let keypulse =
        |arguments: &[&str]| run(&mut manager.inside(manager.client("/usr/bin/keypulse").args(arguments)), "");
    let status = || serde_json::from_str::<Value>(&keypulse(&["status", "--json"]).stdout).unwrap();
    let healthy =
        || until("health", || Some(status()).filter(|status| credential(status, "nas")["health"] == "healthy"));
    let words = |arguments: &[&str]| keypulse(arguments).stdout.split_whitespace().collect::<Vec<_>>().join(" ");

    install(&older);
    let said = keypulse(&["service", "install"]).ok();
    assert!(
        said.contains("/usr/lib/systemd/user/keypulse.service is in place") && said.contains("started it"),
        "{said}"
    );
    let before = healthy();
    let history = keypulse(&["history", "--json"]).ok();
    assert!(history.contains("healthy"), "{history}");

    install(debian());
    let after = status();
    assert_eq!(after["daemon"]["pid"], before["daemon"]["pid"], "a package restarts nobody's own service");
    assert_ne!(after["daemon"]["version"], VERSION);
    assert_eq!(after["daemon"]["program"]["replaced"], true, "{after:#}");
    let shown = words(&["status"]);
    assert!(shown.contains(&format!("than this command ({VERSION}): restart it")), "{shown}");
    let shown = words(&["doctor"]);
    assert!(shown.contains(&format!("older than this command ({VERSION})")), "{shown}");

    let said = keypulse(&["service", "install"]).ok();
    assert!(said.contains("is in place") && said.contains("restarted it"), "{said}");
    let after = healthy();
    assert_eq!(after["daemon"]["version"], VERSION);
    assert_eq!(manager.property("keypulse", "WatchdogUSec"), "10min", "the new unit is in force");
    // What was known is known, and what was configured stays.
    assert_eq!(credential(&after, "nas")["since"], credential(&before, "nas")["since"]);
    assert_eq!(keypulse(&["history", "--json"]).ok(), history);
    assert_eq!(fs::read_to_string(config).unwrap(), settings.to_toml());
    assert!(keypulse(&["service", "install"]).ok().contains("it runs already"));
}

#[test]
fn arch_gets_the_same_files() {
    let dir = tempfile::tempdir().unwrap();
    let sources = dir.path().join(format!("src/keypulse-{VERSION}"));
    fs::create_dir_all(sources.join("target/release")).unwrap();
    symlink(env!("CARGO_BIN_EXE_keypulse"), sources.join("target/release/keypulse")).unwrap();
    for entry in fs::read_dir(ROOT).unwrap().map(Result::unwrap).filter(|entry| entry.file_name() != "target") {
        symlink(entry.path(), sources.join(entry.file_name())).unwrap();
    }
    let pkgdir = dir.path().join("pkg");
    let script = "set -e; . \"$1\"; cd \"$2\"; pkgdir=$3; package";
    let arguments = [Path::new(ROOT).join("packaging/aur/PKGBUILD"), dir.path().join("src"), pkgdir.clone()];
    run(clean("bash").args(["-c", script, "bash"]).args(arguments), "").ok();
    for file in [
        "bin/keypulse",
        "share/man/man1/keypulse.1",
        "share/man/man5/keypulse.toml.5",
        "share/bash-completion/completions/keypulse",
        "share/zsh/site-functions/_keypulse",
        "share/fish/vendor_completions.d/keypulse.fish",
        "share/icons/hicolor/scalable/apps/keypulse.svg",
        "share/doc/keypulse/config.example.toml",
        "lib/systemd/system/keypulse@.service",
    ] {
        assert!(pkgdir.join("usr").join(file).metadata().is_ok_and(|found| found.len() > 0), "{file}");
    }
    // The unit is what this program would install.
    let unit = fs::read_to_string(pkgdir.join("usr/lib/systemd/user/keypulse.service")).unwrap();
    let installation = Installation {
        program: PathBuf::from("/usr/bin/keypulse"),
        config: None,
        socket: None,
        state: None,
        home: PathBuf::from("/home/me"),
    };
    assert_eq!(unit, systemd::render(&installation, true));
}

#[test]
fn a_release_is_filled_into_the_recipes_from_one_place() {
    let dir = tempfile::tempdir().unwrap();
    let files = ["Cargo.toml", "packaging/recipes", "packaging/aur/PKGBUILD", "packaging/homebrew/keypulse.rb"];
    for file in files {
        fs::create_dir_all(dir.path().join(file).parent().unwrap()).unwrap();
        fs::copy(Path::new(ROOT).join(file), dir.path().join(file)).unwrap();
    }
    let all = |root: &Path| files.map(|file| fs::read_to_string(root.join(file)).unwrap());
    let fill = |arguments: &[&Path]| run(clean(dir.path().join("packaging/recipes")).args(arguments), "").ok();
    fill(&[]);
    assert_eq!(all(dir.path()), all(Path::new(ROOT)), "the recipes are of this version, and of where Cargo.toml says");

    let cargo = fs::read_to_string(dir.path().join("Cargo.toml")).unwrap();
    let cargo = cargo.replacen(&format!("version = \"{VERSION}\""), "version = \"7.8.9\"", 1);
    let cargo = cargo.replace("https://example.org/keypulse", "https://kp.example/home");
    fs::write(dir.path().join("Cargo.toml"), cargo).unwrap();
    fs::write(dir.path().join("archive"), "abc").unwrap();
    fill(&[&dir.path().join("archive")]);
    let [_, _, aur, brew] = all(dir.path());
    // FIPS 180-2, appendix B.1
    let sum = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    for line in ["pkgver=7.8.9", "url='https://kp.example/home'", &format!("sha256sums=('{sum}')")] {
        assert!(aur.lines().any(|found| found == line), "{line} in {aur}");
    }
    let url = "https://kp.example/home/keypulse-7.8.9.tar.gz";
    for line in [&*format!("  url \"{url}\""), "  homepage \"https://kp.example/home\"", &format!("  sha256 \"{sum}\"")]
    {
        assert!(brew.lines().any(|found| found == line), "{line} in {brew}");
    }
}

#[test]
fn the_workflow_is_yaml_and_runs_everything() {
    let text = fs::read_to_string(Path::new(ROOT).join(".github/workflows/ci.yml")).unwrap();
    let mut words = Vec::new();
    for event in Parser::new(StrInput::new(&text)) {
        if let Event::Scalar(word, ..) = event.unwrap_or_else(|error| panic!("{error}")).0 {
            words.push(word.into_owned());
        }
    }
    for word in ["linux", "macos", "debian:12", ".ci/run", "cargo test --locked", "tests/check-dependencies advisories"]
    {
        assert!(words.iter().any(|found| found == word), "{word} in {words:?}");
    }
}
