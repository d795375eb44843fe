//! The tables of `docs/PROTOCOL.md`, held against the messages and codes of the crate.

use std::collections::BTreeSet;

use lftp_ftp::protocol::{
    Answer, Attributes, ClientRequest, Confirmation, Entry, EntryKind, FailedFile, FileHeader,
    Granted, HeldBlocks, Hello, Listing, Page, Purpose, Request, Token, TreeEntry, TreeSummary,
    VERSION, Verified, WantedEntry, encode_reply,
};
use lftp_ftp::{BLOCK_BYTES, BlockHash, Code, Exit, Overwrite};
use serde::Serialize;
use serde_json::{Value, json};

const DOCUMENT: &str = include_str!("../../../docs/PROTOCOL.md");

/// Returns the cells of the table whose header begins with `header`.
fn table(header: &str) -> Vec<Vec<&'static str>> {
    let (_, table) = DOCUMENT.split_once(header).expect("the table's header");
    let rows = table
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    rows.map(|row| {
        let row = row.trim_matches('|');
        row.split(" | ").map(str::trim).collect()
    })
    .collect()
}

/// Returns the names in backticks of a cell.
fn names(cell: &str) -> BTreeSet<String> {
    let quoted = cell.split('`').skip(1).step_by(2);
    quoted.map(str::to_owned).collect()
}

fn fields(message: impl Serialize) -> BTreeSet<String> {
    let message = serde_json::to_value(message).unwrap();
    message.as_object().unwrap().keys().cloned().collect()
}

fn held() -> HeldBlocks {
    let hash = "ab".repeat(32);
    let held = json!({"blocks": 1, "size": 9, "samples": [{"block": 0, "hash": hash}]});
    serde_json::from_value(held).unwrap()
}

const TOKEN: Token = Token([7; 16]);

const ATTRIBUTES: Attributes = Attributes {
    mode: Some(0),
    modified_ns: Some(0),
};

#[test]
fn every_refusal_code_is_in_the_document_with_its_number_and_exit_code() {
    let documented = table("| number | code | exit | meaning |");
    let expected: Vec<Vec<String>> = Code::ALL
        .iter()
        .map(|&code| {
            let number = code.reset_reason() - 0x100;
            let exit = Exit::from(code).number();
            vec![
                number.to_string(),
                format!("`{}`", code.as_str()),
                exit.to_string(),
            ]
        })
        .collect();
    let documented: Vec<_> = documented.iter().map(|row| &row[..3]).collect();
    assert_eq!(documented, expected);
}

#[test]
fn every_request_is_in_the_document_with_its_fields() {
    let name = || "name".to_owned();
    let source = || Some("source".to_owned());
    let requests = [
        Request::Put {
            name: name(),
            size: 1,
            overwrite: true,
            source: source(),
            allocated: Some(1),
            attributes: ATTRIBUTES,
        },
        Request::PutPiped {
            name: name(),
            overwrite: true,
        },
        Request::Get {
            name: name(),
            held: Some(held()),
        },
        Request::PutTree {
            name: name(),
            overwrite: Overwrite::Replace,
            dry_run: true,
            source: "source".to_owned(),
            attributes: ATTRIBUTES,
        },
        Request::GetTree {
            name: name(),
            follow: true,
        },
        Request::Hash { name: name() },
        Request::Ls {
            path: name(),
            after: source(),
        },
        Request::Cancel { token: TOKEN },
    ];
    let documented = table("| `action` | fields | result |");
    assert_eq!(documented.len(), requests.len());
    for (row, request) in documented.iter().zip(requests) {
        let mut message = serde_json::to_value(ClientRequest::from(request)).unwrap();
        let action = message.as_object_mut().unwrap().remove("action").unwrap();
        assert_eq!(row[0], format!("`{}`", action.as_str().unwrap()));
        assert_eq!(names(row[1]), fields(message), "{action}");
    }
}

