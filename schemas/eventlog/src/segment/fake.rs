//! A file system in memory for tests: it can be full, fail every kind of call, and lose what was not synced.
//!
//! Faults are counted: `fail_opens(3)` makes the next three opens fail, `fail_opens(u32::MAX)` all of them until
//! `fail_opens(0)`. A call that fails changes nothing, except a sync: see below.
//!
//! It models what a page cache does: a process that is killed loses nothing that was written; a power cut
//! loses any part of what was not synced, names included; a failed sync loses the dirty pages although a
//! later sync succeeds.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::files::{FileHandle, Files, LockGuard, parent};

/// Handle on the fake disk; clones share it.
#[derive(Debug, Clone, Default)]
pub struct FakeFiles {
    disk: Arc<Mutex<Disk>>,
}

#[derive(Debug, Default)]
struct Disk {
    inodes: Vec<Inode>,
    names: BTreeMap<PathBuf, usize>,
    durable_names: BTreeMap<PathBuf, usize>,
    dirs: BTreeSet<PathBuf>,
    locks: BTreeSet<PathBuf>,
    free_bytes: Option<u64>,
    failures: Failures,
    syncs: u64,
}

/// How many of the next calls of each kind fail.
#[derive(Debug, Default)]
struct Failures {
    syncs: u32,
    opens: u32,
    reads: u32,
    removes: u32,
    renames: u32,
    dir_syncs: u32,
}

/// Error numbers of Linux; `std` has no kind for them.
const EIO: i32 = 5;
const EMFILE: i32 = 24;

/// Uses up one of the failures that are due, if any.
fn fail_if_due(due: &mut u32, code: i32) -> io::Result<()> {
    match due.checked_sub(1) {
        None => Ok(()),
        Some(left) => {
            // The largest count stands for "until told otherwise".
            *due = if *due == u32::MAX { u32::MAX } else { left };
            Err(io::Error::from_raw_os_error(code))
        }
    }
}

#[derive(Debug, Clone, Default)]
struct Inode {
    data: Vec<u8>,
    durable: Vec<u8>,
    /// Ranges of `data` that a failed sync dropped from the cache: they never become durable.
    dropped: Vec<(usize, usize)>,
    /// What can never be read.
    unreadable: Option<(usize, usize)>,
}

impl FakeFiles {
    /// An empty disk without bounds or faults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many more bytes can be written; `None` removes the bound.
    pub fn set_free_bytes(&self, bytes: Option<u64>) {
        self.disk.lock().free_bytes = bytes;
    }

    /// Makes the next `count` syncs of files fail with an input/output error.
    pub fn fail_syncs(&self, count: u32) {
        self.disk.lock().failures.syncs = count;
    }

    /// Makes the next `count` calls that need a file descriptor (opening, creating, listing, locking) fail as if the
    /// process had none left (`EMFILE`). Files that are open already go on working.
    pub fn fail_opens(&self, count: u32) {
        self.disk.lock().failures.opens = count;
    }

    /// Makes the next `count` reads of open files fail with an input/output error.
    pub fn fail_reads(&self, count: u32) {
        self.disk.lock().failures.reads = count;
    }

    /// Makes the next `count` removals of files fail with an input/output error.
    pub fn fail_removes(&self, count: u32) {
        self.disk.lock().failures.removes = count;
    }

    /// Makes the next `count` renames fail with an input/output error.
    pub fn fail_renames(&self, count: u32) {
        self.disk.lock().failures.renames = count;
    }

    /// Makes the next `count` syncs of folders fail with an input/output error.
    pub fn fail_dir_syncs(&self, count: u32) {
        self.disk.lock().failures.dir_syncs = count;
    }

    /// Ends all faults: no call fails any more and the disk has room.
    pub fn heal(&self) {
        let mut disk = self.disk.lock();
        disk.failures = Failures::default();
        disk.free_bytes = None;
    }

    /// Syncs of files that were asked for so far.
    #[must_use]
    pub fn syncs(&self) -> u64 {
        self.disk.lock().syncs
    }

    /// The disk as a restarted process finds it after `kill -9` at this moment. Locks are gone.
    #[must_use]
    pub fn after_kill(&self) -> Self {
        let disk = self.disk.lock();
        Self::with(Disk {
            inodes: disk.inodes.clone(),
            names: disk.names.clone(),
            durable_names: disk.durable_names.clone(),
            dirs: disk.dirs.clone(),
            ..Disk::default()
        })
    }

