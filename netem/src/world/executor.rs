//! Tasks, polled in the order in which they became ready.
//!
//! Requests that handles may make from anywhere (spawn, wake, kill) go into the [`RunQueue`]. The
//! tasks themselves belong to the run loop, so polling one takes no lock.

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

use slotmap::{SlotMap, new_key_type};

use super::{id::Incarnation, lock};

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

new_key_type! {
    /// Names a task, and no later one in the same slot.
    struct TaskId;
}

/// The future that a waker wakes.
#[derive(Clone, Copy)]
enum Woken {
    Task(TaskId),
    /// The future given to the `block_on` of this number, which the executor does not own.
    Main(u64),
}

enum Ready {
    Woken(Woken),
    Spawned(Incarnation, Task),
}

/// Requests of handles to the executor.
pub(super) struct RunQueue {
    queue: Mutex<Queue>,
    has_kills: AtomicBool,
}

struct Queue {
    ready: VecDeque<Ready>,
    kills: Vec<Incarnation>,
    /// The world is gone: nothing runs any more.
    is_closed: bool,
}

impl RunQueue {
    /// Adds a task of `owner` behind all that are ready now.
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

    /// Asks for every task of `owner`, and of earlier incarnations of that host, to be dropped
    /// before another one is polled.
    pub(super) fn kill(&self, owner: Incarnation) {
        lock(&self.queue).kills.push(owner);
        // A flag beside the list, read before every poll: most worlds never kill, and the lock
        // would be taken for nothing.
        self.has_kills.store(true, Ordering::Release);
    }

    fn push_woken(&self, woken: Woken) {
        let mut queue = lock(&self.queue);
        if !queue.is_closed {
            queue.ready.push_back(Ready::Woken(woken));
        }
    }
}

/// The target of a waker.
struct Signal {
    run_queue: Arc<RunQueue>,
    wakes: Woken,
    /// True while the future is in the ready queue, which holds it once.
    is_queued: AtomicBool,
}

impl Signal {
    fn new(run_queue: &Arc<RunQueue>, wakes: Woken) -> Arc<Self> {
        Arc::new(Self {
            run_queue: Arc::clone(run_queue),
            wakes,
            is_queued: AtomicBool::new(false),
        })
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Queued once however often it is woken: what a task does must not depend on how many
        // wakers fired.
        if !self.is_queued.swap(true, Ordering::AcqRel) {
            self.run_queue.push_woken(self.wakes);
        }
    }
}

struct Entry {
    owner: Incarnation,
    task: Task,
    signal: Arc<Signal>,
    waker: Waker,
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

/// The outcome of [`Executor::turn`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Turn {
    /// One task was polled.
    Polled,
    /// It is the turn of `block_on`'s future.
    Main,
    /// No task is ready.
    Idle,
}

