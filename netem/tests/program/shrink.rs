//! `netem shrink` with commands that fail for a known reason.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should say so")]

use std::{
    fmt::Write,
    process::{Command, Output},
};

fn shrink(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_netem"));
    command.arg("shrink").args(args).output().unwrap()
}

#[test]
fn the_events_to_blame_are_left_and_no_others() {
    let folder = tempfile::tempdir().unwrap();
    let recording = folder.path().join("recording.csv");
    let mut text = "direction,index,copy,fate,value\n".to_owned();
    for index in 0..100 {
        writeln!(text, "forward,{index},0,lost,").unwrap();
    }
    std::fs::write(&recording, text).unwrap();
    let recording = recording.to_str().unwrap();
    // Fails when packets 17 and 83 are both lost; the path of the recording is given twice.
    let both = "grep -q '^forward,17,' \"$0\" && grep -q '^forward,83,' \"$NETEM_RECORDING\" && exit 5; exit 0";
    for code in [&[][..], &["--code", "5"]] {
        let command = ["--", "sh", "-c", both, "{}"];
        let output = shrink(&[&[recording][..], code, &command].concat());
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        let left = String::from_utf8_lossy(&output.stdout);
        let rows: Vec<&str> = left.lines().skip(1).collect();
        assert_eq!(rows, ["forward,17,0,lost,", "forward,83,0,lost,"], "{said}");
        assert!(said.contains("2 entries of 100 are enough"), "{said}");
    }

    let out = folder.path().join("few.csv");
    let to_file = shrink(&[
        recording,
        "--out",
        out.to_str().unwrap(),
        "--",
        "sh",
        "-c",
        both,
        "{}",
    ]);
    assert!(to_file.status.success() && to_file.stdout.is_empty());
    assert_eq!(std::fs::read_to_string(out).unwrap().lines().count(), 3);

    for (args, code, word) in [
        (&[recording, "--", "true"][..], 7, "does not fail"),
        (
            &[recording, "--code", "9", "--", "false"],
            7,
            "does not fail",
        ),
        (
            &[recording, "--", "/no/such/program"],
            127,
            "/no/such/program",
        ),
        (
            &["/no/such/recording", "--", "false"],
            3,
            "/no/such/recording",
        ),
        (&["/proc/self/status", "--", "false"], 3, "is not an event"),
        (
            &[recording, "--out", "/no/dir/x", "--", "false"],
            5,
            "/no/dir/x",
        ),
        (&[recording], 2, "COMMAND"),
    ] {
        let output = shrink(args);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
        assert!(said.contains(word), "{args:?}: {said}");
    }
}
