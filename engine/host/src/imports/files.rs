//! `wasi:filesystem/types`, guarded: wasmtime's own containment does the work,
//! and what it does not do stands here.
//!
//! - Only regular files and folders are opened. A FIFO blocks a thread for
//!   ever, past the deadline and past the runtime's end.
//! - A path outside of every granted folder is refused, recorded, and reaches
//!   nothing: it goes to a *fence*, a preopen of `/` that answers to no path.
//! - Nothing is changed before the execution's start row is durable.
//! - Links are never made: one could lead another program out of the folder.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use wardroom_core::capability::files::FolderAccess;
use wardroom_core::capability::{Capability, Refusal};
use wardroom_core::witness::Witness;
use wasmtime::component::{HasData, Resource, ResourceTable};
use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystemCtx, WasiFilesystemCtxView};
use wasmtime_wasi::p2::bindings::filesystem::types::{self, ErrorCode, HostDescriptor, HostDirectoryEntryStream};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, FsError, FsResult};
use wasmtime_wasi::{FsPerms, WasiCtxBuilder};

use crate::notes::Notes;

/// The name of the fence among the preopens.
const FENCE_NAME: &str = "/";

/// The folders of a run, as its guest knows them.
#[derive(Default)]
pub(crate) struct Folders {
    /// What stands behind the fence: an empty folder's identity.
    fence: Option<(u64, u64)>,
    granted: Vec<FolderAccess>,
}

impl Folders {
    /// Opens the granted folders as preopens, behind the fence.
    ///
    /// # Errors
    ///
    /// A folder that vanished or cannot be read, with its name.
    pub(crate) fn open(wasi: &mut WasiCtxBuilder, granted: &[FolderAccess], fence: &Path) -> Result<Self, (String, std::io::Error)> {
        use std::os::unix::fs::MetadataExt;
        let named = |name: &str, error: wasmtime::Error| {
            let error = error.downcast::<std::io::Error>().unwrap_or_else(|error| std::io::Error::other(format!("{error:#}")));
            (name.to_owned(), error)
        };
        // First, so that wasi-libc, which takes the last of equally good
        // matches, prefers a granted `.` or `/`.
        let root_granted = granted.iter().any(|entry| entry.folder.text() == FENCE_NAME);
        let mut identity = None;
        if !root_granted {
            let meta = File::open(fence).and_then(|file| file.metadata()).map_err(|error| (FENCE_NAME.to_owned(), error))?;
            identity = Some((meta.dev(), meta.ino()));
            wasi.preopened_dir(fence, FENCE_NAME, FsPerms::ReadOnly).map_err(|error| named(FENCE_NAME, error))?;
        }
        for entry in granted {
            let perms = if entry.write { FsPerms::ReadWrite } else { FsPerms::ReadOnly };
            let text = entry.folder.text();
            wasi.preopened_dir(entry.folder.absolute(), text, perms).map_err(|error| named(text, error))?;
        }
        Ok(Self { fence: identity, granted: granted.to_vec() })
    }
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
        use std::os::unix::fs::MetadataExt;
        let Some(fence) = self.folders.fence else { return Ok(false) };
        match self.table.get(fd)? {
            Descriptor::Dir(dir) => {
                let meta = dir.dir.metadata().map_err(FsError::from)?;
                Ok((meta.dev(), meta.ino()) == fence)
            }
            Descriptor::File(_) => Ok(false),
        }
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

fn is_plain(kind: types::DescriptorType) -> bool {
    matches!(kind, types::DescriptorType::RegularFile | types::DescriptorType::Directory)
}

/// The folder whose grant would have allowed a path, as typed in a flag.
fn parent_of(path: &str) -> String {
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
        HostDescriptor::read_directory(&mut self.inner(), fd).await
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

    async fn link_at(&mut self, fd: Fd, flags: types::PathFlags, old: String, new_fd: Fd, new: String) -> FsResult<()> {
        self.admit(&fd, &old, Intent::Write).await?;
        self.admit(&new_fd, &new, Intent::Write).await?;
        HostDescriptor::link_at(&mut self.inner(), fd, flags, old, new_fd, new).await
    }

    async fn symlink_at(&mut self, fd: Fd, old: String, new: String) -> FsResult<()> {
        self.admit(&fd, &new, Intent::Write).await?;
        Err(self.refuse(Intent::Write, &format!("{new} -> {old}"), "links are never made for a program", None))
    }

    async fn remove_directory_at(&mut self, fd: Fd, path: String) -> FsResult<()> {
        self.admit(&fd, &path, Intent::Write).await?;
        HostDescriptor::remove_directory_at(&mut self.inner(), fd, path).await
    }

    async fn rename_at(&mut self, fd: Fd, old: String, new_fd: Fd, new: String) -> FsResult<()> {
        self.admit(&fd, &old, Intent::Write).await?;
        self.admit(&new_fd, &new, Intent::Write).await?;
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
        HostDescriptor::set_size(&mut self.inner(), fd, size).await
    }

    async fn set_times(&mut self, fd: Fd, access: types::NewTimestamp, modification: types::NewTimestamp) -> FsResult<()> {
        HostDescriptor::set_times(&mut self.inner(), fd, access, modification).await
    }

    async fn read(&mut self, fd: Fd, len: u64, offset: u64) -> FsResult<(Vec<u8>, bool)> {
        HostDescriptor::read(&mut self.inner(), fd, len, offset).await
    }

    async fn write(&mut self, fd: Fd, bytes: Vec<u8>, offset: u64) -> FsResult<u64> {
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
        HostDescriptor::write_via_stream(&mut self.inner(), fd, offset)
    }

    fn append_via_stream(&mut self, fd: Fd) -> FsResult<Resource<DynOutputStream>> {
        HostDescriptor::append_via_stream(&mut self.inner(), fd)
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
        HostDirectoryEntryStream::read_directory_entry(&mut self.inner(), stream).await
    }

    fn drop(&mut self, stream: Resource<types::DirectoryEntryStream>) -> wasmtime::Result<()> {
        HostDirectoryEntryStream::drop(&mut self.inner(), stream)
    }
}
