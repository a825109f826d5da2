//! `wasi:filesystem/types`, guarded: wasmtime's own containment does the work,
//! and what it does not do stands here.
//!
//! - Only regular files and folders are opened. A FIFO blocks a thread for
//!   ever, past the deadline and past the runtime's end.
//! - A path outside of every granted folder is refused, recorded, and reaches
//!   nothing: it goes to a *fence*, a preopen of `/` that answers to no path.
//! - Nothing is changed before the execution's start row is durable.
//! - Links are never made or moved: one could lead another program out of the
//!   folder.
//! - What is on its way to or from a file, and the listings of folders, are
//!   kept by the host: both are bounded here.

use std::fs::File;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bytes::Bytes;

use wardroom_core::capability::files::FolderAccess;
use wardroom_core::capability::{Capability, Refusal};
use wardroom_core::log::Level;
use wardroom_core::witness::Witness;
use wasmtime::component::{HasData, Resource, ResourceTable};
use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystemCtx, WasiFilesystemCtxView};
use wasmtime_wasi::p2::bindings::filesystem::preopens::Host as _;
use wasmtime_wasi::p2::bindings::filesystem::types::{self, ErrorCode, HostDescriptor, HostDirectoryEntryStream};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, FsError, FsResult, OutputStream, Pollable, StreamError, StreamResult};
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxBuilder};

use crate::notes::Notes;

/// The name of the fence among the preopens.
const FENCE_NAME: &str = "/";
/// Bytes that a file's stream takes at once, and keeps until they are written.
const STREAM_BYTES: usize = 64 << 10;
/// Listings open at once. wasmtime reads a folder whole, so each holds as many
/// names as the folder has.
const MAX_LISTINGS: usize = 32;

/// The folders of a run, as its guest knows them.
#[derive(Default)]
pub(crate) struct Folders {
    /// The open folder behind the fence. Every descriptor of it is a copy of
    /// this one, because nothing is ever opened through it; so it is known
    /// without asking the disk.
    fence: Option<Arc<File>>,
    granted: Vec<FolderAccess>,
    /// The open folder of each of these.
    opened: Vec<Arc<File>>,
    listings: AtomicUsize,
    /// A name that has no text was left out, and that was said.
    has_nameless: AtomicBool,
}

impl Folders {
    /// Opens the granted folders as preopens, behind the fence, and completes
    /// what the guest is given.
    ///
    /// # Errors
    ///
    /// A folder that vanished or cannot be read, with its name.
    pub(crate) fn open(
        mut wasi: WasiCtxBuilder,
        granted: &[FolderAccess],
        fence: &Path,
    ) -> Result<(WasiCtx, Self), (String, std::io::Error)> {
        let named = |name: &str, error: wasmtime::Error| {
            let error = error.downcast::<std::io::Error>().unwrap_or_else(|error| std::io::Error::other(format!("{error:#}")));
            (name.to_owned(), error)
        };
        // First, so that wasi-libc, which takes the last of equally good
        // matches, prefers a granted `.` or `/`.
        let root_granted = granted.iter().any(|entry| entry.folder.text() == FENCE_NAME);
        if !root_granted {
            wasi.preopened_dir(fence, FENCE_NAME, FsPerms::ReadOnly).map_err(|error| named(FENCE_NAME, error))?;
        }
        for entry in granted {
            let perms = if entry.write { FsPerms::ReadWrite } else { FsPerms::ReadOnly };
            let text = entry.folder.text();
            wasi.preopened_dir(entry.folder.absolute(), text, perms).map_err(|error| named(text, error))?;
        }
        let mut wasi = wasi.build();
        let mut opened = preopened(&mut wasi).map_err(|error| named(FENCE_NAME, error))?;
        let fence = if root_granted || opened.is_empty() { None } else { Some(opened.remove(0)) };
        Ok((wasi, Self { fence, granted: granted.to_vec(), opened, listings: AtomicUsize::new(0), has_nameless: AtomicBool::new(false) }))
    }