    /// The disk as found after a power cut at this moment: of what was not synced, `seed` decides what is
    /// left. Files are torn at any byte, 512-byte sectors may be zero, new names may be missing.
    #[must_use]
    pub fn after_power_cut(&self, seed: u64) -> Self {
        let mut dice = Dice(seed);
        let disk = self.disk.lock();
        let mut names = disk.durable_names.clone();
        for (path, inode) in &disk.names {
            if !names.contains_key(path) && dice.below(2) == 0 {
                names.insert(path.clone(), *inode);
            }
        }
        let survivors = disk.inodes.iter().map(|inode| inode.after_power_cut(&mut dice)).collect();
        Self::with(Disk {
            inodes: survivors,
            durable_names: names.clone(),
            names,
            dirs: disk.dirs.clone(),
            ..Disk::default()
        })
    }

    /// Paths of all files, ascending.
    #[must_use]
    pub fn paths(&self) -> Vec<PathBuf> {
        self.disk.lock().names.keys().cloned().collect()
    }

    /// Changes a file's bytes directly, as damage of the medium does; the change is durable.
    pub fn damage(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let mut disk = self.disk.lock();
        if let Some(&inode) = disk.names.get(path) {
            change(&mut disk.inodes[inode].data);
            disk.inodes[inode].durable = disk.inodes[inode].data.clone();
        }
    }

    /// Makes every read of these bytes of a file fail with an input/output error for good, as a bad sector does.
    pub fn lose_bytes(&self, path: &Path, from: usize, to: usize) {
        let mut disk = self.disk.lock();
        if let Some(&inode) = disk.names.get(path) {
            disk.inodes[inode].unreadable = Some((from, to));
        }
    }

    fn with(disk: Disk) -> Self {
        Self { disk: Arc::new(Mutex::new(disk)) }
    }

    fn handle(&self, inode: usize) -> Arc<dyn FileHandle> {
        Arc::new(FakeHandle { files: self.clone(), inode })
    }
}

impl Inode {
    fn after_power_cut(&self, dice: &mut Dice) -> Self {
        let mut data = self.durable.clone();
        if self.data.len() > data.len() {
            let keep = data.len() + dice.below(self.data.len() - data.len() + 1);
            data.extend_from_slice(&self.data[self.durable.len()..keep]);
            if dice.below(3) == 0 {
                let sector = self.durable.len() + dice.below(keep - self.durable.len() + 1);
                let end = (sector + 512).min(keep);
                data[sector..end].fill(0);
            }
        }
        for &(from, to) in &self.dropped {
            let end = to.min(data.len());
            if from < end {
                data[from..end].fill(0);
            }
        }
        Self { durable: data.clone(), data, dropped: Vec::new(), unreadable: self.unreadable }
    }
}

