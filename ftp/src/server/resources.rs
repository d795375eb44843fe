//! Holds the server's table in `docs/RESOURCES.md` to the code.

use super::config::ServerConfig;
use super::lease_table::UNCOLLECTED_GRACE;
use super::session_table::IDLE_GRACE;
use crate::protocol::{MAX_MESSAGE_BYTES, MAX_NAME_BYTES};

/// The table, without the line breaks of its cells.
const DOCUMENT: &str = include_str!("../../../docs/RESOURCES.md");

#[test]
fn the_table_of_resources_has_the_numbers_of_the_code() {
    let config = ServerConfig::default();
    let seconds = |duration: std::time::Duration| duration.as_secs();
    let (claim, hello) = (seconds(config.claim_timeout), seconds(config.hello_timeout));
    let least = (config.least_rate >> 10, seconds(config.least_rate_over));
    for row in [
        format!(
            "| control places | {} clients, {} min without a request | \
             {} s idle, or who holds most |",
            config.max_clients,
            seconds(config.idle_limit) / 60,
            seconds(IDLE_GRACE),
        ),
        format!(
            "| granted transfers | {} ports, {claim} s uncollected | \
             {} s uncollected, or who holds most |",
            config.data_ports.count(),
            seconds(UNCOLLECTED_GRACE),
        ),
        format!(
            "| running transfers | {} ports, {} s without progress | \
             below {} KiB/s over {} s, of who holds most |",
            config.data_ports.count(),
            seconds(config.stall_limit),
            least.0,
            least.1,
        ),
        format!("| connections without a hello | the transport's, {hello} s |"),
        format!("| a message | {MAX_MESSAGE_BYTES} bytes |"),
        format!("| a name | {MAX_NAME_BYTES} bytes |"),
    ] {
        assert!(
            DOCUMENT.contains(&row),
            "docs/RESOURCES.md has no row {row}"
        );
    }
}
