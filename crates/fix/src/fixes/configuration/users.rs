//! Users: made, changed and locked in the files of accounts, with home, keys and the right to become root.

use super::accounts::{Table, number};
use super::checks;
use crate::configuration::User;
use crate::edit::Edit;
use crate::finding::Finding;
use crate::fixes::Fix;
use crate::fixes::text::{read, write};
use crate::view::View;
use h2k_block::Result;
use h2k_fs::{Attributes, FileKind};
use h2k_guest::Source;
use h2k_guest::look::join;

/// Files of `/etc/skel` that are copied, and how large one may be.
const SKELETON: usize = 64;
const LARGEST: u64 = 1 << 20;
/// login.defs(5): where users' numbers begin and end when it says nothing.
const NUMBERS: (u32, u32) = (1000, 60_000);
const DAY: i64 = 86_400;

/// Makes, changes and locks users.
pub(in crate::fixes) struct Users;

impl Fix for Users {
    fn id(&self) -> &'static str {
        "linux.users"
    }

    fn about(&self) -> &'static str {
        "makes the users that are configured, with their keys and groups, and locks those that are not to log in"
    }

    fn look(&self, view: &View<'_>) -> Result<Vec<Finding>> {
        let wish = &view.options.configuration.users;
        if wish.create.is_empty() && wish.disable.is_empty() {
            return Ok(vec![Finding::leave("no users are configured")]);
        }
        let Some(mut files) = Files::read(view) else {
            return Ok(vec![Finding::blocked(
                "/etc/passwd and /etc/group cannot be read",
            )]);
        };
        let mut findings = Vec::new();
        for user in &wish.create {
            let before = files.clone();
            findings.push(match made(view, user, &mut files) {
                Ok(more) => {
                    let mut edits = files.edits(&before);
                    edits.extend(more);
                    told(&user.username, "is as configured", edits)
                }
                Err(why) => {
                    files = before;
                    Finding::blocked(format!("the user {:?} cannot be made: {why}", user.username))
                }
            });
        }
        for name in &wish.disable {
            let before = files.clone();
            findings.push(match locked(name, &mut files) {
                Ok(()) => told(name, "is locked", files.edits(&before)),
                Err(why) => Finding::blocked(format!("the user {name:?} cannot be locked: {why}")),
            });
        }
        Ok(findings)
    }
}

fn told(name: &str, what: &str, edits: Vec<Edit>) -> Finding {
    let source = Source::file(b"/etc/passwd");
    if edits.is_empty() {
        return Finding::leave(format!("the user {name} {what} already")).read([source]);
    }
    Finding::change(format!("the user {name} {what}"), edits).read([source])
}

/// The files of accounts. Where passwords stand in passwd, shadow is not there.
#[derive(Clone)]
struct Files {
    passwd: Table,
    group: Table,
    shadow: Option<Table>,
    gshadow: Option<Table>,
}

impl Files {
    fn read(view: &View<'_>) -> Option<Self> {
        let table = |path: &str| read(view, path).map(|text| Table::new(&text));
        Some(Self {
            passwd: table("/etc/passwd")?,
            group: table("/etc/group")?,
            shadow: table("/etc/shadow"),
            gshadow: table("/etc/gshadow"),
        })
    }

    fn edits(&self, before: &Self) -> Vec<Edit> {
        let mut edits = Vec::new();
        let mut one = |path: &str, new: Option<&Table>, old: Option<&Table>| {
            if let Some(new) = new.filter(|new| Some(*new) != old) {
                edits.push(Edit::Write {
                    path: path.as_bytes().to_vec(),
                    content: new.text().into_bytes(),
                    mode: 0o644,
                });
            }
        };
        one("/etc/group", Some(&self.group), Some(&before.group));
        one("/etc/gshadow", self.gshadow.as_ref(), before.gshadow.as_ref());
        one("/etc/passwd", Some(&self.passwd), Some(&before.passwd));
        one("/etc/shadow", self.shadow.as_ref(), before.shadow.as_ref());
        edits
    }
}

