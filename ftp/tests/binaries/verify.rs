//! Receipts, and `verify` with them and with the server.

use std::fs;

use crate::processes::{Server, client, contents, folder_with};

#[test]
fn a_file_verifies_until_a_byte_changes() {
    let server = Server::new(&[]);
    let local = folder_with("a", 100_000);
    for (action, receipt) in [("put", "put.json"), ("get", "get.json")] {
        let out = if action == "get" {
            &["--out", "b"][..]
        } else {
            &[]
        };
        let args = [&[action, "a", &server.host, "--receipt", receipt], out].concat();
        assert_eq!(client(local.path(), &args).code, 0);
        let text = fs::read_to_string(local.path().join(receipt)).unwrap();
        let object: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            object["blake3"],
            blake3::hash(&contents(100_000)).to_hex().as_str()
        );
        assert_eq!(
            (&object["name"], &object["bytes"]),
            (&"a".into(), &100_000.into())
        );
    }
    let with = [
        ["--host", &server.host],
        ["--receipt", "put.json"],
        ["--receipt", "get.json"],
    ];
    for with in with {
        let verify = |file| {
            client(
                local.path(),
                &["verify", "a", file, with[0], with[1], "--json"],
            )
        };
        let same = verify("b");
        assert_eq!(same.code, 0, "{same:?}");
        assert!(same.stdout.contains("\"verify\""), "{same:?}");
        let mut changed = contents(100_000);
        changed[77_777] ^= 1;
        fs::write(local.path().join("c"), &changed).unwrap();
        let other = verify("c");
        assert_eq!(other.code, 9, "{other:?}");
        assert!(other.stderr.contains("another hash"), "{other:?}");
        fs::write(local.path().join("d"), &changed[1..]).unwrap();
        let shorter = verify("d");
        assert!(
            shorter.stderr.contains("99999 bytes, not 100000"),
            "{shorter:?}"
        );
        assert_eq!(verify("nothing").code, 12);
    }
}

#[test]
fn a_failed_comparison_is_explained() {
    let server = Server::new(&[]);
    let local = folder_with("a", 10);
    let args = ["put", "a", &server.host, "--receipt", "r"];
    assert_eq!(client(local.path(), &args).code, 0);
    for (args, code, message) in [
        (
            &["verify", "b", "a", "--host", &server.host][..],
            5,
            "does not exist",
        ),
        (
            &["verify", "../b", "a", "--host", &server.host],
            6,
            "refused",
        ),
        (&["verify", "b", "a", "--receipt", "r"], 12, "that of a"),
        (&["verify", "a", "a", "--receipt", "a"], 12, "receipt"),
        (&["verify", "a", "a", "--receipt", "none"], 12, "none"),
        (&["verify", "a", "a"], 2, "--receipt"),
    ] {
        let done = client(local.path(), args);
        assert_eq!(done.code, code, "{done:?}");
        assert!(done.stderr.contains(message), "{done:?}");
    }
}
