//! Network namespaces, each kept by a thread that lives in it.
//!
//! A namespace belongs to a thread, so no process of its own is needed: what the thread opens
//! belongs to its namespace, and what it starts runs there.

use std::{
    fs, io,
    sync::mpsc::{self, Sender},
    thread,
};

use nix::sched::{CloneFlags, unshare};

use super::ExecError;

/// `CAP_NET_ADMIN` and `CAP_SYS_ADMIN` (capabilities(7)).
const CAPABILITIES: u64 = 1 << 12 | 1 << 21;

type Task = Box<dyn FnOnce() + Send>;

/// A network namespace, which ends when this and everything started in it has.
#[derive(Debug)]
pub(super) struct Namespace {
    tasks: Sender<Task>,
}

impl Namespace {
    /// Creates a namespace with nothing in it but a loopback interface that is down.
    pub(super) fn new(name: &str) -> Result<Self, ExecError> {
        let namespace = Self::current(name)?;
        // In the new thread: `unshare` changes the calling thread alone.
        let created = namespace.run(|| unshare(CloneFlags::CLONE_NEWNET));
        created.map_err(|errno| ExecError::NetworkNamespace(errno.into()))?;
        Ok(namespace)
    }

    /// The namespace of the calling thread.
    pub(super) fn current(name: &str) -> Result<Self, ExecError> {
        let (tasks, receiver) = mpsc::channel::<Task>();
        thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || receiver.into_iter().for_each(|task| task()))
            .map_err(|source| ExecError::System {
                doing: "start a thread",
                source,
            })?;
        Ok(Self { tasks })
    }

    /// Runs `task` in it.
    ///
    /// # Panics
    /// If `task` does.
    pub(super) fn run<T: Send + 'static>(&self, task: impl FnOnce() -> T + Send + 'static) -> T {
        let (reply, answer) = mpsc::channel();
        let task = Box::new(move || {
            let _ = reply.send(task());
        });
        // Neither fails while the thread lives, and it lives as long as this.
        let _ = self.tasks.send(task);
        answer.recv().expect("a task in a namespace panicked")
    }
}

/// True when the process may create network namespaces and interfaces as it is.
pub(super) fn is_privileged() -> bool {
    let status = fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
    // Capabilities, not the user's number: root in a container often has neither of the two.
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let effective = effective.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    effective.unwrap_or(0) & CAPABILITIES == CAPABILITIES
}

/// Moves the process to a user namespace of its own, as the same user and group, in which it may
/// create network namespaces (user_namespaces(7)).
pub(super) fn enter_user_namespace() -> Result<(), ExecError> {
    let (uid, gid) = (nix::unistd::geteuid(), nix::unistd::getegid());
    unshare(CloneFlags::CLONE_NEWUSER).map_err(|errno| ExecError::UserNamespace(errno.into()))?;
    let write = |path: &str, text: String| fs::write(path, text).map_err(ExecError::UserNamespace);
    // Without privileges a group can be mapped only when groups can no longer be changed.
    write("/proc/self/setgroups", "deny".to_owned())?;
    // The same numbers inside and outside: files keep their owner for the program that is run.
    write("/proc/self/uid_map", format!("{uid} {uid} 1"))?;
    write("/proc/self/gid_map", format!("{gid} {gid} 1"))
}

/// Packets for an interface of the calling thread's namespace that were dropped because its
/// queue was full (`/proc/net/dev`, the drops of transmission).
pub(super) fn dropped(interface: &str) -> io::Result<u64> {
    let table = fs::read_to_string("/proc/thread-self/net/dev")?;
    let row = table.lines().find_map(|line| {
        let (name, columns) = line.split_once(':')?;
        (name.trim() == interface).then_some(columns)
    });
    let drops = row.and_then(|row| row.split_ascii_whitespace().nth(11)?.parse().ok());
    drops.ok_or_else(|| io::Error::other(format!("{interface} is not in /proc/net/dev")))
}

/// True when a program in the calling thread's namespace waits for connections or datagrams.
pub(super) fn is_listening() -> bool {
    let waits = |table: &str, states: &[&str]| {
        let rows = fs::read_to_string(format!("/proc/thread-self/net/{table}"));
        rows.unwrap_or_default().lines().skip(1).any(|row| {
            let state = row.split_ascii_whitespace().nth(3);
            state.is_some_and(|state| states.contains(&state))
        })
    };
    // TCP_LISTEN; and a UDP socket that is not connected is closed, to the kernel.
    waits("tcp", &["0A"])
        || waits("tcp6", &["0A"])
        || waits("udp", &["07"])
        || waits("udp6", &["07"])
}
