//! Every exit code of the two programs, by a real cause, with the sentence that the user reads.

use std::fs::{self, File};
use std::process::{Command, Stdio};

use lftp_ftp::Exit;
use serde_json::json;

use crate::false_server::{FalseServer, Script};
use crate::processes::{
    ProcessResult, SETTINGS, Server, client, client_command, contents, folder_with, server_command,
};

/// The tests that provoke each exit code: of the client, and of the server.
const TESTS: &[(&str, Exit, &str)] = &[
    ("client", Exit::Ok, "a_file_is_put_listed_and_received"),
    ("client", Exit::Failed, "input_that_cannot_be_read_is_1"),
    ("client", Exit::Failed, "a_program_without_descriptors_is_1"),
    ("client", Exit::Usage, "an_invalid_command_line_is_2"),
    (
        "client",
        Exit::NoConnection,
        "a_server_that_does_not_answer_is_3",
    ),
    (
        "client",
        Exit::Busy,
        "a_busy_server_is_4_and_serves_again_later",
    ),
    ("client", Exit::NotFound, "a_missing_file_is_5_and_named"),
    (
        "client",
        Exit::NameRefused,
        "names_that_leave_the_root_are_6_with_the_reason",
    ),
    (
        "client",
        Exit::Permission,
        "a_root_without_write_permission_is_7",
    ),
    (
        "client",
        Exit::Permission,
        "the_right_to_read_does_not_include_the_right_to_write",
    ),
    ("client", Exit::DiskFull, "a_full_disk_is_8_on_either_side"),
    (
        "client",
        Exit::DiskFull,
        "a_quota_holds_before_and_during_a_transfer",
    ),
    (
        "client",
        Exit::Integrity,
        "a_file_that_is_not_what_was_sent_is_9",
    ),
    (
        "client",
        Exit::Integrity,
        "a_file_verifies_until_a_byte_changes",
    ),
    (
        "client",
        Exit::Lost,
        "a_server_killed_mid_transfer_is_10_and_leaves_no_file",
    ),
    (
        "client",
        Exit::Protocol,
        "a_server_that_talks_nonsense_is_11",
    ),
    (
        "client",
        Exit::Protocol,
        "a_server_of_another_version_is_11",
    ),
    ("client", Exit::LocalFile, "a_missing_local_file_is_12"),
    (
        "client",
        Exit::LocalFile,
        "a_folder_that_must_not_be_written_is_12_and_named",
    ),
    (
        "client",
        Exit::Exists,
        "a_file_that_must_not_be_replaced_is_13",
    ),
    ("client", Exit::Stalled, "a_server_that_sends_nothing_is_14"),
    (
        "client",
        Exit::Server,
        "a_server_stopped_mid_transfer_tells_the_client_which_is_15",
    ),
    (
        "client",
        Exit::Partial,
        "failed_files_are_named_the_others_arrive_and_the_exit_code_is_17",
    ),
    (
        "client",
        Exit::UntrustedServer,
        "a_server_is_trusted_on_first_use_and_a_changed_key_is_refused",
    ),
    (
        "client",
        Exit::NotAdmitted,
        "an_unauthorized_key_is_refused_with_the_line_that_would_admit_it",
    ),
    (
        "client",
        Exit::Interrupted,
        "an_interrupted_client_leaves_no_file",
    ),
    (
        "client",
        Exit::ClosedPipe,
        "a_closed_pipe_on_stdout_ends_the_client_quietly_with_141",
    ),
    ("server", Exit::Ok, "a_terminated_server_exits_with_0"),
    ("server", Exit::Failed, "a_program_without_descriptors_is_1"),
    (
        "server",
        Exit::Usage,
        "an_invalid_command_line_is_2_on_the_server",
    ),
    (
        "server",
        Exit::DiskFull,
        "a_full_disk_behind_stdout_is_an_error_with_a_sentence",
    ),
    (
        "server",
        Exit::LocalFile,
        "a_root_that_is_a_file_is_12_on_the_server",
    ),
    (
        "server",
        Exit::Exists,
        "a_key_that_exists_is_13_on_the_server",
    ),
    ("server", Exit::Bind, "a_port_in_use_is_16_on_the_server"),
    (
        "server",
        Exit::ClosedPipe,
        "a_closed_pipe_is_141_on_the_server",
    ),
];

