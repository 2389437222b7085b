//! The e-mail channel on its way to the login: who stands between keypulse and its server gets neither password nor message.

use lettre::message::Mailbox;

use super::*;

const STARTTLS: &str = "250-smtp\r\n250 STARTTLS\r\n";
const WORDS: &str = "Can no longer log in: Thunderbird.";

/// A submission server up to its answer to STARTTLS.
fn asked(offer: &str) -> Vec<Do> {
    vec![say("220 hi\r\n"), Do::Hear("EHLO"), say(offer), Do::Hear("STARTTLS")]
}

/// Posts to a server that plays this and then hears all there is to hear: it gets no login and no message, and nobody is
/// told that the message is being given.
#[track_caller]
fn keeps_to_itself(shown: Shown, script: Vec<Do>) -> impl Future<Output = Cause> {
    let caller = std::panic::Location::caller();
    async move {
        let server = Scripted::start(Service::Smtp, TlsMode::StartTls, shown, script).await;
        let address = || "me@example.org".parse::<Mailbox>().unwrap();
        let letter =
            lettre::Message::builder().from(address()).to(address()).subject("x").body(WORDS.to_owned()).unwrap();
        let posted = server.post(letter, async { panic!("the message is given") }).await;
        server.heard_out().await;
        let log = server.log();
        let heard = log.lines.join("\n");
        assert_eq!(log.logins(), 0, "{caller}: {heard}");
        for word in ["MAIL", "RCPT", "DATA", "Thunderbird", SECRET] {
            assert!(!heard.contains(word), "{caller}: {word} in {heard}");
        }
        let Posted::NotIn { outcome: Outcome { finding: Finding::Inconclusive(cause), .. }, refused: false } = posted
        else {
            panic!("{caller}: {posted:?}")
        };
        cause
    }
}

#[tokio::test]
async fn plain_text_after_a_granted_starttls_is_never_believed() {
    for injected in [
        "220 go\r\n250-x\r\n250 AUTH PLAIN\r\n235 2.7.0 in\r\n250 ok\r\n250 ok\r\n354 go\r\n250 taken\r\n",
        "220 go\r\n535 5.7.8 no\r\n",
        "220 go\r\n2",
    ] {
        let script = [asked(STARTTLS), vec![say(injected)]].concat();
        assert_eq!(keeps_to_itself(Shown::Good, script).await, Cause::ProtocolViolation, "{injected:?}");
    }
    // A moment later: the handshake meets it.
    let late = [asked(STARTTLS), vec![say("220 go\r\n"), Do::HearByte, say("235 2.7.0 in\r\n")]].concat();
    assert_eq!(keeps_to_itself(Shown::Good, late).await, Cause::ProtocolViolation);
}

#[tokio::test]
async fn without_starttls_there_is_no_login_and_no_message() {
    // Taken out of what the server offers, which takes logins in plain text too.
    let stripped = vec![say("220 hi\r\n"), Do::Hear("EHLO"), say(EHLO)];
    assert_eq!(keeps_to_itself(Shown::Good, stripped).await, Cause::TlsNotOffered);
    let answers = [
        ("454 4.7.0 later\r\n", Cause::TlsNotOffered),
        ("502 5.5.1 what\r\n", Cause::TlsNotOffered),
        ("250 ok\r\n", Cause::ProtocolViolation),
    ];
    for (answer, cause) in answers {
        let refused = [asked(STARTTLS), vec![say(answer)]].concat();
        assert_eq!(keeps_to_itself(Shown::Good, refused).await, cause, "{answer:?}");
    }
}

#[tokio::test]
async fn what_was_offered_in_plain_text_is_forgotten_behind_tls() {
    let offer = "250-smtp\r\n250-AUTH PLAIN\r\n250 STARTTLS\r\n";
    let behind = vec![say("220 go\r\n"), Do::Tls, Do::Hear("EHLO"), say("250 smtp\r\n")];
    assert_eq!(keeps_to_itself(Shown::Good, [asked(offer), behind].concat()).await, Cause::RefusedOtherwise);
}

#[tokio::test]
async fn a_bad_certificate_behind_starttls_gets_nothing() {
    for shown in [Shown::Expired, Shown::OtherName, Shown::OtherCa] {
        let script = [asked(STARTTLS), vec![say("220 go\r\n"), Do::Tls]].concat();
        assert_eq!(keeps_to_itself(shown, script).await, Cause::TlsFailed);
    }
}
