//! Exit codes of a standard output that cannot be written.

use lftp_console::OutputError;
use lftp_ftp::Exit;

/// Returns the exit code for a failure to print.
pub(crate) fn exit(error: &OutputError) -> Exit {
    if error.is_closed_pipe() {
        Exit::ClosedPipe
    } else if error.is_disk_full() {
        Exit::DiskFull
    } else {
        Exit::LocalFile
    }
}

/// Returns its number.
pub(crate) fn exit_number(error: &OutputError) -> u8 {
    exit(error).number()
}
