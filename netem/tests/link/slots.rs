//! Slots: packets in batches.

use lftp_netem::profile::NetworkProfile;

use super::times;

const MS: u64 = 1_000_000;

#[test]
fn slots_take_batches() {
    let network = "delay = '1ms'\nslots = { min = '4ms', max = '4ms', packets = 2 }";
    let out = times(
        network,
        &[
            (0, 100),
            (MS, 100),
            (2 * MS, 100),
            (3 * MS, 100),
            (4 * MS, 100),
        ],
    );
    assert_eq!(
        out.iter().map(|ns| ns / MS).collect::<Vec<_>>(),
        [5, 5, 9, 9, 13]
    );
    let bytes = "slots = { min = '4ms', max = '4ms', bytes = '1000B' }";
    let out = times(bytes, &[(1, 900), (1, 200), (1, 1400), (1, 50)]);
    assert_eq!(
        out.iter().map(|ns| ns / MS).collect::<Vec<_>>(),
        [4, 8, 12, 16]
    );
}

#[test]
fn slots_are_random_between_their_bounds() {
    let network = "slots = { min = '2ms', max = '6ms', packets = 1 }";
    let out = times(network, &[(0, 100); 10_000]);
    let gaps: Vec<u64> = out.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(gaps.iter().all(|gap| (2 * MS..=6 * MS).contains(gap)));
    let mean = gaps.iter().sum::<u64>() as f64 / gaps.len() as f64;
    // Uniform over 4 ms: sigma 1.155 ms; 3.29 sigma of the mean.
    assert!((mean - 4e6).abs() < 3.29 * 1.155e6 / 100.0, "{mean}");
}

#[test]
fn impossible_slots_are_refused() {
    for (network, words) in [
        ("slots = { min = '2ms', max = '1ms' }", "max >= min"),
        ("slots = { min = '1us', max = '1ms' }", "10us"),
        (
            "slots = { min = '1ms', max = '1ms', packets = 0 }",
            "above 0",
        ),
    ] {
        let error = NetworkProfile::from_toml_str(network)
            .unwrap_err()
            .to_string();
        assert!(error.contains(words), "{error}");
    }
}
