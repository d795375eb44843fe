//! Every model does what it is asked to: the rows of the example `link_accuracy`, with fewer
//! packets. `NETEM_ACCURACY_PACKETS` sets how many.

#[path = "../../examples/link_accuracy/accuracy/mod.rs"]
mod model_rows;

/// Enough for a mean that is wrong by a fiftieth of itself to show.
const PACKETS: u64 = 200_000;
const SEED: u64 = 1;

#[test]
fn every_model_is_inside_its_interval() {
    let packets = std::env::var("NETEM_ACCURACY_PACKETS");
    let packets = packets.map_or(PACKETS, |text| text.parse().expect("a number of packets"));
    let mut outside = Vec::new();
    model_rows::rows(packets, SEED, |row| {
        if !row.is_inside() {
            outside.push(row.to_string());
        }
    });
    assert!(
        outside.is_empty(),
        "{}\n{}",
        model_rows::Row::HEADER,
        outside.join("\n")
    );
}
