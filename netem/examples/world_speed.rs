//! Speed of the virtual world: a paced flood with acknowledgements, and a ping, over a lossy
//! 100 Mbit/s link.
//!
//! ```text
//! cargo run --release -p lftp-netem --example world_speed [VIRTUAL_SECONDS]
//! ```

use std::{error::Error, net::SocketAddr, time::Instant};

use lftp_netem::{
    Time,
    profile::NetworkProfile,
    world::{Host, Run, World},
};

const NETWORK: &str = r#"
rate = "100mbit"
delay = "20ms"
jitter = "1ms"
loss = "1%"
"#;

const SLOT_BYTES: usize = 65_536;
const DATAGRAM_BYTES: usize = 1_200;
/// 10 datagrams with headers at 98 % of the rate.
const BURST_NS: u64 = 1_002_450;

fn main() -> Result<(), Box<dyn Error>> {
    let seconds = std::env::args()
        .nth(1)
        .map_or(Ok(60), |word| word.parse::<u64>())?;
    let until = Time::from_nanos(seconds.saturating_mul(1_000_000_000));
    measure("flood", until, flood)?;
    measure("ping", until, ping)
}

/// Receives runs until its task is dropped, as a transport's driver would.
async fn receive(socket: &lftp_netem::world::Socket, mut each: impl FnMut(SocketAddr, usize)) {
    let mut buffer = vec![0; 8 * SLOT_BYTES];
    let mut runs = [Run::EMPTY; 8];
    loop {
        let next = std::future::poll_fn(|cx| {
            socket.poll_recv_runs(cx, &mut buffer, SLOT_BYTES, &mut runs)
        });
        let Ok(count) = next.await else {
            return;
        };
        for run in &runs[..count] {
            each(run.source, run.len.div_ceil(run.stride.max(1)));
        }
    }
}

fn flood(client: &Host, server: &Host, to: SocketAddr) -> Result<(), Box<dyn Error>> {
    let sink = server.bind(to)?;
    server.spawn(async move {
        let mut unanswered = 0;
        receive(&sink, |source, datagrams| {
            unanswered += datagrams;
            while unanswered >= 2 {
                unanswered -= 2;
                let _ = sink.try_send(source, 0, &[0; 40], None);
            }
        })
        .await;
    });
    let socket = std::sync::Arc::new(client.bind("0.0.0.0:0".parse()?)?);
    let acknowledged = std::sync::Arc::clone(&socket);
    client.spawn(async move { receive(&acknowledged, |_, _| {}).await });
    let host = client.clone();
    client.spawn(async move {
        let burst = vec![0; 10 * DATAGRAM_BYTES];
        let mut timer = host.timer(host.now());
        while socket.try_send(to, 2, &burst, Some(DATAGRAM_BYTES)).is_ok() {
            timer.reset(host.now().plus_nanos(BURST_NS));
            (&mut timer).await;
        }
    });
    Ok(())
}

/// 64 pings at a time, each answered by the next; a lost one is missed by a timer.
fn ping(client: &Host, server: &Host, to: SocketAddr) -> Result<(), Box<dyn Error>> {
    let echo = server.bind(to)?;
    server.spawn(async move {
        receive(&echo, |source, datagrams| {
            for _ in 0..datagrams {
                let _ = echo.try_send(source, 0, &[0; 64], None);
            }
        })
        .await;
    });
    for _ in 0..64 {
        let (host, socket) = (client.clone(), client.bind("0.0.0.0:0".parse()?)?);
        client.spawn(async move {
            let mut payload = Vec::new();
            let mut timer = host.timer(Time::MAX);
            while socket.try_send(to, 0, &[0; 64], None).is_ok() {
                timer.reset(host.now().plus_nanos(200_000_000));
                std::future::poll_fn(|cx| {
                    if socket.poll_recv(cx, &mut payload).is_ready() {
                        return std::task::Poll::Ready(());
                    }
                    timer.poll_fire(cx)
                })
                .await;
            }
        });
    }
    Ok(())
}

type Setup = fn(&Host, &Host, SocketAddr) -> Result<(), Box<dyn Error>>;

#[expect(clippy::disallowed_methods, reason = "measures the wall clock")]
fn measure(name: &str, until: Time, setup: Setup) -> Result<(), Box<dyn Error>> {
    let network = NetworkProfile::from_toml_str(NETWORK)?;
    let mut world = World::new(&network, 1);
    let client = world.add_client("10.0.0.1".parse()?)?;
    let server = world.add_server("10.0.1.1".parse()?)?;
    setup(&client, &server, "10.0.1.1:9".parse()?)?;

    let start = Instant::now();
    world.run_until(until)?;
    let wall = start.elapsed().as_secs_f64();

    let stats = world.stats();
    let events = stats.packet_events();
    println!(
        "{name}: {events} packet events in {wall:.3} s: {:.2} M/s, {:.0} ns each; {:.0} virtual \
         s per s; {} polls, {} timers",
        events as f64 / wall / 1e6,
        wall * 1e9 / events as f64,
        until.as_nanos() as f64 / 1e9 / wall,
        stats.polls,
        stats.timers_fired,
    );
    Ok(())
}
