//! `replace`: every dead password in turn, from a real keyring, files and commands, at a real terminal and piped in.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use crate::lab::{Bus, ICloud, Keypulse, Keyring, Output, Running, Settings, Terminal, account, until};

const ADDRESS: &str = "johnappleseed@icloud.com";
const OTHER: &str = "jane@me.com";
const OLD: [&str; 3] = ["aaaa-aaaa-aaaa-aaaa", "bbbb-bbbb-bbbb-bbbb", "cccc-cccc-cccc-cccc"];
const NEW: [&str; 3] = ["dddd-dddd-dddd-dddd", "eeee-eeee-eeee-eeee", "ffff-ffff-ffff-ffff"];
const WRONG: &str = "zzzz-zzzz-zzzz-zzzz";
const PASSWORD: &str = "New password, not shown (Enter alone skips): ";

#[track_caller]
fn says(output: &Output, code: i32, words: &[&str]) {
    assert_eq!(output.code, code, "{output:?}");
    for word in words {
        assert!(output.stdout.contains(word) || output.stderr.contains(word), "{word:?} is not in {output:?}");
    }
}

/// A browser that notes what it was to open.
fn with_browser(keypulse: Keypulse) -> Keypulse {
    let programs = keypulse.home().join("bin");
    fs::create_dir(&programs).unwrap();
    let opener = programs.join("xdg-open");
    fs::write(&opener, format!("#!/bin/sh\necho \"$1\" >>'{}'\n", keypulse.home().join("opened").display())).unwrap();
    fs::set_permissions(&opener, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    keypulse.env("PATH", &path).env("BROWSER", "any")
}

fn opened(keypulse: &Keypulse) -> String {
    fs::read_to_string(keypulse.home().join("opened")).unwrap_or_default()
}

/// Accepts the old passwords until they were seen alive, then kills them.
#[track_caller]
fn kill<'home>(icloud: &ICloud, keypulse: &'home Keypulse, names: &[&str]) -> Running<'home> {
    let daemon = keypulse.run();
    for name in names {
        daemon.until_health(name, "healthy");
    }
    icloud.world.reset_main_password(ADDRESS);
    keypulse.command(&["check"]);
    for name in names {
        daemon.until_health(name, "revoked");
    }
    daemon
}

/// Three passwords in the keyring, all dead.
struct Scene<'bus> {
    icloud: ICloud,
    keyring: Keyring<'bus>,
    keypulse: Keypulse,
}

const NAMES: [&str; 3] = ["thunderbird", "mutt", "nas"];

impl<'bus> Scene<'bus> {
    fn set(bus: &'bus Bus) -> Self {
        let icloud = ICloud::start();
        let keyring = Keyring::start(bus);
        let mut settings = Settings::for_icloud(&icloud)
            // No re-test comes in between.
            .set("schedule", "interval", "\"1h\"")
            .set("schedule", "stale_after", "\"3h\"")
            .set("limits", "failed_logins_per_account", "40")
            .account(ADDRESS);
        for (name, old) in NAMES.into_iter().zip(OLD) {
            icloud.world.set_password(ADDRESS, old);
            keyring.store("keypulse", name, old);
            settings = settings.credential(name, if name == "mutt" { "app = \"NeoMutt\"" } else { "" });
        }
        let keypulse = with_browser(Keypulse::with(&settings).on(bus));
        Self { icloud, keyring, keypulse }
    }

    fn stored(&self) -> [Option<String>; 3] {
        NAMES.map(|name| self.keyring.lookup("keypulse", name))
    }
}

