//! The few pieces of markup that every section is made of. Text from outside goes through [`text`] and nothing else:
//! labels, SQL and error messages are whatever somebody wrote.

use std::fmt::Write as _;

/// A text as data: it starts no tag, ends no attribute and turns no writing direction around.
pub fn text(from_outside: &str) -> String {
    let mut safe = String::with_capacity(from_outside.len());
    for character in from_outside.chars() {
        match character {
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '&' => safe.push_str("&amp;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            '\n' | '\t' => safe.push(character),
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' => safe.push('\u{fffd}'),
            _ if character.is_control() => safe.push('\u{fffd}'),
            _ => safe.push(character),
        }
    }
    safe
}

/// A text of at most so many characters.
pub fn shortened(from_outside: &str, most: usize) -> String {
    if from_outside.chars().count() <= most { from_outside.to_owned() } else { from_outside.chars().take(most.saturating_sub(1)).chain(['…']).collect() }
}

/// One column of a table.
pub struct Column(
    /// What stands above it.
    pub &'static str,
    /// Whether it holds numbers.
    pub bool,
);

/// One row of a table.
pub struct TableRow {
    /// The class that colours it.
    pub class: &'static str,
    /// Its cells, ready as markup.
    pub cells: Vec<String>,
}

impl From<Vec<String>> for TableRow {
    fn from(cells: Vec<String>) -> Self {
        Self { class: "", cells }
    }
}

/// A table whose first column names its rows. Cells are markup.
pub fn table(caption: &str, columns: &[Column], rows: impl IntoIterator<Item = TableRow>) -> String {
    let class = |numeric: bool| if numeric { " class=\"n\"" } else { "" };
    let mut out = format!("<div class=\"wide\"><table><caption>{}</caption><thead><tr>", text(caption));
    for Column(head, numeric) in columns {
        let _ = write!(out, "<th scope=\"col\"{}>{}</th>", class(*numeric), text(head));
    }
    out.push_str("</tr></thead><tbody>\n");
    for TableRow { class: colour, cells } in rows {
        let _ = if colour.is_empty() { write!(out, "<tr>") } else { write!(out, "<tr class=\"{colour}\">") };
        for (index, (cell, Column(_, numeric))) in cells.iter().zip(columns).enumerate() {
            let _ =
                if index == 0 { write!(out, "<th scope=\"row\"{}>{cell}</th>", class(*numeric)) } else { write!(out, "<td{}>{cell}</td>", class(*numeric)) };
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody></table></div>\n");
    out
}

/// What is shown only when asked for; with the table behind a chart, for whoever cannot or does not want to see that.
pub fn folded(summary: &str, content: &str) -> String {
    format!("<details><summary>{}</summary>{content}</details>\n", text(summary))
}

/// A section that links can lead to.
pub fn section(id: &str, heading: &str, content: &str) -> String {
    format!("<section id=\"{id}\" aria-labelledby=\"{id}-h\"><h2 id=\"{id}-h\">{}</h2>\n{content}</section>\n", text(heading))
}

/// A whole number with its thousands apart.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A rate per second: whole where it is large, with a decimal where it is small.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "casts from floating point saturate")]
pub fn rate(per_second: f64) -> String {
    if per_second >= 100.0 { grouped(per_second.round() as u64) } else { format!("{per_second:.1}") }
}

/// A share in per cent: none at all is said differently from very few.
pub fn percent(share: f64) -> String {
    match share * 100.0 {
        none if none <= 0.0 => "0 %".to_owned(),
        few if few < 0.001 => "< 0.001 %".to_owned(),
        some if some < 1.0 => format!("{some:.3} %"),
        much => format!("{much:.2} %"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_stays_text() {
        assert_eq!(text("<script>alert('x')</script> & \"y\""), "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; &quot;y&quot;");
        assert_eq!(text("a\u{202e}b\u{0}c\u{1b}[31m\n"), "a\u{fffd}b\u{fffd}c\u{fffd}[31m\n");
    }

    #[test]
    fn numbers_are_grouped_and_rounded_for_people() {
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([0.0, 9.96, 99.94, 1234.5].map(rate), ["0.0", "10.0", "99.9", "1,235"]);
        assert_eq!([0.0, 0.000_001, 0.0005, 0.2].map(percent), ["0 %", "< 0.001 %", "0.050 %", "20.00 %"]);
    }

    #[test]
    fn a_table_names_its_columns_and_rows() {
        let row = TableRow { class: "bad", cells: vec!["p95".into(), "20".into()] };
        assert_eq!(
            table("Checks", &[Column("check", false), Column("limit", true)], [row]),
            "<div class=\"wide\"><table><caption>Checks</caption><thead><tr><th scope=\"col\">check</th><th scope=\"col\" class=\"n\">limit</th></tr></thead><tbody>\n\
             <tr class=\"bad\"><th scope=\"row\">p95</th><td class=\"n\">20</td></tr>\n</tbody></table></div>\n"
        );
    }
}
