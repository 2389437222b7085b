//! What is committed comes back, by whoever may have it; what is not ours is left alone.

use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::health::name::Address;

fn anchor() -> Anchor {
    Anchor { boot: None, since_boot_ms: 5, wall_ms: 7, at: Timestamp::from_millis(9) }
}

#[test]
fn a_second_process_is_refused_and_told_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let _first = Store::open(directory.path()).unwrap();
    let error = Store::open(directory.path()).unwrap_err();
    assert!(matches!(error, StoreError::Held { .. }));
    assert!(error.to_string().contains("another keypulse"), "{error}");
}

#[test]
fn files_are_made_private() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("deep/state");
    let mut store = Store::open(&state).unwrap();
    store.commit(&[], &anchor()).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&state), 0o700);
    for entry in fs::read_dir(&state).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

#[test]
fn a_database_of_a_later_version_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    store.connection.pragma_update(None, "user_version", 99).unwrap();
    drop(store);
    assert!(matches!(Store::open(directory.path()).unwrap_err(), StoreError::Newer { found: 99, .. }));
    assert!(matches!(Store::look(directory.path()).unwrap_err(), StoreError::Newer { found: 99, .. }));
}

#[test]
fn what_is_committed_comes_back() {
    let directory = tempfile::tempdir().unwrap();
    let account = Address::new("John@iCloud.com").unwrap();
    let spent = Spent { id: 3, at: Timestamp::from_millis(40) };
    {
        let mut store = Store::open(directory.path()).unwrap();
        let records = [
            Record::Spent { account: account.clone(), spent },
            Record::Spent { account: account.clone(), spent: Spent { id: 4, at: Timestamp::from_millis(41) } },
            Record::GivenBack { id: 4 },
        ];
        store.commit(&records, &anchor()).unwrap();
    }
    let store = Store::open(directory.path()).unwrap();
    let memory = store.memory().unwrap();
    assert_eq!(memory.accounts["john@icloud.com"].spent, [spent]);
    assert_eq!(memory.last_id, 3);
    assert_eq!(store.anchor().unwrap(), Some(anchor()));
}

/// What the first released schema held, as its code wrote it.
#[test]
fn a_database_of_schema_1_is_brought_up_to_date() {
    let directory = tempfile::tempdir().unwrap();
    {
        let connection = Connection::open(directory.path().join(FILE)).unwrap();
        connection.execute_batch(MIGRATIONS[0]).unwrap();
        connection.pragma_update(None, "user_version", 1).unwrap();
        let attempt = r#"INSERT INTO attempts VALUES (7, 1000, 'john@icloud.com', 'mutt', 'imap', '"routine"',
            'inconclusive', 'offline', NULL, 'no route', NULL)"#;
        connection.execute_batch(attempt).unwrap();
    }
    assert!(matches!(Store::look(directory.path()), Ok(store) if store.version().unwrap() == 1));
    let store = Store::open(directory.path()).unwrap();
    assert_eq!(store.version().unwrap(), MIGRATIONS.len());
    assert_eq!(store.memory().unwrap().last_id, 7);
    let query = "SELECT detail, secret, round FROM attempts";
    let row = store.connection.query_row(query, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
    let row: (String, Option<String>, Option<i64>) = row.unwrap();
    assert_eq!(row, ("no route".to_owned(), None, None));
}

#[test]
fn no_state_is_told_from_a_broken_one() {
    let directory = tempfile::tempdir().unwrap();
    assert!(matches!(Store::look(directory.path()).unwrap_err(), StoreError::Absent));
    fs::write(directory.path().join(FILE), "this is not a database, not at all, by no means").unwrap();
    assert!(matches!(Store::open(directory.path()).unwrap_err(), StoreError::Sqlite { .. }));
}
