//! What could not be read of a system, over all its topics.

use crate::report::{Section, SystemFacts};
use crate::windows::WindowsFacts;
use h2k_guest::Unread;

fn of<T>(section: Option<&Section<T>>) -> &[Unread] {
    section.map_or(&[], |section| &section.unread)
}

impl SystemFacts {
    /// What could not be read, of all topics in their order.
    pub fn unread(&self) -> impl Iterator<Item = &Unread> {
        // Every field by its name: a topic that is added has to be added here.
        let Self {
            root: _,
            kind: _,
            os,
            mounts,
            storage,
            init,
            units,
            boot,
            packages,
            network,
            drives,
            updates,
            windows,
            services,
            drivers,
            applications,
            firewall,
            security,
            schedule,
            locale,
            journal,
            users,
            environment,
            agents,
            cloud,
            containers,
        } = self;
        let sections = [
            of(os.as_ref()),
            of(mounts.as_ref()),
            of(storage.as_ref()),
            of(init.as_ref()),
            of(units.as_ref()),
            of(boot.as_ref()),
            of(packages.as_ref()),
            of(network.as_ref()),
            of(drives.as_ref()),
            of(updates.as_ref()),
            of(services.as_ref()),
            of(drivers.as_ref()),
            of(applications.as_ref()),
            of(firewall.as_ref()),
            of(security.as_ref()),
            of(schedule.as_ref()),
            of(locale.as_ref()),
            of(journal.as_ref()),
            of(users.as_ref()),
            of(environment.as_ref()),
            of(agents.as_ref()),
            of(cloud.as_ref()),
            of(containers.as_ref()),
        ];
        let windows = windows.iter().flat_map(WindowsFacts::unread);
        sections.into_iter().flatten().chain(windows)
    }
}

impl WindowsFacts {
    fn unread(&self) -> impl Iterator<Item = &Unread> {
        let Self {
            users,
            boot,
            storage,
            security,
            locale,
            environment,
            agents,
        } = self;
        let sections = [
            of(users.as_ref()),
            of(boot.as_ref()),
            of(storage.as_ref()),
            of(security.as_ref()),
            of(locale.as_ref()),
            of(environment.as_ref()),
            of(agents.as_ref()),
        ];
        sections.into_iter().flatten()
    }
}
