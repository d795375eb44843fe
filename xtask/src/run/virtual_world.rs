//! The world of a run in virtual time: its hosts, and the log of its link.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, PoisonError};

use lftp_netem::Direction;
use lftp_netem::record::PacketRecord;
use lftp_netem::world::{AddressError, Host, Links, World, WorldConfig, WorldStats};
use lftp_transport::{BoxFuture, Runtime};

use super::{Plan, RunError, Tap};
use crate::record::{LinkLog, Timing};
use crate::scenario::Operation;

/// The address of the server.
pub(crate) const SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 1, 1));

/// Interval at which the link's records are drained: before they outgrow the processor's cache.
const SWEEP_NS: u64 = 20_000_000;

/// The runtime of a client, and its transfer.
pub(crate) type ClientTask = (Arc<dyn Runtime>, BoxFuture<Timing>);

/// A server, clients, and the plan's network between them.
#[derive(Debug)]
pub(crate) struct VirtualWorld {
    world: World,
    link: Arc<Mutex<LinkLog>>,
    tap: Tap,
}

impl VirtualWorld {
    /// The plan's network, without hosts.
    pub(crate) fn new(plan: &Plan) -> Self {
        let mut config = WorldConfig::new(&plan.scenario.network, plan.seed);
        config.recording = true;
        if plan.scenario.transfer.operation == Operation::Get {
            // So that the data goes forward, as in a put.
            config.links.client_to_server = Direction::Reverse;
        }
        let world = World::with_config(&config);
        plan.tap.attach(&world.links());
        Self {
            world,
            link: Arc::new(Mutex::new(LinkLog::new(plan.detail))),
            tap: plan.tap.clone(),
        }
    }

    /// Adds the server's host.
    ///
    /// # Errors
    /// [`RunError`] when there is one.
    pub(crate) fn add_server(&mut self) -> Result<Host, RunError> {
        self.world.add_server(SERVER).map_err(unreachable_address)
    }

    /// Adds the host of a client; with the first one also the task that drains the link's
    /// records.
    ///
    /// # Errors
    /// [`RunError`] when there is one of that number.
    pub(crate) fn add_client(&mut self, index: usize) -> Result<Host, RunError> {
        let host = self
            .world
            .add_client(client_ip(index))
            .map_err(unreachable_address)?;
        // Any host will do that never crashes, and there is always a first client.
        if index == 0 {
            let link = Arc::clone(&self.link);
            let sweep = sweep(host.clone(), self.world.links(), link, self.tap.clone());
            host.spawn(sweep);
        }
        Ok(host)
    }

    /// Runs the world until every client is done.
    ///
    /// # Errors
    /// [`RunError`] when the world breaks down.
    pub(crate) fn run(&mut self, tasks: Vec<ClientTask>) -> Result<Vec<Timing>, RunError> {
        Ok(self.world.block_on(run_all(tasks))?)
    }

    /// Ends the world; returns the log of the link and the statistics of the world.
    pub(crate) fn end(self, plan: &Plan) -> (LinkLog, WorldStats) {
        // The packets since the last sweep.
        drain(&self.world.links(), &self.link, &self.tap, &mut Vec::new());
        self.tap.detach(&self.world.links());
        let stats = self.world.stats();
        drop(self.world);
        let mut link = self.link.lock().unwrap_or_else(PoisonError::into_inner);
        (
            std::mem::replace(&mut *link, LinkLog::new(plan.detail)),
            stats,
        )
    }
}

/// The address of a client; each index has one of its own.
pub(crate) fn client_ip(index: usize) -> IpAddr {
    let base = u32::from(Ipv4Addr::new(10, 0, 2, 1));
    Ipv4Addr::from(base + u32::try_from(index).unwrap_or(u32::MAX >> 8)).into()
}

fn unreachable_address(error: AddressError) -> RunError {
    RunError::System {
        doing: "add a host",
        source: std::io::Error::other(error),
    }
}

async fn run_all(tasks: Vec<ClientTask>) -> Vec<Timing> {
    let timings: Arc<Mutex<Vec<Option<Timing>>>> = Arc::new(Mutex::new(vec![None; tasks.len()]));
    let done = Arc::new(tokio::sync::Notify::new());
    for (index, (runtime, transfer)) in tasks.into_iter().enumerate() {
        let (timings, done) = (Arc::clone(&timings), Arc::clone(&done));
        runtime.spawn(Box::pin(async move {
            let timing = transfer.await;
            timings.lock().unwrap_or_else(PoisonError::into_inner)[index] = Some(timing);
            done.notify_one();
        }));
    }
    loop {
        done.notified().await;
        let all: Option<Vec<Timing>> = timings
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .cloned()
            .collect();
        // Woken by each transfer: the count of those that are left would be a second truth.
        if let Some(all) = all {
            return all;
        }
    }
}

async fn sweep(host: Host, links: Links, link: Arc<Mutex<LinkLog>>, tap: Tap) {
    let mut records = Vec::new();
    loop {
        host.sleep_ns(SWEEP_NS).await;
        drain(&links, &link, &tap, &mut records);
    }
}

/// `records` is room to work in.
fn drain(links: &Links, link: &Mutex<LinkLog>, tap: &Tap, records: &mut Vec<PacketRecord>) {
    records.clear();
    links.take_records(Direction::Forward, records);
    links.take_records(Direction::Reverse, records);
    tap.records(records);
    link.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .extend(records);
}
