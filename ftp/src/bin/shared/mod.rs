//! Parts that `lftp-server` and `lftp-client` have in common.
//!
//! - [`config_file`]: the folder for settings, and files that appear in it complete or not at all
//! - [`keys`]: the program's key file and the `key` command
//! - [`output`]: exit codes of a standard output that cannot be written
//! - [`signals`]: Ctrl-C and SIGTERM
//! - [`tuning`]: transport options of the command line

pub(crate) mod config_file;
pub(crate) mod keys;
pub(crate) mod output;
pub(crate) mod signals;
pub(crate) mod tuning;

use std::time::Duration;

use tracing::level_filters::LevelFilter;

/// Time before the program exits in which connections that were cut short still send their
/// resets, more than once each.
pub(crate) const CLOSE_GRACE: Duration = Duration::from_millis(150);

/// Starts logging to stderr at `level`.
pub(crate) fn init_logging(level: LevelFilter) {
    let use_colour = lftp_console::stderr_is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let log = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_target(false);
    log.with_writer(lftp_console::stderr)
        .with_ansi(use_colour)
        .init();
}
