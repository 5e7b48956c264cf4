//! Accounts and groups of the SAM, profiles, and who is logged on without being asked. Secrets are not read.

use super::profiles;
use super::sam;
use super::{SAM, SOFTWARE, hive};
use crate::report::Asking;
use h2k_guest::registry::RegKey;
use h2k_guest::{Fact, Look, Source};
use schemars::JsonSchema;
use serde::Serialize;

/// Accounts of this machine alone: those of a domain are elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Accounts {
    /// The machine's own SID, which those of its accounts begin with.
    pub machine_sid: Option<Fact<String>>,
    /// Accounts, by number.
    pub users: Vec<Account>,
    /// Groups, by number; those that come with Windows first.
    pub groups: Vec<AccountGroup>,
    /// Folders of users, also of such that are of a domain or gone.
    pub profiles: Vec<UserProfile>,
    /// Who is logged on when the machine starts.
    pub automatic_logon: Option<AutomaticLogon>,
}

/// An account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Account {
    /// Its name.
    pub name: String,
    /// The last part of its SID: 500 is the administrator whatever his name, 1000 and more are users.
    pub rid: u32,
    /// The name people see.
    pub full_name: Option<String>,
    /// What was written down of it.
    pub comment: Option<String>,
    /// Whether it cannot be used.
    pub disabled: bool,
    /// Whether too many wrong passwords have locked it.
    pub locked: bool,
    /// Whether its password never expires.
    pub password_never_expires: bool,
    /// Whether it may have no password.
    pub password_not_required: bool,
    /// When it was last used: seconds since 1970, UTC.
    pub last_logon: Option<i64>,
    /// When its password was set.
    pub password_set: Option<i64>,
    /// When it ceases to be usable.
    pub expires: Option<i64>,
    /// How often it was used.
    pub logons: Option<u16>,
    /// Where it was read.
    pub source: Source,
}

/// A group of accounts ("alias" in the registry).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct AccountGroup {
    /// Its name.
    pub name: String,
    /// The last part of its SID: 544 is the group of administrators.
    pub rid: u32,
    /// What was written down of it.
    pub comment: Option<String>,
    /// Its members: the account's name where it is one of this machine, else a SID.
    pub members: Vec<String>,
    /// Where it was read.
    pub source: Source,
}

/// A user's folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct UserProfile {
    /// Whose.
    pub sid: String,
    /// The folder, as written.
    pub folder: String,
    /// Whether it is there; absent where it lies on another drive.
    pub present: Option<bool>,
    /// When it was last loaded: seconds since 1970, UTC.
    pub loaded: Option<i64>,
    /// Bits that tell what became of it: 0x8000 was created as a temporary one.
    pub state: Option<u64>,
    /// Where it was read.
    pub source: Source,
}

/// A user who is logged on when the machine starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct AutomaticLogon {
    /// Whether it happens.
    pub enabled: Fact<bool>,
    /// Who.
    pub user: Option<Fact<String>>,
    /// Of which domain or machine.
    pub domain: Option<Fact<String>>,
    /// Whether the password stands in the registry for everybody to read.
    pub password_in_clear: bool,
}

pub(crate) fn look(asking: &Asking<'_>, look: &Look<'_>) -> Accounts {
    let mut found = Accounts::default();
    if let Some(hold) = hive(asking, look, SAM)
        && let Some(domains) = hold.key(look, "SAM\\Domains")
    {
        accounts(&domains, &mut found);
        groups(&domains, &mut found);
    }
    found.profiles = profiles::list(asking, look)
        .into_iter()
        .map(|profile| UserProfile {
            present: profile.folder.as_ref().map(|folder| look.is_dir(folder)),
            loaded: profile.loaded.and_then(super::time::seconds),
            state: profile.state,
            sid: profile.sid,
            folder: profile.written,
            source: profile.source,
        })
        .collect();
    if let Some(software) = hive(asking, look, SOFTWARE) {
        let key = software.key(look, "Microsoft\\Windows NT\\CurrentVersion\\Winlogon");
        found.automatic_logon = key.and_then(|key| logon(&key));
    }
    found
}

fn accounts(domains: &RegKey<'_>, found: &mut Accounts) {
    let Some(account) = domains.subkey("Account") else {
        return;
    };
    found.machine_sid = account
        .data("V")
        .and_then(|v| Some(Fact::new(sam::machine_sid(&v.value)?, v.source)));
    let users = account.subkey("Users");
    for key in users.iter().flat_map(RegKey::subkeys) {
        let Ok(rid) = u32::from_str_radix(&key.name(), 16) else {
            continue; // `Names`
        };
        let variable = key.data("V").map(|f| f.value).unwrap_or_default();
        let fixed = sam::Fixed::read(&key.data("F").map(|f| f.value).unwrap_or_default());
        let flag = |bit: u16| fixed.flags & bit != 0;
        found.users.push(Account {
            name: sam::user_text(&variable, sam::NAME).unwrap_or_else(|| key.name()),
            rid,
            full_name: sam::user_text(&variable, sam::FULL_NAME),
            comment: sam::user_text(&variable, sam::COMMENT),
            disabled: flag(sam::DISABLED),
            locked: flag(sam::LOCKED),
            password_never_expires: flag(sam::NEVER_EXPIRES),
            password_not_required: flag(sam::NOT_REQUIRED),
            last_logon: fixed.last_logon,
            password_set: fixed.password_set,
            expires: fixed.expires,
            logons: fixed.logons,
            source: key.source(),
        });
    }
    found.users.sort_by_key(|user| user.rid);
}

fn groups(domains: &RegKey<'_>, found: &mut Accounts) {
    let machine = found.machine_sid.as_ref().map(|f| format!("{}-", f.value));
    for domain in ["Builtin", "Account"] {
        let aliases = domains.subkey(&format!("{domain}\\Aliases"));
        for key in aliases.iter().flat_map(RegKey::subkeys) {
            let Ok(rid) = u32::from_str_radix(&key.name(), 16) else {
                continue; // `Names` and `Members`
            };
            let Some(alias) = key.data("C").and_then(|c| sam::Alias::read(&c.value)) else {
                continue;
            };
            let named = |sid: String| {
                let own = machine
                    .as_ref()
                    .and_then(|prefix| sid.strip_prefix(prefix.as_str())?.parse().ok());
                let user = found.users.iter().find(|user| Some(user.rid) == own);
                user.map_or(sid, |user| user.name.clone())
            };
            found.groups.push(AccountGroup {
                members: alias.members.into_iter().map(named).collect(),
                name: alias.name,
                comment: alias.comment,
                rid,
                source: key.source(),
            });
        }
    }
    found.groups.sort_by_key(|group| group.rid);
}

fn logon(key: &RegKey<'_>) -> Option<AutomaticLogon> {
    Some(AutomaticLogon {
        enabled: key.flag("AutoAdminLogon")?,
        user: key.words("DefaultUserName"),
        domain: key.words("DefaultDomainName"),
        password_in_clear: key.words("DefaultPassword").is_some(),
    })
}
