use crate::Options;
use std::panic::resume_unwind;

/// More threads than this help nobody.
const MOST: usize = 256;

/// How many workers the caller asked for.
pub(crate) fn size(options: &Options) -> usize {
    let workers = match options.workers {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        n => n,
    };
    workers.min(MOST)
}

/// Lets `workers` threads (the caller's among them) do `work` until it returns in all of them. A host that
/// gives fewer threads gets fewer workers. A panic in one of them goes on in the caller, after the others returned.
pub(crate) fn run(workers: usize, work: impl Fn() + Sync) {
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..workers)
            .map_while(|_| std::thread::Builder::new().spawn_scoped(scope, &work).ok())
            .collect();
        work();
        for other in others {
            if let Err(panic) = other.join() {
                resume_unwind(panic);
            }
        }
    });
}
