//! Whether the database is sound, for `doctor`.

use super::{MIGRATIONS, Store, StoreError};

/// How the database is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Soundness {
    /// Its schema.
    pub schema: usize,
    /// The schema of this version.
    pub known: usize,
    /// What is wrong with it, at most a few lines; none where all is well.
    pub damage: Vec<String>,
}

impl Store {
    /// Has SQLite read all of it (`PRAGMA quick_check`), reads back what the engine remembers, and looks for the key.
    ///
    /// # Errors
    /// Where it cannot be read at all.
    pub fn soundness(&self) -> Result<Soundness, StoreError> {
        let mut damage = self.damage(3)?;
        if damage.is_empty() {
            self.memory()?;
            if self.lacks_key()? {
                damage.push("digest.key is gone, by which it knew passwords again".to_owned());
            }
        }
        Ok(Soundness { schema: self.version()?, known: MIGRATIONS.len(), damage })
    }

    /// What SQLite finds wrong with it, at most `most` lines.
    pub(super) fn damage(&self, most: u32) -> Result<Vec<String>, StoreError> {
        let lines = || {
            let mut statement = self.connection.prepare(&format!("PRAGMA quick_check({most})"))?;
            let lines = statement.query_map([], |row| row.get::<_, String>(0))?;
            lines.collect::<rusqlite::Result<Vec<_>>>()
        };
        let mut damage = lines().map_err(|source| self.sqlite(source))?;
        damage.retain(|line| line != "ok");
        Ok(damage)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs::OpenOptions,
        io::{Seek, SeekFrom, Write},
    };

    use super::*;

    #[test]
    fn damage_is_seen() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path()).unwrap();
        let sound = store.soundness().unwrap();
        assert_eq!((sound.schema, sound.damage), (sound.known, vec![]));
        let path = store.path.clone();
        drop(store);
        let mut file = OpenOptions::new().write(true).open(path).unwrap();
        // Behind the first page, where the tables begin.
        file.seek(SeekFrom::Start(4096)).unwrap();
        file.write_all(&vec![0xff; 8 * 4096]).unwrap();
        let store = Store::look(directory.path()).unwrap();
        let found = store.soundness();
        assert!(found.as_ref().map_or(true, |sound| !sound.damage.is_empty()), "{found:?}");
    }
}
