//! The C functions of `libchdb.so` that the ledger needs, loaded at run time. The only unsafe code here.
//!
//! Invariants: a connection is used by one thread at a time (it is `Send`, not `Sync`); every result is
//! copied and freed before the call returns; the library is never unloaded, because it keeps threads.

#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::Path;
use std::ptr::NonNull;
use std::sync::Arc;

use libloading::Library;

type Handle = *mut c_void;
type Text = *const c_char;
pub(super) struct Api {
    connect: unsafe extern "C" fn(c_int, *mut *mut c_char) -> *mut Handle,
    close: unsafe extern "C" fn(*mut Handle),
    query: unsafe extern "C" fn(Handle, Text, usize, Text, usize) -> Handle,
    query_params: unsafe extern "C" fn(
        Handle,
        Text,
        usize,
        Text,
        usize,
        *const Text,
        *const usize,
        *const Text,
        *const usize,
        usize,
    ) -> Handle,
    result_error: unsafe extern "C" fn(Handle) -> Text,
    result_buffer: unsafe extern "C" fn(Handle) -> *const u8,
    result_length: unsafe extern "C" fn(Handle) -> usize,
    result_destroy: unsafe extern "C" fn(Handle),
    insert_begin: unsafe extern "C" fn(Handle, Text, usize, Text, usize) -> Handle,
    insert_append: unsafe extern "C" fn(Handle, *const c_void, usize) -> c_int,
    insert_done: unsafe extern "C" fn(Handle) -> Handle,
    insert_error: unsafe extern "C" fn(Handle) -> Text,
    insert_destroy: unsafe extern "C" fn(Handle),
    version: unsafe extern "C" fn() -> Text,
}

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Api")
    }
}

impl Api {
    /// Loads the library and keeps it from taking over the process's signal handlers.
    pub(super) fn load(path: &Path) -> Result<Arc<Self>, libloading::Error> {
        // SAFETY: the file is libchdb by configuration; its initialisers have no preconditions. Every
        // symbol is given the signature it has in the library's C header.
        unsafe {
            let library = Library::new(path)?;
            let set_signal_handlers: unsafe extern "C" fn(c_int) =
                *library.get(b"chdb_set_signal_handlers_enabled\0")?;
            set_signal_handlers(0);
            let api = Self {
                connect: *library.get(b"chdb_connect\0")?,
                close: *library.get(b"chdb_close_conn\0")?,
                query: *library.get(b"chdb_query_n\0")?,
                query_params: *library.get(b"chdb_query_with_params_n\0")?,
                result_error: *library.get(b"chdb_result_error\0")?,
                result_buffer: *library.get(b"chdb_result_buffer\0")?,
                result_length: *library.get(b"chdb_result_length\0")?,
                result_destroy: *library.get(b"chdb_destroy_query_result\0")?,
                insert_begin: *library.get(b"chdb_stream_insert_n\0")?,
                insert_append: *library.get(b"chdb_stream_append\0")?,
                insert_done: *library.get(b"chdb_stream_done\0")?,
                insert_error: *library.get(b"chdb_stream_insert_error\0")?,
                insert_destroy: *library.get(b"chdb_destroy_insert_stream\0")?,
                version: *library.get(b"chdb_version\0")?,
            };
            // Its background threads live as long as the process: the code must stay mapped.
            std::mem::forget(library);
            Ok(Arc::new(api))
        }
    }
    pub(super) fn version(&self) -> String {
        // SAFETY: returns a static C string.
        unsafe { text((self.version)()) }.unwrap_or_default()
    }

    /// Copies a result out and frees it.
    ///
    /// # Safety
    /// `result` is null or a result that nobody else frees.
    unsafe fn take(&self, result: Handle) -> Result<Vec<u8>, String> {
        if result.is_null() {
            return Err("the engine gave no result".to_owned());
        }
        // SAFETY: the result is valid until it is destroyed at the end; buffer and length belong together.
        unsafe {
            let answer = match text((self.result_error)(result)) {
                Some(error) => Err(error),
                None => {
                    let (buffer, length) = ((self.result_buffer)(result), (self.result_length)(result));
                    if buffer.is_null() || length == 0 {
                        Ok(Vec::new())
                    } else {
                        Ok(std::slice::from_raw_parts(buffer, length).to_vec())
                    }
                }
            };
            (self.result_destroy)(result);
            answer
        }
    }
}

/// # Safety
/// `at` is null or a C string.
unsafe fn text(at: Text) -> Option<String> {
    // SAFETY: as above.
    (!at.is_null()).then(|| unsafe { CStr::from_ptr(at) }.to_string_lossy().into_owned())
}

