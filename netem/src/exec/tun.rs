//! A TUN device: an interface whose packets we read and write.

use std::{io, net::Ipv4Addr};

use nix::net::if_::if_nametoindex;
use tun_rs::{DeviceBuilder, Layer, SyncDevice};

use super::{ExecError, netlink};

/// Packets the kernel may hold for us. What finds that full is an own drop, so it is large.
const QUEUE_PACKETS: u32 = 10_000;
/// The addresses of both ends, and two more: RFC 950's smallest network with room for two.
const PREFIX_BITS: u8 = 30;

/// An interface in the namespace of the thread that made it.
pub(super) struct Tun {
    pub(super) device: SyncDevice,
    pub(super) name: String,
}

impl Tun {
    /// A device that is up, with an address.
    pub(super) fn new(ip: Ipv4Addr, mtu: u16, default_route: bool) -> Result<Self, ExecError> {
        let made = DeviceBuilder::new()
            .name("netem%d")
            .layer(Layer::L3)
            .mtu(mtu)
            .enable(false)
            .build_sync();
        let device = made.map_err(ExecError::Tun)?;
        let setting_up = |source| ExecError::System {
            doing: "set up the TUN device",
            source,
        };
        let name = device.name().map_err(setting_up)?;
        without_ipv6(&name);
        let index = if_nametoindex(name.as_str()).map_err(|errno| setting_up(errno.into()))?;
        device.set_nonblocking(true).map_err(setting_up)?;
        netlink::add_address(index, ip, PREFIX_BITS).map_err(setting_up)?;
        netlink::up(index, Some(QUEUE_PACKETS)).map_err(setting_up)?;
        if default_route {
            netlink::add_default_route(index).map_err(setting_up)?;
        }
        Ok(Self { device, name })
    }
}

/// Programs in the namespace may speak to themselves.
pub(super) fn loopback_up() -> Result<(), ExecError> {
    let index = if_nametoindex("lo").map_err(io::Error::from);
    let up = index.and_then(|index| netlink::up(index, None));
    up.map_err(|source| ExecError::System {
        doing: "set up the loopback interface",
        source,
    })
}

/// The kernel would ask the link for routers, and the link would count that. Where the setting
/// cannot be written it does.
fn without_ipv6(name: &str) {
    let path = format!("/proc/sys/net/ipv6/conf/{name}/disable_ipv6");
    if let Err(error) = std::fs::write(&path, "1") {
        tracing::debug!(%error, path, "IPv6 stays on");
    }
}