#[test]
fn three_dead_passwords_take_three_pastes() {
    let bus = Bus::start();
    let scene = Scene::set(&bus);
    let daemon = kill(&scene.icloud, &scene.keypulse, &NAMES);
    for new in NEW {
        scene.icloud.world.set_password(ADDRESS, new);
    }
    let mut terminal = Terminal::run(&scene.keypulse, &["replace"]);
    terminal.next("at most 4 failed logins, of 40 a day");
    terminal.next("1 of 3  thunderbird, johnappleseed@icloud.com");
    terminal.next("Opened in your browser: https://account.apple.com/account/manage");
    terminal.next("Sign-In and Security → App-Specific Passwords");
    for (name, new) in NAMES.into_iter().zip(NEW) {
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        terminal.next(&format!("keypulse {} {name}", host.split('.').next().unwrap()));
        terminal.password(PASSWORD, new);
        terminal.next("✓ accepted by IMAP and SMTP, stored; it is healthy now");
        let program = if name == "mutt" { "mutt (NeoMutt)" } else { name };
        terminal.next(&format!("Put it into {program}, too, while you have it"));
    }
    terminal.next("Replaced: thunderbird, mutt, nas");
    assert_eq!(terminal.end(), (Some(0), true), "{}", terminal.screen());
    // Less than a minute, because there is nothing to do but to paste: three questions, each answered with a paste and Enter,
    // one page opened, and no other question.
    let screen = terminal.screen();
    assert_eq!(screen.matches(PASSWORD).count(), 3, "{screen}");
    for question in ["[Y/n]", "[y/N]", "Which?"] {
        assert!(!screen.contains(question), "{screen}");
    }
    assert_eq!(scene.stored(), NEW.map(|new| Some(new.to_owned())));
    assert_eq!(opened(&scene.keypulse), "https://account.apple.com/account/manage\n");
    let status = daemon.until("the incident over", |status| account(status, ADDRESS)["incident"].is_null());
    assert_eq!(status["overall"], "ok");
    says(&scene.keypulse.command(&["replace"]), 0, &["No password is dead"]);
}

#[test]
fn the_old_one_stays_until_the_new_one_works_and_any_can_be_skipped() {
    let bus = Bus::start();
    let scene = Scene::set(&bus);
    let _daemon = kill(&scene.icloud, &scene.keypulse, &NAMES);
    scene.icloud.world.set_password(ADDRESS, NEW[1]);
    let failed = scene.icloud.world.failed_logins(ADDRESS);
    let mut terminal = Terminal::run(&scene.keypulse, &["replace", "--account", ADDRESS]);
    terminal.password(PASSWORD, WRONG);
    terminal.next("IMAP as johnappleseed: refused");
    terminal.next("Which? ");
    assert_eq!(scene.stored()[0].as_deref(), Some(OLD[0]));
    terminal.keys("g\r");
    terminal.next("it belongs to another Apple Account");
    terminal.password(PASSWORD, "");
    terminal.next("2 of 3  mutt (NeoMutt)");
    terminal.password(PASSWORD, OLD[1]);
    terminal.next("keypulse knows that it was revoked");
    terminal.password(PASSWORD, NEW[1]);
    terminal.next("✓ accepted");
    terminal.next("3 of 3  nas");
    terminal.password(PASSWORD, "");
    terminal.next("Replaced: mutt");
    terminal.next("Skipped: thunderbird, nas");
    assert_eq!(terminal.end(), (Some(1), true), "{}", terminal.screen());
    assert_eq!(scene.stored(), [OLD[0], NEW[1], OLD[2]].map(|it| Some(it.to_owned())));
    assert_eq!(scene.icloud.world.failed_logins(ADDRESS) - failed, 2);
}

#[test]
fn ctrl_c_keeps_what_was_stored_and_nothing_else() {
    let bus = Bus::start();
    let scene = Scene::set(&bus);
    let _daemon = kill(&scene.icloud, &scene.keypulse, &NAMES);
    scene.icloud.world.set_password(ADDRESS, NEW[0]);
    let mut terminal = Terminal::run(&scene.keypulse, &["replace"]);
    terminal.password(PASSWORD, NEW[0]);
    terminal.next("2 of 3  mutt");
    terminal.password(PASSWORD, WRONG);
    terminal.next("Which? ");
    terminal.keys("\u{3}");
    terminal.next("Stopped; what was stored stays stored.");
    terminal.next("Replaced: thunderbird");
    terminal.next("Not reached: mutt, nas");
    assert_eq!(terminal.end(), (Some(130), true), "{}", terminal.screen());
    assert_eq!(scene.stored(), [NEW[0], OLD[1], OLD[2]].map(|it| Some(it.to_owned())));

    let mut terminal = Terminal::run(&scene.keypulse, &["replace", "nas"]);
    terminal.next(PASSWORD);
    terminal.until_hidden();
    terminal.keys("eeee\u{3}");
    assert_eq!(terminal.end(), (Some(130), true), "{}", terminal.screen());
    assert!(!terminal.screen().contains("eeee"), "{}", terminal.screen());
    assert_eq!(scene.stored()[2].as_deref(), Some(OLD[2]));
}

