//! Tasks: who runs, in the order in which they became ready.
//!
//! What handles may do from anywhere (spawn, wake, kill) goes into the [`Inbox`]. The tasks
//! themselves belong to the run loop, so polling one takes no lock.

use std::{
    collections::VecDeque,
    future::Future,
    mem,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use super::{host::Incarnation, lock};

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Names a task; the generation tells it from an earlier one in the same slot.
#[derive(Clone, Copy, PartialEq, Eq)]
struct TaskKey {
    slot: u32,
    generation: u32,
}

/// The slot of the future given to `block_on`, which the executor does not own.
const MAIN_SLOT: u32 = u32::MAX;

enum Ready {
    Woken(TaskKey),
    Spawned(Incarnation, Task),
}

/// What the handles have asked of the executor.
pub(super) struct Inbox {
    queue: Mutex<Queue>,
    has_kills: AtomicBool,
}

struct Queue {
    ready: VecDeque<Ready>,
    kills: Vec<Incarnation>,
    /// The world is gone: nothing runs any more.
    is_closed: bool,
}

impl Inbox {
    /// Lets a task of `owner` run behind all that are ready now.
    pub(super) fn spawn(&self, owner: Incarnation, task: Task) {
        let mut queue = lock(&self.queue);
        if !queue.is_closed {
            queue.ready.push_back(Ready::Spawned(owner, task));
            return;
        }
        // Dropping a future runs foreign code: not under the lock.
        drop(queue);
        drop(task);
    }

    /// Asks for every task of `owner`, and of whoever was that host before, to be dropped before
    /// another one is polled.
    pub(super) fn kill(&self, owner: Incarnation) {
        lock(&self.queue).kills.push(owner);
        self.has_kills.store(true, Ordering::Release);
    }

    fn push_woken(&self, key: TaskKey) {
        let mut queue = lock(&self.queue);
        if !queue.is_closed {
            queue.ready.push_back(Ready::Woken(key));
        }
    }
}

/// What a waker points to.
struct Signal {
    inbox: Arc<Inbox>,
    key: TaskKey,
    /// In the ready queue already?
    is_queued: AtomicBool,
}

impl Signal {
    fn new(inbox: &Arc<Inbox>, key: TaskKey) -> Arc<Self> {
        Arc::new(Self {
            inbox: Arc::clone(inbox),
            key,
            is_queued: AtomicBool::new(false),
        })
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.is_queued.swap(true, Ordering::AcqRel) {
            self.inbox.push_woken(self.key);
        }
    }
}

struct Entry {
    owner: Incarnation,
    task: Task,
    signal: Arc<Signal>,
    waker: Waker,
}

struct Slot {
    generation: u32,
    /// `None` while free, and while being polled.
    entry: Option<Entry>,
}

/// Wakes the future given to `block_on`, by way of the ready queue like any other.
pub(super) struct MainSignal {
    signal: Arc<Signal>,
    waker: Waker,
}

impl MainSignal {
    /// Polls the future itself.
    pub(super) fn poll<F: Future>(&self, future: Pin<&mut F>) -> Poll<F::Output> {
        self.signal.is_queued.store(false, Ordering::Release);
        future.poll(&mut Context::from_waker(&self.waker))
    }
}

/// What [`Executor::turn`] did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Turn {
    /// One task was polled.
    Polled,
    /// It is the turn of `block_on`'s future.
    Main,
    /// Nobody is ready.
    Idle,
}

/// The tasks.
pub(super) struct Executor {
    inbox: Arc<Inbox>,
    /// Taken from the inbox, and older than all that is in it.
    batch: VecDeque<Ready>,
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// By host: incarnations below this are dead.
    alive_from: Vec<u32>,
    main_generation: u32,
    pub(super) polls: u64,
}

impl Executor {
    pub(super) fn new() -> Self {
        let queue = Queue {
            ready: VecDeque::new(),
            kills: Vec::new(),
            is_closed: false,
        };
        Self {
            inbox: Arc::new(Inbox {
                queue: Mutex::new(queue),
                has_kills: AtomicBool::new(false),
            }),
            batch: VecDeque::new(),
            slots: Vec::new(),
            free: Vec::new(),
            alive_from: Vec::new(),
            main_generation: 0,
            polls: 0,
        }
    }

    pub(super) const fn inbox(&self) -> &Arc<Inbox> {
        &self.inbox
    }