    /// The granted folder in which a path of the guest's lies, as an open
    /// handle, and the path from there on; of several the one with the longest
    /// name, as the guest's own library chooses.
    pub(crate) fn holding(&self, path: &Path) -> Option<(&FolderAccess, &Arc<File>, PathBuf)> {
        let path: PathBuf = path.components().filter(|part| !matches!(part, Component::CurDir)).collect();
        let found = self.granted.iter().zip(&self.opened).filter_map(|(entry, open)| {
            let rest = match entry.folder.text() {
                "." if path.is_relative() => path.as_path(),
                text => path.strip_prefix(text).ok()?,
            };
            Some((entry, open, rest.to_owned()))
        });
        found.min_by_key(|(_, _, rest)| rest.components().count())
    }
}

/// The preopens' own handles, in their order.
fn preopened(wasi: &mut WasiCtx) -> wasmtime::Result<Vec<Arc<File>>> {
    let mut table = ResourceTable::new();
    let preopens = WasiFilesystemCtxView { ctx: wasi.filesystem(), table: &mut table }.get_directories()?;
    let opened = preopens.iter().map(|(folder, _)| match table.get(folder)? {
        Descriptor::Dir(folder) => Ok(folder.dir.clone()),
        Descriptor::File(_) => Err(wasmtime::Error::msg("a preopen is no folder")),
    });
    opened.collect()
}

/// Marks the view below in the linker.
pub(crate) struct GuardedFiles;

impl HasData for GuardedFiles {
    type Data<'a> = GuardedView<'a>;
}

/// A run's files for the time of one host call.
pub(crate) struct GuardedView<'a> {
    pub(crate) ctx: &'a mut WasiFilesystemCtx,
    pub(crate) table: &'a mut ResourceTable,
    pub(crate) folders: &'a Folders,
    pub(crate) notes: &'a Arc<Notes>,
}

/// What a call would do, for words and for order.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Intent {
    Read,
    Write,
}

type Fd = Resource<Descriptor>;

impl GuardedView<'_> {
    fn say_nameless(&self) {
        if !self.folders.has_nameless.swap(true, Ordering::Relaxed) {
            self.notes.say(Level::Warn, "a folder has names that are not UTF-8: they are left out of its listing");
        }
    }

    fn inner(&mut self) -> WasiFilesystemCtxView<'_> {
        WasiFilesystemCtxView { ctx: self.ctx, table: self.table }
    }

    fn refuse(&self, intent: Intent, path: &str, reason: &str, scope: Option<String>) -> FsError {
        let capability = if intent == Intent::Write { Capability::Write } else { Capability::Read };
        self.notes.refused(&Refusal { capability, wanted: path.to_owned(), reason: reason.to_owned(), scope });
        ErrorCode::NotPermitted.into()
    }

    /// The path lies outside of every granted folder.
    fn is_fence(&mut self, fd: &Fd) -> FsResult<bool> {
        let Some(fence) = &self.folders.fence else { return Ok(false) };
        Ok(matches!(self.table.get(fd)?, Descriptor::Dir(folder) if Arc::ptr_eq(&folder.dir, fence)))
    }

    /// May this call go on at this place? Reading beyond the fence, writing
    /// where only reading was granted: no, and recorded.
    async fn admit(&mut self, fd: &Fd, path: &str, intent: Intent) -> FsResult<()> {
        if self.is_fence(fd)? {
            return Err(self.refuse(intent, path, "it lies outside of the granted folders", Some(parent_of(path))));
        }
        if intent == Intent::Write {
            if let Some(folder) = self.read_only(fd)? {
                return Err(self.refuse(intent, path, "the folder was granted for reading only", Some(folder)));
            }
            self.effect().await?;
        }
        Ok(())
    }

    /// The folder's scope, where it may not be written.
    fn read_only(&mut self, fd: &Fd) -> FsResult<Option<String>> {
        let perms = match self.table.get(fd)? {
            Descriptor::Dir(dir) => dir.perms,
            Descriptor::File(file) => file.perms,
        };
        if perms != FsPerms::ReadOnly {
            return Ok(None);
        }
        let only = match self.folders.granted.as_slice() {
            [only] => only.folder.text(),
            _ => "DIR",
        };
        Ok(Some(only.to_owned()))
    }

    /// The start row first. A fault is the host's: the run ends.
    async fn effect(&mut self) -> FsResult<()> {
        self.notes.effect().await.map_err(|fault| FsError::trap(wasmtime::Error::new(fault)))
    }

    /// The start row before a change through a descriptor, which may have been
    /// opened for reading only. Where the folder may not be written, the call
    /// itself says so.
    async fn effect_on(&mut self, fd: &Fd) -> FsResult<()> {
        if self.read_only(fd)?.is_none() {
            self.effect().await?;
        }
        Ok(())
    }

    async fn is_link(&mut self, fd: &Fd, path: &str) -> bool {
        // With a slash behind it, a link would be looked through.
        let path = path.trim_end_matches('/').to_owned();
        let there = Resource::new_borrow(fd.rep());
        let stat = HostDescriptor::stat_at(&mut self.inner(), there, types::PathFlags::empty(), path).await;
        stat.is_ok_and(|stat| stat.type_ == types::DescriptorType::SymbolicLink)
    }

    /// A stream that takes no more at once than it says.
    fn bounded(&mut self, stream: Resource<DynOutputStream>) -> FsResult<Resource<DynOutputStream>> {
        let stream = self.table.delete(stream)?;
        let bounded: DynOutputStream = Box::new(Bounded(stream));
        Ok(self.table.push(bounded)?)
    }

    /// Follows links as the call itself would, so that what is looked at is
    /// what would be opened.
    async fn check_kind(&mut self, fd: &Fd, flags: types::PathFlags, path: &str, intent: Intent) -> FsResult<()> {
        let there = Resource::new_borrow(fd.rep());
        match HostDescriptor::stat_at(&mut self.inner(), there, flags, path.to_owned()).await {
            Ok(stat) if is_plain(stat.type_) || stat.type_ == types::DescriptorType::SymbolicLink => Ok(()),
            Ok(_) => Err(self.refuse(intent, path, NOT_PLAIN, None)),
            // Not there yet, or not to be looked at: opening says what is so.
            Err(_) => Ok(()),
        }
    }
}