/// The tests of this program.
const SOURCES: &[&str] = &[
    include_str!("access.rs"),
    include_str!("exit_codes.rs"),
    include_str!("failures.rs"),
    include_str!("outputs.rs"),
    include_str!("successes.rs"),
    include_str!("trees.rs"),
    include_str!("verify.rs"),
];

/// Returns the text of a test.
fn body_of(test: &str) -> Option<&'static str> {
    let head = format!("\nfn {test}() {{\n");
    let (_, body) = SOURCES.iter().find_map(|source| source.split_once(&head))?;
    body.split("\n}\n").next()
}

#[test]
fn every_exit_code_of_either_program_has_a_test_that_provokes_it() {
    for (program, codes) in [("client", &Exit::CLIENT[..]), ("server", &Exit::SERVER)] {
        for &code in codes {
            let is_of = |&&(of, exit, _): &&(&str, Exit, &str)| of == program && exit == code;
            let tests: Vec<_> = TESTS.iter().filter(is_of).collect();
            assert!(!tests.is_empty(), "no test of {code:?} of the {program}");
            for (_, _, test) in tests {
                let body = body_of(test).unwrap_or_else(|| panic!("no test {test}"));
                let number = code.number().to_string();
                let mut words = body.split(|c: char| !c.is_ascii_alphanumeric());
                let is_read = words.any(|word| word == number) && body.contains('"');
                assert!(is_read, "{test} does not expect {number} with a sentence");
            }
        }
    }
}

#[track_caller]
fn assert_says(result: &ProcessResult, code: i32, sentences: &[&str]) {
    assert_eq!(result.code, code, "{result:?}");
    for sentence in sentences {
        assert!(result.stderr.contains(sentence), "{sentence:?}: {result:?}");
    }
    assert!(!result.stderr.contains("panicked"), "{result:?}");
}

/// Runs a client against a false server, without retries.
fn against(script: Script, command: &[&str], more: &[&str]) -> ProcessResult {
    let server = FalseServer::new(script);
    let local = folder_with("a", 9);
    fs::create_dir(local.path().join("tree")).unwrap();
    fs::write(local.path().join("tree/x"), "x").unwrap();
    let common = ["--server-key", &server.key, "--give-up-after", "0"];
    client(
        local.path(),
        &[command, &[&server.host], more, &common].concat(),
    )
}

#[test]
fn input_that_cannot_be_read_is_1() {
    let server = Server::new(&[]);
    let local = tempfile::tempdir().unwrap();
    let mut shell = client_command(local.path(), &["shell", &server.host]);
    shell.stdin(Stdio::from(File::open(local.path()).unwrap()));
    let shell = ProcessResult::from(shell.output().unwrap());
    assert_says(&shell, 1, &["cannot read commands", "directory"]);
}

#[cfg(unix)]
#[test]
fn a_program_without_descriptors_is_1() {
    let folder = tempfile::tempdir().unwrap();
    for (program, args) in [
        (env!("CARGO_BIN_EXE_lftp-client"), "ls 127.0.0.1:1"),
        (env!("CARGO_BIN_EXE_lftp-server"), "--root shared"),
    ] {
        let mut limited = Command::new("sh");
        limited
            .current_dir(folder.path())
            .env("XDG_CONFIG_HOME", &*SETTINGS)
            .args(["-c", &format!("ulimit -n 5; exec {program} {args}")]);
        let result = ProcessResult::from(limited.output().unwrap());
        assert_says(&result, 1, &["cannot start threads", "Too many open files"]);
    }
}

