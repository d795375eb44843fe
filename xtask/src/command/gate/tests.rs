use super::*;

/// A scenario small enough for a test, and its runs under some change.
fn runs(changes: &[&str]) -> (Scenario, Vec<Summary>) {
    let mut all = vec!["transfer.size=8MiB".to_owned(), "gate.size=8MiB".to_owned()];
    all.extend(changes.iter().map(|&change| change.to_owned()));
    let scenario = scenario::load("lossy-10pct", &all).unwrap().for_gate();
    let plans: Vec<Plan> = (1..=6).map(|seed| plan(&scenario, seed)).collect();
    let summaries = batch::run_all("test", &plans).unwrap();
    (scenario, summaries)
}

fn baseline(summaries: &[Summary]) -> Baseline {
    let mut baseline = Baseline::default();
    baseline.replace("lossy-10pct", summaries, 1..=2);
    baseline
}

#[test]
fn the_same_sender_passes_and_its_runs_are_the_same_to_the_last_digit() {
    let (scenario, before) = runs(&["gate.floor=1%"]);
    let (_, now) = runs(&["gate.floor=1%"]);
    let evaluation = evaluate::evaluate(&scenario, &now, &baseline(&before));
    assert_eq!(evaluation.faults, Vec::<String>::new());
    assert!(evaluate::table(&[evaluation]).contains("same"));
}

#[test]
fn a_sender_made_slower_on_purpose_is_refused_with_how_much_and_a_command() {
    let (scenario, before) = runs(&["gate.floor=1%"]);
    let (_, slower) = runs(&["gate.floor=1%", "transport.pacing=80%"]);
    let evaluation = evaluate::evaluate(&scenario, &slower, &baseline(&before));
    let faults = evaluation.faults.join("\n");
    assert!(
        faults.contains("lossy-10pct: the median goodput is 0."),
        "{faults}"
    );
    assert!(faults.contains("0.98 is the least"), "{faults}");
    assert!(
        faults.contains("cargo xtask scenario lossy-10pct"),
        "{faults}"
    );
    assert!(faults.contains("no longer the same run"), "{faults}");
}

#[test]
fn below_the_floor_is_refused_whatever_the_baseline_says() {
    let (scenario, now) = runs(&["gate.floor=100%"]);
    let evaluation = evaluate::evaluate(&scenario, &now, &baseline(&now));
    assert!(
        evaluation.faults.join("\n").contains("the floor is 1.000"),
        "{:?}",
        evaluation.faults
    );
    assert!(!evaluation.holds_without_baseline());
}

#[test]
fn a_scenario_that_the_baseline_lacks_is_refused() {
    let (scenario, now) = runs(&["gate.floor=1%"]);
    let evaluation = evaluate::evaluate(&scenario, &now, &Baseline::default());
    assert!(
        evaluation
            .faults
            .join("\n")
            .contains("the baseline lacks it"),
        "{:?}",
        evaluation.faults
    );
    // Nothing was compared, so nothing is said to be the same.
    assert!(!evaluate::table(&[evaluation]).contains("same"));
}

#[test]
fn a_baseline_written_and_read_is_the_same() {
    let (_, now) = runs(&["gate.floor=1%"]);
    let folder = tempfile::tempdir().unwrap();
    let before = baseline(&now);
    before.write(folder.path()).unwrap();
    let after = Baseline::read(folder.path()).unwrap();
    assert_eq!(after.golden("lossy-10pct"), before.golden("lossy-10pct"));
    assert_eq!(after.goodput("lossy-10pct", 3), Some(now[2].goodput_bps));
}

#[test]
fn this_build_makes_the_committed_run_whatever_its_profile() {
    let folder = scenario::workspace().join("reports/baseline");
    let baseline = Baseline::read(&folder).unwrap();
    let scenario = scenario::load("seed-lossy-10pct", &[]).unwrap().for_gate();
    for golden in baseline.golden("seed-lossy-10pct") {
        let runs = batch::run_all("test", &[plan(&scenario, golden.seed)]).unwrap();
        assert_eq!(&baseline::GoldenRow::of(&runs[0]), golden);
    }
}