const NOT_PLAIN: &str = "it is no regular file or folder";

const NO_LINKS: &str = "links are never made or moved for a program";

fn is_plain(kind: types::DescriptorType) -> bool {
    matches!(kind, types::DescriptorType::RegularFile | types::DescriptorType::Directory)
}

/// The folder whose grant would have allowed a path, as typed in a flag.
pub(super) fn parent_of(path: &str) -> String {
    // The fence stands at `/`; an absolute path arrives without its slash, and
    // a relative one looks the same. The flag names the folder either way.
    let parent = Path::new(path).parent().and_then(Path::to_str).unwrap_or("");
    if parent.is_empty() { ".".to_owned() } else { parent.to_owned() }
}

fn open_intent(oflags: types::OpenFlags, flags: types::DescriptorFlags) -> Intent {
    let changes = oflags.intersects(types::OpenFlags::CREATE | types::OpenFlags::TRUNCATE);
    let writes = flags.intersects(types::DescriptorFlags::WRITE | types::DescriptorFlags::MUTATE_DIRECTORY);
    if changes || writes { Intent::Write } else { Intent::Read }
}

impl types::Host for GuardedView<'_> {
    fn convert_error_code(&mut self, error: FsError) -> wasmtime::Result<ErrorCode> {
        types::Host::convert_error_code(&mut self.inner(), error)
    }

    fn filesystem_error_code(&mut self, error: Resource<wasmtime::Error>) -> wasmtime::Result<Option<ErrorCode>> {
        types::Host::filesystem_error_code(&mut self.inner(), error)
    }
}

