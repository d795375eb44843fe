//! The only writer of the programs to standard output and standard error.
//!
//! `println!` and `eprintln!` panic when the stream cannot be written: the terminal was closed,
//! the reader of a pipe has left, the disk behind a log is full. None of that may end a transfer
//! or a server. So the programs print through this crate alone, which a test of the bench
//! enforces:
//!
//! - [`out!`] and [`outln!`] write results to standard output. A failure is an [`OutputError`],
//!   which becomes an exit code; the error of a closed pipe is quiet, as usual on Unix.
//! - [`note!`] and [`noteln!`] write messages to standard error. A failure is ignored.
//! - [`stderr`] is a writer for logs, which cannot fail either.
//! - [`parse`] is `clap`'s `Parser::parse` by the same rules.

use std::fmt;
use std::io::{self, IsTerminal, Write};

/// Exit code of a program whose standard output is a pipe without a reader: the one that a shell
/// reports of a program that SIGPIPE ended, 128 + 13.
pub const CLOSED_PIPE_EXIT: u8 = 141;

/// Exit code of a program whose command line is invalid, as `clap` has it.
const USAGE_EXIT: u8 = 2;

/// Standard output cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to standard output: {0}")]
pub struct OutputError(#[from] io::Error);

impl From<OutputError> for io::Error {
    fn from(error: OutputError) -> Self {
        error.0
    }
}

impl OutputError {
    /// Returns true when standard output has no reader any more, which is how `head` says that it
    /// has enough: the program ends without a message.
    #[must_use]
    pub fn is_closed_pipe(&self) -> bool {
        self.0.kind() == io::ErrorKind::BrokenPipe
    }

    /// Returns true when the disk behind standard output is full.
    #[must_use]
    pub fn is_disk_full(&self) -> bool {
        self.0.kind() == io::ErrorKind::StorageFull
    }
}

/// Writes to standard output without a line break: see [`OutputError`].
#[macro_export]
macro_rules! out {
    ($($arg:tt)*) => { $crate::print(format_args!($($arg)*)) };
}

/// Writes a line to standard output: see [`OutputError`].
#[macro_export]
macro_rules! outln {
    ($($arg:tt)*) => { $crate::print(format_args!("{}\n", format_args!($($arg)*))) };
}

/// Writes to standard error without a line break, if that can be written.
#[macro_export]
macro_rules! note {
    ($($arg:tt)*) => { $crate::notify(format_args!($($arg)*)) };
}

/// Writes a line to standard error, if that can be written.
#[macro_export]
macro_rules! noteln {
    ($($arg:tt)*) => { $crate::notify(format_args!("{}\n", format_args!($($arg)*))) };
}

/// Writes to standard output: [`out!`] and [`outln!`].
///
/// # Errors
///
/// [`OutputError`] unless all of it was written.
pub fn print(text: fmt::Arguments<'_>) -> Result<(), OutputError> {
    print_bytes(text.to_string().as_bytes())
}

/// Writes bytes to standard output.
///
/// # Errors
///
/// [`OutputError`] unless all of them were written.
pub fn print_bytes(bytes: &[u8]) -> Result<(), OutputError> {
    let mut stdout = io::stdout().lock();
    // Flushed here: what is left in the buffer is lost without a word when the program ends.
    stdout.write_all(bytes)?;
    Ok(stdout.flush()?)
}

/// Writes to standard error: [`note!`] and [`noteln!`].
pub fn notify(text: fmt::Arguments<'_>) {
    // In one piece, so that the lines of several threads do not mix.
    let _ = io::stderr().lock().write_all(text.to_string().as_bytes());
}

/// Returns true when standard error is a terminal.
#[must_use]
pub fn stderr_is_terminal() -> bool {
    io::stderr().is_terminal()
}

/// Standard error as a writer that does not fail.
#[derive(Copy, Clone, Debug, Default)]
pub struct Stderr;

/// Returns the writer of the log. `tracing_subscriber` reports a writer that fails on standard
/// error, and panics when that fails too.
#[must_use]
pub const fn stderr() -> Stderr {
    Stderr
}

impl Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = io::stderr().lock().write_all(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Parses the command line of this process. For `--help`, `--version` and errors the program ends
/// here; when standard output cannot be written, with the exit code that `code` has for that.
#[must_use]
pub fn parse<T: clap::Parser>(program: &str, code: fn(&OutputError) -> u8) -> T {
    T::try_parse().unwrap_or_else(|error| exit(&error, program, code))
}

/// Prints what `clap` has to say, and ends the program: `--help` and `--version` on standard
/// output with exit code 0, or that of `code` when they cannot be written; an error on standard
/// error.
pub fn exit(error: &clap::Error, program: &str, code: fn(&OutputError) -> u8) -> ! {
    let code = match print_clap(error) {
        _ if error.use_stderr() => USAGE_EXIT,
        Ok(()) => 0,
        Err(fault) => {
            if !fault.is_closed_pipe() {
                noteln!("{program}: {fault}");
            }
            code(&fault)
        }
    };
    std::process::exit(code.into())
}

/// Prints what `clap` has to say where it belongs.
///
/// # Errors
///
/// [`OutputError`] when it belongs to standard output and cannot be written there.
pub fn print_clap(error: &clap::Error) -> Result<(), OutputError> {
    // clap writes through a writer of its own, which knows whether to use colours.
    let printed = error.print();
    if error.use_stderr() {
        return Ok(());
    }
    Ok(printed.and_then(|()| io::stdout().lock().flush())?)
}
