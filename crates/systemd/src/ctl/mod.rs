//! What `timedatectl`, `hostnamectl`, `localectl` and `loginctl` would say of a guest, from its files.

mod hostname;
mod keyboard;
mod locale;
mod login;
mod timedate;

pub use hostname::{HostName, host_name};
pub use keyboard::{Keyboard, XkbList, keymaps, xkb};
pub use locale::{Locale, Locales, archive, locale, locales};
pub use login::{
    LOGIN_RECORD, LastLogin, LoginKind, LoginRecord, Session, SessionEnd, last_logins, login_records,
    records, sessions,
};
pub use timedate::{NtpUnit, TimeDate, time_date, time_zones};
