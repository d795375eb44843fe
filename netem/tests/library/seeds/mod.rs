//! The committed seeds of the fuzz target `network`.

mod check;

use std::path::Path;

#[test]
fn every_seed_of_the_fuzz_target_is_a_network_and_passes() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds/network");
    let mut count = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(check::parses(&text), "{}", path.display());
        count += 1;
    }
    assert!(count > 0, "no seeds");
    assert!(!check::parses("neither of them"));
}