fn checked(user: &User) -> std::result::Result<(), String> {
    let name = &user.username;
    if !checks::user_name(name) {
        return Err("that is no name for a user".to_owned());
    }
    let groups = user.groups.iter().find(|group| !checks::user_name(group));
    if let Some(bad) = groups {
        return Err(format!("{bad:?} is no name for a group"));
    }
    for path in user.home.iter().chain(&user.shell) {
        if !checks::absolute(path) {
            return Err(format!("{path:?} is no absolute path"));
        }
    }
    if user.comment.as_ref().is_some_and(|text| !checks::field(text)) {
        return Err("the comment has a colon or more than one line".to_owned());
    }
    if user
        .password_hash
        .as_ref()
        .is_some_and(|text| !checks::hash(text))
    {
        return Err("the password is no hash of crypt(5)".to_owned());
    }
    if user
        .ssh_authorized_keys
        .iter()
        .any(|line| !checks::ssh_key(line.trim()))
    {
        return Err("one of the keys is no line of authorized_keys".to_owned());
    }
    Ok(())
}

/// Changes the tables; answers with what is edited besides.
fn made(view: &View<'_>, user: &User, files: &mut Files) -> std::result::Result<Vec<Edit>, String> {
    checked(user)?;
    let name = user.username.as_str();
    let days = view.options.now.seconds.div_euclid(DAY).max(1).to_string();
    let known = files.passwd.get(name).map(|fields| {
        (
            number(&fields, 2),
            number(&fields, 3),
            fields.get(5).map(|home| (*home).to_owned()),
        )
    });
    let (uid, gid, home, new) = match known {
        Some((Some(uid), Some(gid), home)) => {
            if user.uid.is_some_and(|wanted| wanted != uid) || user.gid.is_some_and(|wanted| wanted != gid) {
                return Err(format!("there is one already, with the numbers {uid} and {gid}"));
            }
            let home = user.home.clone().or(home.filter(|home| checks::absolute(home)));
            (uid, gid, home.unwrap_or_else(|| format!("/home/{name}")), false)
        }
        Some(_) => return Err("its line in /etc/passwd has no numbers".to_owned()),
        None => {
            let (uid, gid) = numbers(view, user, files)?;
            (
                uid,
                gid,
                user.home.clone().unwrap_or_else(|| format!("/home/{name}")),
                true,
            )
        }
    };
    for group in &user.groups {
        if files.group.get(group).is_none() {
            return Err(format!("there is no group {group}"));
        }
    }
    let shadowed = files.shadow.is_some();
    if new {
        let hash = user.password_hash.as_deref().unwrap_or("!");
        let shell = user.shell.clone().unwrap_or_else(|| shell(view));
        let comment = user.comment.as_deref().unwrap_or_default();
        let (uid, gid) = (uid.to_string(), gid.to_string());
        let password = if shadowed { "x" } else { hash };
        files
            .passwd
            .add(&[name, password, &uid, &gid, comment, &home, &shell]);
        if let Some(shadow) = &mut files.shadow {
            shadow.add(&[name, hash, &days, "0", "99999", "7", "", "", ""]);
        }
    } else {
        for (at, value) in [(4, &user.comment), (5, &user.home), (6, &user.shell)] {
            if let Some(value) = value {
                files.passwd.set(name, at, value);
            }
        }
        if let Some(hash) = &user.password_hash {
            set_password(files, name, hash, &days);
        }
    }
    for group in &user.groups {
        files.group.join(group, name);
        if let Some(gshadow) = &mut files.gshadow {
            gshadow.join(group, name);
        }
    }
    let mut edits = Vec::new();
    if new {
        edits.extend(homes(view, &home, uid, gid));
    }
    edits.extend(keys(view, user, &home, uid, gid));
    edits.extend(sudo(view, user)?);
    Ok(edits)
}

