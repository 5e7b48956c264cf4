//! Exit codes. Scripts depend on them: the table below is part of the manual.

use crate::stop::Stop;
use h2k_convert::{Class, Failure};

/// Done; and the answer, where there is one, is the good one.
pub(super) const DONE: u8 = 0;
/// Not done.
pub(super) const FAILED: u8 = 1;
/// `compare`: the contents differ.
pub(super) const DIFFERENT: u8 = 1;
/// The command line means nothing.
pub(super) const USAGE: u8 = 2;
/// `check`: clusters are leaked, nothing else.
pub(super) const LEAKS: u8 = 3;
/// `check`: damaged.
pub(super) const DAMAGED: u8 = 4;
/// `doctor`: the guest starts on a bus that is emulated, and not on virtio.
pub(super) const EMULATED: u8 = 3;
/// `doctor`: the guest does not start.
pub(super) const WILL_NOT_BOOT: u8 = 4;
/// `plan`: something has to be changed, and can be.
pub(super) const CHANGES: u8 = 3;
/// `plan`: something stands in the way.
pub(super) const BLOCKED: u8 = 4;
/// `migrate --boot-test`: made, and nobody can say whether it starts.
pub(super) const BOOT_UNTOLD: u8 = 3;
/// `migrate --boot-test`: made, and did not start.
pub(super) const DID_NOT_BOOT: u8 = 4;
/// `compare`: nobody can say.
pub(super) const NOT_COMPARED: u8 = 2;

/// `systemd is-enabled`, `is-failed`, `analyze verify`, `analyze condition`: it is not so.
pub(super) const NOT_SO: u8 = 1;
/// `systemd is-active`, `status`: not active in the last boot.
pub(super) const NOT_ACTIVE: u8 = 3;
/// `systemd`: there is no such unit.
pub(super) const NO_UNIT: u8 = 4;

/// The table for the manual.
pub(super) const TABLE: &str = "\
Exit status:
  0    done
  1    failed; an error on standard error says why
  2    wrong usage; nothing was done
  130  stopped by Ctrl-C; 143 stopped by SIGTERM. Nothing is left of a target under way

  compare, reg diff:  0 equal, 1 different, 2 could not be compared
  systemd is-enabled, is-failed, analyze verify, analyze condition:  0 it is so, 1 it is not, 4 no such unit
  systemd is-active, status:  0 active in the last boot, 3 not active, 4 no such unit
  check, reg check, filesystems --check:
                      0 clean, 1 could not be checked, 3 leaked clusters only, 4 damaged
  doctor:             0 boots on virtio, 1 cannot be told, 3 boots on an emulated bus only, 4 does not boot
  plan:               0 nothing to do, 3 changes, 4 something stands in the way
  migrate:            0 done, 3 done, but the boot test could not tell, 4 done, but the boot test failed";

/// The exit code of a failure; `trouble` is the code of an ordinary one.
pub(super) fn of(failure: &Failure, stop: &Stop, trouble: u8) -> u8 {
    match failure.class() {
        Class::Cancelled => stop.code(),
        Class::Invalid => USAGE,
        _ => trouble,
    }
}
