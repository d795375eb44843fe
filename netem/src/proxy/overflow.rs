//! Datagrams the kernel dropped because a socket's receive buffer was full.
//!
//! Linux counts them per socket and shows them in `/proc/net/udp` and `/proc/net/udp6`
//! (last column, `drops`); a socket is found there by its inode. Other systems do not report them.

use std::{collections::BTreeSet, net::UdpSocket};

/// The drops of the sockets with these inodes together; `None` where the system does not report
/// them.
#[cfg(target_os = "linux")]
pub(crate) fn dropped(inodes: &BTreeSet<u64>) -> Option<u64> {
    if inodes.is_empty() {
        return Some(0);
    }
    let tables = ["/proc/self/net/udp", "/proc/self/net/udp6"];
    let tables: Vec<String> = tables
        .iter()
        .filter_map(|path| std::fs::read_to_string(path).ok())
        .collect();
    // Without /proc nothing is known, which is not the same as no drops.
    if tables.is_empty() {
        return None;
    }
    let rows = tables
        .iter()
        .flat_map(|table| table.lines().filter_map(row));
    Some(
        rows.filter(|(inode, _)| inodes.contains(inode))
            .map(|(_, drops)| drops)
            .sum(),
    )
}

/// The drops of the sockets with these inodes together; `None` where the system does not report
/// them.
#[cfg(not(target_os = "linux"))]
pub(crate) fn dropped(_inodes: &BTreeSet<u64>) -> Option<u64> {
    None
}

/// The inodes under which [`dropped`] finds these sockets.
#[cfg(target_os = "linux")]
pub(crate) fn inodes<'a>(sockets: impl Iterator<Item = &'a UdpSocket>) -> BTreeSet<u64> {
    let stats = sockets.filter_map(|socket| rustix::fs::fstat(socket).ok());
    stats.map(|stat| stat.st_ino).collect()
}

/// The inodes under which [`dropped`] finds these sockets.
#[cfg(not(target_os = "linux"))]
pub(crate) fn inodes<'a>(_sockets: impl Iterator<Item = &'a UdpSocket>) -> BTreeSet<u64> {
    BTreeSet::new()
}

/// Inode and drops of one row; the heading has no such numbers.
#[cfg(target_os = "linux")]
fn row(line: &str) -> Option<(u64, u64)> {
    let mut columns = line.split_ascii_whitespace();
    let inode = columns.nth(9)?.parse().ok()?;
    let drops = columns.nth(2)?.parse().ok()?;
    Some((inode, drops))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn inode_and_drops_are_read_from_their_columns() {
        let line = "  412: 0100007F:0035 00000000:0000 07 00000000:00000000 00:00000000 \
                    00000000   101        0 20344 2 ffff8881023 17";
        assert_eq!(row(line), Some((20344, 17)));
        assert_eq!(row("   sl  local_address rem_address   st tx_queue"), None);
    }

    #[test]
    fn an_overflowing_receive_buffer_is_counted() {
        let full = UdpSocket::bind("127.0.0.1:0").unwrap();
        let quiet = UdpSocket::bind("127.0.0.1:0").unwrap();
        let buffer = socket2::SockRef::from(&full).set_recv_buffer_size(4096);
        buffer.unwrap();
        for _ in 0..200 {
            quiet
                .send_to(&[0; 1000], full.local_addr().unwrap())
                .unwrap();
        }
        assert!(dropped(&inodes([&full].into_iter())).unwrap() > 100);
        assert_eq!(dropped(&inodes([&quiet].into_iter())), Some(0));
    }
}
