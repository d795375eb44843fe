//! Commands that succeed: files put, listed and received, the shell, JSON, settings.

use std::fs;
use std::process::{Command, Stdio};

use crate::processes::{
    SETTINGS, Server, client, client_command, client_with_input, contents, files, folder_with,
    server_command,
};

#[test]
fn a_file_is_put_listed_and_received() {
    let server = Server::new(&[]);
    let local = folder_with("a file.bin", 3_000_000);
    let host = server.host.as_str();

    let put = client(local.path(), &["put", "a file.bin", host]);
    assert_eq!(put.code, 0, "{put:?}");
    assert!(put.stdout.is_empty(), "stdout is for data: {put:?}");
    assert!(put.stderr.contains("blake3"), "{put:?}");
    assert!(fs::read(server.root.join("a file.bin")).unwrap() == contents(3_000_000));

    let ls = client(local.path(), &["ls", host]);
    assert_eq!(
        (ls.code, ls.stdout.trim()),
        (0, "3000000  a file.bin"),
        "{ls:?}"
    );

    let get = client(
        local.path(),
        &["get", "a file.bin", host, "--out", "back.bin"],
    );
    assert_eq!(get.code, 0, "{get:?}");
    assert!(fs::read(local.path().join("back.bin")).unwrap() == contents(3_000_000));
    assert_eq!(files(local.path()), ["a file.bin", "back.bin"]);
    assert_eq!(server.files(), ["a file.bin"]);
}

#[test]
fn with_data_ports_same_one_port_is_enough() {
    let server = Server::with_ports("same", &[]);
    let local = folder_with("a", 500_000);
    let put = client(
        local.path(),
        &["put", "a", &server.host, "--name", "b", "--quiet"],
    );
    assert_eq!((put.code, put.stderr.as_str()), (0, ""), "{put:?}");
    let get = client(local.path(), &["get", "b", &server.host, "--out", "b"]);
    assert_eq!(get.code, 0, "{get:?}");
    assert!(fs::read(local.path().join("b")).unwrap() == contents(500_000));
}

#[test]
fn folders_of_the_server_can_be_used_and_listed() {
    let server = Server::new(&[]);
    fs::create_dir(server.root.join("sub")).unwrap();
    let local = folder_with("a", 10);
    let put = client(local.path(), &["put", "a", &server.host, "--name", "sub/a"]);
    assert_eq!(put.code, 0, "{put:?}");
    let ls = client(local.path(), &["ls", &server.host]);
    assert_eq!(ls.stdout.trim(), "-  sub/");
    let ls = client(local.path(), &["ls", &server.host, "sub"]);
    assert_eq!(ls.stdout.trim(), "10  a");
}

#[test]
fn the_shell_runs_several_commands_on_one_connection() {
    let server = Server::new(&[]);
    let local = folder_with("my file", 100_000);
    let script = "# a comment\n\nput 'my file' kept\nls\nget kept back\nlls\nquit\nls nowhere\n";
    let shell = client_with_input(local.path(), &["shell", &server.host], script);
    assert_eq!(shell.code, 0, "{shell:?}");
    assert!(shell.stdout.contains("        100000  kept"), "{shell:?}");
    assert!(shell.stdout.contains("        100000  back"), "{shell:?}");
    assert!(fs::read(local.path().join("back")).unwrap() == contents(100_000));
}

#[test]
fn the_shell_explains_itself_and_a_script_ends_at_its_first_error() {
    let server = Server::new(&[]);
    let local = folder_with("a", 10);
    let shell = client_with_input(local.path(), &["shell", &server.host], "help\n");
    assert_eq!(shell.code, 0, "{shell:?}");
    for command in ["put", "get", "ls", "lls", "quit"] {
        assert!(shell.stdout.contains(command), "{command}: {shell:?}");
    }
    let script = "get nothing\nput a\n";
    let shell = client_with_input(local.path(), &["shell", &server.host], script);
    assert_eq!(shell.code, 5, "{shell:?}");
    assert!(server.files().is_empty());
    let shell = client_with_input(local.path(), &["shell", &server.host], "put 'a\n");
    assert_eq!(shell.code, 2, "{shell:?}");
}