fn set_password(files: &mut Files, name: &str, hash: &str, days: &str) {
    match files.shadow.as_mut().filter(|shadow| shadow.get(name).is_some()) {
        Some(shadow) => {
            let same = shadow
                .get(name)
                .and_then(|fields| fields.get(1).map(|had| *had == hash));
            if same != Some(true) {
                shadow.set(name, 1, hash);
                shadow.set(name, 2, days);
            }
        }
        None => files.passwd.set(name, 1, hash),
    }
}

/// The numbers of a new user, and its own group where that has to be made.
fn numbers(view: &View<'_>, user: &User, files: &mut Files) -> std::result::Result<(u32, u32), String> {
    let name = user.username.as_str();
    let defs = view.look.text("/etc/login.defs");
    let said = |key: &str| {
        let text = defs.as_ref()?;
        let found = text.spoken().filter_map(|line| {
            let mut words = line.text.split_whitespace();
            let value = words.next().filter(|word| *word == key).and(words.next())?;
            value.parse::<u32>().ok()
        });
        found.last()
    };
    let first = said("UID_MIN").unwrap_or(NUMBERS.0);
    let last = said("UID_MAX").unwrap_or(NUMBERS.1);
    let uid = match user.uid {
        Some(uid) => match files.passwd.numbered(uid) {
            Some(other) => return Err(format!("the number {uid} is that of {other}")),
            None => uid,
        },
        None => (first..=last)
            .find(|id| files.passwd.numbered(*id).is_none() && files.group.numbered(*id).is_none())
            .ok_or("no number is free")?,
    };
    if let Some(gid) = user.gid
        && files.group.numbered(gid).is_some()
    {
        return Ok((uid, gid));
    }
    let own = files.group.get(name).map(|fields| number(&fields, 2));
    match (own, user.gid) {
        (Some(Some(gid)), None) => return Ok((uid, gid)),
        (Some(had), wanted) => {
            return Err(format!(
                "there is a group of that name already, with the number {had:?}, and not {wanted:?}"
            ));
        }
        (None, _) => {}
    }
    let gid = match user.gid {
        Some(gid) => gid,
        None if files.group.numbered(uid).is_none() => uid,
        None => (first..=last)
            .find(|id| files.group.numbered(*id).is_none())
            .ok_or("no number of a group is free")?,
    };
    let text = gid.to_string();
    let password = if files.gshadow.is_some() { "x" } else { "!" };
    files.group.add(&[name, password, &text, ""]);
    if let Some(gshadow) = &mut files.gshadow {
        gshadow.add(&[name, "!", "", ""]);
    }
    Ok((uid, gid))
}

/// The shell of new users: the one that is there.
fn shell(view: &View<'_>) -> String {
    let all = ["/bin/bash", "/usr/bin/bash", "/bin/ash"];
    let there = all.into_iter().find(|path| view.look.exists(path));
    there.unwrap_or("/bin/sh").to_owned()
}

fn owned(path: &[u8], mode: u16, uid: u32, gid: u32) -> Edit {
    let attributes = Attributes {
        mode: Some(mode),
        uid: Some(uid),
        gid: Some(gid),
        ..Attributes::default()
    };
    Edit::Attributes {
        path: path.to_vec(),
        attributes,
    }
}

/// A home directory with what new ones hold, where there is none.
fn homes(view: &View<'_>, home: &str, uid: u32, gid: u32) -> Vec<Edit> {
    if view.look.exists(home) {
        return Vec::new();
    }
    let mut edits = vec![
        Edit::Directory {
            path: home.as_bytes().to_vec(),
            mode: 0o700,
        },
        owned(home.as_bytes(), 0o700, uid, gid),
    ];
    for name in view.look.names("/etc/skel").into_iter().take(SKELETON) {
        let from = join(b"/etc/skel", &name);
        let file = view
            .look
            .stat_itself(&from)
            .filter(|stat| stat.kind == FileKind::File);
        let Some((stat, content)) = file.and_then(|stat| Some((stat, view.look.bytes(&from, LARGEST)?)))
        else {
            continue;
        };
        let mode = stat.mode.unwrap_or(0o644);
        let path = join(home.as_bytes(), &name);
        edits.push(Edit::Write {
            path: path.clone(),
            content,
            mode,
        });
        edits.push(owned(&path, mode, uid, gid));
    }
    edits
}

