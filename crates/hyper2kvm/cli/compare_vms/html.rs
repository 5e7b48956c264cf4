//! A comparison as a page that needs nothing but itself.

use super::{HEADINGS, cells};
use h2k_inspect::{Comparison, Profile};

const HEAD: &str = "\
<!DOCTYPE html>
<html lang=\"en\">
<head>
<meta charset=\"utf-8\">
<title>Guests compared</title>
<style>
body { font-family: sans-serif; margin: 2em; }
table { border-collapse: collapse; }
th, td { border-bottom: 1px solid #bbb; padding: .4em .8em; text-align: left; vertical-align: top; }
.low { color: #17692b; } .medium { color: #8a5a00; } .high { color: #a3161d; }
</style>
</head>
<body>
<h1>Guests compared</h1>
";

/// The page.
pub(super) fn page(comparison: &Comparison) -> String {
    let mut out = HEAD.to_owned();
    out.push_str("<table>\n<tr>");
    for (heading, _) in HEADINGS {
        out.push_str(&format!("<th>{heading}</th>"));
    }
    out.push_str("<th>WHY</th></tr>\n");
    for profile in &comparison.profiles {
        out.push_str(&row(profile));
    }
    out.push_str("</table>\n<h2>Begin with</h2>\n<ol>\n");
    for name in &comparison.recommended_order {
        out.push_str(&format!("<li>{}</li>\n", escaped(name)));
    }
    out.push_str("</ol>\n");
    for (title, names) in [
        ("Quick wins", &comparison.quick_wins),
        ("High complexity", &comparison.high_complexity),
    ] {
        if !names.is_empty() {
            out.push_str(&format!(
                "<h2>{title}</h2>\n<p>{}</p>\n",
                escaped(&names.join(", "))
            ));
        }
    }
    for profile in comparison.profiles.iter().filter(|p| !p.unread.is_empty()) {
        out.push_str(&format!("<h2>Not read: {}</h2>\n<ul>\n", escaped(&profile.name)));
        for unread in &profile.unread {
            out.push_str(&format!("<li>{}</li>\n", escaped(&unread.to_string())));
        }
        out.push_str("</ul>\n");
    }
    out.push_str("</body>\n</html>\n");
    out
}

fn row(profile: &Profile) -> String {
    let mut out = format!("<tr class=\"{}\">", profile.complexity);
    for cell in cells(profile) {
        out.push_str(&format!("<td>{}</td>", escaped(&cell)));
    }
    let why: Vec<String> = profile
        .reasons
        .iter()
        .map(|r| escaped(&format!("{} ({})", r.why, r.points)))
        .collect();
    out.push_str(&format!("<td>{}</td></tr>\n", why.join("<br>")));
    out
}

/// Names come from guests: none of them is markup.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use h2k_inspect::compare;

    #[test]
    fn what_a_guest_calls_itself_is_no_markup() {
        let profile = Profile {
            name: "<script>'&\"".to_owned(),
            ..Profile::default()
        };
        let page = page(&compare(vec![profile]));
        assert!(!page.contains("<script"));
        assert!(page.contains("&lt;script&gt;&#39;&amp;&quot;"));
    }
}
