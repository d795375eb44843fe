//! Tasks, timers, faults and errors of the virtual world.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails its test")]

use std::{
    future::{pending, poll_fn},
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::Poll,
};

use lftp_netem::{
    Time,
    profile::NetworkProfile,
    world::{Host, Socket, Timer, World, WorldError},
};

const MS: u64 = 1_000_000;

fn addr(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn at_ms(ms: u64) -> Time {
    Time::from_nanos(ms * MS)
}

fn world_of(toml: &str, seed: u64) -> (World, Host, Host) {
    let network = NetworkProfile::from_toml_str(toml).expect("a network");
    let mut world = World::new(&network, seed);
    let client = world.add_client(addr("10.0.0.1:0").ip()).expect("free");
    let server = world.add_server(addr("10.0.1.1:0").ip()).expect("free");
    (world, client, server)
}

fn world() -> (World, Host, Host) {
    world_of("delay = \"10ms\"", 1)
}

/// Events, in order.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn add(&self, line: impl Into<String>) {
        self.0.lock().unwrap().push(line.into());
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

/// Says so when it is dropped.
struct Tell(Log, &'static str);

impl Drop for Tell {
    fn drop(&mut self) {
        self.0.add(format!("{} dropped", self.1));
    }
}

#[test]
fn handles_may_cross_threads() {
    fn check<T: Send + Sync + 'static>() {}
    check::<Host>();
    check::<Socket>();
    check::<Timer>();
    check::<lftp_netem::world::Links>();
}

#[test]
fn tasks_run_in_the_order_of_becoming_ready() {
    let (mut world, host, _) = world();
    let log = Log::default();
    for name in ["a", "b", "c"] {
        let (log, inner, host_inside) = (log.clone(), log.clone(), host.clone());
        host.spawn(async move {
            log.add(name);
            host_inside.spawn(async move { inner.add(format!("child of {name}")) });
            let mut first = true;
            poll_fn(|cx| {
                if std::mem::take(&mut first) {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Poll::Ready(())
            })
            .await;
            log.add(format!("{name} again"));
        });
    }
    world.run_until_idle().unwrap();
    let expected = [
        "a",
        "b",
        "c",
        "child of a",
        "a again",
        "child of b",
        "b again",
        "child of c",
        "c again",
    ];
    assert_eq!(log.take(), expected);
}

#[test]
fn a_task_woken_often_is_polled_once() {
    let (mut world, host, _) = world();
    let polls = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&polls);
    host.spawn(poll_fn(move |cx| {
        if counted.fetch_add(1, Ordering::Relaxed) == 0 {
            for _ in 0..5 {
                cx.waker().wake_by_ref();
            }
            return Poll::Pending;
        }
        Poll::Pending
    }));
    world.run_until_idle().unwrap();
    assert_eq!(polls.load(Ordering::Relaxed), 2);
}

#[test]
fn timers_fire_by_time_and_then_in_the_order_they_were_set() {
    let (mut world, host, _) = world();
    let log = Log::default();
    for (name, ms) in [("late", 30), ("first", 10), ("second", 10), ("middle", 20)] {
        let (log, inside) = (log.clone(), host.clone());
        host.spawn(async move {
            inside.timer(at_ms(ms)).await;
            log.add(format!("{name} {}", inside.now().as_nanos() / MS));
        });
    }
    assert_eq!(world.run_until_idle(), Ok(at_ms(30)));
    assert_eq!(
        log.take(),
        ["first 10", "second 10", "middle 20", "late 30"]
    );
    assert_eq!(world.stats().timers_fired, 4);
}

/// Polls a timer once, moves it, and waits without moving it again.
fn fired_at(first_ms: u64, moved_to_ms: u64) -> u64 {
    let (mut world, host, _) = world();
    let mut timer = host.timer(at_ms(first_ms));
    let mut moved = false;
    let wait = poll_fn(|cx| {
        let fired = timer.poll_fire(cx);
        if !std::mem::replace(&mut moved, true) {
            timer.reset(at_ms(moved_to_ms));
            return Poll::Pending;
        }
        fired
    });
    world.block_on(wait).unwrap();
    world.now().as_nanos() / MS
}

#[test]
fn a_timer_that_was_moved_fires_at_its_new_deadline() {
    assert_eq!(fired_at(50, 20), 20);
    assert_eq!(fired_at(50, 80), 80);
}

#[test]
fn a_timer_moved_with_every_event_fires_when_it_is_left_alone() {
    let (mut world, host, _) = world();
    let inside = host.clone();
    let fired = world.block_on(async move {
        let mut timeout = inside.timer(at_ms(5));
        for _ in 0..1_000 {
            timeout.reset(inside.now().plus_nanos(5 * MS));
            let mut tick = inside.sleep_ns(MS);
            poll_fn(|cx| {
                assert!(timeout.poll_fire(cx).is_pending());
                tick.poll_fire(cx)
            })
            .await;
        }
        timeout.await;
        inside.now()
    });
    assert_eq!(fired, Ok(at_ms(1_004)));
    assert_eq!(world.stats().timers_fired, 1_001);
}

#[test]
fn a_timer_in_the_past_is_ready_and_one_at_the_end_of_time_never() {
    let (mut world, host, _) = world();
    world.run_until(at_ms(7)).unwrap();
    world.block_on(host.timer(at_ms(3))).unwrap();
    assert_eq!(world.now(), at_ms(7));
    let never = world.block_on(host.timer(Time::MAX));
    assert_eq!(never, Err(WorldError::Deadlock { at: at_ms(7) }));
}

#[test]
fn a_deadlock_is_an_error() {
    let (mut world, host, _) = world();
    let inside = host.clone();
    host.spawn(async move { inside.timer(at_ms(3)).await });
    let result = world.block_on(pending::<()>());
    assert_eq!(result, Err(WorldError::Deadlock { at: at_ms(3) }));
}

#[test]
fn the_time_limit_is_an_error_and_may_be_raised() {
    let (mut world, host, _) = world();
    world.set_time_limit(at_ms(10));
    let limit = WorldError::TimeLimit { limit: at_ms(10) };
    assert_eq!(world.block_on(host.timer(at_ms(11))), Err(limit));
    assert_eq!(world.now(), at_ms(10));
    assert_eq!(world.run_until(at_ms(12)), Err(limit));
    world.set_time_limit(Time::MAX);
    assert_eq!(world.block_on(host.timer(at_ms(11))), Ok(()));
}

#[test]
fn tasks_that_make_time_stand_still_are_an_error() {
    let (mut world, host, _) = world();
    host.spawn(poll_fn(|cx| {
        cx.waker().wake_by_ref();
        Poll::Pending
    }));
    let result = world.run_until(at_ms(1));
    assert!(
        matches!(result, Err(WorldError::Livelock { at: Time::ZERO, .. })),
        "{result:?}"
    );
}

#[test]
fn tasks_left_over_go_on_in_the_next_run() {
    let (mut world, host, _) = world();
    let inside = host.clone();
    let done = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&done);
    host.spawn(async move {
        inside.timer(at_ms(20)).await;
        flag.store(true, Ordering::Relaxed);
    });
    world.block_on(host.timer(at_ms(10))).unwrap();
    assert!(!done.load(Ordering::Relaxed));
    world.run_until(at_ms(20)).unwrap();
    assert!(done.load(Ordering::Relaxed));
}

#[test]
fn datagrams_of_one_moment_wake_their_reader_once() {
    let (mut world, client, server) = world();
    let from = client.bind(addr("0.0.0.0:0")).unwrap();
    let to = server.bind(addr("0.0.0.0:9")).unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let seen_inside = Arc::clone(&seen);
    server.spawn(async move {
        let mut payload = Vec::new();
        poll_fn(|cx| -> Poll<()> {
            let mut count = 0;
            while to.poll_recv(cx, &mut payload).is_ready() {
                count += 1;
            }
            seen_inside.lock().unwrap().push(count);
            Poll::Pending
        })
        .await;
    });
    from.try_send(addr("10.0.1.1:9"), 0, &[0; 50], Some(10))
        .unwrap();
    world.run_until_idle().unwrap();
    assert_eq!(*seen.lock().unwrap(), [0, 5]);
}

#[test]
fn a_killed_host_loses_its_tasks_and_sockets() {
    let (mut world, client, server) = world();
    let log = Log::default();
    let tell = Tell(log.clone(), "the server's task");
    let (socket, inside) = (server.bind(addr("0.0.0.0:9")).unwrap(), server.clone());
    server.spawn(async move {
        let _tell = tell;
        let mut timer = inside.timer(at_ms(1_000));
        let mut payload = Vec::new();
        poll_fn(|cx| {
            assert!(socket.poll_recv(cx, &mut payload).is_pending());
            timer.poll_fire(cx)
        })
        .await;
        unreachable!("the host is dead");
    });
    let held = server.bind(addr("0.0.0.0:10")).unwrap();
    world.run_until(at_ms(1)).unwrap();
    let from = client.bind(addr("0.0.0.0:0")).unwrap();
    from.try_send(addr("10.0.1.1:9"), 0, b"too late", None)
        .unwrap();

    server.kill();
    server.kill();
    assert!(!server.is_up());
    assert_eq!(
        server.bind(addr("0.0.0.0:9")).unwrap_err().kind(),
        io::ErrorKind::NetworkDown
    );
    server.spawn(async { unreachable!("the host is dead") });
    assert_eq!(world.run_until_idle(), Ok(at_ms(11)));
    assert_eq!(log.take(), ["the server's task dropped"]);
    assert_eq!(world.stats().dropped_unclaimed, 1);
    assert_eq!(
        held.local_addr().unwrap_err().kind(),
        io::ErrorKind::NotConnected
    );
    let sent = held.try_send(addr("10.0.0.1:1"), 0, b"x", None);
    assert_eq!(sent.unwrap_err().kind(), io::ErrorKind::NotConnected);

    server.restart();
    let again = server.bind(addr("0.0.0.0:10")).unwrap();
    // The dead socket must not free the port of the new one.
    drop(held);
    let taken = server.bind(addr("0.0.0.0:10"));
    assert_eq!(taken.unwrap_err().kind(), io::ErrorKind::AddrInUse);
    from.try_send(addr("10.0.1.1:10"), 0, b"back", None)
        .unwrap();
    let mut payload = Vec::new();
    world.block_on(again.recv(&mut payload)).unwrap().unwrap();
    assert_eq!(payload, b"back");
}

#[test]
fn a_reader_outside_a_killed_host_hears_of_it() {
    let (mut world, client, server) = world();
    let socket = server.bind(addr("0.0.0.0:9")).unwrap();
    let inside = client.clone();
    client.spawn(async move {
        inside.timer(at_ms(5)).await;
        server.kill();
    });
    let mut payload = Vec::new();
    let result = world.block_on(socket.recv(&mut payload)).unwrap();
    assert_eq!(result.unwrap_err().kind(), io::ErrorKind::NotConnected);
    assert_eq!(world.now(), at_ms(5));
}

#[test]
fn a_task_may_kill_its_own_host_and_others_start_after_a_restart() {
    let (mut world, _, server) = world();
    let log = Log::default();
    let tells = [Tell(log.clone(), "killer"), Tell(log.clone(), "bystander")];
    let [killer, bystander] = tells;
    let (inside, inner) = (server.clone(), log.clone());
    server.spawn(async move {
        let _tell = killer;
        inside.kill();
        inside.spawn(async { unreachable!("down") });
        inside.restart();
        let log = inner.clone();
        inside.spawn(async move { log.add("reborn") });
        inner.add("killer runs on to its next wait");
        pending::<()>().await;
    });
    server.spawn(async move {
        let _tell = bystander;
        unreachable!("killed before its first turn");
    });
    world.run_until_idle().unwrap();
    let expected = [
        "killer runs on to its next wait",
        "killer dropped",
        "bystander dropped",
        "reborn",
    ];
    assert_eq!(log.take(), expected);
}

#[test]
fn dropping_the_world_drops_its_tasks() {
    let (world, host, _) = world();
    let log = Log::default();
    let (waiting, inside) = (Tell(log.clone(), "new"), host.clone());
    host.spawn(async move {
        let _tell = waiting;
        inside.timer(at_ms(1)).await;
    });
    drop(world);
    let late = Tell(log.clone(), "late");
    host.spawn(async move { drop(late) });
    assert_eq!(log.take(), ["new dropped", "late dropped"]);
}

#[test]
fn a_panic_in_a_task_ends_the_run() {
    let (mut world, host, _) = world();
    host.spawn(async { panic!("on purpose") });
    let run = std::panic::AssertUnwindSafe(|| world.run_until_idle());
    assert!(std::panic::catch_unwind(run).is_err());
}

/// FNV-1a over words.
fn hash(hash: &Mutex<u64>, words: &[u64]) {
    let mut state = hash.lock().unwrap();
    for byte in words.iter().flat_map(|word| word.to_le_bytes()) {
        *state = (*state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
}

/// Two hosts answer each other with random sizes after random waits; every arrival is hashed.
fn babble(toml: &str, seed: u64) -> u64 {
    let (mut world, client, server) = world_of(toml, seed);
    let state = Arc::new(Mutex::new(0xcbf2_9ce4_8422_2325));
    for (host, other) in [(&client, "10.0.1.1:9"), (&server, "10.0.0.1:9")] {
        for flow in 0..4_u16 {
            let to = SocketAddr::new(addr(other).ip(), 9 + flow);
            let socket = host.bind(SocketAddr::new(host.ip(), 9 + flow)).unwrap();
            let (host_inside, state) = (host.clone(), Arc::clone(&state));
            host.spawn(talk(host_inside, socket, to, state));
        }
    }
    let end = world.run_until_idle().unwrap();
    let polls = world.stats().polls;
    hash(&state, &[end.as_nanos(), polls]);
    *state.lock().unwrap()
}

async fn talk(host: Host, socket: Socket, to: SocketAddr, state: Arc<Mutex<u64>>) {
    let mut payload = Vec::new();
    for _ in 0..200 {
        let mut random = [0; 4];
        host.fill_random(&mut random);
        let bytes = vec![random[0]; 1 + 4 * usize::from(random[1])];
        socket
            .try_send(to, random[2] & 3, &bytes, Some(500))
            .unwrap();
        let mut pause = host.sleep_ns(u64::from(random[3]) * 10_000);
        poll_fn(|cx| {
            while let Poll::Ready(Ok(meta)) = socket.poll_recv(cx, &mut payload) {
                let port = u64::from(meta.source.port());
                let words = [host.now().as_nanos(), port, u64::from(meta.ecn)];
                hash(&state, &words);
                hash(&state, &[payload.len() as u64, u64::from(payload[0])]);
            }
            pause.poll_fire(cx)
        })
        .await;
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let bad = "rate = \"4mbit\"\ndelay = \"5ms\"\njitter = \"2ms\"\nloss = \"5%\"";
    let runs = [1, 1, 2].map(|seed| babble(bad, seed));
    assert_eq!(runs[0], runs[1]);
    assert_ne!(runs[0], runs[2]);
}

/// The same number in debug and release builds and on every machine. The link here samples no
/// randomness, so that only a change of the world itself can change it.
#[test]
fn a_run_is_the_one_it_always_was() {
    assert_eq!(
        babble("rate = \"8mbit\"\ndelay = \"5ms\"", 7),
        11_373_283_246_184_714_267
    );
}
