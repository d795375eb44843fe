use super::*;

fn fathom() -> Fathom {
    Fathom::new(&Params {
        now: Time::ZERO,
        mss_bytes: 1000,
        initial_window_packets: 32,
    })
}

#[test]
fn a_mark_ends_start_up_and_later_drains_once_a_round() {
    let mut fathom = fathom();
    assert_eq!(fathom.phase(), "startup");
    fathom.on_ce(Time::ZERO, Time::ZERO);
    assert_eq!(fathom.phase(), "drain");
    // The same round has been answered: a second mark changes nothing.
    fathom.state = fathom.probe_bandwidth(Time::ZERO);
    assert_ne!(fathom.sending_rate(), SendingRate::Below);
    fathom.on_ce(Time::ZERO, Time::ZERO);
    assert_ne!(fathom.sending_rate(), SendingRate::Below);
    fathom.rounds.update(0, 1000, None);
    fathom.on_ce(Time::ZERO, Time::ZERO);
    assert_eq!(fathom.sending_rate(), SendingRate::Below);
}

#[test]
fn the_trace_has_no_bound_before_there_is_one() {
    let names = |fathom: &Fathom| {
        let mut names = Vec::new();
        fathom.trace_fields(&mut |name, _| names.push(name));
        names
    };
    assert_eq!(names(&fathom()), ["bandwidth_bps", "random_loss_ppm"]);
}
