//! Whether a Windows is a member of a domain: what the local security authority wrote down.
//!
//! Below `Policy` of the SECURITY hive, `PolPrDmN` names the domain or workgroup, `PolPrDmS` is the domain's SID, which a
//! workgroup has none of, and `PolDnDDN` the domain's name in DNS. A name is what MS-LSAD calls LSAPR_UNICODE_STRING:
//! its length in bytes, the room it has, where it begins (8), and the text. Tried on hives of real machines.

use super::{SECURITY, hive, sam};
use crate::os::Os;
use crate::report::Asking;
use h2k_guest::registry::Hold;
use h2k_guest::{Fact, Look};

/// Tells the domain or the workgroup, where the hive can be read.
pub(crate) fn look(asking: &Asking<'_>, look: &Look<'_>, os: &mut Os) {
    let Some(security) = hive(asking, look, SECURITY) else {
        return;
    };
    let primary = named(&security, look, "PolPrDmN");
    let sid = data(&security, look, "PolPrDmS").filter(|f| sam::sid(&f.value).is_some());
    if sid.is_some() {
        let domain = named(&security, look, "PolDnDDN").or(primary);
        os.domain = domain.or(os.domain.take());
    } else {
        os.workgroup = primary;
    }
}

fn data(security: &Hold, look: &Look<'_>, name: &str) -> Option<Fact<Vec<u8>>> {
    security.key(look, &format!("Policy\\{name}"))?.data("")
}

fn named(security: &Hold, look: &Look<'_>, name: &str) -> Option<Fact<String>> {
    let fact = data(security, look, name)?;
    Some(Fact::new(unicode_string(&fact.value)?, fact.source))
}

/// The text of a counted string that is not empty.
fn unicode_string(data: &[u8]) -> Option<String> {
    let len = usize::from(u16::from_le_bytes(*data.first_chunk()?));
    let start = usize::try_from(u32::from_le_bytes(*data.get(4..)?.first_chunk()?)).ok()?;
    sam::text(data.get(start..)?.get(..len)?)
}

#[cfg(test)]
mod tests {
    use super::unicode_string;

    #[test]
    fn names_end_where_their_length_says() {
        // `PolPrDmN` of a machine in no domain: regipy/SECURITY of the corpus.
        let mut data = vec![0x12, 0, 0x14, 0, 8, 0, 0, 0];
        data.extend("WORKGROUP\0".encode_utf16().flat_map(u16::to_le_bytes));
        assert_eq!(unicode_string(&data).unwrap(), "WORKGROUP");
        assert_eq!(
            unicode_string(data.get(..20).unwrap()),
            None,
            "shorter than it says"
        );
        assert_eq!(unicode_string(&[0, 0, 0, 0, 8, 0, 0, 0]), None);
        assert_eq!(unicode_string(&[]), None);
    }
}