#[test]
fn a_file_that_is_not_what_was_sent_is_9() {
    let data = Script::granting(5, &[]).then(b"hellO").then(&[7; 32]);
    let get = against(data, &["get", "a", "--out", "got"], &[]);
    assert_says(&get, 9, &["differs from the sent data", "discarded"]);
    let other = json!({"status": true, "bytes": 9, "hash": "ab".repeat(32)});
    let put = against(Script::granting(9, &[other]), &["put", "a"], &[]);
    assert_says(&put, 9, &["differs from the sent data"]);
}

#[test]
fn a_server_that_talks_nonsense_is_11() {
    let nonsense = Script::replying(json!({"status": true, "entries": "many"}));
    assert_says(
        &against(nonsense, &["ls"], &[]),
        11,
        &["a message is malformed", "many"],
    );
    let unsorted = ["b", "a"].map(|name| json!({"name": name, "kind": "file", "size": 0}));
    let unsorted = json!({"status": true, "entries": unsorted, "more": false});
    let ls = against(Script::replying(unsorted), &["ls"], &[]);
    assert_says(&ls, 11, &["not sorted"]);
    let early = json!({"status": true, "files": 0, "bytes": 0, "unchanged": 0, "skipped": 0,
        "failed": 0, "failures": []});
    let put = against(
        Script::granting(0, &[early]),
        &["put", "-r", "tree", "--name", "t"],
        &[],
    );
    assert_says(&put, 11, &["out of place"]);
}

#[test]
fn a_server_of_another_version_is_11() {
    let other =
        json!({"status": false, "code": "bad-version", "reason": "version 9 is spoken here"});
    let ls = against(Script::replying(other), &["ls"], &[]);
    assert_says(&ls, 11, &["version 9 is spoken here"]);
}

#[test]
fn a_server_that_sends_nothing_is_14() {
    let silent = Script::granting(5, &[]);
    let get = against(
        silent,
        &["get", "a", "--out", "got"],
        &["--stall-limit", "1"],
    );
    assert_says(&get, 14, &["interrupted", "no progress for too long"]);
}

#[test]
fn an_invalid_command_line_is_2_on_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let settings = folder.path().join("settings.toml");
    fs::write(&settings, "max-client = 7\n").unwrap();
    let settings = settings.to_str().unwrap();
    for (args, sentence) in [
        (&["--frobnicate"][..], "--frobnicate"),
        (&["--max-clients", "0"], "--max-clients"),
        (&["--config", settings], "unknown setting"),
    ] {
        let mut server = server_command(folder.path(), "auto:1", args);
        let result = server.stderr(Stdio::piped()).output().unwrap();
        assert_says(&result.into(), 2, &[sentence]);
    }
}

#[test]
fn a_key_that_exists_is_13_on_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("server.key");
    let create = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lftp-server"));
        let command = command.args(["key", "new", "--key"]).arg(&key);
        ProcessResult::from(command.output().unwrap())
    };
    assert_eq!(create().code, 0);
    assert_says(&create(), 13, &["already exists", "--force"]);
}

#[test]
fn a_closed_pipe_is_141_on_the_server() {
    for args in [&["config", "show"][..], &["key"], &["--help"]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lftp-server"));
        command.env("XDG_CONFIG_HOME", &*SETTINGS).args(args);
        let closed: Stdio = std::io::pipe().unwrap().1.into();
        let result = command.stdout(closed).stderr(Stdio::piped()).output();
        let result = ProcessResult::from(result.unwrap());
        assert_says(&result, 141, &[]);
        assert!(!result.stderr.contains("standard output"), "{result:?}");
    }
}

