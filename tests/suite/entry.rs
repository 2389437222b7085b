//! A password is entered at a terminal: what a person is asked when it is refused, what is tried, and what is remembered.

use std::fs;

use keypulse::{
    health::evidence::Service,
    simulator::{Answer, Fault, ImapNames, Stage},
};

use crate::lab::{Bus, ICloud, Keypulse, Keyring, Settings, Terminal};

const ADDRESS: &str = "johnappleseed@icloud.com";
const PASSWORD: &str = "abcd-efgh-ijkl-mnop";
const BARE: &str = "abcdefghijklmnop";
const WRONG: &str = "zzzz-zzzz-zzzz-zzzz";
const QUESTION: &str = "App-specific password for mutt";

/// `keypulse add mutt` at a terminal, up to the question for the password.
struct Scene<'bus> {
    icloud: ICloud,
    keyring: Keyring<'bus>,
    keypulse: Keypulse,
}

impl<'bus> Scene<'bus> {
    fn set(bus: &'bus Bus) -> Self {
        Self::with(bus, |settings| settings)
    }

    fn with(bus: &'bus Bus, more: impl FnOnce(Settings) -> Settings) -> Self {
        let icloud = ICloud::start();
        icloud.world.add_account(ADDRESS);
        let keyring = Keyring::start(bus);
        let keypulse = Keypulse::with(&more(Settings::for_icloud(&icloud))).on(bus);
        Self { icloud, keyring, keypulse }
    }

    fn add(&self) -> Terminal {
        let terminal = Terminal::run(&self.keypulse, &["add", "mutt", "--account", ADDRESS]);
        terminal.until("at most 4 failed logins, of 12 a day");
        terminal
    }

    fn config(&self) -> String {
        fs::read_to_string(self.keypulse.config_file()).unwrap()
    }

    fn stored(&self) -> Option<String> {
        self.keyring.lookup("keypulse", "mutt")
    }

    fn failed(&self) -> usize {
        self.icloud.world.failed_logins(ADDRESS)
    }

    /// The user names that were accepted, each with its service, from the daemon's first round.
    #[track_caller]
    fn watched(&self) -> Vec<(Service, String)> {
        let before = self.icloud.world.logins().len();
        let daemon = self.keypulse.run();
        daemon.until_health("mutt", "healthy");
        let logins = self.icloud.world.logins();
        let names = logins[before..].iter().take(2);
        names
            .inspect(|login| assert_eq!(login.answer, Answer::Accepted))
            .map(|l| (l.service, l.username.clone()))
            .collect()
    }
}

#[test]
fn the_user_name_that_works_is_found_and_remembered() {
    let bus = Bus::start();
    let scene = Scene::set(&bus);
    scene.icloud.world.set_imap_names(ADDRESS, ImapNames::Full);
    scene.icloud.world.set_password(ADDRESS, PASSWORD);
    let mut terminal = scene.add();
    terminal.password(QUESTION, PASSWORD);
    terminal.next("IMAP as johnappleseed: refused");
    terminal.next("SMTP as johnappleseed@icloud.com: accepted");
    terminal.next("Enter  try the other form of the user name");
    terminal.answer("Which? ", "");
    assert_eq!(terminal.end(), (Some(0), true), "{}", terminal.screen());
    assert!(terminal.screen().contains("accepted by IMAP and SMTP"), "{}", terminal.screen());
    assert!(scene.config().contains("imap_username = \"johnappleseed@icloud.com\"\n"), "{}", scene.config());
    assert!(!scene.config().contains("smtp_username"), "{}", scene.config());
    assert_eq!((scene.failed(), scene.stored().as_deref()), (1, Some(PASSWORD)));
    let expected = [Service::Imap, Service::Smtp].map(|service| (service, ADDRESS.to_owned()));
    assert_eq!(scene.watched(), expected);
    assert_eq!(scene.failed(), 1);
}

#[test]
fn a_new_password_that_needs_a_moment_is_waited_for() {
    let bus = Bus::start();
    let scene = Scene::set(&bus);
    let mut terminal = scene.add();
    terminal.password(QUESTION, PASSWORD);
    terminal.next("A new password can take two minutes before it works.");
    terminal.next("Enter  wait 200ms and try again");
    terminal.next("Which? ");
    scene.icloud.world.set_password(ADDRESS, PASSWORD);
    terminal.keys("\r");
    assert_eq!(terminal.end(), (Some(0), true), "{}", terminal.screen());
    assert_eq!((scene.failed(), scene.stored().as_deref()), (2, Some(PASSWORD)));
}

