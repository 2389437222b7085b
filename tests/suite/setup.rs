//! `setup` at a real terminal: to a watched password, skipped from end to end, stopped at each question, and without a terminal.

use std::{fs, os::unix::fs::PermissionsExt as _};

use crate::lab::{Bus, Dunst, ICloud, Keypulse, Keyring, Settings, Terminal, UserManager};

const ADDRESS: &str = "johnappleseed@icloud.com";
const PASSWORD: &str = "abcd-efgh-ijkl-mnop";
const WRONG: &str = "zzzz-zzzz-zzzz-zzzz";
const QUESTION: &str = "App-specific password, not shown (Enter alone skips): ";

/// A person with a keyring and a simulated iCloud, whose programs have no iCloud login.
struct Scene<'bus> {
    icloud: ICloud,
    keyring: Keyring<'bus>,
    keypulse: Keypulse,
}

impl<'bus> Scene<'bus> {
    fn set(bus: &'bus Bus) -> Self {
        let icloud = ICloud::start();
        icloud.world.set_password(ADDRESS, PASSWORD);
        let keyring = Keyring::start(bus);
        let keypulse = Keypulse::with(&Settings::for_icloud(&icloud).desktop()).on(bus);
        Self { icloud, keyring, keypulse }
    }

    fn config(&self) -> String {
        fs::read_to_string(self.keypulse.config_file()).unwrap()
    }
}

#[test]
fn a_first_run_ends_with_a_watched_password() {
    let bus = Bus::start();
    let (scene, dunst) = (Scene::set(&bus), Dunst::start(&bus));
    let before = scene.config();
    let mut terminal = Terminal::run(&scene.keypulse, &["setup"]);
    terminal.next("No iCloud login was found in your programs.");
    terminal.answer("Add an app-specific password now? [Y/n] ", "");
    terminal.answer("iCloud Mail address (Enter alone skips): ", "john");
    terminal.next("That is no address");
    terminal.answer("iCloud Mail address (Enter alone skips): ", "john@example.org");
    terminal.next("ends with @icloud.com, @me.com or @mac.com");
    terminal.answer("Use this one all the same? [y/N] ", "");
    terminal.answer("iCloud Mail address (Enter alone skips): ", ADDRESS);
    terminal.answer("Which program uses it", "Thunderbird");
    for hint in [
        "account.apple.com → Sign-In and Security → App-Specific Passwords",
        "two-factor authentication is off",
        "at most 25",
        "Apple's own apps need none",
        "at most 4 failed logins, of 12 a day",
    ] {
        terminal.next(hint);
    }
    terminal.password(QUESTION, "Main-Password-1");
    terminal.next("probably the main password");
    terminal.password(QUESTION, PASSWORD);
    terminal.next("✓ thunderbird: accepted by IMAP and SMTP, stored");
    terminal.answer("1 password is watched. Add another? [y/N] ", "");
    terminal.answer("Send a test notification? [Y/n] ", "");
    terminal.next("desktop: shown by dunst");
    dunst.wait_displayed(1);
    terminal.answer("Did you see it? [Y/n] ", "");
    dunst.wait_displayed(0);
    terminal.answer("Have keypulse run in the background, now and at every login? [Y/n] ", "n");
    terminal.next("`keypulse service install` does it later");
    terminal.next("thunderbird");
    terminal.next("1 healthy");
    assert_eq!(terminal.end(), (Some(0), true), "{}", terminal.screen());
    assert_eq!(scene.keyring.lookup("keypulse", "thunderbird").as_deref(), Some(PASSWORD));
    let added = format!(
        "[[account]]\naddress = \"{ADDRESS}\"\n\n[[account.credential]]\nname = \"thunderbird\"\napp = \"Thunderbird\"\n"
    );
    assert!(scene.config().starts_with(&before) && scene.config().ends_with(&added), "{}", scene.config());
    assert!(!terminal.screen().contains("abcd") && !terminal.screen().contains("Main-Password"));
    // What failed is said in one line, here as everywhere; spinners write over themselves.
    let screen = terminal.screen();
    let said = screen.lines().filter(|line| !line.starts_with("keypulse: ") && !line.starts_with("hint: "));
    for line in said.filter(|line| !line.contains('\u{1b}')) {
        assert!(line.trim_end().chars().count() <= 80, "wider than 80 columns: {line}");
    }
}