/// The tasks.
pub(super) struct Executor {
    run_queue: Arc<RunQueue>,
    /// Taken from the run queue, and older than all that is in it.
    batch: VecDeque<Ready>,
    /// An entry is `None` while its task is being polled. Iterated in the order of the slots, of
    /// which the last freed is the first used again: both follow from the seed.
    tasks: SlotMap<TaskId, Option<Entry>>,
    /// By host: incarnations below this are dead.
    alive_from: Vec<u32>,
    /// The number of the latest `block_on`.
    main: u64,
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
            run_queue: Arc::new(RunQueue {
                queue: Mutex::new(queue),
                has_kills: AtomicBool::new(false),
            }),
            batch: VecDeque::new(),
            tasks: SlotMap::with_key(),
            alive_from: Vec::new(),
            main: 0,
            polls: 0,
        }
    }

    pub(super) const fn run_queue(&self) -> &Arc<RunQueue> {
        &self.run_queue
    }

    /// A signal for a new main future, already ready.
    pub(super) fn start_main(&mut self) -> MainSignal {
        self.main += 1;
        let signal = Signal::new(&self.run_queue, Woken::Main(self.main));
        let waker = Waker::from(Arc::clone(&signal));
        waker.wake_by_ref();
        MainSignal { signal, waker }
    }

    /// Forgets the main future: its wakers do nothing any more.
    pub(super) const fn end_main(&mut self) {
        self.main += 1;
    }

    /// Polls the task that became ready first.
    pub(super) fn turn(&mut self) -> Turn {
        loop {
            // Before every poll: a task of a killed host must not run once more.
            if self.run_queue.has_kills.load(Ordering::Acquire) {
                self.drop_killed();
            }
            let Some(ready) = self.batch.pop_front() else {
                if self.refill() {
                    continue;
                }
                return Turn::Idle;
            };
            let id = match ready {
                Ready::Woken(Woken::Main(number)) => {
                    if number == self.main {
                        self.polls += 1;
                        return Turn::Main;
                    }
                    // A waker of an earlier `block_on`, kept longer than its future.
                    continue;
                }
                Ready::Woken(Woken::Task(id)) => id,
                Ready::Spawned(owner, task) => match self.admit(owner, task) {
                    Some(id) => id,
                    None => continue,
                },
            };
            if self.poll(id) {
                self.polls += 1;
                return Turn::Polled;
            }
        }
    }

    /// Drops every task, and whatever their dropping spawns.
    pub(super) fn shut_down(&mut self) {
        let mut queue = lock(&self.run_queue.queue);
        queue.is_closed = true;
        let ready = mem::take(&mut queue.ready);
        drop(queue);
        // After the lock is released: dropping a task runs its destructors, which may wake or
        // spawn.
        drop(ready);
        self.batch.clear();
        self.tasks.clear();
    }

    fn refill(&mut self) -> bool {
        // The batch is empty: its allocation goes back to the run queue.
        mem::swap(&mut self.batch, &mut lock(&self.run_queue.queue).ready);
        !self.batch.is_empty()
    }

    fn admit(&mut self, owner: Incarnation, task: Task) -> Option<TaskId> {
        let dead_below = self.alive_from.get(owner.host.index()).copied();
        // Spawned before its host was killed, and not yet polled.
        if owner.epoch < dead_below.unwrap_or(0) {
            return None;
        }
        let run_queue = &self.run_queue;
        Some(self.tasks.insert_with_key(|id| {
            let signal = Signal::new(run_queue, Woken::Task(id));
            Some(Entry {
                owner,
                task,
                waker: Waker::from(Arc::clone(&signal)),
                signal,
            })
        }))
    }

    /// Polls a task; false if it has ended before.
    fn poll(&mut self, id: TaskId) -> bool {
        // Taken out, so that a task that panics is not polled again.
        let Some(mut entry) = self.tasks.get_mut(id).and_then(Option::take) else {
            return false;
        };
        // Cleared before the poll, so that a wake during it queues the task again.
        entry.signal.is_queued.store(false, Ordering::Release);
        let mut context = Context::from_waker(&entry.waker);
        if entry.task.as_mut().poll(&mut context).is_pending() {
            self.tasks[id] = Some(entry);
        } else {
            self.tasks.remove(id);
        }
        true
    }

    /// Drops the tasks of killed hosts.
    fn drop_killed(&mut self) {
        self.run_queue.has_kills.store(false, Ordering::Release);
        let kills = mem::take(&mut lock(&self.run_queue.queue).kills);
        for killed in kills {
            let host = killed.host.index();
            // Grown on the first kill of a host: a host that was never killed has no entry, and
            // counts as alive.
            if self.alive_from.len() <= host {
                self.alive_from.resize(host + 1, 0);
            }
            self.alive_from[host] = self.alive_from[host].max(killed.epoch + 1);
            // A task that kills its own host is being polled: its entry is `None`, and it runs on
            // to its next wait.
            self.tasks.retain(|_, entry| {
                entry.as_ref().is_none_or(|entry| {
                    entry.owner.host != killed.host || entry.owner.epoch > killed.epoch
                })
            });
        }
    }
}
