//! The packages: the Debian one built, installed, upgraded and removed; the recipes for others read as far as can be here.

use std::{
    env, fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use keypulse::host::manager::{Installation, systemd};
use saphyr_parser::{Event, Parser, StrInput};

use crate::lab::{clean, run};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

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
    let target = Path::new(env!("CARGO_BIN_EXE_keypulse")).ancestors().nth(2).unwrap();
    command.env("CARGO_TARGET_DIR", target).current_dir(ROOT);
    command
}

#[test]
fn the_debian_package_installs_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let package = dir.path().join("keypulse.deb");
    ok(with_cargo(Path::new(ROOT).join("packaging/deb")).args(["--dev", "--output"]).arg(&package));
    let [script, steps, machine] = ["script", "steps", "machine"].map(|name| dir.path().join(name));
    fs::write(&script, MACHINE).unwrap();
    fs::write(&steps, STEPS).unwrap();
    fs::create_dir(&machine).unwrap();
    let said = ok(clean("unshare").args(["--mount", "sh"]).args([&script, &machine, &package, &steps]));
    let version = concat!("keypulse ", env!("CARGO_PKG_VERSION"));
    let man = "/usr/share/man/man";
    let expected = format!("{version}\n{man}1/keypulse.1.gz\n{man}1/keypulse-status.1.gz\n{man}5/keypulse.toml.5.gz\n");
    assert_eq!(said, expected);
}

#[test]
fn arch_gets_the_same_files() {
    let dir = tempfile::tempdir().unwrap();
    let sources = dir.path().join(concat!("src/keypulse-", env!("CARGO_PKG_VERSION")));
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
fn recipes_and_this_version_agree() {
    let read = |path: &str| fs::read_to_string(Path::new(ROOT).join(path)).unwrap();
    let version = env!("CARGO_PKG_VERSION");
    assert!(read("packaging/aur/PKGBUILD").contains(&format!("\npkgver={version}\n")));
    assert!(read("packaging/homebrew/keypulse.rb").contains(&format!("/keypulse-{version}.tar.gz\"\n")));
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
    for word in ["linux", "macos", "debian:12", ".ci/run", "cargo test --locked"] {
        assert!(words.iter().any(|found| found == word), "{word} in {words:?}");
    }
}