/// One connection: one statement at a time.
#[derive(Debug)]
pub(super) struct Connection {
    api: Arc<Api>,
    slot: NonNull<Handle>,
}

// SAFETY: the library lets any thread use a connection as long as only one does at a time, which `&mut`
// ensures.
unsafe impl Send for Connection {}

impl Connection {
    /// Opens a connection; the first one of a process opens the engine with these arguments.
    pub(super) fn open(api: &Arc<Api>, arguments: &[String]) -> Option<Self> {
        let all = std::iter::once("clickhouse").chain(arguments.iter().map(String::as_str));
        let all: Vec<CString> = all.map(CString::new).collect::<Result<_, _>>().ok()?;
        let mut pointers: Vec<*mut c_char> = all.iter().map(|text| text.as_ptr().cast_mut()).collect();
        let count = c_int::try_from(pointers.len()).ok()?;
        // SAFETY: the array holds `count` C strings that outlive the call; the engine copies them.
        let slot = NonNull::new(unsafe { (api.connect)(count, pointers.as_mut_ptr()) })?;
        // SAFETY: the slot is valid; it holds null when the engine could not be opened.
        (!unsafe { *slot.as_ptr() }.is_null()).then(|| Self { api: Arc::clone(api), slot })
    }

    fn handle(&self) -> Handle {
        // SAFETY: valid until `drop` closes it.
        unsafe { *self.slot.as_ptr() }
    }

    /// Runs a statement and gives its result in `format`.
    pub(super) fn query(&mut self, sql: &str, format: &str) -> Result<Vec<u8>, String> {
        // SAFETY: pointers and lengths belong together and outlive the call.
        unsafe {
            let (query, handle) = (self.api.query, self.handle());
            self.api.take(query(handle, sql.as_ptr().cast(), sql.len(), format.as_ptr().cast(), format.len()))
        }
    }

    /// Like [`Connection::query`], with values for `{name:Type}` in the statement.
    pub(super) fn query_with(
        &mut self,
        sql: &str,
        format: &str,
        parameters: &[(String, String)],
    ) -> Result<Vec<u8>, String> {
        let pointer = |text: &String| text.as_ptr().cast::<c_char>();
        let names: Vec<Text> = parameters.iter().map(|(name, _)| pointer(name)).collect();
        let name_lengths: Vec<usize> = parameters.iter().map(|(name, _)| name.len()).collect();
        let values: Vec<Text> = parameters.iter().map(|(_, value)| pointer(value)).collect();
        let value_lengths: Vec<usize> = parameters.iter().map(|(_, value)| value.len()).collect();
        // SAFETY: as in `query`; the four arrays have `parameters.len()` entries each.
        unsafe {
            let (query, handle) = (self.api.query_params, self.handle());
            self.api.take(query(
                handle,
                sql.as_ptr().cast(),
                sql.len(),
                format.as_ptr().cast(),
                format.len(),
                names.as_ptr(),
                name_lengths.as_ptr(),
                values.as_ptr(),
                value_lengths.as_ptr(),
                parameters.len(),
            ))
        }
    }

    /// Runs `INSERT INTO table (columns)` (without `FORMAT`) with rows in `format`.
    pub(super) fn insert(&mut self, sql: &str, format: &str, data: &[u8]) -> Result<(), String> {
        const CHUNK: usize = 1 << 20;
        let api = &self.api;
        // SAFETY: the stream is used by this thread alone and destroyed exactly once; each chunk outlives
        // its call.
        unsafe {
            let stream = (api.insert_begin)(
                self.handle(),
                sql.as_ptr().cast(),
                sql.len(),
                format.as_ptr().cast(),
                format.len(),
            );
            if stream.is_null() {
                return Err("the engine did not begin the insert".to_owned());
            }
            let mut outcome = text((api.insert_error)(stream)).map_or(Ok(()), Err);
            for chunk in data.chunks(CHUNK) {
                if outcome.is_err() {
                    break;
                }
                if (api.insert_append)(stream, chunk.as_ptr().cast(), chunk.len()) != 0 {
                    let error = text((api.insert_error)(stream));
                    outcome = Err(error.unwrap_or_else(|| "the engine did not take the rows".to_owned()));
                }
            }
            if outcome.is_ok() {
                outcome = api.take((api.insert_done)(stream)).map(drop);
            }
            (api.insert_destroy)(stream);
            outcome
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // SAFETY: opened by `open`, closed once.
        unsafe { (self.api.close)(self.slot.as_ptr()) }
    }
}