#[test]
fn what_programs_have_is_watched_where_it_is_and_the_service_started() {
    let icloud = ICloud::start();
    icloud.world.set_password(ADDRESS, PASSWORD);
    let manager = UserManager::start();
    let home = manager.home();
    let path = |name: &str| home.join(name).to_str().unwrap().to_owned();
    let keypulse = Keypulse::new()
        .env("HOME", &path(""))
        .env("XDG_CONFIG_HOME", &path(".config"))
        .env("XDG_STATE_HOME", &path(".local/state"))
        .env("XDG_RUNTIME_DIR", manager.runtime_dir().to_str().unwrap())
        .env("DBUS_SESSION_BUS_ADDRESS", &manager.bus_address());
    let config = home.join(".config/keypulse/config.toml");
    fs::create_dir_all(config.parent().unwrap()).unwrap();
    // The service has a /tmp of its own.
    fs::copy(icloud.ca(), home.join("ca.pem")).unwrap();
    fs::write(&config, Settings::for_icloud(&icloud).extra_ca(&home.join("ca.pem")).to_toml()).unwrap();
    fs::write(home.join("secret"), PASSWORD).unwrap();
    fs::set_permissions(home.join("secret"), fs::Permissions::from_mode(0o600)).unwrap();
    let mbsync = format!(
        "IMAPStore icloud\nHost imap.mail.me.com\nUser johnappleseed\nPassCmd \"cat {}\"\nTLSType IMAPS\n",
        path("secret")
    );
    fs::write(home.join(".mbsyncrc"), mbsync).unwrap();

    let mut terminal = Terminal::run(&keypulse, &["setup"]);
    terminal.next("mbsync");
    terminal.answer("Watch those that can be read, where your programs keep them? [Y/n] ", "");
    terminal.answer("1 password is watched. Add another? [y/N] ", "");
    terminal.answer("Send a test notification? [Y/n] ", "n");
    terminal.answer("now and at every login? [Y/n] ", "");
    terminal.next("it starts at every login");
    terminal.next("started it");
    terminal.next("healthy");
    terminal.next("daemon running since");
    assert_eq!(terminal.end(), (Some(0), true), "{}", terminal.screen());
    // What was found is shown once, and nobody is told to start what is about to be started.
    let screen = terminal.screen();
    assert_eq!((screen.matches("mbsync · IMAP").count(), screen.contains("no daemon runs")), (1, false), "{screen}");
    assert_eq!(manager.property("keypulse", "ActiveState"), "active");
}

#[test]
fn every_step_can_be_skipped_and_leaves_nothing() {
    let bus = Bus::start();
    let keyring = Keyring::start(&bus);
    let keypulse = Keypulse::new().on(&bus);
    let mut terminal = Terminal::run(&keypulse, &["setup"]);
    terminal.answer("Add an app-specific password now? [Y/n] ", "y");
    terminal.answer("iCloud Mail address (Enter alone skips): ", "");
    terminal.answer("Add an app-specific password now? [Y/n] ", "");
    terminal.answer("iCloud Mail address (Enter alone skips): ", ADDRESS);
    terminal.answer("Which program uses it", "");
    terminal.password(QUESTION, "");
    terminal.answer("Add an app-specific password now? [Y/n] ", "n");
    terminal.answer("Send a test notification? [Y/n] ", "n");
    terminal.next("Nothing is watched yet, so there is nothing to run");
    assert_eq!(terminal.end(), (Some(0), true), "{}", terminal.screen());
    assert_eq!(keyring.lookup("keypulse", "mail"), None);
    assert!(!keypulse.config_file().exists(), "{}", terminal.screen());
}

#[test]
fn ctrl_c_leaves_nothing_half_done_at_each_question() {
    let bus = Bus::start();
    let (scene, _dunst) = (Scene::set(&bus), Dunst::start(&bus));
    let before = scene.config();
    let entry = ["Add an app-specific password now?", "iCloud Mail address", "Which program uses it", QUESTION];
    let rest = [
        "Add an app-specific password now?",
        "Send a test notification?",
        "Did you see it?",
        "now and at every login?",
    ];
    for (questions, usual) in [(entry, ["", ADDRESS, "mutt", ""]), (rest, ["n", "", "", ""])] {
        for last in 0..questions.len() {
            let mut terminal = Terminal::run(&scene.keypulse, &["setup"]);
            for (question, answer) in questions.iter().zip(usual).take(last) {
                terminal.answer(question, answer);
            }
            terminal.next(questions[last]);
            if questions[last] == QUESTION {
                terminal.until_hidden();
            }
            terminal.keys("\u{3}");
            assert_eq!(terminal.end(), (Some(130), true), "{}", terminal.screen());
            assert!(terminal.screen().contains("Stopped; what was stored stays stored."), "{}", terminal.screen());
            assert_eq!((scene.config(), scene.keyring.lookup("keypulse", "mutt")), (before.clone(), None));
        }
    }
    assert_eq!(scene.icloud.connections(), 0);
}

