//! Duplication.

use lftp_netem::profile::NetworkProfile;

use super::statistics::{PACKETS, follows, hits, million, share_is};

#[test]
fn duplicates_are_as_frequent_as_asked() {
    let link = million("duplicate = '3%'");
    let counters = link.counters();
    share_is(counters.duplicated, PACKETS, 0.03);
    assert_eq!(counters.delivered, PACKETS + counters.duplicated);
}

#[test]
fn a_duplicated_packet_makes_another_likely() {
    let duplicated = hits(
        "duplicate = '10%'\nduplicate_correlation = '40%'",
        |record| record.duplicate,
    );
    follows(&duplicated, 0.1 + 0.4 * 0.9);
}

#[test]
fn a_correlation_of_a_hundred_percent_is_refused() {
    let error = NetworkProfile::from_toml_str("duplicate_correlation = '100%'")
        .unwrap_err()
        .to_string();
    assert!(error.contains("duplicate_correlation"), "{error}");
}
