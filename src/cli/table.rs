//! Rows for people: columns padded to their widest cell.

use std::io::Write;

use super::failure::Failure;

/// Prints `rows` under `head`, two blanks between columns, nothing at line ends.
pub(super) fn print<const N: usize>(out: &mut dyn Write, head: [&str; N], rows: &[[String; N]]) -> Result<(), Failure> {
    let mut widths = head.map(|cell| cell.chars().count());
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    line(out, &widths, head.iter().copied())?;
    for row in rows {
        line(out, &widths, row.iter().map(String::as_str))?;
    }
    Ok(())
}

fn line<'a>(out: &mut dyn Write, widths: &[usize], cells: impl Iterator<Item = &'a str>) -> Result<(), Failure> {
    let mut text = String::new();
    for (width, cell) in widths.iter().zip(cells) {
        text.push_str(cell);
        text.extend(std::iter::repeat_n(' ', width.saturating_sub(cell.chars().count()) + 2));
    }
    Ok(writeln!(out, "{}", text.trim_end())?)
}

/// Somebody else chose this text: it must not move the cursor of who reads it.
pub(super) fn plain(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_cannot_write_to_the_terminal() {
        assert_eq!(plain("curl\x1b[2J\r\nx"), "curl\u{fffd}[2J\u{fffd}\u{fffd}x");
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut out = Vec::new();
        let rows = [
            ["1".to_owned(), "Ännchen".to_owned(), "x".to_owned()],
            ["22".to_owned(), String::new(), String::new()],
        ];
        print(&mut out, ["ID", "NAME", "ROLES"], &rows).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "ID  NAME     ROLES\n1   Ännchen  x\n22\n"
        );
    }
}
