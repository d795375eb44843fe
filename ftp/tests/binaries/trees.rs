//! `put -r` and `get -r`.

use std::fs;
use std::path::Path;

use crate::processes::{Server, client, client_command, contents, files, whole};

fn write(root: &Path, file: &str, contents: &[u8]) {
    let path = root.join(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, contents).unwrap();
}

/// A folder "tree" with files in it, in a folder for a client.
fn tree() -> tempfile::TempDir {
    let here = tempfile::tempdir().unwrap();
    let root = here.path().join("tree");
    write(&root, "a.txt", b"a");
    write(&root, "b.bin", &contents(5_000_000));
    write(&root, "sub/c.txt", b"c");
    write(&root, "sub/deep/d.bin", b"d");
    fs::create_dir(root.join("empty")).unwrap();
    here
}

fn json(done: &crate::processes::Done) -> serde_json::Value {
    serde_json::from_str(done.stdout.lines().next().unwrap_or("null")).unwrap()
}

#[test]
fn a_folder_is_put_and_got_with_modes_and_times() {
    let server = Server::new(&[]);
    let here = tree();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::Permissions::from_mode(0o4751);
        fs::set_permissions(here.path().join("tree/a.txt"), mode).unwrap();
    }
    let put = client(here.path(), &["put", "-r", "tree", &server.host, "--json"]);
    assert_eq!(put.code, 0, "{put:?}");
    let said = json(&put);
    assert_eq!(
        (said["files"].as_u64(), said["bytes"].as_u64()),
        (Some(4), Some(5_000_003))
    );
    assert!(server.root.join("tree/empty").is_dir());
    let get = client(
        here.path(),
        &["get", "-r", "tree", &server.host, "--out", "back"],
    );
    assert_eq!(get.code, 0, "{get:?}");
    for file in ["a.txt", "b.bin", "sub/c.txt", "sub/deep/d.bin"] {
        let (one, two) = (
            here.path().join("tree").join(file),
            here.path().join("back").join(file),
        );
        assert!(fs::read(&one).unwrap() == fs::read(&two).unwrap(), "{file}");
        let times = [&one, &two].map(|path| fs::metadata(path).unwrap().modified().unwrap());
        assert_eq!(times[0], times[1], "{file}");
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(here.path().join("back/a.txt"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o7777, 0o751, "and nobody becomes somebody else");
    }
    let again = client(
        here.path(),
        &["put", "-r", "tree", &server.host, "--json", "-q"],
    );
    assert_eq!(json(&again)["unchanged"], 4);
    assert_eq!(json(&again)["files"], 0);
    let get = client(here.path(), &["get", "-r", "tree", &server.host]);
    assert_eq!(get.code, 0, "{get:?}");
    assert_eq!(
        whole(&here.path().join("Download/tree")),
        ["a.txt", "b.bin", "empty", "sub"]
    );
}

#[test]
fn patterns_say_which_files_are_meant_on_either_way() {
    let server = Server::new(&[]);
    let here = tree();
    let host = server.host.as_str();
    let args = [
        "put",
        "-r",
        "tree",
        host,
        "--include",
        "*.txt",
        "--name",
        "text",
    ];
    assert_eq!(client(here.path(), &args).code, 0);
    assert_eq!(files(&server.root.join("text")), ["a.txt", "sub"]);
    assert_eq!(files(&server.root.join("text/sub")), ["c.txt"]);
    assert_eq!(client(here.path(), &["put", "-r", "tree", host]).code, 0);
    let args = [
        "get",
        "-r",
        "tree",
        host,
        "--exclude",
        "*.bin",
        "--exclude",
        "empty",
        "--out",
        "x",
    ];
    let get = client(here.path(), &args);
    assert_eq!(get.code, 0, "{get:?}");
    assert_eq!(files(&here.path().join("x")), ["a.txt", "sub"]);
    let wrong = client(here.path(), &["put", "-r", "tree", host, "--include", "a["]);
    assert_eq!(wrong.code, 2, "{wrong:?}");
    let alone = client(here.path(), &["put", "tree/a.txt", host, "--dry-run"]);
    assert_eq!(alone.code, 2, "{alone:?}");
}

#[test]
fn a_dry_run_says_what_would_be_and_does_nothing() {
    let server = Server::new(&[]);
    let here = tree();
    let args = [
        "put",
        "-r",
        "tree",
        &server.host,
        "--dry-run",
        "--json",
        "-q",
    ];
    let put = client(here.path(), &args);
    assert_eq!(
        (put.code, json(&put)["files"].as_u64()),
        (0, Some(4)),
        "{put:?}"
    );
    assert!(server.files().is_empty());
    assert_eq!(
        client(here.path(), &["put", "-r", "tree", &server.host]).code,
        0
    );
    let get = client(
        here.path(),
        &["get", "-r", "tree", &server.host, "--dry-run"],
    );
    assert_eq!(get.code, 0, "{get:?}");
    assert!(get.stderr.contains("4 files would be carried"), "{get:?}");
    assert_eq!(files(here.path()), ["tree"]);
}

