//! Tables for people.

use comfy_table::{Cell, CellAlignment, ContentArrangement, LineStyle, Table, presets};

pub use whimbrel_report::figures::{count, plural};

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

#[cfg(test)]
mod tests {
    use super::*;

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