#[test]
fn several_clients_work_at_once() {
    let server = Server::with_ports("auto:4", &[]);
    let local = folder_with("a", 2_000_000);
    let clients: Vec<_> = (0..4)
        .map(|i| {
            let name = format!("copy-{i}");
            client_command(local.path(), &["put", "a", &server.host, "--name", &name])
                .spawn()
                .unwrap()
        })
        .collect();
    for client in clients {
        let output = client.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
    assert_eq!(server.files(), ["copy-0", "copy-1", "copy-2", "copy-3"]);
}

#[test]
fn by_default_files_go_from_server_to_download() {
    let local = folder_with("a", 1000);
    let mut command = server_command(&local.path().join("Server"), "auto:1", &[]);
    // The same options, without --root and its folder, which come last.
    let all: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
    let kept = all.iter().position(|arg| arg == "--root").unwrap();
    command = Command::new(env!("CARGO_BIN_EXE_lftp-server"));
    command
        .args(&all[..kept])
        .env("XDG_CONFIG_HOME", &*SETTINGS)
        .current_dir(local.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let server = Server::spawn(command, &local.path().join("Server")).unwrap();
    assert_eq!(client(local.path(), &["put", "a", &server.host]).code, 0);
    assert_eq!(server.files(), ["a"]);
    let get = client(local.path(), &["get", "a", &server.host]);
    assert_eq!(get.code, 0, "{get:?}");
    assert!(get.stderr.contains("Download/a"), "{get:?}");
    assert!(fs::read(local.path().join("Download/a")).unwrap() == contents(1000));
    let shell = client_with_input(local.path(), &["shell", &server.host], "get a -n\n");
    assert_eq!(shell.code, 13, "{shell:?}");
}

#[test]
fn with_json_stdout_is_for_scripts() {
    let server = Server::new(&[]);
    let local = folder_with("a", 1000);
    let object = |args: &[&str]| -> serde_json::Value {
        let done = client(local.path(), &[args, &["--json", "-q"]].concat());
        assert_eq!(done.stdout.lines().count(), 1, "{done:?}");
        let object: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
        assert_eq!(done.code == 0, object["status"] != false, "{done:?}");
        object
    };
    for action in ["put", "get"] {
        let transferred = object(&[action, "a", &server.host]);
        assert_eq!(transferred["action"], action);
        assert_eq!(transferred["bytes"], 1000);
        let hash = blake3::hash(&contents(1000)).to_hex();
        assert_eq!(transferred["blake3"], hash.as_str());
    }
    let listed = object(&["ls", &server.host]);
    assert_eq!(
        listed,
        serde_json::json!({"name": "a", "kind": "file", "size": 1000})
    );
    let refused = object(&["get", "..", &server.host, "--out", "b"]);
    assert_eq!(refused["exit"], 6);
    assert!(refused["error"].as_str().unwrap().contains("refused"));
}

#[test]
fn the_exit_codes_are_in_the_help() {
    let local = tempfile::tempdir().unwrap();
    let help = client(local.path(), &["--help"]);
    assert_eq!(help.code, 0);
    for exit in lftp_ftp::Exit::CLIENT {
        assert!(help.stdout.contains(exit.meaning()), "{exit:?}");
    }
}

#[test]
fn settings_come_from_a_file_and_are_shown_with_their_origin() {
    let local = folder_with("server.toml", 0);
    let file = local.path().join("server.toml");
    fs::write(&file, "max-clients = 3\nlog = \"off\"\n").unwrap();
    let root = local.path().join("shared");
    let more = ["--config", file.to_str().unwrap()];
    let server = Server::spawn(server_command(&root, "auto:1", &more), &root).unwrap();
    assert_eq!(client(local.path(), &["ls", &server.host]).code, 0);
    let show = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lftp-server"));
        command.env("XDG_CONFIG_HOME", &*SETTINGS);
        let output = command.args(["config", "show"]).args(more).output();
        output.unwrap()
    };
    let shown = String::from_utf8(show(&more).stdout).unwrap();
    assert!(shown.contains("max-clients = 3  # "), "{shown}");
    assert!(shown.contains("grace = 10  # default"), "{shown}");
    let key = SETTINGS.join("lftp/server.key");
    let key = format!("key = {:?}  # default", key.to_str().unwrap());
    assert!(shown.contains(&key), "{shown}");
    fs::write(&file, "max-clints = 3\n").unwrap();
    let wrong = show(&more);
    assert_eq!(wrong.status.code(), Some(2), "{wrong:?}");
    let message = String::from_utf8(wrong.stderr).unwrap();
    assert!(
        message.contains("max-clints") && message.contains("server.toml"),
        "{message}"
    );
}
