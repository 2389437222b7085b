//! What the doctor prints, word for word.

use super::{line::Check, *};

fn lines() -> Vec<Line> {
    vec![
        Line::ok(Check::Configuration, "~/.config/keypulse/config.toml: 1 account, 2 passwords"),
        Line::ok(Check::Password, "read from the keyring, of the right shape").of(&"thunderbird"),
        Line::failure(Check::Password, "the file /home/me/nas.secret does not exist", "ls -l /home/me/nas.secret")
            .of(&"nas"),
        Line::warning(
            Check::Server,
            "port 587 does not answer, although the other server does: a firewall of this network blocks 587, most likely",
            "nc -vz smtp.mail.me.com 587   # from another network, too",
        )
        .of(&"smtp.mail.me.com:587"),
    ]
}

#[track_caller]
fn check(width: usize, expected: &str) {
    let shown = render(&lines(), width, Paint { colour: false });
    assert_eq!(shown, expected, "\n--- shown:\n{shown}");
    assert!(shown.lines().all(|line| columns(line) <= width), "wider than {width}:\n{shown}");
    let coloured = render(&lines(), width, Paint { colour: true });
    assert_eq!(anstream::adapter::strip_str(&coloured).to_string(), expected, "colours change no letter");
    assert!(coloured.contains('\u{1b}'));
}

#[test]
fn lines_stand_under_each_other_with_their_remedies() {
    check(
        80,
        "\
✓ configuration  ~/.config/keypulse/config.toml: 1 account, 2 passwords
✓ password       thunderbird: read from the keyring, of the right shape
✗ password       nas: the file /home/me/nas.secret does not exist
                 → ls -l /home/me/nas.secret
! server         smtp.mail.me.com:587: port 587 does not answer, although the
                 other server does: a firewall of this network blocks 587, most
                 likely
                 → nc -vz smtp.mail.me.com 587 # from another network, too

1 failure, 1 warning, 2 ok
",
    );
}

#[test]
fn narrow_terminals_get_narrow_lines() {
    check(
        40,
        "\
✓ configuration
  ~/.config/keypulse/config.toml: 1
  account, 2 passwords
✓ password
  thunderbird: read from the keyring, of
  the right shape
✗ password
  nas: the file /home/me/nas.secret does
  not exist
  → ls -l /home/me/nas.secret
! server
  smtp.mail.me.com:587: port 587 does
  not answer, although the other server
  does: a firewall of this network
  blocks 587, most likely
  → nc -vz smtp.mail.me.com 587 # from
    another network, too

1 failure, 1 warning, 2 ok
",
    );
}

#[test]
fn programs_get_every_line_with_its_grade() {
    let lines = lines();
    let json = serde_json::to_string(&Document::of(&lines[1..3])).unwrap();
    let expected = concat!(
        r#"{"schema":1,"overall":"failure","checks":["#,
        r#"{"check":"password","of":"thunderbird","grade":"ok","says":"read from the keyring, of the right shape","remedy":null},"#,
        r#"{"check":"password","of":"nas","grade":"failure","says":"the file /home/me/nas.secret does not exist","#,
        r#""remedy":"ls -l /home/me/nas.secret"}]}"#,
    );
    assert_eq!(json, expected);
}

#[test]
fn the_worst_line_is_the_exit_code() {
    let lines = lines();
    let code = |lines: &[Line]| worst(lines) as u8;
    assert_eq!((code(&lines), code(&lines[..2]), code(&lines[3..]), code(&[])), (2, 0, 1, 0));
}
