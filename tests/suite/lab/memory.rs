//! What a process holds in its memory, read as root.

use std::{fs, os::unix::fs::FileExt};

/// The writable memory of a process: heap, stacks, data. The rest are files as they lie on the disk.
pub struct Memory(Vec<Region>);

struct Region {
    /// As in `/proc/PID/maps`: the addresses and what is there.
    name: String,
    start: u64,
    /// One character per byte, so that text can be searched.
    text: String,
}

impl Memory {
    /// A copy of it as it is now; `None` where the process is gone.
    pub fn of(pid: u32) -> Option<Self> {
        let maps = fs::read_to_string(format!("/proc/{pid}/maps")).ok()?;
        let memory = fs::File::open(format!("/proc/{pid}/mem")).ok()?;
        let regions = maps.lines().filter_map(|line| {
            let mut words = line.split_whitespace();
            let (range, mode) = (words.next()?, words.next()?);
            let (start, end) = range.split_once('-')?;
            let [start, end] = [start, end].map(|number| u64::from_str_radix(number, 16).unwrap());
            if !mode.starts_with("rw") {
                return None;
            }
            let mut bytes = vec![0; usize::try_from(end - start).unwrap()];
            // It may have been given back since.
            memory.read_exact_at(&mut bytes, start).ok()?;
            let text = bytes.iter().map(|byte| if byte.is_ascii() { char::from(*byte) } else { '\0' }).collect();
            Some(Region { name: format!("{range} {}", words.last().unwrap_or_default()), start, text })
        });
        Some(Self(regions.collect()))
    }

    /// Where these texts are.
    pub fn find<'text>(&self, texts: impl IntoIterator<Item = &'text str>) -> Vec<String> {
        let texts: Vec<&str> = texts.into_iter().collect();
        let regions = self.0.iter().flat_map(|region| {
            let found = texts.iter().flat_map(move |text| region.text.match_indices(text));
            found.map(|(at, text)| format!("{text} at {:x} in {}", region.start + at as u64, region.name))
        });
        regions.collect()
    }
}
