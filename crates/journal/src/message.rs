//! Numbers of messages, from systemd's message catalog.

/// A unit has begun to start: `UNIT`.
pub(crate) const STARTING: &str = "7d4958e842da4a758f6c1cdc7b36dcc5";
/// A start job has finished successfully: `UNIT`.
pub(crate) const STARTED: &str = "39f53479d3a045ac8e11786248231fbf";
/// A start job has failed: `UNIT`, `JOB_RESULT`.
pub(crate) const START_FAILED: &str = "be02cf6855d2428ba40df7e9d022f03d";
/// A unit has begun to stop: `UNIT`.
pub(crate) const STOPPING: &str = "de5b426a63be47a7b6ac3eaac82e2f6f";
/// A stop job has finished: `UNIT`.
pub(crate) const STOPPED: &str = "9d1aaa27d60140bd96365438aad20286";
/// A unit has entered the inactive state after success: `UNIT`.
pub(crate) const SUCCEEDED: &str = "7ad2d189f7e94e70a38c781354912448";
/// A unit has entered the failed state: `UNIT`, `UNIT_RESULT`.
pub(crate) const UNIT_FAILED: &str = "d9b373ed55a64feb8242e02dbe79a49c";
/// A condition kept a unit from being started: `UNIT`.
pub(crate) const SKIPPED: &str = "0e4284a0caca4bfc81c0bb6786972673";
/// A unit is to be started again: `UNIT`.
pub(crate) const RESTART: &str = "5eb03494b6584870a536b337290809b3";
/// System start-up is complete: `KERNEL_USEC`, `INITRD_USEC`, `USERSPACE_USEC`.
pub(crate) const STARTUP_FINISHED: &str = "b07a249cd024414a82dd00cd181378ff";
/// The machine is about to be switched off or to boot again (from the login manager).
pub(crate) const SHUTDOWN: &str = "98268866d1d54a499c4e98921d93bc40";