/// Up to the choice after a refusal.
#[track_caller]
fn refused(scene: &Scene<'_>) -> Terminal {
    let mut terminal = Terminal::run(&scene.keypulse, &["setup"]);
    enter_wrongly(&mut terminal);
    terminal
}

#[track_caller]
fn enter_wrongly(terminal: &mut Terminal) {
    terminal.answer("Add an app-specific password now? [Y/n] ", "");
    terminal.answer("iCloud Mail address (Enter alone skips): ", ADDRESS);
    terminal.answer("Which program uses it", "mutt");
    terminal.password(QUESTION, WRONG);
    terminal.next("IMAP as johnappleseed: refused");
    terminal.next("Which? ");
}

#[test]
fn a_refused_password_is_given_up_or_typed_again_and_setup_goes_on() {
    let bus = Bus::start();
    let scene = Scene::set(&bus);
    let before = scene.config();
    let mut terminal = refused(&scene);
    terminal.keys("\u{3}");
    assert_eq!(terminal.end(), (Some(130), true), "{}", terminal.screen());
    assert_eq!((scene.config(), scene.keyring.lookup("keypulse", "mutt")), (before.clone(), None));

    let mut terminal = refused(&scene);
    terminal.keys("g\r");
    terminal.next("it is not an app-specific password, or was typed wrongly");
    terminal.password(QUESTION, "");
    enter_wrongly(&mut terminal);
    assert_eq!((scene.config(), scene.keyring.lookup("keypulse", "mutt")), (before, None));
    terminal.keys("t\r");
    terminal.password(QUESTION, PASSWORD);
    terminal.next("✓ mutt: accepted by IMAP and SMTP, stored");
    terminal.answer("1 password is watched. Add another? [y/N] ", "");
    terminal.answer("Send a test notification? [Y/n] ", "n");
    terminal.answer("now and at every login? [Y/n] ", "n");
    terminal.next("1 healthy");
    assert_eq!(terminal.end(), (Some(0), true), "{}", terminal.screen());
    assert_eq!(scene.keyring.lookup("keypulse", "mutt").as_deref(), Some(PASSWORD));
    assert!(!terminal.screen().contains("zzzz"), "{}", terminal.screen());
}

/// What another program has: Ctrl-C at each question about it, too.
#[test]
fn ctrl_c_leaves_what_programs_have_alone() {
    let keypulse = Keypulse::new();
    let secret = keypulse.secret("mail", PASSWORD);
    let mbsync = format!(
        "IMAPStore icloud\nHost imap.mail.me.com\nUser johnappleseed@icloud.com\nPassCmd \"cat {}\"\nTLSType IMAPS\n",
        secret.display()
    );
    fs::write(keypulse.home().join(".mbsyncrc"), mbsync).unwrap();
    let mut terminal = Terminal::run(&keypulse, &["setup"]);
    terminal.next("Watch those that can be read, where your programs keep them? [Y/n] ");
    terminal.keys("\u{3}");
    assert_eq!(terminal.end(), (Some(130), true), "{}", terminal.screen());
    assert!(!keypulse.config_file().exists(), "{}", terminal.screen());

    let mut terminal = Terminal::run(&keypulse, &["setup"]);
    terminal.answer("Watch those that can be read, where your programs keep them? [Y/n] ", "");
    terminal.next("1 password is watched. Add another? [y/N] ");
    terminal.keys("\u{3}");
    assert_eq!(terminal.end(), (Some(130), true), "{}", terminal.screen());
    // What was answered with yes is done, whole.
    assert_eq!(keypulse.command(&["config", "check"]).code, 0);
}

#[test]
fn without_a_terminal_the_commands_are_named() {
    let output = Keypulse::new().command(&["setup"]);
    assert_eq!((output.code, output.stdout.as_str()), (64, ""), "{output:?}");
    for command in
        ["discover --write", "add NAME --account ADDRESS --stdin", "notify-test", "service install", "status"]
    {
        assert!(output.stderr.contains(&format!("keypulse {command}")), "{command} is not in {output:?}");
    }
}