impl Files for FakeFiles {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        let mut disk = self.disk.lock();
        for path in dir.ancestors() {
            disk.dirs.insert(path.to_path_buf());
        }
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut disk = self.disk.lock();
        fail_if_due(&mut disk.failures.opens, EMFILE)?;
        let paths = disk.names.keys().chain(&disk.dirs);
        let inside = paths.filter(|path| path.parent() == Some(dir));
        Ok(inside.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect())
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn FileHandle>> {
        let inode = {
            let mut disk = self.disk.lock();
            fail_if_due(&mut disk.failures.opens, EMFILE)?;
            if !disk.dirs.contains(parent(path)) {
                return Err(io::ErrorKind::NotFound.into());
            }
            if disk.names.contains_key(path) {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            disk.inodes.push(Inode::default());
            let inode = disk.inodes.len() - 1;
            disk.names.insert(path.to_path_buf(), inode);
            inode
        };
        Ok(self.handle(inode))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn FileHandle>> {
        let mut disk = self.disk.lock();
        fail_if_due(&mut disk.failures.opens, EMFILE)?;
        let inode = disk.names.get(path).copied();
        inode.map(|inode| self.handle(inode)).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut disk = self.disk.lock();
        fail_if_due(&mut disk.failures.renames, EIO)?;
        let inode = disk.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        disk.names.insert(to.to_path_buf(), inode);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut disk = self.disk.lock();
        fail_if_due(&mut disk.failures.removes, EIO)?;
        let inode = disk.names.remove(path).ok_or(io::ErrorKind::NotFound)?;
        let size = disk.inodes[inode].data.len() as u64;
        disk.free_bytes = disk.free_bytes.map(|free| free + size);
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut disk = self.disk.lock();
        fail_if_due(&mut disk.failures.dir_syncs, EIO)?;
        let inside = |path: &Path| path.parent() == Some(dir);
        disk.durable_names.retain(|path, _| !inside(path));
        let now: Vec<_> = disk.names.iter().filter(|(path, _)| inside(path)).collect();
        let now: Vec<_> = now.into_iter().map(|(path, &inode)| (path.clone(), inode)).collect();
        disk.durable_names.extend(now);
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn LockGuard>> {
        let mut disk = self.disk.lock();
        fail_if_due(&mut disk.failures.opens, EMFILE)?;
        if !disk.locks.insert(path.to_path_buf()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(Box::new(FakeLock { files: self.clone(), path: path.to_path_buf() }))
    }
}

#[derive(Debug)]
struct FakeLock {
    files: FakeFiles,
    path: PathBuf,
}

impl LockGuard for FakeLock {}

impl Drop for FakeLock {
    fn drop(&mut self) {
        self.files.disk.lock().locks.remove(&self.path);
    }
}

#[derive(Debug)]
struct FakeHandle {
    files: FakeFiles,
    inode: usize,
}

impl FileHandle for FakeHandle {
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut disk = self.files.disk.lock();
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let old = disk.inodes[self.inode].data.len();
        let growth = (start + bytes.len()).saturating_sub(old) as u64;
        let allowed = disk.free_bytes.map_or(growth, |free| free.min(growth));
        disk.free_bytes = disk.free_bytes.map(|free| free - allowed);
        let written = bytes.len() - usize::try_from(growth - allowed).map_err(io::Error::other)?;
        let data = &mut disk.inodes[self.inode].data;
        if data.len() < start + written {
            data.resize(start + written, 0);
        }
        data[start..start + written].copy_from_slice(&bytes[..written]);
        if written < bytes.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut disk = self.files.disk.lock();
        fail_if_due(&mut disk.failures.reads, EIO)?;
        let data = &disk.inodes[self.inode].data;
        let start = usize::try_from(offset).map_err(io::Error::other)?.min(data.len());
        let count = buffer.len().min(data.len() - start);
        let meets = |(from, to): (usize, usize)| start < to && start + count > from;
        if disk.inodes[self.inode].unreadable.is_some_and(meets) {
            return Err(io::Error::from_raw_os_error(EIO));
        }
        buffer[..count].copy_from_slice(&data[start..start + count]);
        Ok(count)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.files.disk.lock().inodes[self.inode].data.len() as u64)
    }

    fn set_size(&self, bytes: u64) -> io::Result<()> {
        let mut disk = self.files.disk.lock();
        let size = usize::try_from(bytes).map_err(io::Error::other)?;
        let inode = &mut disk.inodes[self.inode];
        inode.data.resize(size, 0);
        // Pages that are cut off are gone; what is written there later is in new ones.
        inode.dropped.retain_mut(|(from, to)| {
            *to = (*to).min(size);
            *from < *to
        });
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut disk = self.files.disk.lock();
        disk.syncs += 1;
        let outcome = fail_if_due(&mut disk.failures.syncs, EIO);
        let inode = &mut disk.inodes[self.inode];
        if outcome.is_err() {
            inode.dropped.push((inode.durable.len(), inode.data.len()));
            return outcome;
        }
        inode.durable = inode.data.clone();
        for &(from, to) in &inode.dropped {
            let end = to.min(inode.durable.len());
            if from < end {
                inode.durable[from..end].fill(0);
            }
        }
        Ok(())
    }
}

/// A small deterministic generator (splitmix64), so that a schedule is its seed.
#[derive(Debug, Clone)]
pub struct Dice(
    /// The state; the seed at first.
    pub u64,
);

impl Dice {
    /// The next 64 bits.
    pub fn next_bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// A number below `bound`; 0 when the bound is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next_bits() % (bound.max(1) as u64)).unwrap_or(0)
    }
}