/// A folder in which this user may not create anything. The superuser may everywhere: then `None`,
/// unless the programs can be run as another user.
#[cfg(unix)]
fn read_only(folder: &std::path::Path) -> impl Fn(&mut Command) {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    let allow = |mode| fs::set_permissions(folder, fs::Permissions::from_mode(mode)).unwrap();
    allow(0o555);
    let probe = folder.join("probe");
    let is_superuser = fs::write(&probe, "").is_ok();
    let _ = fs::remove_file(&probe);
    move |command: &mut Command| {
        if is_superuser {
            command.uid(65534).gid(65534);
        }
    }
}

/// Creates a folder for settings that any user may write.
#[cfg(unix)]
fn open_settings(folder: &std::path::Path) -> std::path::PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let settings = folder.join("settings");
    fs::create_dir(&settings).unwrap();
    for (path, mode) in [(folder, 0o755), (&settings, 0o777)] {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
    settings
}

/// It said that "Download" does not exist.
#[cfg(unix)]
#[test]
fn a_folder_that_must_not_be_written_is_12_and_named() {
    let server = Server::new(&[]);
    fs::write(server.root.join("a"), "a").unwrap();
    fs::create_dir(server.root.join("t")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let settings = open_settings(folder.path());
    let local = folder.path().join("local");
    fs::create_dir(&local).unwrap();
    let as_reader = read_only(&local);
    for args in [
        &["get", "a", &server.host][..],
        &["get", "-r", "t", &server.host],
    ] {
        let mut get = client_command(&local, args);
        as_reader(get.env("XDG_CONFIG_HOME", &settings));
        let Ok(output) = get.output() else {
            eprintln!("skipped: the client cannot be run as another user");
            return;
        };
        let result = ProcessResult::from(output);
        assert_says(&result, 12, &["\"Download\"", "permission denied"]);
        assert!(!result.stderr.contains("does not exist"), "{result:?}");
    }
}

/// It said that a message is out of place: a confirmation before the end (exit code 11).
#[cfg(unix)]
#[test]
fn a_folder_put_to_a_read_only_server_is_7_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("shared");
    fs::create_dir(&root).unwrap();
    let settings = open_settings(folder.path());
    let as_reader = read_only(&root);
    let mut command = server_command(&root, "auto:2", &[]);
    as_reader(command.env("XDG_CONFIG_HOME", &settings));
    let Ok(server) = Server::spawn(command, &root) else {
        eprintln!("skipped: the server cannot be run as another user");
        return;
    };
    let local = folder_with("a", 9);
    fs::create_dir(local.path().join("tree")).unwrap();
    fs::write(local.path().join("tree/large"), contents(9_000_000)).unwrap();
    for i in 0..600 {
        fs::write(local.path().join(format!("tree/{i}")), contents(50)).unwrap();
    }
    for more in [&[][..], &["--json"]] {
        let args = [&["put", "-r", "tree", &server.host][..], more].concat();
        let mut put = client_command(local.path(), &args);
        let put = put.env("XDG_CONFIG_HOME", &settings).output().unwrap();
        let result = ProcessResult::from(put);
        assert_says(&result, 7, &["\"tree\"", "permission denied"]);
        assert!(!result.stderr.contains("out of place"), "{result:?}");
    }
}

/// The sentence of the server is what the user reads, at whatever point of a transfer it comes,
/// and also when the connection ends right behind it.
#[test]
fn a_refusal_in_the_middle_is_the_reason_that_the_user_reads() {
    let ready = json!({"ack": "ACK"});
    let refusal = json!({"status": false, "code": "disk-full", "reason": "no room for it here"});
    let answer = json!({"want": [{"index": 0}]});
    for (command, messages) in [
        (&["put", "a"][..], vec![refusal.clone()]),
        (&["put", "a"], vec![ready.clone(), refusal.clone()]),
        (&["put", "-r", "tree"], vec![refusal.clone()]),
        (&["put", "-r", "tree"], vec![ready.clone(), refusal.clone()]),
        (&["put", "-r", "tree"], vec![ready, answer, refusal]),
    ] {
        let result = against(Script::granting(9, &messages), command, &[]);
        assert_says(&result, 8, &["no room for it here"]);
    }
}