#[test]
fn without_dashes_comes_last_and_is_sent_so_ever_after() {
    let bus = Bus::start();
    let scene = Scene::set(&bus);
    scene.icloud.world.set_password(ADDRESS, BARE);
    let mut terminal = scene.add();
    terminal.password(QUESTION, PASSWORD);
    terminal.next("o      try other user names, last without dashes");
    terminal.answer("Which? ", "o");
    assert_eq!(terminal.end(), (Some(0), true), "{}", terminal.screen());
    assert_eq!((scene.failed(), scene.stored().as_deref()), (3, Some(BARE)));
    assert!(scene.config().ends_with("name = \"mutt\"\nany_shape = true\n"), "{}", scene.config());
    assert_eq!(scene.watched()[0], (Service::Imap, "johnappleseed".to_owned()));
    assert_eq!(scene.failed(), 3, "the daemon sends what was accepted");

    // The next one is taken in the same form, and the main password is no more taken than before.
    scene.icloud.world.set_password(ADDRESS, "qrstuvwxyzabcdef");
    let mut terminal = scene.add();
    terminal.password(QUESTION, "Main-Password-1");
    terminal.next("probably the main password");
    terminal.password(QUESTION, "qrst-uvwx-yzab-cdef");
    assert_eq!(terminal.end(), (Some(0), true), "{}", terminal.screen());
    assert_eq!((scene.failed(), scene.stored().as_deref()), (3, Some("qrstuvwxyzabcdef")));
}

#[test]
fn a_refused_password_costs_four_failed_logins_at_the_most() {
    let bus = Bus::start();
    let scene = Scene::set(&bus);
    let before = scene.config();
    let mut terminal = scene.add();
    terminal.password(QUESTION, WRONG);
    terminal.answer("Which? ", "nonsense");
    terminal.next("Type one of these letters");
    terminal.answer("Which? ", "w");
    terminal.next("Refused again.");
    terminal.answer("Which? ", "o");
    terminal.next("SMTP as johnappleseed@icloud.com, without dashes: refused");
    terminal.next("it belongs to another Apple Account");
    assert_eq!(terminal.end(), (Some(1), true), "{}", terminal.screen());
    assert_eq!((scene.failed(), scene.stored(), scene.config()), (4, None, before));
    assert!(!terminal.screen().contains("zzzz"), "{}", terminal.screen());
}

#[test]
fn what_was_typed_wrongly_is_typed_again() {
    let bus = Bus::start();
    let scene = Scene::set(&bus);
    scene.icloud.world.set_password(ADDRESS, PASSWORD);
    let mut terminal = scene.add();
    terminal.password(QUESTION, "abcd-efgh");
    terminal.next("failed to take the password: it is not of the form");
    terminal.password(QUESTION, WRONG);
    terminal.answer("Which? ", "t");
    terminal.password(QUESTION, PASSWORD);
    assert_eq!(terminal.end(), (Some(0), true), "{}", terminal.screen());
    assert_eq!((scene.failed(), scene.stored().as_deref()), (2, Some(PASSWORD)));
}

#[test]
fn a_blocked_port_is_named_and_the_password_can_be_stored_all_the_same() {
    let bus = Bus::start();
    let scene = Scene::set(&bus);
    scene.icloud.world.set_password(ADDRESS, PASSWORD);
    scene.icloud.world.set_fault(Service::Smtp, Some(Fault::ConnectionRefused));
    for (answer, code) in [("n", 1), ("", 0)] {
        let mut terminal = scene.add();
        terminal.password(QUESTION, PASSWORD);
        terminal.next("most likely this network blocks port");
        terminal.answer("Store it all the same?", answer);
        assert_eq!(terminal.end(), (Some(code), true), "{}", terminal.screen());
        assert_eq!(scene.stored().is_some(), code == 0, "{}", terminal.screen());
    }
}

#[test]
fn ctrl_c_leaves_nothing_at_each_step() {
    let bus = Bus::start();
    let scene = Scene::with(&bus, Settings::only_on_request);
    let before = scene.config();
    let stop = |mut terminal: Terminal| {
        terminal.keys("\u{3}");
        assert_eq!(terminal.end(), (Some(130), true), "{}", terminal.screen());
        assert!(terminal.screen().contains("interrupted; nothing was changed"), "{}", terminal.screen());
        assert_eq!((scene.stored(), scene.config()), (None, before.clone()));
    };
    let refused = || {
        let mut terminal = scene.add();
        terminal.password(QUESTION, PASSWORD);
        terminal.next("Which? ");
        terminal
    };
    // At the choice, and in the wait of half an hour.
    stop(refused());
    let mut waiting = refused();
    waiting.keys("w\r");
    waiting.next("left, Ctrl-C stops");
    stop(waiting);
    // At the last question.
    scene.icloud.world.set_fault(Service::Smtp, Some(Fault::ConnectionRefused));
    scene.icloud.world.set_password(ADDRESS, PASSWORD);
    let mut terminal = scene.add();
    terminal.password(QUESTION, PASSWORD);
    terminal.next("Store it all the same?");
    stop(terminal);
    // In a login.
    scene.icloud.set_fault(Some(&Fault::Hang(Stage::Greeting)));
    let mut terminal = scene.add();
    terminal.password(QUESTION, WRONG);
    terminal.next("logging in to IMAP");
    stop(terminal);
}