    /// A signal for a new main future, already ready.
    pub(super) fn start_main(&mut self) -> MainSignal {
        self.main_generation = self.main_generation.wrapping_add(1);
        let key = TaskKey {
            slot: MAIN_SLOT,
            generation: self.main_generation,
        };
        let signal = Signal::new(&self.inbox, key);
        let waker = Waker::from(Arc::clone(&signal));
        waker.wake_by_ref();
        MainSignal { signal, waker }
    }

    /// Forgets the main future: its wakers do nothing any more.
    pub(super) const fn end_main(&mut self) {
        self.main_generation = self.main_generation.wrapping_add(1);
    }

    /// Polls whoever became ready first.
    pub(super) fn turn(&mut self) -> Turn {
        loop {
            if self.inbox.has_kills.load(Ordering::Acquire) {
                self.bury();
            }
            let Some(ready) = self.batch.pop_front() else {
                if self.refill() {
                    continue;
                }
                return Turn::Idle;
            };
            let key = match ready {
                Ready::Woken(key) if key.slot == MAIN_SLOT => {
                    if key.generation == self.main_generation {
                        self.polls += 1;
                        return Turn::Main;
                    }
                    continue;
                }
                Ready::Woken(key) => key,
                Ready::Spawned(owner, task) => match self.admit(owner, task) {
                    Some(key) => key,
                    None => continue,
                },
            };
            if self.poll(key) {
                self.polls += 1;
                return Turn::Polled;
            }
        }
    }

    /// Drops every task, and whatever their dropping spawns.
    pub(super) fn shut_down(&mut self) {
        let mut queue = lock(&self.inbox.queue);
        queue.is_closed = true;
        let ready = mem::take(&mut queue.ready);
        drop(queue);
        drop(ready);
        self.batch.clear();
        self.slots.clear();
        self.free.clear();
    }

    fn refill(&mut self) -> bool {
        // Empty, so its room goes back to the inbox.
        mem::swap(&mut self.batch, &mut lock(&self.inbox.queue).ready);
        !self.batch.is_empty()
    }

    fn admit(&mut self, owner: Incarnation, task: Task) -> Option<TaskKey> {
        let dead_below = self.alive_from.get(owner.host.index()).copied();
        if owner.epoch < dead_below.unwrap_or(0) {
            return None;
        }
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot {
                generation: 0,
                entry: None,
            });
            u32::try_from(self.slots.len() - 1).expect("fewer than 2^32 tasks at once")
        });
        let place = &mut self.slots[slot as usize];
        let key = TaskKey {
            slot,
            generation: place.generation,
        };
        let signal = Signal::new(&self.inbox, key);
        place.entry = Some(Entry {
            owner,
            task,
            waker: Waker::from(Arc::clone(&signal)),
            signal,
        });
        Some(key)
    }

    /// False if the task has ended already.
    fn poll(&mut self, key: TaskKey) -> bool {
        let slot = &mut self.slots[key.slot as usize];
        if slot.generation != key.generation {
            return false;
        }
        let Some(mut entry) = slot.entry.take() else {
            return false;
        };
        entry.signal.is_queued.store(false, Ordering::Release);
        let mut context = Context::from_waker(&entry.waker);
        if entry.task.as_mut().poll(&mut context).is_pending() {
            self.slots[key.slot as usize].entry = Some(entry);
        } else {
            self.release(key.slot);
        }
        true
    }

    fn release(&mut self, slot: u32) {
        let place = &mut self.slots[slot as usize];
        place.generation = place.generation.wrapping_add(1);
        self.free.push(slot);
    }

    /// Drops the tasks of killed hosts.
    fn bury(&mut self) {
        self.inbox.has_kills.store(false, Ordering::Release);
        let kills = mem::take(&mut lock(&self.inbox.queue).kills);
        for killed in kills {
            let host = killed.host.index();
            if self.alive_from.len() <= host {
                self.alive_from.resize(host + 1, 0);
            }
            self.alive_from[host] = self.alive_from[host].max(killed.epoch + 1);
            for slot in 0..self.slots.len() {
                let doomed = self.slots[slot].entry.take_if(|entry| {
                    entry.owner.host == killed.host && entry.owner.epoch <= killed.epoch
                });
                if doomed.is_some() {
                    self.release(slot as u32);
                }
            }
        }
    }
}