impl HostDescriptor for GuardedView<'_> {
    async fn open_at(
        &mut self,
        fd: Fd,
        path_flags: types::PathFlags,
        path: String,
        oflags: types::OpenFlags,
        flags: types::DescriptorFlags,
    ) -> FsResult<Fd> {
        let intent = open_intent(oflags, flags);
        // Opening a folder for changing it is asked for by habit (wasi-libc
        // does so for every folder) and changes nothing yet.
        let as_folder = oflags.contains(types::OpenFlags::DIRECTORY);
        self.admit(&fd, &path, if as_folder { Intent::Read } else { intent }).await?;
        self.check_kind(&fd, path_flags, &path, intent).await?;
        let opened = HostDescriptor::open_at(&mut self.inner(), fd, path_flags, path.clone(), oflags, flags).await?;
        // Looked at again: what was there a moment ago may have been swapped.
        let kind = HostDescriptor::get_type(&mut self.inner(), Resource::new_borrow(opened.rep())).await?;
        if !is_plain(kind) {
            HostDescriptor::drop(&mut self.inner(), opened).map_err(FsError::trap)?;
            return Err(self.refuse(intent, &path, NOT_PLAIN, None));
        }
        Ok(opened)
    }

    async fn stat_at(&mut self, fd: Fd, flags: types::PathFlags, path: String) -> FsResult<types::DescriptorStat> {
        self.admit(&fd, &path, Intent::Read).await?;
        HostDescriptor::stat_at(&mut self.inner(), fd, flags, path).await
    }

    async fn metadata_hash_at(&mut self, fd: Fd, flags: types::PathFlags, path: String) -> FsResult<types::MetadataHashValue> {
        self.admit(&fd, &path, Intent::Read).await?;
        HostDescriptor::metadata_hash_at(&mut self.inner(), fd, flags, path).await
    }

    async fn readlink_at(&mut self, fd: Fd, path: String) -> FsResult<String> {
        self.admit(&fd, &path, Intent::Read).await?;
        HostDescriptor::readlink_at(&mut self.inner(), fd, path).await
    }

    async fn read_directory(&mut self, fd: Fd) -> FsResult<Resource<types::DirectoryEntryStream>> {
        self.admit(&fd, FENCE_NAME, Intent::Read).await?;
        if self.folders.listings.load(Ordering::Relaxed) >= MAX_LISTINGS {
            return Err(ErrorCode::InsufficientMemory.into());
        }
        let listing = HostDescriptor::read_directory(&mut self.inner(), fd).await?;
        self.folders.listings.fetch_add(1, Ordering::Relaxed);
        Ok(listing)
    }

    async fn create_directory_at(&mut self, fd: Fd, path: String) -> FsResult<()> {
        self.admit(&fd, &path, Intent::Write).await?;
        HostDescriptor::create_directory_at(&mut self.inner(), fd, path).await
    }

    async fn set_times_at(
        &mut self,
        fd: Fd,
        flags: types::PathFlags,
        path: String,
        access: types::NewTimestamp,
        modification: types::NewTimestamp,
    ) -> FsResult<()> {
        self.admit(&fd, &path, Intent::Write).await?;
        HostDescriptor::set_times_at(&mut self.inner(), fd, flags, path, access, modification).await
    }

    async fn link_at(&mut self, fd: Fd, _: types::PathFlags, old: String, new_fd: Fd, new: String) -> FsResult<()> {
        self.admit(&fd, &old, Intent::Write).await?;
        self.admit(&new_fd, &new, Intent::Write).await?;
        Err(self.refuse(Intent::Write, &format!("{new} -> {old}"), NO_LINKS, None))
    }

    async fn symlink_at(&mut self, fd: Fd, old: String, new: String) -> FsResult<()> {
        self.admit(&fd, &new, Intent::Write).await?;
        Err(self.refuse(Intent::Write, &format!("{new} -> {old}"), NO_LINKS, None))
    }

    async fn remove_directory_at(&mut self, fd: Fd, path: String) -> FsResult<()> {
        self.admit(&fd, &path, Intent::Write).await?;
        HostDescriptor::remove_directory_at(&mut self.inner(), fd, path).await
    }

    async fn rename_at(&mut self, fd: Fd, old: String, new_fd: Fd, new: String) -> FsResult<()> {
        self.admit(&fd, &old, Intent::Write).await?;
        self.admit(&new_fd, &new, Intent::Write).await?;
        if self.is_link(&fd, &old).await {
            return Err(self.refuse(Intent::Write, &format!("{old} to {new}"), NO_LINKS, None));
        }
        HostDescriptor::rename_at(&mut self.inner(), fd, old, new_fd, new).await
    }

    async fn unlink_file_at(&mut self, fd: Fd, path: String) -> FsResult<()> {
        self.admit(&fd, &path, Intent::Write).await?;
        HostDescriptor::unlink_file_at(&mut self.inner(), fd, path).await
    }

    // From here on: calls on what has been opened, and so has been admitted.

    async fn advise(&mut self, fd: Fd, offset: u64, len: u64, advice: types::Advice) -> FsResult<()> {
        HostDescriptor::advise(&mut self.inner(), fd, offset, len, advice).await
    }

    async fn sync_data(&mut self, fd: Fd) -> FsResult<()> {
        HostDescriptor::sync_data(&mut self.inner(), fd).await
    }

    async fn get_flags(&mut self, fd: Fd) -> FsResult<types::DescriptorFlags> {
        HostDescriptor::get_flags(&mut self.inner(), fd).await
    }

    async fn get_type(&mut self, fd: Fd) -> FsResult<types::DescriptorType> {
        HostDescriptor::get_type(&mut self.inner(), fd).await
    }

    async fn set_size(&mut self, fd: Fd, size: u64) -> FsResult<()> {
        self.effect_on(&fd).await?;
        HostDescriptor::set_size(&mut self.inner(), fd, size).await
    }

    async fn set_times(&mut self, fd: Fd, access: types::NewTimestamp, modification: types::NewTimestamp) -> FsResult<()> {
        self.effect_on(&fd).await?;
        HostDescriptor::set_times(&mut self.inner(), fd, access, modification).await
    }

    async fn read(&mut self, fd: Fd, len: u64, offset: u64) -> FsResult<(Vec<u8>, bool)> {
        HostDescriptor::read(&mut self.inner(), fd, len, offset).await
    }

    async fn write(&mut self, fd: Fd, bytes: Vec<u8>, offset: u64) -> FsResult<u64> {
        self.effect_on(&fd).await?;
        HostDescriptor::write(&mut self.inner(), fd, bytes, offset).await
    }

    async fn sync(&mut self, fd: Fd) -> FsResult<()> {
        HostDescriptor::sync(&mut self.inner(), fd).await
    }

    async fn stat(&mut self, fd: Fd) -> FsResult<types::DescriptorStat> {
        HostDescriptor::stat(&mut self.inner(), fd).await
    }

    fn drop(&mut self, fd: Fd) -> wasmtime::Result<()> {
        HostDescriptor::drop(&mut self.inner(), fd)
    }

    fn read_via_stream(&mut self, fd: Fd, offset: u64) -> FsResult<Resource<DynInputStream>> {
        HostDescriptor::read_via_stream(&mut self.inner(), fd, offset)
    }

    fn write_via_stream(&mut self, fd: Fd, offset: u64) -> FsResult<Resource<DynOutputStream>> {
        let stream = HostDescriptor::write_via_stream(&mut self.inner(), fd, offset)?;
        self.bounded(stream)
    }

    fn append_via_stream(&mut self, fd: Fd) -> FsResult<Resource<DynOutputStream>> {
        let stream = HostDescriptor::append_via_stream(&mut self.inner(), fd)?;
        self.bounded(stream)
    }

    async fn is_same_object(&mut self, a: Fd, b: Fd) -> wasmtime::Result<bool> {
        HostDescriptor::is_same_object(&mut self.inner(), a, b).await
    }

    async fn metadata_hash(&mut self, fd: Fd) -> FsResult<types::MetadataHashValue> {
        HostDescriptor::metadata_hash(&mut self.inner(), fd).await
    }
}

