//! The committed seeds of the fuzz target `message`.

mod check;

use std::path::Path;

#[test]
fn every_seed_of_the_fuzz_target_is_a_message_and_passes() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds/message");
    let mut count = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        assert!(check::understands(&bytes), "{}", path.display());
        count += 1;
    }
    assert!(count > 0, "no seeds");
    assert!(!check::understands(b"\0\0\0\x02{}"));
}