#[test]
fn the_hello_the_grant_and_the_held_blocks_are_in_the_document_with_their_fields() {
    let documented = |header| -> BTreeSet<String> {
        table(header).iter().flat_map(|row| names(row[0])).collect()
    };
    let control = Hello::new(Purpose::Control { data_port: Some(1) });
    let data = Hello::new(Purpose::Data {
        token: TOKEN,
        resume: true,
        ahead: true,
    });
    let hello: BTreeSet<String> = fields(control).union(&fields(data)).cloned().collect();
    assert_eq!(documented("| field | type | on | meaning |"), hello);
    let granted = Granted {
        port: 1,
        size: 1,
        token: TOKEN,
        held: Some(held()),
        from: 1,
        source: Some("source".to_owned()),
        allocated: Some(1),
        attributes: ATTRIBUTES,
    };
    let grant = "data port for 60 s:\n\n| field | type | meaning |";
    assert_eq!(documented(grant), fields(granted));
    assert_eq!(
        documented("| field of `held` | type | meaning |"),
        fields(held())
    );
    assert!(DOCUMENT.contains(&format!(
        "| `lftp` | integer | both | the protocol version, {VERSION};"
    )));
}

#[test]
fn the_messages_of_a_folder_are_in_the_document_with_their_fields() {
    let documented = |message: &str| -> BTreeSet<String> {
        let rows = table("| message | field | type | meaning |");
        let rows = rows.iter().filter(|row| row[0] == message);
        rows.flat_map(|row| names(row[1])).collect()
    };
    let failed = FailedFile {
        path: "path".into(),
        code: Code::Io,
        reason: "reason".into(),
    };
    let entry = TreeEntry {
        path: "path".to_owned(),
        size: Some(1),
        attributes: ATTRIBUTES,
        source: Some("source".to_owned()),
        allocated: Some(1),
    };
    assert_eq!(documented("entry"), fields(&entry));
    let page = Page {
        entries: vec![entry],
        last: true,
        failed: vec![failed.clone()],
        skipped: vec![failed.clone()],
    };
    assert_eq!(documented("page"), fields(page));
    let want = WantedEntry {
        index: 0,
        held: Some(held()),
    };
    assert_eq!(documented("want"), fields(&want));
    assert_eq!(documented("answer"), fields(Answer { want: vec![want] }));
    let head = FileHeader {
        index: 0,
        size: None,
        resume: true,
        failed: Some(failed.clone()),
    };
    assert_eq!(documented("head"), fields(head));
    let summary = TreeSummary {
        skips: vec![failed.clone()],
        ..TreeSummary::default()
    };
    assert_eq!(documented("failed"), fields(failed));
    assert_eq!(documented("result"), fields(summary));
}

#[test]
fn replies_and_reports_have_the_fields_of_the_document() {
    let confirmation = Confirmation {
        bytes: 1,
        hash: "ab".repeat(32),
    };
    let reply = encode_reply(&Ok(confirmation)).unwrap();
    let reply: Value = serde_json::from_slice(&reply[4..]).unwrap();
    let rows = table("| message on a data connection | fields | direction |");
    assert_eq!(names(rows[2][1]), fields(reply));
    assert_eq!(names(rows[1][1]), fields(Verified { verified: 1 }));
    let entry: Entry =
        serde_json::from_value(json!({"name": "a", "kind": "file", "size": 1})).unwrap();
    assert_eq!(entry.kind, EntryKind::File);
    let listing = Listing {
        entries: vec![entry],
        more: false,
    };
    assert_eq!(
        fields(listing),
        ["entries", "more"].map(str::to_owned).into()
    );
}

#[test]
fn the_hashes_of_the_example_are_those_of_the_document() {
    let block = usize::try_from(BLOCK_BYTES).unwrap();
    let contents = vec![0; block + 1];
    let hashes = [
        String::from(BlockHash::of(0, &contents[..block])),
        String::from(BlockHash::of(1, &contents[block..])),
        blake3::hash(&contents).to_hex().to_string(),
    ];
    let documented = table("| 4,194,305 zero bytes | hash |");
    let documented: Vec<_> = documented
        .iter()
        .map(|row| row[1].trim_matches('`'))
        .collect();
    assert_eq!(documented, hashes);
}
