//! Users, groups, keys that open them, who may become whom.

use h2k_guest::{Fact, Source};
use schemars::JsonSchema;
use serde::Serialize;

/// Who may use a system, and how they prove it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Users {
    /// Users of the machine itself, in the order of its table.
    pub users: Vec<User>,
    /// Groups of the machine itself.
    pub groups: Vec<Group>,
    /// Keys with which somebody may log in without a password.
    pub authorized_keys: Vec<AuthorizedKey>,
    /// Keys by which the machine shows who it is.
    pub host_keys: Vec<SshKey>,
    /// What sshd is told about logging in. A setting that stands in no file is not listed; sshd then has its own.
    pub sshd: Vec<SshdSetting>,
    /// Who may do what as whom, by sudo.
    pub sudo: Sudo,
    /// The rules of doas.
    pub doas: Vec<Fact<String>>,
    /// Whom polkit takes for an administrator: `unix-group:wheel`.
    pub polkit_administrators: Vec<Fact<String>>,
}

/// A user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct User {
    /// The name.
    pub name: String,
    /// Its number; 0 may do everything, whatever the name.
    pub uid: u32,
    /// The number of the first group.
    pub gid: u32,
    /// The first field of the comment: a name for people.
    pub full_name: Option<String>,
    /// Home directory.
    pub home: String,
    /// What runs after logging in.
    pub shell: String,
    /// Whether it is a person by its number (`UID_MIN` to `UID_MAX` of login.defs); root and those of services are
    /// not.
    pub person: bool,
    /// Whether the shell is one that ends at once: `nologin`, `false`.
    pub no_login: bool,
    /// What is known of the password; `null` where there is no shadow file that says it.
    pub password: Option<Password>,
    /// The line that says so.
    pub source: Source,
}

/// What is known of a password. What it is made from is never shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Password {
    /// `set`, `locked` (there is one, disabled by `!`), `none` (no password opens it), `empty` (none is asked for).
    pub state: String,
    /// How it is scrambled: `yescrypt`, `sha512`, `sha256`, `md5`, `bcrypt`, `des` …
    pub scheme: Option<String>,
    /// Day of the last change, counted from 1970-01-01; 0 asks for a new one at the next login.
    pub changed: Option<i64>,
    /// Days until it may be changed again.
    pub minimum: Option<i64>,
    /// Days until it has to be changed.
    pub maximum: Option<i64>,
    /// Days of warning before that.
    pub warning: Option<i64>,
    /// Days after that until the account is closed.
    pub inactive: Option<i64>,
    /// Day on which the account ends, counted from 1970-01-01.
    pub expires: Option<i64>,
    /// The line that says so.
    pub source: Source,
}

/// A group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Group {
    /// The name.
    pub name: String,
    /// Its number.
    pub gid: u32,
    /// Who is listed as a member.
    pub members: Vec<String>,
    /// Whose first group it is.
    pub first_of: Vec<String>,
    /// The line that says so.
    pub source: Source,
}

/// A public key of SSH.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct SshKey {
    /// What the key calls itself: `ssh-ed25519`, `ssh-rsa`, `ecdsa-sha2-nistp256` …
    pub kind: String,
    /// Its length in bits, as ssh-keygen counts them.
    pub bits: Option<u32>,
    /// `SHA256:` and the hash in base64, as `ssh-keygen -l` prints it.
    pub fingerprint: String,
    /// What stands behind it.
    pub comment: Option<String>,
    /// The line it stands in.
    pub source: Source,
}

/// A key that lets somebody in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct AuthorizedKey {
    /// As whom.
    pub user: String,
    /// What it is limited to: `no-pty`, `command="…"`, `from="…"` …
    pub options: Option<String>,
    /// The key.
    #[serde(flatten)]
    pub key: SshKey,
}

/// A setting of sshd.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct SshdSetting {
    /// Its name as sshd_config(5) spells it.
    pub name: String,
    /// The value. Of a setting that stands in several places the first counts, and only that is listed; `Port` and
    /// `ListenAddress` add up.
    pub value: String,
    /// The `Match` it depends on; `null` where it holds for everybody.
    pub only_if: Option<String>,
    /// The line that says so.
    pub source: Source,
}

/// What sudo allows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Sudo {
    /// The rules, in order; of several that fit, the last one counts.
    pub rules: Vec<SudoRule>,
    /// Names for lists.
    pub aliases: Vec<SudoAlias>,
    /// Lines of `Defaults`.
    pub defaults: Vec<Fact<String>>,
    /// Lines that are no sudoers.
    pub odd: Vec<Fact<String>>,
}

/// One rule of sudoers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct SudoRule {
    /// Who: users, `%groups`, `#numbers`, `+netgroups`, aliases; `!` before what is not meant.
    pub who: Vec<String>,
    /// On which machines.
    pub hosts: Vec<String>,
    /// As which users; empty for root.
    pub run_as_users: Vec<String>,
    /// As which groups.
    pub run_as_groups: Vec<String>,
    /// `NOPASSWD`, `SETENV` …, and options such as `TIMEOUT=5m`.
    pub tags: Vec<String>,
    /// Which commands.
    pub commands: Vec<String>,
    /// The line it begins in.
    pub source: Source,
}

/// A name for a list in sudoers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct SudoAlias {
    /// `user`, `runas`, `host`, `command`.
    pub kind: String,
    /// The name.
    pub name: String,
    /// What it stands for.
    pub members: Vec<String>,
    /// The line it begins in.
    pub source: Source,
}
