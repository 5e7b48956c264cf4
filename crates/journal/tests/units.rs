//! What units did during a boot, by the messages of their manager.

use crate::common::{FORMS, boot, entry, open, open_bytes, write};
use h2k_journal::{Id, Journal, UnitState, Units};

const STARTING: &str = "7d4958e842da4a758f6c1cdc7b36dcc5";
const STARTED: &str = "39f53479d3a045ac8e11786248231fbf";
const START_FAILED: &str = "be02cf6855d2428ba40df7e9d022f03d";
const STOPPING: &str = "de5b426a63be47a7b6ac3eaac82e2f6f";
const STOPPED: &str = "9d1aaa27d60140bd96365438aad20286";
const SUCCEEDED: &str = "7ad2d189f7e94e70a38c781354912448";
const FAILED: &str = "d9b373ed55a64feb8242e02dbe79a49c";
const SKIPPED: &str = "0e4284a0caca4bfc81c0bb6786972673";
const RESTART: &str = "5eb03494b6584870a536b337290809b3";

const BEGAN: u64 = 1_700_000_000_000_000;

/// Writes what happens, a second apart.
struct Story {
    out: Vec<u8>,
    boot: Id,
    second: u64,
}

impl Story {
    fn new(n: u8) -> Self {
        Self {
            out: Vec::new(),
            boot: boot(n),
            second: 0,
        }
    }

    fn say(&mut self, id: &str, unit: &str, more: &[(&str, &str)]) {
        self.second += 1;
        let at = self.second * 1_000_000;
        let mut fields: Vec<(&str, &[u8])> = vec![
            ("MESSAGE", b"as it is"),
            ("MESSAGE_ID", id.as_bytes()),
            ("UNIT", unit.as_bytes()),
            ("_PID", b"1"),
        ];
        fields.extend(more.iter().map(|(name, value)| (*name, value.as_bytes())));
        self.out.extend(entry(BEGAN + at, at, self.boot, &fields));
    }

    fn journal(&self) -> Journal<'static> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.journal");
        write(&path, &self.out, FORMS[2]);
        let mut broken = std::fs::read(&path).unwrap();
        let with_tables = Journal::new(vec![open(&path)]);
        // Without its hash table a file tells the same.
        let at = u64::from_le_bytes(broken[104..112].try_into().unwrap()) as usize;
        let len = u64::from_le_bytes(broken[112..120].try_into().unwrap()) as usize;
        broken[at..at + len].fill(0xff);
        let without = Journal::new(vec![open_bytes(broken)]);
        assert_eq!(with_tables.units(self.boot), without.units(self.boot));
        assert_eq!(with_tables.failures(self.boot), without.failures(self.boot));
        with_tables
    }
}

fn state(units: &Units, unit: &str) -> UnitState {
    units.get(unit).unwrap_or_else(|| panic!("{unit}")).state
}

fn boot_of_everything(last: bool) -> Story {
    let mut story = Story::new(3);
    story.say(STARTING, "web.service", &[]);
    story.say(STARTING, "once.service", &[]);
    story.say(SUCCEEDED, "once.service", &[]);
    story.say(STARTED, "once.service", &[]);
    // Began at second 5, was received at second 8: it waited for the journal.
    let early = (BEGAN + 5_000_000).to_string();
    story.second = 7;
    story.say(
        STARTING,
        "early.service",
        &[("_SOURCE_REALTIME_TIMESTAMP", &early)],
    );
    story.say(STARTED, "web.service", &[]);
    story.say(STARTED, "early.service", &[]);
    story.say(STARTED, "multi-user.target", &[]);
    story.say(STARTING, "bad.service", &[]);
    story.say(FAILED, "bad.service", &[("UNIT_RESULT", "exit-code")]);
    story.say(START_FAILED, "bad.service", &[("JOB_RESULT", "failed")]);
    story.say(START_FAILED, "needs.service", &[("JOB_RESULT", "dependency")]);
    story.say(SKIPPED, "if.service", &[]);
    story.say(STARTING, "again.service", &[]);
    story.say(FAILED, "again.service", &[("UNIT_RESULT", "signal")]);
    story.say(RESTART, "again.service", &[]);
    story.say(STOPPED, "again.service", &[]);
    story.say(STARTING, "again.service", &[]);
    story.say(STARTED, "again.service", &[]);
    story.say(STOPPING, "gone.service", &[]);
    story.say(SUCCEEDED, "gone.service", &[]);
    story.say(STOPPED, "gone.service", &[]);
    story.say(STARTING, "hung.service", &[]);
    if last {
        story.say(STOPPED, "multi-user.target", &[]);
        story.say(STOPPING, "web.service", &[]);
        story.say(FAILED, "web.service", &[("UNIT_RESULT", "timeout")]);
        story.say(STARTED, "shutdown.target", &[]);
    }
    story
}

#[test]
fn units_are_as_their_manager_left_them() {
    for last in [false, true] {
        let journal = boot_of_everything(last).journal();
        let units = journal.units(boot(3));
        assert_eq!(units.shutdown, last.then_some(BEGAN + 27_000_000), "{units:#?}");
        for (unit, expected) in [
            ("web.service", UnitState::Active),
            ("once.service", UnitState::Inactive),
            ("early.service", UnitState::Active),
            ("multi-user.target", UnitState::Active),
            ("bad.service", UnitState::Failed),
            ("needs.service", UnitState::Inactive),
            ("if.service", UnitState::Inactive),
            ("again.service", UnitState::Active),
            ("gone.service", UnitState::Inactive),
            ("hung.service", UnitState::Activating),
        ] {
            assert_eq!(state(&units, unit), expected, "{unit}");
        }
        assert_eq!(units.get("shutdown.target"), None);
        let bad = units.get("bad.service").unwrap();
        assert_eq!(bad.result.as_deref(), Some("exit-code"));
        assert_eq!(bad.told.1.realtime, BEGAN + 13_000_000);
    }
}

#[test]
fn the_slowest_unit_is_blamed_first() {
    let units = boot_of_everything(true).journal().units(boot(3));
    let blame: Vec<_> = units
        .blame()
        .into_iter()
        .map(|(u, t)| (u.unit.as_str(), t))
        .collect();
    assert_eq!(
        blame,
        [
            ("web.service", 8_000_000),
            ("again.service", 5_000_000),
            ("early.service", 5_000_000),
            ("once.service", 2_000_000),
        ]
    );
    assert_eq!(units.get("multi-user.target").unwrap().took(), None);
}

#[test]
fn a_boot_that_is_not_there_has_no_units() {
    assert_eq!(
        boot_of_everything(true).journal().units(boot(9)),
        Units::default()
    );
}
