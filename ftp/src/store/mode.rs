//! Permission bits of files and folders that are received.
//!
//! A file that is not complete is readable by its owner only. When it gets its name it has the mode
//! of its source, without what the process's umask takes away and without set-user-ID and the like,
//! whatever a peer says. A file that replaces another gives no access to users who could not read
//! or write the one before.

/// Mode of a file that is not complete, and of its journal.
pub(super) const PRIVATE: u32 = 0o600;

/// Bits that a peer may set.
const ACCESS_BITS: u32 = 0o777;

/// Bits of everybody but the owner.
const OTHERS: u32 = 0o077;

/// Returns the mode of a complete file, from that of its source and of the file that it replaces.
pub(super) fn of_file(source: Option<u32>, replaced: Option<u32>, umask: u32) -> u32 {
    match (source, replaced) {
        (Some(source), None) => source & ACCESS_BITS & !umask,
        (Some(source), Some(replaced)) => {
            // Who may read a file may run it.
            let others = replaced | (replaced & 0o044) >> 2;
            source & ACCESS_BITS & !umask & (!OTHERS | others)
        }
        (None, Some(replaced)) => replaced & ACCESS_BITS,
        (None, None) => 0o666 & !umask,
    }
}

/// Returns the mode of a new folder. Its owner keeps access to it, so that files can be received
/// into it.
pub(super) fn of_folder(source: Option<u32>, umask: u32) -> u32 {
    let source = source.unwrap_or(ACCESS_BITS);
    source & ACCESS_BITS & !umask | 0o700
}

/// Returns the umask of this process.
#[cfg(unix)]
pub(super) fn umask() -> u32 {
    use std::sync::OnceLock;
    // It can be asked for only by setting it, which would concern every thread.
    static UMASK: OnceLock<u32> = OnceLock::new();
    *UMASK.get_or_init(|| {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        status_umask(&status)
            .or_else(probed_umask)
            .unwrap_or(USUAL_UMASK)
    })
}

/// The umask where none can be found out.
#[cfg(unix)]
const USUAL_UMASK: u32 = 0o022;

/// Reads the umask from the text of proc(5).
#[cfg(unix)]
fn status_umask(status: &str) -> Option<u32> {
    let line = status.lines().find_map(|line| line.strip_prefix("Umask:"));
    u32::from_str_radix(line?.trim(), 8).ok()
}

/// Finds the umask out by creating a folder that asks for everything.
#[cfg(unix)]
fn probed_umask() -> Option<u32> {
    use std::os::unix::fs::{DirBuilderExt, MetadataExt};
    let parent = tempfile::tempdir().ok()?;
    let probe = parent.path().join("probe");
    std::fs::DirBuilder::new()
        .mode(ACCESS_BITS)
        .create(&probe)
        .ok()?;
    let mode = std::fs::metadata(probe).ok()?.mode();
    Some(ACCESS_BITS & !mode)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_mode_is_that_of_the_source_within_the_bounds_of_the_receiver() {
        for (source, replaced, umask, mode) in [
            (Some(0o600), None, 0o022, 0o600),
            (Some(0o777), None, 0o022, 0o755),
            (Some(0o7777), None, 0o027, 0o750),
            (Some(0o644), Some(0o600), 0o022, 0o600),
            (Some(0o600), Some(0o644), 0o022, 0o600),
            (Some(0o755), Some(0o644), 0o022, 0o755),
            (Some(0o755), Some(0o600), 0o022, 0o700),
            (Some(0o664), Some(0o664), 0o002, 0o664),
            (None, Some(0o4600), 0o022, 0o600),
            (None, None, 0o027, 0o640),
        ] {
            let found = of_file(source, replaced, umask);
            assert_eq!(
                found, mode,
                "{source:?} over {replaced:?} with umask {umask:o}: {found:o}"
            );
        }
        assert_eq!(of_folder(Some(0o700), 0o022), 0o700);
        assert_eq!(of_folder(Some(0o7777), 0o022), 0o755);
        assert_eq!(of_folder(Some(0o555), 0o022), 0o755);
        assert_eq!(of_folder(None, 0o077), 0o700);
    }

    proptest! {
        #[test]
        fn nobody_gains_access_but_by_the_source_and_the_file_before(
            source in 0..0o10000u32, replaced in 0..0o10000u32, umask in 0..0o1000u32,
        ) {
            let mode = of_file(Some(source), Some(replaced), umask);
            prop_assert_eq!(mode & !(source & 0o777), 0);
            prop_assert_eq!(mode & umask, 0);
            prop_assert_eq!(mode & 0o066 & !replaced, 0);
        }
    }

    #[cfg(unix)]
    #[test]
    fn the_umask_is_found_out_without_setting_it() {
        assert_eq!(
            status_umask("Name:\tx\nUmask:\t0027\nState:\tR\n"),
            Some(0o027)
        );
        assert_eq!(status_umask("Name:\tx\n"), None);
        if cfg!(target_os = "linux") {
            assert_eq!(probed_umask(), Some(umask()));
        }
    }
}
