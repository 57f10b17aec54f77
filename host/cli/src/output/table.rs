//! Tables for people.

use comfy_table::{Cell, CellAlignment, ContentArrangement, LineStyle, Table, presets};

use super::safe;

/// A table that grows row by row; columns whose heading begins with `>` are aligned to the right.
pub struct Rows {
    table: Table,
    right: Vec<bool>,
}

impl Rows {
    /// With these headings.
    pub fn new(headings: &[&str]) -> Self {
        let mut table = Table::new();
        table
            .load_style(presets::UTF8_HORIZONTAL_ONLY.row_separator(LineStyle::none()))
            .set_content_arrangement(ContentArrangement::Dynamic);
        if table.width().is_none() {
            table.set_width(160);
        }
        let right: Vec<bool> = headings.iter().map(|heading| heading.starts_with('>')).collect();
        let cells = headings
            .iter()
            .map(|heading| Cell::new(heading.trim_start_matches('>')));
        table.set_header(
            cells
                .zip(&right)
                .map(|(cell, right)| align(cell, *right))
                .collect::<Vec<_>>(),
        );
        Self { table, right }
    }

    /// One more row.
    pub fn add<T: AsRef<str>>(&mut self, cells: impl IntoIterator<Item = T>) {
        let cells = cells.into_iter().map(|text| Cell::new(safe(text.as_ref())));
        self.table.add_row(
            cells
                .zip(&self.right)
                .map(|(cell, right)| align(cell, *right))
                .collect::<Vec<_>>(),
        );
    }

    /// As text, without trailing blanks.
    pub fn render(&self) -> String {
        self.table
            .lines()
            .map(|line| line.trim_end().to_owned())
            .collect::<Vec<_>>()
            .join("\n")
    }
}

fn align(cell: Cell, right: bool) -> Cell {
    cell.set_alignment(if right {
        CellAlignment::Right
    } else {
        CellAlignment::Left
    })
}

/// With a thin space between thousands: `1 234 567`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out
}

/// `1 message`, `2 messages`.
pub fn plural(number: u64, one: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{} {one}{ending}", count(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_234_567).replace('\u{202f}', " "), "1 234 567");
        assert_eq!(plural(1, "message"), "1 message");
        assert_eq!(plural(2, "folder"), "2 folders");
    }

    #[test]
    fn cells_are_aligned_and_made_safe() {
        let mut rows = Rows::new(&["name", ">count"]);
        rows.add(["a\u{1b}[2J", "7"]);
        rows.add(["long name", "1 000"]);
        let text = rows.render();
        assert!(!text.contains('\u{1b}'), "{text}");
        assert!(text.contains("     7"), "{text}");
    }
}
