use super::{Style, shown};
use h2k_convert::{Class, Failure};

/// A failure as text: what is wrong with which file, where and why, what was left behind, what to do.
pub(super) fn text(failure: &Failure, style: Style) -> String {
    let mut out = format!("{} {}\n", style.red("error:"), style.bold(&failure.headline()));
    if let Some(detail) = failure.detail() {
        out.push_str(&format!("  {}\n", shown(&detail)));
    }
    let plain = matches!(failure.class(), Class::Cancelled | Class::Invalid);
    if !plain {
        let class = format!("class: {}", failure.class().word());
        let after = match failure.aftermath() {
            [] => String::new(),
            all => format!("   ({})", shown(&all.join("; "))),
        };
        out.push_str(&format!("  {}\n", style.dim(&format!("{class}{after}"))));
    } else if !failure.aftermath().is_empty() {
        out.push_str(&format!("  {}\n", shown(&failure.aftermath().join("; "))));
    }
    if let Some(advice) = failure.error().advice() {
        out.push_str(&format!("  {} {}\n", style.green("try:"), shown(advice)));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::term::Colour;

    #[test]
    fn a_failure_names_file_structure_offset_class_and_advice() {
        let error = h2k_block::Error::corrupt("grain", 0x2_5a1f_0000, "65536 bytes asked")
            .through("web01.vmdk")
            .advise("copy it again");
        let failure = Failure::from(error)
            .about(std::path::Path::new("web01.vmdk"))
            .leaving("the source was not modified");
        assert_eq!(
            text(&failure, Style::of(Colour::Never, &std::io::stderr())),
            "error: web01.vmdk is damaged\n  grain at 0x25a1f0000: 65536 bytes asked\n  class: corrupt   (the source was \
             not modified)\n  try: copy it again\n"
        );
    }
}