#[test]
fn lines_are_piped_in_the_order_in_which_they_are_named() {
    let bus = Bus::start();
    let scene = Scene::set(&bus);
    let _daemon = kill(&scene.icloud, &scene.keypulse, &NAMES);
    for new in NEW {
        scene.icloud.world.set_password(ADDRESS, new);
    }
    let output =
        scene.keypulse.command_with(&["replace", "--stdin", "nas", "mutt"], &format!("{}\n{}", NEW[2], NEW[1]));
    says(&output, 0, &["1 of 2  nas", "2 of 2  mutt", "Replaced: nas, mutt"]);
    assert_eq!(scene.stored(), [OLD[0], NEW[1], NEW[2]].map(|it| Some(it.to_owned())));
    let output = scene.keypulse.command_with(&["replace", "--stdin"], "");
    says(&output, 1, &["1 of 1  thunderbird", "standard input has no line for it", "Not replaced: thunderbird"]);
    assert_eq!(opened(&scene.keypulse), "", "nobody looks at a browser");
    says(&scene.keypulse.command_with(&["replace", "--stdin"], &format!("{}\n", NEW[0])), 0, &["healthy now"]);
}

#[test]
fn what_another_program_keeps_is_waited_for() {
    let icloud = ICloud::start();
    let keypulse = with_browser(Keypulse::new());
    let (file, pass) = (keypulse.secret("nas", OLD[0]), keypulse.secret("pass", OLD[1]));
    OLD[..2].iter().for_each(|old| icloud.world.set_password(ADDRESS, old));
    let command = ["head", "-n", "1", pass.to_str().unwrap()];
    let settings = Settings::for_icloud(&icloud).set("limits", "failed_logins_per_account", "40").account(ADDRESS);
    let settings = settings.credential_file("nas", &file).credential_command("mbsync", &command);
    keypulse.configure(&settings.credential_command("msmtp", &command));
    let daemon = kill(&icloud, &keypulse, &["nas", "mbsync", "msmtp"]);
    for new in NEW {
        icloud.world.set_password(ADDRESS, new);
    }

    let piped = keypulse.command_with(&["replace", "nas", "--stdin"], "");
    says(&piped, 1, &["its password has not changed yet", "nas.secret: write the new one there"]);
    let mut terminal = Terminal::run(&keypulse, &["replace"]);
    terminal.next("1 of 2  nas");
    terminal.next("nas.secret: write the new one there");
    terminal.answer("Which? ", "l");
    terminal.next("It is still the dead one.");
    terminal.answer("Which? ", "");
    terminal.next("Waiting for it to change");
    keypulse.secret("nas", NEW[0]);
    terminal.next("✓ accepted by IMAP and SMTP");
    // One password, two programs: the same source is waited for once.
    terminal.next("2 of 2  mbsync, msmtp");
    terminal.next("It comes from the command `head`");
    terminal.next("looking every 3 s");
    terminal.answer("Which? ", "w");
    terminal.next("Waiting for it to change");
    terminal.keys("\r");
    terminal.next("Which? ");
    keypulse.secret("pass", NEW[1]);
    terminal.keys("l\r");
    terminal.next("✓ accepted by IMAP and SMTP");
    terminal.next("Replaced: nas, mbsync, msmtp");
    assert_eq!(terminal.end(), (Some(0), true), "{}", terminal.screen());
    daemon.until("all well", |status| status["overall"] == "ok");
}