/// The keys that open the account; those that are there stay. sshd(8) takes files that others may write for none.
fn keys(view: &View<'_>, user: &User, home: &str, uid: u32, gid: u32) -> Vec<Edit> {
    if user.ssh_authorized_keys.is_empty() {
        return Vec::new();
    }
    let dir = format!("{home}/.ssh");
    let path = format!("{dir}/authorized_keys");
    let before = read(view, &path);
    let mut text = before.clone().unwrap_or_default();
    for key in user.ssh_authorized_keys.iter().map(|key| key.trim()) {
        if text.lines().any(|line| line.trim() == key) {
            continue;
        }
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        text.push_str(key);
        text.push('\n');
    }
    let mut edits = Vec::new();
    if !view.look.is_dir(&dir) {
        edits.push(Edit::Directory {
            path: dir.as_bytes().to_vec(),
            mode: 0o700,
        });
        edits.push(owned(dir.as_bytes(), 0o700, uid, gid));
    }
    edits.extend(write(view, &path, text, 0o600));
    let stat = view.look.stat(&path);
    let right =
        stat.is_some_and(|stat| stat.uid == Some(uid) && stat.mode.is_some_and(|mode| mode & 0o022 == 0));
    if !right {
        edits.push(owned(path.as_bytes(), 0o600, uid, gid));
    }
    edits
}

/// The right to become root: sudoers(5).
fn sudo(view: &View<'_>, user: &User) -> std::result::Result<Option<Edit>, String> {
    if !user.sudo && !user.sudo_nopasswd {
        return Ok(None);
    }
    let Some(sudoers) = read(view, "/etc/sudoers") else {
        return Err("sudo is not there".to_owned());
    };
    let included = sudoers.lines().any(|line| {
        let mut words = line.split_whitespace();
        let first = words.next();
        matches!(first, Some("@includedir" | "#includedir"))
            && words
                .next()
                .is_some_and(|dir| matches!(dir.trim_end_matches('/'), "/etc/sudoers.d" | "sudoers.d"))
    });
    if !included {
        return Err("/etc/sudoers does not read /etc/sudoers.d".to_owned());
    }
    let how = if user.sudo_nopasswd {
        "NOPASSWD: ALL"
    } else {
        "ALL"
    };
    // sudo skips files with a dot in their names.
    let file = format!("/etc/sudoers.d/90-hyper2kvm-{}", user.username.replace('.', "_"));
    Ok(write(
        view,
        &file,
        format!("{} ALL=(ALL:ALL) {how}\n", user.username),
        0o440,
    ))
}

/// Locks a user as `usermod --lock --expiredate 1` does: neither password nor key opens the account.
fn locked(name: &str, files: &mut Files) -> std::result::Result<(), String> {
    let fields = files.passwd.get(name).ok_or("there is no such user")?;
    if number(&fields, 2) == Some(0) {
        return Err("it is root".to_owned());
    }
    let shadow = files.shadow.as_mut().ok_or("there is no /etc/shadow")?;
    let Some(fields) = shadow.get(name) else {
        return Err("it has no line in /etc/shadow".to_owned());
    };
    let hash = fields.get(1).copied().unwrap_or_default().to_owned();
    if !hash.starts_with('!') {
        shadow.set(name, 1, &format!("!{hash}"));
    }
    if shadow
        .get(name)
        .and_then(|fields| fields.get(7).copied().map(str::to_owned))
        .as_deref()
        != Some("1")
    {
        shadow.set(name, 7, "1");
    }
    Ok(())
}