#[cfg(unix)]
#[test]
fn links_are_left_out_or_followed_to_files_and_never_out_of_the_tree() {
    let server = Server::new(&[]);
    let here = tree();
    write(here.path(), "secret", b"secret");
    let link = |to: &str, name: &str| {
        std::os::unix::fs::symlink(to, here.path().join("tree").join(name)).unwrap();
    };
    link("a.txt", "inside");
    link("../secret", "outside");
    link("..", "loop");
    let put = client(here.path(), &["put", "-r", "tree", &server.host]);
    assert_eq!(put.code, 0, "{put:?}");
    assert_eq!(
        files(&server.root.join("tree")),
        ["a.txt", "b.bin", "empty", "sub"]
    );
    let args = ["put", "-r", "tree", &server.host, "--links", "follow"];
    let put = client(here.path(), &args);
    assert_eq!(put.code, 0, "{put:?}");
    let there = files(&server.root.join("tree"));
    assert_eq!(there, ["a.txt", "b.bin", "empty", "inside", "sub"]);
    assert_eq!(fs::read(server.root.join("tree/inside")).unwrap(), b"a");
}

#[test]
fn files_that_fail_are_named_the_others_arrive_and_that_is_17() {
    let server = Server::new(&[]);
    let here = tree();
    write(&here.path().join("tree"), "CON.txt", b"reserved elsewhere");
    write(&server.root.join("tree"), "a.txt", b"another");
    let put = client(here.path(), &["put", "-r", "tree", &server.host, "-n"]);
    assert_eq!(put.code, 17, "{put:?}");
    for words in [
        "CON.txt",
        "a.txt",
        "there already",
        "2 files did not arrive",
    ] {
        assert!(put.stderr.contains(words), "{words}: {put:?}");
    }
    assert_eq!(
        fs::read(server.root.join("tree/a.txt")).unwrap(),
        b"another"
    );
    assert_eq!(fs::read(server.root.join("tree/sub/c.txt")).unwrap(), b"c");
    let get = client(here.path(), &["get", "-r", "nothing", &server.host]);
    assert_eq!(get.code, 5, "{get:?}");
    assert!(get.stderr.contains("nothing"), "{get:?}");
    let get = client(
        here.path(),
        &["get", "-r", "../x", &server.host, "--out", "y"],
    );
    assert_eq!(get.code, 6, "{get:?}");
}

#[test]
fn a_tree_whose_client_is_killed_goes_on_where_it_was() {
    let server = Server::new(&[]);
    let here = tempfile::tempdir().unwrap();
    let root = here.path().join("tree");
    for i in 0..2000 {
        write(&root, &format!("{:02}/{i:04}", i % 20), &contents(i * 7));
    }
    write(&root, "zz", &contents(30 << 20));
    let put = ["put", "-r", "tree", &server.host, "--json", "-q"];
    let mut killed = client_command(here.path(), &put).spawn().unwrap();
    while !server.root.join("tree/10").exists() {
        assert!(killed.try_wait().unwrap().is_none(), "it was too fast");
        std::thread::yield_now();
    }
    killed.kill().unwrap();
    killed.wait().unwrap();
    let done = client(here.path(), &put);
    assert_eq!(done.code, 0, "{done:?}");
    let said = json(&done);
    let (files, unchanged) = (
        said["files"].as_u64().unwrap(),
        said["unchanged"].as_u64().unwrap(),
    );
    assert_eq!(files + unchanged, 2001, "{said}");
    assert!(unchanged > 100, "{said}");
    assert!(fs::read(server.root.join("tree/zz")).unwrap() == contents(30 << 20));
    assert!(fs::read(server.root.join("tree/19/1999")).unwrap() == contents(1999 * 7));
}

#[test]
#[ignore = "a measurement: ten thousand small files, against cp"]
fn ten_thousand_small_files() {
    let server = Server::new(&[]);
    let here = tempfile::tempdir().unwrap();
    for i in 0..10_000 {
        write(
            &here.path().join("tree"),
            &format!("{:02}/{i:05}", i % 50),
            &contents(2000),
        );
    }
    for (action, more) in [("put", "--name=copy"), ("get", "--out=back")] {
        let name = if action == "put" { "tree" } else { "copy" };
        let done = client(
            here.path(),
            &[action, "-r", name, &server.host, more, "--json"],
        );
        assert_eq!(done.code, 0, "{done:?}");
        assert_eq!(json(&done)["files"], 10_000);
        eprintln!("{done:?}");
    }
}