impl HostDirectoryEntryStream for GuardedView<'_> {
    async fn read_directory_entry(&mut self, stream: Resource<types::DirectoryEntryStream>) -> FsResult<Option<types::DirectoryEntry>> {
        let listing = stream.rep();
        loop {
            let stream = Resource::new_borrow(listing);
            match HostDirectoryEntryStream::read_directory_entry(&mut self.inner(), stream).await {
                // A name that is not UTF-8 is none that a program could say: it
                // is left out, and the others are listed.
                Err(error) if matches!(error.downcast_ref(), Some(ErrorCode::IllegalByteSequence)) => self.say_nameless(),
                entry => return entry,
            }
        }
    }

    fn drop(&mut self, stream: Resource<types::DirectoryEntryStream>) -> wasmtime::Result<()> {
        HostDirectoryEntryStream::drop(&mut self.inner(), stream)?;
        self.folders.listings.fetch_sub(1, Ordering::Relaxed);
        Ok(())
    }
}

/// A file's stream. wasmtime's own says that it takes 64 KiB at once, takes
/// more all the same, and keeps it until a thread has written it.
struct Bounded(DynOutputStream);

#[wasmtime_wasi::async_trait]
impl OutputStream for Bounded {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        if bytes.len() > STREAM_BYTES {
            return Err(StreamError::trap("more was written than the stream had said it takes"));
        }
        self.0.write(bytes)
    }

    fn flush(&mut self) -> StreamResult<()> {
        self.0.flush()
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(self.0.check_write()?.min(STREAM_BYTES))
    }

    // Passed on, for wasmtime's shortcut without a task of its own.
    async fn blocking_write_and_flush(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.0.blocking_write_and_flush(bytes).await
    }

    async fn cancel(&mut self) {
        self.0.cancel().await;
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Bounded {
    async fn ready(&mut self) {
        self.0.ready().await;
    }
}

#[cfg(test)]
mod tests {
    use wardroom_core::capability::files::FolderScope;

    use super::*;

    fn open(granted: &[FolderAccess], fence: &Path) -> (WasiCtx, Folders) {
        Folders::open(WasiCtxBuilder::new(), granted, fence).unwrap()
    }

    /// Which preopens, by name, are the fence. Asked twice: a guest may.
    fn fences(wasi: &mut WasiCtx, folders: &Folders) -> Vec<(String, bool)> {
        let mut table = ResourceTable::new();
        let mut found = Vec::new();
        for _ in 0..2 {
            let preopens = WasiFilesystemCtxView { ctx: wasi.filesystem(), table: &mut table }.get_directories().unwrap();
            for (fd, name) in preopens {
                let Descriptor::Dir(folder) = table.get(&fd).unwrap() else { panic!("{name} is no folder") };
                found.push((name, folders.fence.as_ref().is_some_and(|fence| Arc::ptr_eq(fence, &folder.dir))));
            }
        }
        found
    }

    #[test]
    fn the_fence_is_known_by_its_descriptor_and_not_by_the_folder_behind_it() {
        let behind = tempfile::tempdir().unwrap();
        let place = behind.path().canonicalize().unwrap();
        let granted = [FolderAccess { folder: FolderScope::new("same", &place).unwrap(), write: false }];
        let (mut wasi, folders) = open(&granted, &place);
        let expected = [("/".to_owned(), true), ("same".to_owned(), false)];
        assert_eq!(fences(&mut wasi, &folders), [expected.clone(), expected].concat());

        let root = [FolderAccess { folder: FolderScope::new("/", &place).unwrap(), write: false }];
        let (mut wasi, folders) = open(&root, &place);
        assert!(fences(&mut wasi, &folders).iter().all(|(_, fence)| !fence), "where `/` is granted there is none");
    }

    struct Taking;

    #[wasmtime_wasi::async_trait]
    impl OutputStream for Taking {
        fn write(&mut self, _: Bytes) -> StreamResult<()> {
            Ok(())
        }
        fn flush(&mut self) -> StreamResult<()> {
            Ok(())
        }
        fn check_write(&mut self) -> StreamResult<usize> {
            Ok(usize::MAX)
        }
    }

    #[wasmtime_wasi::async_trait]
    impl Pollable for Taking {
        async fn ready(&mut self) {}
    }

    #[test]
    fn a_stream_takes_no_more_at_once_than_it_says() {
        let mut stream = Bounded(Box::new(Taking));
        assert_eq!(stream.check_write().unwrap(), STREAM_BYTES);
        assert!(stream.write(vec![0; STREAM_BYTES].into()).is_ok());
        assert!(matches!(stream.write(vec![0; STREAM_BYTES + 1].into()), Err(StreamError::Trap(_))));
    }
}
