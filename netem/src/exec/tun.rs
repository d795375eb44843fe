//! A TUN device: an interface whose packets a program reads and writes.

use std::{io, net::Ipv4Addr};

use nix::net::if_::if_nametoindex;
use tun_rs::{DeviceBuilder, Layer, SyncDevice};

use super::{ExecError, netlink};

/// Packets that the kernel may hold for the link. One that finds the queue full is an own drop of
/// netem, so it is large.
const QUEUE_PACKETS: u32 = 10_000;
/// The addresses of both ends, and two more: RFC 950's smallest network with room for two.
const PREFIX_BITS: u8 = 30;

/// An interface in the namespace of the thread that created it.
pub(super) struct Tun {
    pub(super) device: SyncDevice,
    pub(super) name: String,
}

impl Tun {
    /// Creates a device that is up and has an address.
    pub(super) fn new(ip: Ipv4Addr, mtu: u16, default_route: bool) -> Result<Self, ExecError> {
        let created = DeviceBuilder::new()
            .name("netem%d")
            .layer(Layer::L3)
            .mtu(mtu)
            // Down until its IPv6 is off: coming up, the kernel would send at once.
            .enable(false)
            .build_sync();
        let device = created.map_err(ExecError::Tun)?;
        let setting_up = |source| ExecError::System {
            doing: "set up the TUN device",
            source,
        };
        let name = device.name().map_err(setting_up)?;
        without_ipv6(&name);
        let index = if_nametoindex(name.as_str()).map_err(|errno| setting_up(errno.into()))?;
        device.set_nonblocking(true).map_err(setting_up)?;
        netlink::add_address(index, ip, PREFIX_BITS).map_err(setting_up)?;
        // The queue's length together with the state: packets sent right after would meet the
        // default of 500.
        netlink::up(index, Some(QUEUE_PACKETS)).map_err(setting_up)?;
        if default_route {
            netlink::add_default_route(index).map_err(setting_up)?;
        }
        Ok(Self { device, name })
    }
}

/// Brings up the loopback interface, which programs in the namespace may need.
pub(super) fn loopback_up() -> Result<(), ExecError> {
    let index = if_nametoindex("lo").map_err(io::Error::from);
    let up = index.and_then(|index| netlink::up(index, None));
    up.map_err(|source| ExecError::System {
        doing: "set up the loopback interface",
        source,
    })
}

/// Turns IPv6 off, or else the kernel asks for routers on the link, which the link counts. Where
/// the setting cannot be written, it does.
fn without_ipv6(name: &str) {
    let path = format!("/proc/sys/net/ipv6/conf/{name}/disable_ipv6");
    if let Err(error) = std::fs::write(&path, "1") {
        tracing::debug!(%error, path, "IPv6 stays on");
    }
}