#[test]
fn ctrl_c_ends_the_wait_for_another_program() {
    let icloud = ICloud::start();
    let keypulse = with_browser(Keypulse::new());
    icloud.world.set_password(ADDRESS, OLD[0]);
    let file = keypulse.secret("nas", OLD[0]);
    keypulse.configure(&Settings::for_icloud(&icloud).account(ADDRESS).credential_file("nas", &file));
    let _daemon = kill(&icloud, &keypulse, &["nas"]);
    let config = fs::read(keypulse.config_file()).unwrap();
    for waiting in [false, true] {
        let mut terminal = Terminal::run(&keypulse, &["replace"]);
        terminal.next("nas.secret: write the new one there");
        terminal.next("Which? ");
        if waiting {
            terminal.keys("w\r");
            terminal.next("Waiting for it to change");
        }
        terminal.keys("\u{3}");
        terminal.next("Stopped; what was stored stays stored.");
        assert_eq!(terminal.end(), (Some(130), true), "{}", terminal.screen());
        assert_eq!(fs::read_to_string(&file).unwrap().trim(), OLD[0]);
        assert_eq!(fs::read(keypulse.config_file()).unwrap(), config);
    }
}

#[test]
fn what_still_holds_a_dead_password_is_named_and_nothing_is_run() {
    let icloud = ICloud::start();
    let keypulse = Keypulse::new();
    let file = keypulse.secret("nas", OLD[0]);
    icloud.world.set_password(ADDRESS, OLD[0]);
    keypulse.configure(&Settings::for_icloud(&icloud).account(ADDRESS).credential_file("nas", &file));
    let _daemon = kill(&icloud, &keypulse, &["nas"]);
    let ran = keypulse.home().join("ran");
    let store = |name: &str, how: &str| {
        format!("IMAPStore {name}\nHost imap.mail.me.com\nUser johnappleseed\n{how}\nTLSType IMAPS\n\n")
    };
    let text = [
        store("dead", &format!("Pass {}", OLD[0])),
        store("alive", &format!("Pass {}", NEW[0])),
        store("asks", &format!("PassCmd \"touch {}\"", ran.display())),
    ];
    fs::write(keypulse.home().join(".mbsyncrc"), text.concat()).unwrap();
    fs::set_permissions(keypulse.home().join(".mbsyncrc"), fs::Permissions::from_mode(0o600)).unwrap();
    icloud.world.set_password(ADDRESS, NEW[0]);
    keypulse.secret("nas", NEW[0]);
    let output = keypulse.command_with(&["replace", "nas", "--stdin"], "");
    says(&output, 0, &["Replaced: nas", ".mbsyncrc:4) holds it", ".mbsyncrc:16) may hold it"]);
    assert!(!output.stdout.contains(".mbsyncrc:10") && !output.stdout.contains("aaaa"), "{output:?}");
    assert!(!ran.exists());
}

#[test]
fn wrong_use_is_told_what_to_do() {
    let bus = Bus::start();
    let scene = Scene::set(&bus);
    let _daemon = kill(&scene.icloud, &scene.keypulse, &NAMES);
    says(&scene.keypulse.command(&["replace"]), 64, &["this is no terminal", "--stdin: thunderbird, mutt, nas"]);
    says(&scene.keypulse.command(&["replace", "mut"]), 64, &["did you mean mutt?"]);
    says(&scene.keypulse.command(&["replace", "--account", OTHER]), 64, &["no account has the address", ADDRESS]);
    says(&scene.keypulse.command(&["replace", "--account", ADDRESS, "mutt"]), 64, &["cannot be used with"]);
    says(&Keypulse::new().command(&["replace"]), 78, &["there is no configuration file"]);
}

#[test]
fn a_systemd_credential_needs_a_restart() {
    let icloud = ICloud::start();
    icloud.world.add_account(ADDRESS);
    let file = Path::new("/run/credentials/nas-mail.service/icloud");
    let keypulse = Keypulse::with(&Settings::for_icloud(&icloud).account(ADDRESS).credential_file("nas", file));
    let output = keypulse.command_with(&["replace", "nas", "--stdin"], "");
    says(&output, 1, &["LoadCredential= of nas-mail.service", "systemctl restart nas-mail.service"]);
    until("no login", || (icloud.connections() == 0).then_some(()));
}
