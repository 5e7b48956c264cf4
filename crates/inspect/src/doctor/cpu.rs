//! What processor a distribution asks for.

use super::{Finding, Level, Patient};

/// Distributions that are built like Red Hat's.
const LIKE_RHEL: [&str; 6] = ["rhel", "centos", "almalinux", "rocky", "ol", "redhat"];

pub(super) fn check(patient: &Patient<'_>) -> Option<Finding> {
    let os = &patient.facts.os.as_ref()?.found;
    let (id, major) = (os.id.as_ref()?, os.major_version.as_ref()?);
    if !LIKE_RHEL.contains(&id.value.as_str()) {
        return None;
    }
    let level = match major.value {
        ..9 => return None,
        9 => "x86-64-v2",
        _ => "x86-64-v3",
    };
    let why = format!(
        "{} {} starts on processors of level {level} only",
        id.value, major.value
    );
    Some(
        Finding::new("processor", Level::Warn, why)
            .advise("give it -cpu host, or a model of that level; QEMU's default (qemu64) is less")
            .read([id.source.clone(), major.source.clone()]),
    )
}
